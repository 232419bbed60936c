// Networks for photos of one's own: loaded when somebody chooses one.
import landmarks from "./landmarks.onnx";
import encoder from "./encoder.onnx";
import step from "./step.onnx";
import checks from "./own.json";

const files = { landmarks, encoder, step };
for (const [name, file] of Object.entries(files)) globalThis.networks[name] = { file, check: checks[name] };
