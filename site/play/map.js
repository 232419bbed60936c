// The map: point at a code, the decoder draws; draw a digit, the encoder says where it lands.
import { latest, numbers, rows, run } from "./engine.js";
import { show } from "./picture.js";

const SIDE = 28;
const STEPS = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] };
const between = (value, low, high) => Math.min(high, Math.max(low, value));

export async function map() {
  const [pad, sheet, decoded, place] = ["pad", "sheet", "decoded", "place"].map((id) => document.getElementById(id));
  const { labels, colours, from } = numbers.map;
  const codes = rows(numbers.map.codes);
  document.getElementById("map-from").textContent = `The ${codes.length} dots are digits of ${from}'s test set.`;
  const limits = [0, 1].map((axis) => { // all but the outermost hundredth, with a margin
    const sorted = codes.map((code) => code[axis]).sort((a, b) => a - b);
    const [low, high] = [0.005, 0.995].map((share) => sorted[Math.floor(share * sorted.length)]);
    return [low - 0.1 * (high - low), high + 0.1 * (high - low)];
  });
  const background = dots();
  const ink = new Float32Array(SIDE * SIDE);
  let cell = [14, 14];
  let code = [0, 0];

  // --- the map
  function at([x, y]) {
    return [
      ((x - limits[0][0]) / (limits[0][1] - limits[0][0])) * sheet.width,
      (1 - (y - limits[1][0]) / (limits[1][1] - limits[1][0])) * sheet.height,
    ];
  }

  function dots() {
    const canvas = document.createElement("canvas");
    [canvas.width, canvas.height] = [sheet.width, sheet.height];
    const pen = canvas.getContext("2d");
    pen.fillStyle = "#fff";
    pen.fillRect(0, 0, canvas.width, canvas.height);
    pen.globalAlpha = 0.55;
    codes.forEach((point, k) => {
      pen.fillStyle = colours[labels[k]];
      pen.beginPath();
      pen.arc(...at(point), 4, 0, 2 * Math.PI);
      pen.fill();
    });
    pen.globalAlpha = 1;
    pen.font = "bold 26px sans-serif";
    pen.textAlign = "center";
    pen.textBaseline = "middle";
    pen.lineWidth = 6;
    pen.strokeStyle = "#fff";
    for (const digit of new Set(labels)) {
      const own = codes.filter((_, k) => labels[k] === digit);
      const middle = [0, 1].map((axis) => own.map((c) => c[axis]).sort((a, b) => a - b)[own.length >> 1]);
      pen.fillStyle = colours[digit];
      pen.strokeText(digit, ...at(middle));
      pen.fillText(digit, ...at(middle));
    }
    return canvas;
  }

  function mark() {
    const pen = sheet.getContext("2d");
    pen.drawImage(background, 0, 0);
    for (const [width, colour] of [[9, "#fff"], [5, "#000"]]) {
      pen.lineWidth = width;
      pen.strokeStyle = colour;
      pen.beginPath();
      pen.arc(...at(code).map((v) => between(v, 12, sheet.width - 12)), 12, 0, 2 * Math.PI);
      pen.stroke();
    }
    const said = code.map((value) => value.toFixed(2).replace("-", "−")).join(", ");
    place.textContent = `The code: (${said}). ${nearest()}`;
    return said;
  }

  function nearest() {
    const apart = codes.map((c) => Math.hypot(c[0] - code[0], c[1] - code[1]));
    const order = [...apart.keys()].sort((a, b) => apart[a] - apart[b]).slice(0, 15);
    const votes = Array(10).fill(0);
    for (const k of order) votes[labels[k]]++;
    const digit = votes.indexOf(Math.max(...votes));
    return `Of the 15 nearest dots ${votes[digit]} ${votes[digit] === 1 ? "is a" : "are"} ${digit}${votes[digit] === 1 ? "" : "s"}.`;
  }

  const draw = latest(async (asked) => {
    const said = mark();
    show(decoded, await run("decode", Float32Array.from(code)), true);
    decoded.dataset.milliseconds = (performance.now() - asked).toFixed(1);
    decoded.setAttribute("aria-label", `What the decoder draws at (${said})`);
  });

  function move(x, y) {
    code = [between(x, ...limits[0]), between(y, ...limits[1])];
    return draw(performance.now());
  }

  dragged(sheet, (x, y) => {
    move(limits[0][0] + x * (limits[0][1] - limits[0][0]), limits[1][1] - y * (limits[1][1] - limits[1][0]));
  });
  keys(sheet, (step, event) => {
    const pace = event.shiftKey ? 0.08 : 0.02;
    move(code[0] + step[0] * pace * (limits[0][1] - limits[0][0]), code[1] - step[1] * pace * (limits[1][1] - limits[1][0]));
  });

  // --- the paper
  const land = latest(async () => {
    if (!ink.some((value) => value > 0)) return;
    code = [...(await run("encode", centred(ink)))];
    await draw(performance.now());
  });

  function drawn() {
    show(pad, ink, true);
    if (document.activeElement === pad) {
      const pen = pad.getContext("2d");
      pen.lineWidth = 2;
      pen.strokeStyle = "#0072b2";
      pen.strokeRect(cell[0] * 10 + 1, cell[1] * 10 + 1, 8, 8);
    }
    land();
  }

  function stroke(x, y) { // a soft round brush, about as wide as a pen of MNIST's
    for (let row = 0; row < SIDE; row++) {
      for (let column = 0; column < SIDE; column++) {
        const apart = Math.hypot(column + 0.5 - x, row + 0.5 - y);
        const k = row * SIDE + column;
        ink[k] = Math.max(ink[k], between(1.9 - apart, 0, 1));
      }
    }
  }

  let last = null;
  dragged(pad, (x, y, first) => {
    const to = [x * SIDE, y * SIDE];
    const start = first || !last ? to : last;
    cell = to.map((value) => between(Math.floor(value), 0, SIDE - 1));
    const steps = Math.ceil(2 * Math.hypot(to[0] - start[0], to[1] - start[1])) || 1;
    for (let i = 1; i <= steps; i++) stroke(...start.map((value, k) => value + ((to[k] - value) * i) / steps));
    last = to;
    drawn();
  });
  keys(pad, (step) => {
    cell = cell.map((value, k) => between(value + step[k], 0, SIDE - 1));
    pad.setAttribute("aria-label", `Paper, 28 by 28 pixels, at row ${cell[1] + 1}, column ${cell[0] + 1}`);
    drawn();
  });
  pad.addEventListener("keydown", (event) => {
    if (event.key !== " ") return;
    event.preventDefault();
    stroke(cell[0] + 0.5, cell[1] + 0.5);
    drawn();
  });
  for (const kind of ["focus", "blur"]) pad.addEventListener(kind, drawn);
  document.getElementById("clear").addEventListener("click", () => {
    ink.fill(0);
    drawn();
  });
  drawn();
  await draw(performance.now());
}

