// The browser's half of LatentMap: the map, a pad to draw on, sliders for the numbers of a code, the decoded picture.

const STEP = 0.01; // of the map's width, for one press of an arrow key; with Shift eight times as much

function render({ model, el }) {
  const start = model.get("start");
  const { low, high, names, colours, middles, alt } = start;
  const root = stage(el, "map");
  const row = element("div", root, { className: "latentlib-row" });
  const pad = start.size ? drawingPad(row, start, (pixels) => {
    ask({ drawing: true }, { kind: "drawing", buffers: [pixels.slice().buffer] });
  }) : null;
  const middle = element("section", row);
  if (pad) element("div", middle, { className: "latentlib-heading" }, "its code");
  const chart = element("canvas", middle, {
    className: "latentlib-chart", tabIndex: 0, role: "application", "aria-label": `Map of codes. ${alt}`,
  });
  const side = element("section", row);
  if (pad) element("div", side, { className: "latentlib-heading" }, "what the decoder draws");
  const image = picture(side, { className: "latentlib-drawn" });
  const status = element("div", side, { className: "latentlib-said" });
  const grid = element("div", middle, { className: "latentlib-grid" });
  const sliders = low.length === 2 ? [] : low.map((least, k) => slider(grid, {
    label: `number ${k + 1}`, low: least, high: high[k], step: (high[k] - least) / 200,
  }, (value) => { code[k] = value; moved(); }));
  element("div", root, { className: "latentlib-help" }, `${pad ? pad.help : ""}Point at the map. Keyboard: Tab to `
    + `the map${pad ? " or the pad" : ""}, then arrow keys (Shift: longer steps; Home: middle${pad ? "; space: ink" : ""}).`);
  const { ask, stop } = connect(model, root, show);

  // --- the map
  let code = [...start.first.code];
  const toShare = (place) => [0, 1].map((k) => (place[k] - low[k]) / (high[k] - low[k]));
  const points = new Uint16Array(bytes(start.points).slice().buffer); // copied, so that it is aligned to two bytes
  const classes = bytes(start.classes);
  const backdrop = document.createElement("canvas"); // the points are drawn once, the cursor at each move
  let size = 0;

  function drawPoints() {
    const ratio = window.devicePixelRatio || 1;
    size = Math.max(1, Math.round((chart.clientWidth || 400) * ratio));
    chart.width = chart.height = backdrop.width = backdrop.height = size;
    const pen = backdrop.getContext("2d");
    pen.fillStyle = "#fff";
    pen.fillRect(0, 0, size, size);
    pen.globalAlpha = 0.6;
    const radius = ratio * clamp(60 / Math.sqrt(classes.length), 1.5, 4);
    classes.forEach((k, i) => {
      pen.fillStyle = colours[k % colours.length];
      pen.beginPath();
      pen.arc((points[2 * i] / 65535) * size, (1 - points[2 * i + 1] / 65535) * size, radius, 0, 2 * Math.PI);
      pen.fill();
    });
    pen.globalAlpha = 1;
    Object.assign(pen, { font: `bold ${16 * ratio}px sans-serif`, textAlign: "center", textBaseline: "middle" });
    Object.assign(pen, { lineWidth: 4 * ratio, strokeStyle: "#fff", lineJoin: "round" });
    for (const [k, x, y] of middles) {
      pen.fillStyle = colours[k % colours.length];
      pen.strokeText(names[k], x * size, (1 - y) * size);
      pen.fillText(names[k], x * size, (1 - y) * size);
    }
    draw();
  }

  function draw() {
    const pen = chart.getContext("2d");
    const ratio = window.devicePixelRatio || 1;
    const line = (from, to) => { pen.beginPath(); pen.moveTo(...from); pen.lineTo(...to); pen.stroke(); };
    pen.drawImage(backdrop, 0, 0);
    const [x, y] = toShare(code).map((share, axis) => clamp(axis ? 1 - share : share, 0, 1) * size);
    pen.lineWidth = ratio;
    pen.strokeStyle = "rgba(0, 0, 0, 0.45)";
    line([0, y], [size, y]);
    line([x, 0], [x, size]);
    for (const [width, colour] of [[5, "#fff"], [2.5, "#000"]]) {
      pen.lineWidth = width * ratio;
      pen.strokeStyle = colour;
      pen.beginPath();
      pen.arc(x, y, 7 * ratio, 0, 2 * Math.PI);
      pen.stroke();
    }
  }

  function follow() {
    sliders.forEach((part, k) => part.set(code[k]));
    draw();
  }

  function moved() {
    code = code.map((value, k) => clamp(value, low[k], high[k]));
    follow();
    ask({ code });
  }

  function moveTo(...shares) {
    for (const k of [0, 1]) code[k] = low[k] + shares[k] * (high[k] - low[k]);
    moved();
  }

  function onPointer(event) {
    if (event.type === "pointerdown") {
      chart.focus({ preventScroll: true });
      chart.setPointerCapture(event.pointerId);
    } else if (pad && !event.buttons) {
      return; // with a pad the cursor shows the drawing's code, and is dragged
    }
    const [x, y] = shareOf(chart, event);
    moveTo(x, 1 - y);
  }

  chart.addEventListener("pointerdown", onPointer);
  chart.addEventListener("pointermove", onPointer);
  chart.addEventListener("latentlib-key", (event) => {
    const [[x, y], way, step] = [toShare(code), ARROWS[event.key], event.shiftKey ? 8 * STEP : STEP];
    if (event.key === "Home") moveTo(0.5, 0.5);
    else if (way) moveTo(x + step * way[0], y - step * way[1]);
    else return;
    event.preventDefault();
  });

  function show(content, pictures, waiting) {
    if (!waiting) code = [...content.code];
    follow();
    status.textContent = content.said;
    const described = `Picture decoded at ${content.said}`;
    if (pictures.drawn) image.show(pictures.drawn, described);
    else image.describe(described);
  }

  const resized = new ResizeObserver(drawPoints);
  resized.observe(chart);
  return () => { stop(); resized.disconnect(); };
}

