// The browser's half of LatentPad: a pad to draw on, a map and sliders for the code, the decoder's picture.

const PATIENCE = 4000; // milliseconds after which an answer is no longer waited for

function element(kind, name, parent, text) {
  const made = document.createElement(kind);
  if (name) made.className = name;
  if (text) made.textContent = text;
  parent.append(made);
  return made;
}

const bytes = (view) => new Uint8Array(view.buffer, view.byteOffset, view.byteLength);
const between = (x, low, high) => Math.min(high, Math.max(low, x));
const spoken = (x) => x.toFixed(1).replace("-", "−");

function render({ model, el }) {
  const root = element("div", "latent-pad", el);
  root.setAttribute("data-lm-suppress-shortcuts", "true"); // else JupyterLab takes the arrow keys for itself
  const [high, wide] = model.get("size");
  const [lows, highs] = [model.get("low"), model.get("high")];
  const samples = bytes(model.get("samples"));
  const toggles = high <= 8 && wide <= 8; // few pixels: a click turns one over; many: the pointer draws a line
  let code = [...model.get("code")];
  let pixels = samples.slice(0, high * wide);
  let drawn = bytes(model.get("drawn"));
  let cell = [Math.floor(wide / 2), Math.floor(high / 2)]; // of the keyboard

  function panel(title, name, label) {
    const section = element("section", "", root);
    element("div", "latent-pad-title", section, title);
    const canvas = element("canvas", name, section);
    canvas.width = canvas.height = 448;
    canvas.setAttribute("role", label.role);
    canvas.setAttribute("aria-label", label.text);
    if (label.role === "application") canvas.tabIndex = 0;
    return [section, canvas];
  }

  const alt = model.get("alt");
  const [left, pad] = panel("picture", "latent-pad-drawing", {
    role: "application", text: `Pad to draw on, ${wide} by ${high} pixels. ${alt}`,
  });
  const [middle, map] = panel("code", "latent-pad-map", {
    role: "application", text: "Map of codes: arrow keys move the code",
  });
  const [right, output] = panel("what the decoder draws", "latent-pad-output", { role: "img", text: "Decoded picture" });
  const status = element("div", "latent-pad-status", right);
  status.setAttribute("role", "status");
  const clear = element("button", "latent-pad-clear", left, "Clear");
  const another = element("button", "latent-pad-next", left, "Another");
  element("div", "latent-pad-help", root, `${toggles ? "Click pixels to turn them over" : "Draw with mouse or finger"}`
    + ", or drag the point. Keyboard: Tab to the pad, arrow keys and space; Tab to the map, arrow keys; or the sliders.");
  const sliders = code.map((value, k) => {
    const label = element("label", "", middle, `number ${k + 1}`);
    const slider = element("input", "", label);
    Object.assign(slider, { type: "range", min: lows[k], max: highs[k], step: (highs[k] - lows[k]) / 200 });
    slider.setAttribute("aria-label", `number ${k + 1} of the code`);
    const said = element("span", "", label);
    slider.addEventListener("input", () => { code[k] = Number(slider.value); moved(); });
    slider.addEventListener("keydown", (event) => { // JupyterLab would take the arrow keys before the slider does
      const way = { ArrowLeft: -1, ArrowDown: -1, ArrowRight: 1, ArrowUp: 1 }[event.key];
      if (!way || event.ctrlKey || event.altKey || event.metaKey) return;
      event.preventDefault();
      event.stopPropagation();
      code[k] += (way * (event.shiftKey ? 10 : 1) * (highs[k] - lows[k])) / 100;
      moved();
    });
    return { slider, said };
  });

  // --- drawing
  function paint(canvas, grey) {
    const pen = canvas.getContext("2d");
    const [w, h] = [canvas.width / wide, canvas.height / high];
    for (let y = 0; y < high; y++) {
      for (let x = 0; x < wide; x++) {
        const shade = 255 - grey[y * wide + x];
        pen.fillStyle = `rgb(${shade},${shade},${shade})`;
        pen.fillRect(Math.floor(x * w), Math.floor(y * h), Math.ceil(w), Math.ceil(h));
      }
    }
    if (!toggles) return;
    pen.strokeStyle = "#ccc";
    for (let i = 1; i < wide; i++) pen.strokeRect(i * w, -2, 0, canvas.height + 4);
    for (let i = 1; i < high; i++) pen.strokeRect(-2, i * h, canvas.width + 4, 0);
  }

  function paintPad() {
    paint(pad, pixels);
    if (document.activeElement !== pad && pad.getRootNode().activeElement !== pad) return;
    const pen = pad.getContext("2d");
    const [w, h] = [pad.width / wide, pad.height / high];
    pen.lineWidth = 4;
    pen.strokeStyle = "#0072b2";
    pen.strokeRect(cell[0] * w + 2, cell[1] * h + 2, w - 4, h - 4);
    pen.lineWidth = 1;
  }

  const raw = bytes(model.get("points")).slice(); // copied, so that it is aligned to four bytes
  const points = new Float32Array(raw.buffer);
  const classes = bytes(model.get("classes"));
  const colours = model.get("colours");
  const flat = code.length < 2;
  const across = (x) => ((x - lows[0]) / (highs[0] - lows[0])) * map.width;
  const up = (y) => (flat ? map.height / 2 : (1 - (y - lows[1]) / (highs[1] - lows[1])) * map.height);

  const middles = new Map(); // class -> the median of its codes, where its name stands
  if (new Set(classes).size > 1) {
    for (const k of new Set(classes)) {
      const median = (axis) => {
        const values = [...classes].flatMap((c, i) => (c === k ? [points[2 * i + axis]] : [])).sort((a, b) => a - b);
        return values[values.length >> 1];
      };
      middles.set(k, [median(0), median(1)]);
    }
  }

  function paintMap() {
    const pen = map.getContext("2d");
    pen.fillStyle = "#fff";
    pen.fillRect(0, 0, map.width, map.height);
    pen.globalAlpha = 0.5;
    for (let i = 0; i < classes.length; i++) {
      pen.fillStyle = colours[classes[i] % colours.length];
      pen.beginPath();
      pen.arc(across(points[2 * i]), up(points[2 * i + 1]), 4, 0, 2 * Math.PI);
      pen.fill();
    }
    pen.globalAlpha = 1;
    pen.font = "bold 24px sans-serif";
    pen.textAlign = "center";
    pen.textBaseline = "middle";
    pen.lineWidth = 6;
    pen.strokeStyle = "#fff";
    for (const [k, [x, y]] of middles) {
      pen.fillStyle = colours[k % colours.length];
      pen.strokeText(k, across(x), up(y));
      pen.fillText(k, across(x), up(y));
    }
    for (const [width, colour] of [[9, "#fff"], [5, "#000"]]) {
      pen.lineWidth = width;
      pen.strokeStyle = colour;
      pen.beginPath();
      pen.arc(between(across(code[0]), 8, map.width - 8), between(up(code[1] ?? 0), 8, map.height - 8), 12, 0, 2 * Math.PI);
      pen.stroke();
    }
  }

  function showCode() {
    code.forEach((value, k) => {
      sliders[k].slider.value = value;
      sliders[k].said.textContent = spoken(value);
    });
    paintMap();
  }

  // --- asking: one question at a time; what the learner did meanwhile is asked when the answer is here
  let [number, waiting, wanted, timer] = [0, 0, null, 0];

  function ask(kind) {
    if (waiting) {
      wanted = kind;
      return;
    }
    waiting = ++number;
    if (kind === "picture") model.send({ kind, number }, undefined, [pixels.slice().buffer]);
    else model.send({ kind, number, code });
    clearTimeout(timer);
    timer = setTimeout(() => settle(null), PATIENCE);
  }

  function settle(next) {
    waiting = 0;
    clearTimeout(timer);
    const kind = next ?? wanted;
    wanted = null;
    if (kind) ask(kind);
  }

  function onMessage(message, buffers) {
    if (message.number !== number) return; // a newer question is on its way
    const newer = wanted; // the learner has gone on: the code shown is theirs
    if (!message.failed) {
      drawn = bytes(buffers[0]);
      paint(output, drawn);
      if (newer !== "code") code = [...message.code];
      showCode();
    }
    status.textContent = message.said;
    status.classList.toggle("failed", message.failed);
    output.setAttribute("aria-label", `Decoded picture, ${message.said}`);
    settle(null);
  }

  function changed() {
    paintPad();
    ask("picture");
  }

  function moved() {
    code = code.map((value, k) => between(value, lows[k], highs[k]));
    showCode();
    ask("code");
  }

  // --- the pad
  let last = null;
  const place = (canvas, event) => {
    const box = canvas.getBoundingClientRect();
    return [(event.clientX - box.left) / box.width, (event.clientY - box.top) / box.height];
  };

  function ink(x, y) { // a soft round brush, as a pen of MNIST's
    for (let row = Math.floor(y) - 2; row <= y + 2; row++) {
      for (let column = Math.floor(x) - 2; column <= x + 2; column++) {
        if (row < 0 || column < 0 || row >= high || column >= wide) continue;
        const apart = Math.hypot(column + 0.5 - x, row + 0.5 - y);
        const i = row * wide + column;
        pixels[i] = Math.max(pixels[i], 255 * between(1.9 - apart, 0, 1));
      }
    }
  }

  function onPad(event) {
    const [x, y] = place(pad, event).map((share, k) => share * (k ? high : wide));
    if (event.type === "pointerdown") {
      event.preventDefault();
      pad.focus({ preventScroll: true });
      cell = [between(Math.floor(x), 0, wide - 1), between(Math.floor(y), 0, high - 1)];
      if (toggles) {
        turn();
        return;
      }
      pad.setPointerCapture(event.pointerId);
      last = [x, y];
    }
    if (!last) return;
    const steps = Math.max(1, Math.ceil(2 * Math.hypot(x - last[0], y - last[1])));
    for (let i = 1; i <= steps; i++) ink(last[0] + ((x - last[0]) * i) / steps, last[1] + ((y - last[1]) * i) / steps);
    last = [x, y];
    changed();
  }

  function turn() {
    const i = cell[1] * wide + cell[0];
    pixels[i] = pixels[i] > 127 ? 0 : 255;
    changed();
  }

  const arrows = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] };

  function onPadKey(event) {
    if (event.ctrlKey || event.altKey || event.metaKey) return;
    if (event.key in arrows) {
      cell = [between(cell[0] + arrows[event.key][0], 0, wide - 1), between(cell[1] + arrows[event.key][1], 0, high - 1)];
      paintPad();
    } else if (event.key === " ") {
      turn();
    } else {
      return;
    }
    event.preventDefault();
    event.stopPropagation();
  }

  // --- the map
  let dragging = false;

  function onMap(event) {
    if (event.type === "pointerdown") {
      map.focus({ preventScroll: true });
      map.setPointerCapture(event.pointerId);
      dragging = true;
    }
    if (!dragging) return;
    const [x, y] = place(map, event);
    code[0] = lows[0] + x * (highs[0] - lows[0]);
    if (!flat) code[1] = lows[1] + (1 - y) * (highs[1] - lows[1]);
    moved();
  }

  function onMapKey(event) {
    if (!(event.key in arrows) || event.ctrlKey || event.altKey || event.metaKey) return;
    const step = event.shiftKey ? 0.08 : 0.02;
    code[0] += step * arrows[event.key][0] * (highs[0] - lows[0]);
    if (!flat) code[1] -= step * arrows[event.key][1] * (highs[1] - lows[1]);
    moved();
    event.preventDefault();
    event.stopPropagation();
  }

  let shown = 0;
  clear.addEventListener("click", () => { pixels.fill(0); changed(); });
  another.addEventListener("click", () => {
    shown = (shown + 1) % (samples.length / (high * wide));
    pixels = samples.slice(shown * high * wide, (shown + 1) * high * wide);
    changed();
  });
  for (const kind of ["pointerdown", "pointermove"]) {
    pad.addEventListener(kind, onPad);
    map.addEventListener(kind, onMap);
  }
  for (const kind of ["pointerup", "pointercancel"]) {
    pad.addEventListener(kind, () => { last = null; });
    map.addEventListener(kind, () => { dragging = false; });
  }
  pad.addEventListener("keydown", onPadKey);
  pad.addEventListener("focus", paintPad);
  pad.addEventListener("blur", paintPad);
  map.addEventListener("keydown", onMapKey);
  model.on("msg:custom", onMessage);

  paintPad();
  paint(output, drawn);
  showCode();
  return () => {
    model.off("msg:custom", onMessage);
    clearTimeout(timer);
  };
}

export default { render };