/** Ink moved so that its centre of gravity is the middle of the picture, by whole pixels. */
function centred(ink) {
  let [total, x, y] = [0, 0, 0];
  ink.forEach((value, k) => {
    total += value;
    x += value * (k % SIDE);
    y += value * Math.floor(k / SIDE);
  });
  const [right, down] = [x, y].map((sum) => Math.round((SIDE - 1) / 2 - sum / total));
  const moved = new Float32Array(ink.length);
  ink.forEach((value, k) => {
    const [column, row] = [(k % SIDE) + right, Math.floor(k / SIDE) + down];
    if (column >= 0 && column < SIDE && row >= 0 && row < SIDE) moved[row * SIDE + column] = value;
  });
  return moved;
}

function dragged(canvas, move) { // move(x, y, first): shares of the width and height
  let down = false;
  const heard = (event, first) => {
    const box = canvas.getBoundingClientRect();
    move((event.clientX - box.left) / box.width, (event.clientY - box.top) / box.height, first);
  };
  canvas.addEventListener("pointerdown", (event) => {
    down = true;
    canvas.setPointerCapture(event.pointerId);
    heard(event, true);
  });
  canvas.addEventListener("pointermove", (event) => down && heard(event, false));
  for (const kind of ["pointerup", "pointercancel"]) canvas.addEventListener(kind, () => { down = false; });
}

function keys(canvas, move) {
  canvas.addEventListener("keydown", (event) => {
    if (!(event.key in STEPS) || event.ctrlKey || event.altKey || event.metaKey) return;
    event.preventDefault();
    move(STEPS[event.key], event);
  });
}
