// The networks: loaded from this script, run one after the other, checked against what torch made of the same inputs.
import * as ort from "onnxruntime-web/wasm";
import runtime from "./runtime.wasm.gz";
import mapping from "./mapping.onnx";
import faces from "./faces.onnx";
import numbers from "./numbers.json";
import { blend } from "./blending.js";

const LATER = {
  portraits: "later", encode: "later", decode: "later", flow: "later", furniture: "later",
  landmarks: "own", encoder: "own", step: "own",
};
const networks = (globalThis.networks = { // name -> its file, and an input with what torch makes of it
  mapping: { file: mapping, check: numbers.checks.mapping },
  faces: { file: faces, check: numbers.checks.faces },
});
const scripts = {};
const sessions = {};
let queue = Promise.resolve();

export const ALLOWED = 0.01; // of the range of torch's output

/** What Python packed as {shape, data}: Float32Array. */
export function unpacked({ data }) {
  const bytes = Uint8Array.from(atob(data), (letter) => letter.charCodeAt(0));
  return new Float32Array(bytes.buffer);
}

/** Rows of a matrix that Python packed: an array of Float32Array. */
export function rows(packed) {
  const all = unpacked(packed);
  const length = all.length / packed.shape[0];
  return Array.from({ length: packed.shape[0] }, (_, k) => all.subarray(k * length, (k + 1) * length));
}

export async function start() {
  const whole = new Blob([runtime]).stream().pipeThrough(new DecompressionStream("gzip"));
  ort.env.wasm.wasmBinary = await new Response(whole).arrayBuffer();
  ort.env.wasm.numThreads = 1; // more would need a server's headers
  ort.env.logLevel = "error";
}

/** Load one of the scripts that hold the networks which the first picture does not need. */
export function script(name) {
  scripts[name] ??= new Promise((loaded, failed) => {
    const element = Object.assign(document.createElement("script"), { src: `${name}.js`, onload: loaded });
    element.onerror = () => failed(new Error(`The file ${name}.js is not beside this page.`));
    document.head.append(element);
  });
  return scripts[name];
}

/** A network's output for one input: Float32Array -> Float32Array. */
export function run(name, input) {
  const answer = queue.then(async () => {
    if (!networks[name]) await script(LATER[name]);
    sessions[name] ??= await ort.InferenceSession.create(networks[name].file);
    const { shape } = networks[name].check.input;
    const { y } = await sessions[name].run({ x: new ort.Tensor("float32", input, shape) });
    return y.data;
  });
  queue = answer.catch(() => {}); // the next one runs all the same
  return answer;
}

/** The largest difference from torch, as a share of the range of torch's output, over all networks loaded, and the blends. */
export async function disagreement() {
  let worst = 0;
  const checks = Object.entries(networks).map(([name, { check }]) => [name, check]);
  for (const [name, { input, output }] of [...checks, ["blend", numbers.checks.blend]]) {
    const wanted = unpacked(output);
    const made = name === "blend" ? blended(rows(input)) : await run(name, unpacked(input));
    if (made.length !== wanted.length) return Infinity;
    let [low, high, apart] = [Infinity, -Infinity, 0];
    wanted.forEach((value, k) => {
      low = Math.min(low, value);
      high = Math.max(high, value);
      apart = Math.max(apart, Math.abs(value - made[k]));
    });
    worst = Math.max(worst, apart / (high - low));
  }
  return worst;
}

function blended([a, b]) {
  return Float32Array.from([...blend(a, b, { share: 0.3 }), ...blend(a, b, { share: 0.6, crossover: 4 })]);
}

/** Calls that come while an earlier one is at work are answered once, with the latest arguments. */
export function latest(work) {
  let [busy, next] = [false, null];
  return async function call(...given) {
    if (busy) {
      next = given;
      return;
    }
    busy = true;
    try {
      await work(...given);
    } catch (error) {
      fail(error);
    }
    busy = false;
    if (next) {
      const waiting = next;
      next = null;
      call(...waiting);
    }
  };
}

export function fail(error) {
  const status = document.getElementById("status");
  status.textContent = `That did not work. ${error?.message ?? error}`;
  status.classList.add("failed");
}

export { numbers };
