// A family: two people, their child, and its siblings, of which each can become the next parent.
import { latest, numbers, run, unpacked } from "./engine.js";
import { blend, perLayer, randomZ } from "./blending.js";
import { card } from "./card.js";
import { show } from "./picture.js";

const GENERATED = 4;
const SIBLINGS = 6;
const TRUNCATION = 0.7;
const mean = unpacked(numbers.mean);

export async function family() {
  const selects = [0, 1].map((side) => document.getElementById(`person-${side}`));
  const [share, crossover, child, recipe] = ["share", "crossover", "child", "recipe"].map((id) => document.getElementById(id));
  const [undo, lineage, save] = ["undo", "lineage", "save"].map((id) => document.getElementById(id));
  const people = numbers.portraits.map(({ name, code }) => ({ name, code: unpacked(code), tuned: true }));
  const past = []; // the couples before, each with its brood
  let [seed, brood, born, leaving] = [100, 0, 0, 0];
  for (const { photo, credit } of numbers.portraits) {
    const image = Object.assign(new Image(64, 64), { src: photo, alt: "" });
    const text = document.createElement("p");
    text.textContent = credit;
    document.getElementById("credits").append(image, text);
  }
  const siblings = Array.from({ length: SIBLINGS }, (_, k) => {
    const canvas = Object.assign(document.createElement("canvas"), { width: 160, height: 160, className: "picture" });
    const button = Object.assign(document.createElement("button"), { type: "button", className: "sibling" });
    button.setAttribute("aria-label", `Sibling ${k + 1}: make it a parent`);
    button.append(canvas);
    button.addEventListener("click", () => breed(k));
    document.getElementById("siblings").append(button);
    return canvas;
  });
  for (const [side, select] of selects.entries()) {
    for (const { name } of people) select.add(new Option(name));
    for (let k = 1; k <= GENERATED; k++) select.add(new Option(`Generated person ${k}`));
    select.selectedIndex = side; // the two portraits
  }

  async function strangers() {
    for (let k = 0; k < GENERATED; k++) {
      const w = await run("mapping", randomZ(seed++));
      people[numbers.portraits.length + k] = {
        name: `Generated person ${k + 1}`,
        code: perLayer(mean.map((middle, i) => middle + (w[i] - middle) * TRUNCATION)),
      };
    }
  }

  const couple = () => selects.map((select) => people[select.selectedIndex]);
  // A copy of the generator was tuned on the two portraits; it spoils other people's faces.
  const tuned = () => couple().every((person) => person.tuned);
  const drawn = (code) => run(tuned() ? "portraits" : "faces", code);

  const parents = latest(async () => {
    for (const [side, { name, code }] of couple().entries()) {
      const canvas = document.getElementById(`parent-${side}`);
      show(canvas, await drawn(code));
      canvas.setAttribute("aria-label", `${side ? "Second" : "First"} parent: ${name}, as the generator draws this face`);
    }
    document.getElementById("who").textContent = tuned()
      ? "Drawn by a copy of the generator that was tuned on these two photos."
      : "Drawn by the generator, which comes near a photo and no nearer. For the two portraits, and in the course for yours, a copy of it is tuned on both photos.";
  });

  const draw = latest(async (asked) => {
    const [a, b] = couple();
    const sliders = { share: share.value / 100, crossover: Number(crossover.value) };
    show(child, await drawn(blend(a.code, b.code, sliders)));
    child.dataset.milliseconds = (performance.now() - asked).toFixed(1);
    const layers = sliders.crossover ? `; ${sliders.crossover} coarse layers from the first` : "";
    recipe.textContent = `The child: ${100 - share.value} % ${a.name}, ${share.value} % ${b.name}${layers}`;
    child.setAttribute("aria-label", recipe.textContent);
    others();
  });

  function sibling(k) {
    const [a, b] = couple();
    return blend(a.code, b.code, {
      share: share.value / 100, crossover: Number(crossover.value), sibling: brood * SIBLINGS + k,
    });
  }

  const others = latest(async () => {
    for (const [k, canvas] of siblings.entries()) {
      show(canvas, await drawn(sibling(k)));
      await new Promise(requestAnimationFrame); // a slider that moves meanwhile goes first
    }
  });

  function changed() {
    share.previousElementSibling.textContent = `${share.value} %`;
    share.setAttribute("aria-valuetext", `${share.value} %`);
    const layers = Number(crossover.value) ? `${crossover.value} of 10` : "off";
    crossover.previousElementSibling.textContent = layers;
    crossover.setAttribute("aria-valuetext", layers);
    return draw(performance.now());
  }

  for (const input of [share, crossover]) input.addEventListener("input", changed);
  for (const select of selects) {
    select.addEventListener("change", () => {
      parents();
      changed();
    });
  }
  document.getElementById("strangers").addEventListener("click", async () => {
    await strangers();
    if (tuned()) {
      selects.forEach((select, side) => { select.selectedIndex = numbers.portraits.length + side; });
    }
    parents();
    changed();
  });
  document.getElementById("more").addEventListener("click", () => {
    brood++;
    others();
  });
  await strangers();
  await parents();
  await changed();

  /** Somebody becomes one of the parents: a new person, or one with a better code. */
  async function enter(side, person) {
    let place = people.findIndex(({ name }) => name === person.name);
    if (place < 0) {
      place = people.push(person) - 1;
      for (const select of selects) select.add(new Option(person.name));
    }
    people[place] = person;
    selects[side].selectedIndex = place;
    await parents();
    await changed();
  }

  /** A sibling takes the place of the parent who has been there longer. */
  async function breed(k) {
    const [a, b] = couple();
    const child = { name: `Child ${++born}`, code: sibling(k), tuned: tuned(), from: `${a.name} and ${b.name}` };
    past.push({ chosen: selects.map((select) => select.selectedIndex), brood, leaving });
    undo.disabled = false;
    brood++;
    const side = leaving;
    leaving = 1 - leaving;
    lineage.textContent = `${child.name} is of ${child.from}; the next one takes the place of the ${leaving ? "second" : "first"} parent.`;
    await enter(side, child);
  }

  undo.addEventListener("click", () => {
    const before = past.pop();
    ({ brood, leaving } = before);
    selects.forEach((select, side) => { select.selectedIndex = before.chosen[side]; });
    undo.disabled = !past.length;
    lineage.textContent = "";
    parents();
    changed();
  });
  save.addEventListener("click", () => {
    const [first, second] = [0, 1].map((side) => document.getElementById(`parent-${side}`));
    card({ parents: [first, second], names: couple().map(({ name }) => name), child, siblings });
  });

  return enter;
}
