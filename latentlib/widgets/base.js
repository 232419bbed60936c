// What all widgets share: parts of a page, pictures that do not flicker, sliders, and one way to ask the kernel.

const PATIENCE = 5000; // milliseconds until a question is asked again, in case it was lost; then twice that, …
const ARROWS = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] };
const WAIT = "The kernel has not answered yet. Your last move is kept: if a cell is running, it follows when the cell is "
  + "done; if nothing is running, the kernel may have stopped, so run this cell again.";
const GONE = "The kernel was restarted or has stopped, and does not know this picture. Run this cell again: your last "
  + "move is kept.";

function element(kind, parent, properties = {}, ...children) {
  const made = document.createElement(kind);
  for (const [name, value] of Object.entries(properties)) {
    if (name in made) made[name] = value;
    else made.setAttribute(name, value);
  }
  made.append(...children);
  parent?.append(made);
  return made;
}

function stage(el, name) { // where a widget stands
  return element("div", el, { className: `latentlib latentlib-${name}`, "data-lm-suppress-shortcuts": "true" });
}

const bytes = (view) => new Uint8Array(view.buffer, view.byteOffset, view.byteLength);
const clamp = (x, low, high) => Math.min(high, Math.max(low, x));
const spoken = (x, digits = 2) => x.toFixed(digits).replace(/^-(0\.?0*)$/, "$1").replace("-", "−");
const percent = (x) => `${Math.round(100 * x)}\u00a0%`; // which no line breaks
const shareOf = (part, event) => { // where in a part of the page an event is: 0 to 1 from the left, from the top
  const box = part.getBoundingClientRect();
  return [(event.clientX - box.left) / box.width, (event.clientY - box.top) / box.height];
};

function picture(parent, properties = {}) {
  let [image, url, turn] = [element("img", parent, { alt: "", draggable: false, ...properties }), "", 0];
  const describe = (alt) => { image.alt = alt; };
  async function show(view, alt) {
    const [mine, next] = [++turn, image.cloneNode()];
    const address = URL.createObjectURL(new Blob([view]));
    next.src = address;
    const decoded = await next.decode().then(() => true, () => false); // before it takes its place: no frame is blank
    if (!decoded || mine < turn) return URL.revokeObjectURL(address);
    if (alt !== undefined) next.alt = alt;
    next.classList.toggle("latentlib-squares", next.naturalWidth < 48);
    image.replaceWith(next);
    URL.revokeObjectURL(url);
    [image, url] = [next, address];
  }
  return { show, describe };
}

let labels = 0;

function slider(parent, { label, low, high, step, say = spoken }, moved) { // three cells of a grid
  const id = `latentlib-${++labels}-${Math.random().toString(36).slice(2)}`;
  element("label", parent, { htmlFor: id }, label);
  const input = element("input", parent, { type: "range", min: low, max: high, step, id });
  const value = element("span", parent, { className: "latentlib-value", "aria-hidden": "true" });
  const tell = (number) => {
    value.textContent = say(number);
    input.setAttribute("aria-valuetext", value.textContent);
  };
  input.addEventListener("input", () => { tell(Number(input.value)); moved(Number(input.value)); });
  return { input, set(to) { input.value = to; tell(to); } };
}

function button(parent, text, pressed) {
  const made = element("button", parent, { type: "button" }, text);
  made.addEventListener("click", () => { if (made.getAttribute("aria-disabled") !== "true") pressed(); });
  return made;
}

