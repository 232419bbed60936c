// Children of two codes, as latentlib.gan.blending makes them; the page checks that both give the same.
import numbers from "./numbers.json";

const LAYERS = numbers.checks.faces.input.shape[1];
export const WIDTH = numbers.checks.faces.input.shape[2];

/** The same w for every layer. */
export function perLayer(w) {
  const all = new Float32Array(LAYERS * WIDTH);
  for (let layer = 0; layer < LAYERS; layer++) all.set(w, layer * WIDTH);
  return all;
}

/** One child from all sliders. crossover: coarse layers from a, 0: all are mixed alike; sibling: a seed, or null. */
export function blend(a, b, { share = 0.5, crossover = 0, sibling = null }) {
  const child = new Float32Array(a.length);
  const normal = sibling === null ? null : gaussian(sibling);
  for (let layer = 0; layer < LAYERS; layer++) {
    let part = share;
    if (crossover) part = layer < crossover ? Math.max(0, 2 * share - 1) : Math.min(1, 2 * share);
    if (normal) part = inherited((part + share) / 2, normal());
    for (let k = layer * WIDTH; k < (layer + 1) * WIDTH; k++) child[k] = a[k] * (1 - part) + b[k] * part;
  }
  return child;
}

/** A sibling's share of b in a layer: its mean over the standard normal `lead` is the dominance. */
function inherited(dominance, lead) {
  if (dominance <= 0 || dominance >= 1) return dominance;
  const soft = numbers.softness;
  return below((lead + quantile(dominance) * Math.sqrt(1 + soft * soft)) / soft);
}

/** The standard normal distribution function (Abramowitz and Stegun 7.1.26, to 1e-7). */
function below(x) {
  const z = Math.abs(x) / Math.SQRT2;
  const t = 1 / (1 + 0.3275911 * z);
  const series = ((((1.061405429 * t - 1.453152027) * t + 1.421413741) * t - 0.284496736) * t + 0.254829592) * t;
  const tail = 0.5 * series * Math.exp(-z * z);
  return x > 0 ? 1 - tail : tail;
}

function quantile(share) {
  let [low, high] = [-8, 8];
  for (let step = 0; step < 50; step++) {
    const middle = (low + high) / 2;
    if (below(middle) < share) low = middle;
    else high = middle;
  }
  return (low + high) / 2;
}

/** Normal random numbers, the same for the same seed (mulberry32, Box and Muller). */
export function gaussian(seed) {
  let state = Math.imul(seed + 1, 0x9e3779b9);
  const uniform = () => {
    state = (state + 0x6d2b79f5) | 0;
    let t = Math.imul(state ^ (state >>> 15), 1 | state);
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
    return ((t ^ (t >>> 14)) >>> 0) / 2 ** 32;
  };
  return () => Math.sqrt(-2 * Math.log(1 - uniform())) * Math.cos(2 * Math.PI * uniform());
}

/** A z, the mapping's input. */
export function randomZ(seed) {
  const normal = gaussian(seed);
  return Float32Array.from({ length: WIDTH }, normal);
}
