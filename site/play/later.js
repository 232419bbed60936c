// Networks that the first picture does not need.
import portraits from "./portraits.onnx";
import encode from "./encode.onnx";
import decode from "./decode.onnx";
import flow from "./flow.onnx";
import furniture from "./furniture.onnx";
import numbers from "./numbers-later.json";

const files = { portraits, encode, decode, flow, furniture };
for (const [name, file] of Object.entries(files)) globalThis.networks[name] = { file, check: numbers[name] };