// Asks the kernel one question at a time. What is asked meanwhile waits, and of moves of one kind the last counts.
// show(content, pictures, waiting): called with each answer; waiting: the learner has gone on meanwhile.
function connect(model, root, show) {
  const start = model.get("start");
  const moves = (window.latentlibMoves ??= {}); // outlives the kernel: a cell that is run again finds its last move
  const line = element("div", root, { className: "latentlib-line", role: "status" });
  const page = Math.random().toString(36).slice(2);
  let [asked, queue, count, timer, held] = [null, [], 0, 0, false];

  function say(text, kind = "", hold = false) { // kind: "", "failed" or "busy"; hold: no answer takes it away
    held = hold;
    line.textContent = text;
    line.className = `latentlib-line ${kind && `latentlib-${kind}`}`;
  }

  function ask(values, { kind = "move", buffers = [], quiet = false } = {}) {
    return new Promise((resolve) => {
      const last = queue.at(-1);
      if (kind && last?.kind === kind) {
        Object.assign(last.values, values);
        last.buffers = buffers;
        last.done.push(resolve);
      } else {
        queue.push({ kind, values: { ...values }, buffers, quiet, done: [resolve] });
      }
      next();
    });
  }

  function next() {
    if (asked && !asked.quiet) return; // a quiet question is not waited for: its answer is welcome whenever it comes
    if (!queue.length) return;
    asked = queue.shift();
    asked.number = `${page}-${++count}`;
    send(asked, 0);
  }

  function send(question, times) { // the kernel does what a number asks once, however often it comes
    clearTimeout(timer);
    const status = (message) => { // done, and no answer: nobody was there, or the answer was lost
      if (message.content.execution_state !== "idle" || question !== asked) return;
      clearTimeout(timer);
      timer = setTimeout(() => (times ? lost() : send(question, 1)), 600);
    };
    try {
      const { number, values, buffers } = question;
      model.send({ number, values, again: times > 0 }, { iopub: { status } }, buffers);
    } catch {
      return lost();
    }
    timer = setTimeout(() => { keep(WAIT); send(question, times + 1); }, PATIENCE * 2 ** times);
  }

  function keep(why) {
    if (asked.quiet) return;
    moves[start.key] = Object.assign({}, ...[asked, ...queue].filter((q) => q.kind === "move").map((q) => q.values));
    say(why, "failed");
  }

  function lost() {
    keep(GONE);
    const given = [asked, ...queue].flatMap((question) => question.done);
    clearTimeout(timer);
    [asked, queue] = [null, []];
    given.forEach((done) => done(null));
  }

  function hear({ number, ...content }, buffers) {
    const mine = asked?.number === number ? asked : null;
    if (mine) {
      clearTimeout(timer);
      asked = null;
      delete moves[start.key];
    }
    tell(content, Object.fromEntries((content.places ?? []).map((place, k) => [place, buffers[k]])));
    mine?.done.forEach((done) => done(content));
    next();
  }

  function tell(content, pictures) {
    if (!held) say(content.line ?? "", content.kind);
    show(content, pictures, Boolean(asked || queue.length));
  }

  function live() { // JupyterLab says so when it restarts a kernel
    if (root.closest(".jupyter-widgets-disconnected")) say(GONE, "failed");
  }

  function onKey(event) { // Notebook 7 listens at the document and would take arrow keys for itself: the window is earlier
    if (!root.contains(event.target) || event.ctrlKey || event.altKey || event.metaKey || event.key === "Escape") return;
    event.stopImmediatePropagation();
    const { key, shiftKey } = event;
    const ours = new KeyboardEvent("latentlib-key", { key, shiftKey, cancelable: true });
    if (!event.target.dispatchEvent(ours)) event.preventDefault();
  }

  window.addEventListener("keydown", onKey, true);
  model.on("msg:custom", hear);
  model.on("comm_live_update", live);
  setTimeout(() => { // once the rest of the widget is there
    tell(start.first, start.pictures);
    const move = moves[start.key];
    ask({ whole: true }, { kind: "", quiet: true }); // another view of it may have gone on
    if (move && Object.keys(move).length) ask(move);
  });
  return {
    ask,
    say,
    start,
    stop() {
      model.off("msg:custom", hear);
      model.off("comm_live_update", live);
      window.removeEventListener("keydown", onKey, true);
      clearTimeout(timer);
    },
  };
}
