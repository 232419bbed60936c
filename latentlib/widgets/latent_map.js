// The browser's half of LatentMap: draws the points, follows the pointer, asks Python for the picture at that place.

const STEP = 0.01; // of the map's width, for one press of an arrow key
const LONG_STEP = 0.08; // with Shift
const PATIENCE = 4000; // milliseconds after which a question is asked once more, in case it was lost; then twice that, …

function element(kind, name, parent) {
  const made = document.createElement(kind);
  made.className = name;
  parent.append(made);
  return made;
}

const bytes = (view) => new Uint8Array(view.buffer, view.byteOffset, view.byteLength);

function render({ model, el }) {
  const root = element("div", "latent-map", el);
  root.setAttribute("data-lm-suppress-shortcuts", "true"); // else JupyterLab takes the arrow keys for itself
  const chart = element("canvas", "latent-map-chart", root);
  const side = element("div", "latent-map-side", root);
  let image = element("img", "", side);
  const status = element("div", "latent-map-status", side);
  const names = element("div", "latent-map-names", side);
  const help = element("div", "latent-map-help", side);
  const spoken = element("div", "latent-map-hidden", root);

  help.id = `latent-map-${Math.random().toString(36).slice(2)}`;
  help.textContent = "Point at the map. Keyboard: Tab to the map, then arrow keys (Shift: longer steps, Home: middle).";
  spoken.setAttribute("role", "status");
  spoken.setAttribute("aria-live", "polite");
  chart.tabIndex = 0;
  chart.setAttribute("role", "application");
  chart.setAttribute("aria-label", `Map of codes: ${model.get("alt")}`);
  chart.setAttribute("aria-describedby", help.id);

  const colours = model.get("colours");
  model.get("names").forEach((name, k) => {
    const entry = element("span", "", names);
    element("i", "", entry).style.background = colours[k % colours.length];
    entry.append(name);
  });

  // --- the place pointed at, in shares of the map: 0, 0 is the lower left corner
  const [left, right, bottom, top] = model.get("extent");
  const toShare = ([x, y]) => [(x - left) / (right - left), (y - bottom) / (top - bottom)];
  const toCode = ([x, y]) => [left + x * (right - left), bottom + y * (top - bottom)];
  let place = toShare(model.get("cursor"));

  // --- drawing: the points once, on a canvas kept behind; the crosshair at each move
  const backdrop = document.createElement("canvas");
  let size = 0;

  function drawPoints() {
    const ratio = window.devicePixelRatio || 1;
    size = Math.max(1, Math.round((chart.clientWidth || 440) * ratio));
    chart.width = chart.height = backdrop.width = backdrop.height = size;
    const pen = backdrop.getContext("2d");
    pen.fillStyle = "#fff";
    pen.fillRect(0, 0, size, size);
    const raw = bytes(model.get("points")).slice(); // copied, so that it is aligned to two bytes
    const points = new Uint16Array(raw.buffer);
    const classes = bytes(model.get("classes"));
    const count = points.length / 2;
    const radius = ratio * Math.min(4, Math.max(1.5, 60 / Math.sqrt(count)));
    pen.globalAlpha = 0.6;
    for (let i = 0; i < count; i++) {
      pen.fillStyle = colours[(classes[i] || 0) % colours.length];
      pen.beginPath();
      pen.arc((points[2 * i] / 65535) * size, (1 - points[2 * i + 1] / 65535) * size, radius, 0, 2 * Math.PI);
      pen.fill();
    }
    pen.globalAlpha = 1;
  }

  function draw() {
    const pen = chart.getContext("2d");
    const [x, y] = [place[0] * size, (1 - place[1]) * size];
    const ratio = window.devicePixelRatio || 1;
    pen.drawImage(backdrop, 0, 0);
    const joined = model.get("joined");
    for (let i = 2; i < joined.length; i += 2) {
      const [start, end] = [joined.slice(0, 2), joined.slice(i, i + 2)].map(toShare);
      pen.lineWidth = 2 * ratio;
      pen.strokeStyle = "#000";
      pen.beginPath();
      pen.moveTo(start[0] * size, (1 - start[1]) * size);
      pen.lineTo(end[0] * size, (1 - end[1]) * size);
      pen.stroke();
      pen.strokeRect(end[0] * size - 4 * ratio, (1 - end[1]) * size - 4 * ratio, 8 * ratio, 8 * ratio);
    }
    pen.lineWidth = ratio;
    pen.strokeStyle = "rgba(0, 0, 0, 0.45)";
    pen.beginPath();
    pen.moveTo(0, y);
    pen.lineTo(size, y);
    pen.moveTo(x, 0);
    pen.lineTo(x, size);
    pen.stroke();
    for (const [width, colour] of [[5, "#fff"], [2.5, "#000"]]) {
      pen.lineWidth = width * ratio;
      pen.strokeStyle = colour;
      pen.beginPath();
      pen.arc(x, y, 7 * ratio, 0, 2 * Math.PI);
      pen.stroke();
    }
  }

  // --- asking: one question at a time; when its answer is here, the latest place is asked for, what lay between is not
  let waiting = 0;
  let wanted = false;
  let timer = 0;

  function ask() {
    if (waiting) {
      wanted = true;
      return;
    }
    wanted = false;
    waiting = model.get("asked")[2] + 1;
    send([...toCode(place), waiting], 0);
  }

  function send(question, attempt) { // Python answers the same question once, however often it comes
    model.set("asked", [...question, attempt]);
    model.save_changes();
    clearTimeout(timer);
    timer = setTimeout(() => send(question, attempt + 1), PATIENCE * 2 ** attempt);
  }

  function onAnswer() {
    waiting = 0;
    clearTimeout(timer);
    if (wanted) ask();
  }

  function moveTo(x, y) {
    place = [Math.min(1, Math.max(0, x)), Math.min(1, Math.max(0, y))];
    draw();
    ask();
  }

  // --- showing
  let shown = 0;
  let url = "";

  async function showPicture() {
    const number = ++shown;
    const next = new Image();
    const nextUrl = URL.createObjectURL(new Blob([bytes(model.get("picture"))], { type: "image/png" }));
    next.src = nextUrl;
    try {
      await next.decode(); // decoded before it takes its place, so that no frame is blank
    } catch {
      URL.revokeObjectURL(nextUrl);
      return;
    }
    if (number < shown) {
      URL.revokeObjectURL(nextUrl);
      return;
    }
    next.style.imageRendering = next.naturalWidth < 48 ? "pixelated" : "auto";
    next.alt = image.alt;
    image.replaceWith(next);
    image = next;
    URL.revokeObjectURL(url);
    url = nextUrl;
  }

  let speaking = 0;

  function showStatus() {
    const text = model.get("status");
    status.textContent = text;
    status.classList.toggle("failed", model.get("failed"));
    image.alt = `Picture decoded at ${text}`;
    clearTimeout(speaking);
    speaking = setTimeout(() => { spoken.textContent = text; }, 400); // said once the pointer rests
  }

  function onCursor() {
    if (waiting) return; // this browser's own question comes back
    place = toShare(model.get("cursor"));
    draw();
  }

  // --- pointing
  function onPointer(event) {
    if (event.type === "pointerdown") {
      chart.focus({ preventScroll: true });
      chart.setPointerCapture(event.pointerId);
    }
    const box = chart.getBoundingClientRect();
    moveTo((event.clientX - box.left) / box.width, 1 - (event.clientY - box.top) / box.height);
  }

  const arrows = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, 1], ArrowDown: [0, -1] };

  function onKey(event) {
    if (event.ctrlKey || event.altKey || event.metaKey) return;
    if (event.key === "Home") {
      moveTo(0.5, 0.5);
    } else if (event.key in arrows) {
      const step = event.shiftKey ? LONG_STEP : STEP;
      moveTo(place[0] + step * arrows[event.key][0], place[1] + step * arrows[event.key][1]);
    } else {
      return;
    }
    event.preventDefault();
    event.stopPropagation();
  }

  chart.addEventListener("pointerdown", onPointer);
  chart.addEventListener("pointermove", onPointer);
  chart.addEventListener("keydown", onKey);
  const listeners = { "change:answered": onAnswer, "change:picture": showPicture, "change:status": showStatus, "change:cursor": onCursor, "change:joined": draw };
  for (const [name, listener] of Object.entries(listeners)) model.on(name, listener);
  const resized = new ResizeObserver(() => { drawPoints(); draw(); });
  resized.observe(chart);

  drawPoints();
  draw();
  showPicture();
  showStatus();

  return () => {
    for (const [name, listener] of Object.entries(listeners)) model.off(name, listener);
    resized.disconnect();
    clearTimeout(timer);
    clearTimeout(speaking);
    URL.revokeObjectURL(url);
  };
}

export default { render };
