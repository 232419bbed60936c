// The browser's half of EyePicker: a photo, a crosshair that the mouse, a finger or the arrow keys move, two marks.

const STEP = 0.01; // of the photo's width, for one press of an arrow key
const LONG_STEP = 0.06; // with Shift
const ASKS = ["Click the middle of one eye.", "Now the middle of the other eye."];
const KEYS = "Keyboard: Tab to the photo, arrow keys (Shift: longer steps), then Enter.";

function element(kind, name, parent) {
  const made = document.createElement(kind);
  made.className = name;
  parent.append(made);
  return made;
}

function render({ model, el }) {
  const root = element("div", "eye-picker", el);
  root.setAttribute("data-lm-suppress-shortcuts", "true"); // else JupyterLab takes arrow keys and Enter for itself:
  root.addEventListener("keydown", (event) => { // older versions heed the attribute, newer ones listen further up
    if (!event.ctrlKey && !event.altKey && !event.metaKey) event.stopPropagation();
  });
  const line = element("div", "eye-picker-line", root);
  line.setAttribute("role", "status");
  line.setAttribute("aria-live", "polite");
  const stage = element("div", "eye-picker-stage", root);
  const image = element("img", "", stage);
  image.alt = "";
  image.draggable = false;
  const cross = element("div", "eye-picker-cross", stage);
  const help = element("div", "eye-picker-help", root);
  const spoken = element("div", "eye-picker-hidden", root);
  const buttons = element("div", "eye-picker-buttons", root);
  const again = element("button", "", buttons);
  again.type = "button";
  again.textContent = "Start again";
  const cancel = element("button", "", buttons);
  cancel.type = "button";
  cancel.textContent = "Leave it";

  help.id = `eye-picker-${Math.random().toString(36).slice(2)}`;
  help.textContent = KEYS;
  spoken.setAttribute("aria-live", "polite");
  stage.tabIndex = 0;
  stage.setAttribute("role", "application");
  stage.setAttribute("aria-label", "Photo: set a mark on each of the two eyes");
  stage.setAttribute("aria-describedby", help.id);

  let place = [0.5, 0.4]; // in shares of the photo's width and height
  let marks = [];

  function put(part, [x, y]) {
    part.style.left = `${100 * x}%`;
    part.style.top = `${100 * y}%`;
  }

  function show() {
    put(cross, place);
    cross.hidden = marks.length > 1;
    for (const old of stage.querySelectorAll(".eye-picker-mark")) old.remove();
    marks.forEach((mark, k) => {
      const ring = element("div", "eye-picker-mark", stage);
      ring.textContent = k + 1;
      put(ring, mark);
    });
    again.disabled = !marks.length;
    const said = model.get("status");
    line.textContent = marks.length < 2 ? [said, ASKS[marks.length]].filter(Boolean).join(" ") : said;
    line.classList.toggle("failed", model.get("failed"));
  }

  let speaking = 0;

  function moveTo(x, y, speak) {
    place = [Math.min(1, Math.max(0, x)), Math.min(1, Math.max(0, y))];
    put(cross, place);
    clearTimeout(speaking);
    if (!speak) return;
    const text = `${Math.round(100 * place[0])} % from the left, ${Math.round(100 * place[1])} % from the top`;
    speaking = setTimeout(() => { spoken.textContent = text; }, 400); // said once the crosshair rests
  }

  function mark() {
    if (marks.length > 1) return;
    marks.push(place);
    if (marks.length === 2) model.send({ kind: "eyes", eyes: marks });
    show();
  }

  function startAgain() {
    marks = [];
    model.send({ kind: "again" });
    show();
    stage.focus({ preventScroll: true });
  }

  function toShares(event) {
    const box = image.getBoundingClientRect();
    return [(event.clientX - box.left) / box.width, (event.clientY - box.top) / box.height];
  }

  const arrows = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] };

  function onKey(event) {
    if (event.ctrlKey || event.altKey || event.metaKey || event.target !== stage) return;
    if (event.key in arrows) {
      const step = event.shiftKey ? LONG_STEP : STEP;
      const upright = image.naturalWidth / (image.naturalHeight || 1); // the same distance in both directions
      moveTo(place[0] + step * arrows[event.key][0], place[1] + step * upright * arrows[event.key][1], true);
    } else if (event.key === "Enter" || event.key === " ") {
      mark();
    } else {
      return;
    }
    event.preventDefault();
    event.stopPropagation();
  }

  let url = "";

  function onMessage(content, buffers) {
    if (content.kind === "photo") {
      URL.revokeObjectURL(url);
      url = URL.createObjectURL(new Blob([buffers[0]], { type: "image/jpeg" }));
      image.src = url;
    } else if (content.kind === "restart") {
      marks = [];
      show();
    }
  }

  stage.addEventListener("pointermove", (event) => moveTo(...toShares(event), false));
  stage.addEventListener("click", (event) => {
    stage.focus({ preventScroll: true });
    moveTo(...toShares(event), false);
    mark();
  });
  stage.addEventListener("keydown", onKey);
  again.addEventListener("click", startAgain);
  cancel.addEventListener("click", () => model.send({ kind: "cancel" }));
  cancel.hidden = !model.get("can_cancel");
  const listeners = { "change:status": show, "change:failed": show, "msg:custom": onMessage };
  for (const [name, listener] of Object.entries(listeners)) model.on(name, listener);

  show();
  model.send({ kind: "show" }); // the photo comes as a message, so that no saved notebook holds it
  if (model.get("takes_focus")) setTimeout(() => stage.focus(), 0);

  return () => {
    for (const [name, listener] of Object.entries(listeners)) model.off(name, listener);
    clearTimeout(speaking);
    URL.revokeObjectURL(url);
  };
}

export default { render };