// A pad of grey pixels: few of them are turned over one by one, on many one draws.
function drawingPad(parent, { size: [high, wide], samples, alt }, changed) {
  const all = bytes(samples);
  const toggles = high <= 8 && wide <= 8;
  const section = element("section", parent);
  element("div", section, { className: "latentlib-heading" }, "your drawing");
  const canvas = element("canvas", section, {
    className: "latentlib-pad", width: 448, height: 448, tabIndex: 0, role: "application",
    "aria-label": `Pad to draw on, ${wide} by ${high} pixels. ${alt}`,
  });
  let pixels = all.slice(0, high * wide);
  let [cell, last, shown] = [[wide >> 1, high >> 1], null, 0];

  function paint() {
    const pen = canvas.getContext("2d");
    const [w, h] = [canvas.width / wide, canvas.height / high];
    pixels.forEach((ink, i) => {
      pen.fillStyle = `rgb(${ink},${ink},${ink})`; // white on black, as the decoder draws
      pen.fillRect(Math.floor((i % wide) * w), Math.floor(Math.floor(i / wide) * h), Math.ceil(w), Math.ceil(h));
    });
    Object.assign(pen, { strokeStyle: "#888", lineWidth: 1 });
    for (let i = 1; toggles && i < wide; i++) pen.strokeRect(i * w, -2, 0, canvas.height + 4);
    for (let i = 1; toggles && i < high; i++) pen.strokeRect(-2, i * h, canvas.width + 4, 0);
    if (!canvas.matches(":focus")) return;
    Object.assign(pen, { strokeStyle: "#56b4e9", lineWidth: 4 });
    pen.strokeRect(cell[0] * w + 2, cell[1] * h + 2, w - 4, h - 4);
  }

  const update = () => { paint(); changed(pixels); };
  const turn = ([x, y]) => { pixels[y * wide + x] = pixels[y * wide + x] > 127 ? 0 : 255; update(); };

  function ink(x, y) { // a soft round brush, as MNIST's pens
    pixels.forEach((old, i) => {
      const apart = Math.hypot((i % wide) + 0.5 - x, Math.floor(i / wide) + 0.5 - y);
      pixels[i] = Math.max(old, 255 * clamp(1.9 - apart, 0, 1));
    });
  }

  function onPointer(event) {
    const [x, y] = shareOf(canvas, event).map((share, k) => share * (k ? high : wide));
    if (event.type === "pointerdown") {
      event.preventDefault();
      canvas.focus({ preventScroll: true });
      cell = [clamp(Math.floor(x), 0, wide - 1), clamp(Math.floor(y), 0, high - 1)];
      if (toggles) return turn(cell);
      canvas.setPointerCapture(event.pointerId);
      last = [x, y];
    }
    if (!last) return;
    const steps = Math.max(1, Math.ceil(Math.hypot(x - last[0], y - last[1])));
    for (let i = 1; i <= steps; i++) ink(last[0] + ((x - last[0]) * i) / steps, last[1] + ((y - last[1]) * i) / steps);
    last = [x, y];
    update();
  }

  for (const kind of ["pointerdown", "pointermove"]) canvas.addEventListener(kind, onPointer);
  for (const kind of ["pointerup", "pointercancel"]) canvas.addEventListener(kind, () => { last = null; });
  for (const kind of ["focus", "blur"]) canvas.addEventListener(kind, paint);
  canvas.addEventListener("latentlib-key", (event) => {
    const way = ARROWS[event.key];
    if (way) {
      cell = [clamp(cell[0] + way[0], 0, wide - 1), clamp(cell[1] + way[1], 0, high - 1)];
      paint();
    } else if (event.key === " " && toggles) {
      turn(cell);
    } else if (event.key === " ") {
      ink(cell[0] + 0.5, cell[1] + 0.5);
      update();
    } else {
      return;
    }
    event.preventDefault();
  });
  const buttons = element("div", section, { className: "latentlib-buttons" });
  button(buttons, "Clear", () => { pixels.fill(0); update(); });
  const count = all.length / (high * wide);
  if (count > 1) {
    button(buttons, "Another", () => {
      shown = (shown + 1) % count;
      pixels = all.slice(shown * high * wide, (shown + 1) * high * wide);
      update();
    });
  }
  paint();
  return { help: toggles ? "Click pixels to turn them over, drag the ring. " : "Draw with mouse or finger, drag the ring. " };
}

export default { render };
