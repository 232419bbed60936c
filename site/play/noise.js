// From noise to a piece of furniture: a flow leads random numbers to a code, and a decoder draws every step of the way.
import { latest, run } from "./engine.js";
import { gaussian } from "./blending.js";
import { show } from "./picture.js";

const STEPS = 20;
const NUMBERS = 32; // of a code

export async function noise() {
  const [step, kind, piece] = ["step", "kind", "piece"].map((id) => document.getElementById(id));
  let [seed, way] = [2, []]; // way: the numbers after 0, 1, … STEPS steps

  async function walk() {
    let x = Float32Array.from({ length: NUMBERS }, gaussian(seed));
    way = [x];
    for (let k = 0; k < STEPS; k++) {
      const direction = await run("flow", Float32Array.from([...x, k / STEPS, Number(kind.value)]));
      x = x.map((value, i) => value + direction[i] / STEPS);
      way.push(x);
    }
  }

  function told(input, text) {
    input.previousElementSibling.textContent = text;
    input.setAttribute("aria-valuetext", text);
  }

  const draw = latest(async (asked, anew) => {
    if (anew || !way.length) await walk();
    show(piece, await run("furniture", way[step.value]));
    piece.dataset.milliseconds = (performance.now() - asked).toFixed(1);
    told(step, `${step.value} of ${STEPS}`);
    told(kind, kind.value === "0" ? "a chair" : kind.value === "1" ? "a table" : `${Math.round(100 * kind.value)} % table`);
    piece.setAttribute("aria-label", `What the decoder draws after ${step.value} steps, asked for ${kind.ariaValueText}`);
  });

  step.addEventListener("input", () => draw(performance.now(), false));
  kind.addEventListener("input", () => draw(performance.now(), true));
  document.getElementById("other-noise").addEventListener("click", () => {
    seed++;
    draw(performance.now(), true);
  });
  await draw(performance.now(), true);
}
