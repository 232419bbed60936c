// Change a face: sliders along the principal directions of w, a dice, truncation.
import { latest, numbers, rows, run, unpacked } from "./engine.js";
import { perLayer, randomZ } from "./blending.js";
import { show } from "./picture.js";

const MOST = 3; // standard deviations to either side
const mean = unpacked(numbers.mean);
const directions = rows(numbers.directions);

export async function face() {
  const section = document.getElementById("face");
  const canvas = section.querySelector("canvas");
  const truncation = document.getElementById("truncation");
  const sliders = directions.map((_, k) => slider(document.getElementById("directions"), k + 1));
  let w = null;
  let seed = 3;

  const draw = latest(async (asked) => {
    const code = mean.map((middle, k) => {
      const moves = directions.reduce((sum, direction, i) => sum + direction[k] * sliders[i].value, 0);
      return middle + (w[k] - middle) * truncation.value + moves;
    });
    show(canvas, await run("faces", perLayer(code)));
    canvas.dataset.milliseconds = (performance.now() - asked).toFixed(1);
    const moved = sliders.flatMap(({ value }, i) => (Number(value) ? [`direction ${i + 1} at ${said(value)}`] : []));
    canvas.setAttribute("aria-label", `A generated face, ${moved.join(", ") || "all directions at 0"}`);
  });

  function changed() {
    for (const input of [...sliders, truncation]) {
      const text = input === truncation ? Number(input.value).toFixed(2) : said(input.value);
      input.previousElementSibling.textContent = text;
      input.setAttribute("aria-valuetext", text);
    }
    return draw(performance.now());
  }

  async function another() {
    w = await run("mapping", randomZ(seed++));
    return changed();
  }

  section.addEventListener("input", changed);
  document.getElementById("dice").addEventListener("click", another);
  document.getElementById("straighten").addEventListener("click", () => {
    for (const input of sliders) input.value = 0;
    changed();
  });
  await another();
}

function slider(parent, number) {
  const label = document.createElement("label");
  const input = document.createElement("input");
  Object.assign(input, { type: "range", min: -MOST, max: MOST, step: 0.05, value: 0, id: `direction-${number}` });
  input.setAttribute("aria-label", `Direction ${number}`);
  const shown = document.createElement("output");
  shown.htmlFor = input.id;
  label.append(`Direction ${number} `, shown, input);
  parent.append(label);
  return input;
}

function said(value) {
  return Number(value).toFixed(2).replace("-", "−");
}
