// Two photos of one's own: read, aligned, encoded and brought closer in this page. They never leave it.
import { numbers, run, script } from "./engine.js";
import { cut, findFaces, read, windowOf } from "./align.js";
import { show } from "./picture.js";

const STEPS = 120;
const MOST_SECONDS = 10;
const FIRST_STEP = 0.1; // Adam's, falling to 0
const CODE = numbers.checks.faces.input.shape[1] * numbers.checks.faces.input.shape[2];
const STEP = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] };

/** people(side, person) shows somebody as a parent; compare() says again how far the networks are from torch. */
export function own(people, compare) {
  const [said, stop, bar] = ["photo-said", "photo-stop", "photo-bar"].map((id) => document.getElementById(id));
  const picker = eyePicker();
  let stopped = false;
  stop.addEventListener("click", () => { stopped = true; });
  for (const side of [0, 1]) {
    const input = document.getElementById(`photo-${side}`);
    input.addEventListener("change", async () => {
      const [file] = input.files;
      if (!file) return;
      for (const each of [0, 1]) document.getElementById(`photo-${each}`).disabled = true;
      try {
        await take(side, file);
      } catch (error) {
        said.textContent = error.message;
      }
      input.value = ""; // the same file may be chosen again
      for (const each of [0, 1]) document.getElementById(`photo-${each}`).disabled = false;
      await compare();
    });
  }

  async function take(side, file) {
    said.textContent = "Reading the photo …";
    const photo = await read(file);
    await script("own");
    const faces = await findFaces(photo);
    let points = faces[0]?.points;
    const note = faces.length > 1 ? `${faces.length} faces were found; the largest is used. ` : "";
    if (!points) {
      said.textContent = "No face was found in this photo. Click the middle of each eye, or choose another photo.";
      points = await picker(photo);
    }
    const wanted = cut(photo, windowOf(points));
    const aligned = document.getElementById(`aligned-${side}`);
    show(aligned, wanted);
    aligned.hidden = false;
    aligned.dataset.points = JSON.stringify(points);
    const name = `Your photo ${side + 1}`;
    const code = await run("encoder", wanted.map((value) => 2 * value - 1));
    await people(side, { name, code });
    said.textContent = `${note}The encoder has guessed a code for your photo. Now a search brings it closer.`;
    const closer = await search(code, wanted, side);
    await people(side, { name, code: closer.code });
    aligned.dataset.error = closer.error;
    said.textContent = `${note}${closer.steps} steps of a search, ${Math.round(closer.milliseconds)} milliseconds each, brought the `
      + `error of the pixels from ${closer.before.toFixed(3)} to ${closer.error.toFixed(3)}. What is still missing, the generator cannot draw: `
      + "in the course a copy of it is trained on the two photos.";
    said.dataset.milliseconds = closer.milliseconds.toFixed(1);
  }

  /** Adam on the code, with gradients computed in this page; the best code so far counts. */
  async function search(start, wanted, side) {
    const canvas = document.getElementById(`parent-${side}`);
    const [code, mean, square] = [Float32Array.from(start), new Float32Array(CODE), new Float32Array(CODE)];
    const began = performance.now();
    let [best, before, steps] = [{ loss: Infinity }, 0, 0];
    stopped = false;
    stop.disabled = bar.hidden = false;
    while (true) {
      const [loss, ...rest] = await run("step", Float32Array.from([...code, ...wanted]));
      const drawn = rest.slice(CODE);
      const error = Math.sqrt(drawn.reduce((sum, value, k) => sum + (Math.min(1, Math.max(0, value)) - wanted[k]) ** 2, 0) / drawn.length);
      before ||= error;
      if (loss < best.loss) best = { loss, error, code: Float32Array.from(code) };
      show(canvas, drawn);
      const done = Math.max(steps / STEPS, (performance.now() - began) / (1000 * MOST_SECONDS));
      bar.value = done;
      await new Promise(requestAnimationFrame);
      if (stopped || done >= 1) break;
      steps++;
      const pace = FIRST_STEP * Math.sqrt(1 - done);
      for (let k = 0; k < CODE; k++) {
        mean[k] = 0.9 * mean[k] + 0.1 * rest[k];
        square[k] = 0.999 * square[k] + 0.001 * rest[k] ** 2;
        code[k] -= (pace * mean[k]) / (1 - 0.9 ** steps) / (Math.sqrt(square[k] / (1 - 0.999 ** steps)) + 1e-8);
      }
    }
    stop.disabled = bar.hidden = true;
    return { ...best, before, steps, milliseconds: (performance.now() - began) / Math.max(1, steps) };
  }
}

/** A canvas on which two eyes are clicked, or marked by arrow keys and Space: (photo) -> [[x, y], [x, y]]. */
function eyePicker() {
  const canvas = document.getElementById("eyes");
  const pen = canvas.getContext("2d");
  let [photo, scale, eyes, cross, done] = [null, 1, [], [0, 0], null];

  function draw() {
    pen.drawImage(photo, 0, 0, canvas.width, canvas.height);
    for (const [colour, width] of [["#000", 5], ["#fff", 2]]) {
      [pen.strokeStyle, pen.lineWidth] = [colour, width];
      for (const [x, y] of [...eyes, cross]) {
        pen.beginPath();
        pen.moveTo(x - 9, y);
        pen.lineTo(x + 9, y);
        pen.moveTo(x, y - 9);
        pen.lineTo(x, y + 9);
        pen.stroke();
      }
    }
    canvas.setAttribute("aria-label", `Your photo, ${eyes.length} of 2 eyes marked, cross at ${cross.map(Math.round).join(", ")}`);
  }

  function mark(place) {
    cross = place;
    eyes.push(place);
    draw();
    if (eyes.length < 2) return;
    const [a, b] = eyes.map(([x, y]) => [x / scale, y / scale]).sort((one, other) => one[0] - other[0]);
    if (Math.hypot(a[0] - b[0], a[1] - b[1]) < 4) {
      eyes = [];
      draw();
      return;
    }
    canvas.hidden = true;
    done([a, b]);
  }

  canvas.addEventListener("pointerdown", (event) => {
    const box = canvas.getBoundingClientRect();
    mark([((event.clientX - box.left) * canvas.width) / box.width, ((event.clientY - box.top) * canvas.height) / box.height]);
  });
  canvas.addEventListener("keydown", (event) => {
    if (event.key === " ") mark([...cross]);
    else if (event.key in STEP) {
      const pace = event.shiftKey ? 20 : 4;
      cross = cross.map((value, k) => Math.min([canvas.width, canvas.height][k], Math.max(0, value + pace * STEP[event.key][k])));
      draw();
    } else return;
    event.preventDefault();
  });

  return (given) => new Promise((resolve) => {
    [photo, eyes, done] = [given, [], resolve];
    scale = 480 / Math.max(photo.width, photo.height);
    [canvas.width, canvas.height] = [Math.round(photo.width * scale), Math.round(photo.height * scale)];
    cross = [canvas.width / 2, canvas.height / 2];
    canvas.hidden = false;
    draw();
    canvas.focus();
  });
}
