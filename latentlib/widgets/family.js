// The browser's half of FamilyView: choices, sliders, the picture row, uploads in pieces, and the card to keep.

const PATIENCE = 4000; // milliseconds after which a question is asked once more, in case it was lost; then twice that, …
const PIECE = 1 << 20; // bytes of a photo in one message: a Jupyter server refuses messages beyond 10 MB
const SIDES = ["first", "second"];

function element(kind, name, parent, text = "") {
  const made = document.createElement(kind);
  if (name) made.className = `family-view-${name}`;
  made.textContent = text;
  parent.append(made);
  return made;
}

let count = 0;

function render({ model, el }) {
  const id = `family-view-${++count}-${Math.random().toString(36).slice(2)}`;
  const root = element("div", "", el);
  root.className = "family-view";
  root.setAttribute("data-lm-suppress-shortcuts", "true"); // else JupyterLab takes arrow keys and Enter for itself:
  root.addEventListener("keydown", (event) => { // older versions heed the attribute, newer ones listen further up
    if (!event.ctrlKey && !event.altKey && !event.metaKey) event.stopPropagation();
  });
  const layers = model.get("layers");

  // --- the parts of the page, in the order in which Tab visits them
  const row = element("div", "row", root);
  const images = {};
  const selects = {};
  for (const place of ["first", "child", "second"]) {
    const figure = element("div", place === "child" ? "picture family-view-child" : "picture", row);
    const frame = element("div", "frame", figure);
    images[place] = element("img", "", frame);
    images[place].alt = "";
    if (place === "child") {
      element("div", "heading", figure, "Child");
    } else {
      const label = element("label", "heading", figure, place === "first" ? "First parent" : "Second parent");
      selects[place] = element("select", "", figure);
      selects[place].id = label.htmlFor = `${id}-${place}`;
    }
  }
  const caption = element("div", "caption", row.children[1]);

  const sliders = element("div", "sliders", root);

  function slider(name, text, most, step, spoken) {
    const label = element("label", "", sliders, text);
    const input = element("input", "", sliders);
    const output = element("span", "value", sliders);
    output.setAttribute("aria-hidden", "true"); // the slider itself says it
    Object.assign(input, { type: "range", min: 0, max: most, step, id: `${id}-${name}` });
    label.htmlFor = input.id;
    const tell = () => {
      output.textContent = spoken(Number(input.value));
      input.setAttribute("aria-valuetext", output.textContent);
    };
    input.addEventListener("input", () => { tell(); change({ [name]: Number(input.value) }); });
    return { set: (value) => { input.value = value; tell(); }, focus: () => input.focus({ preventScroll: true }) };
  }

  const shown = {
    share: slider("share", "Share of the second parent", 1, 0.05, (k) => `${Math.round(100 * k)} %`),
    crossover: slider("crossover", "Crossover between layers", layers - 1, 1, (k) =>
      k ? `first ${k} of ${layers} from the first parent` : "off"),
    sibling: slider("sibling", "Sibling", model.get("siblings"), 1, (k) => (k ? `number ${k}` : "off")),
  };

  function tick(parent, text) {
    const label = element("label", "tick", parent);
    const box = element("input", "", label);
    box.type = "checkbox";
    label.append(text);
    return box;
  }

  const learning = element("div", "tuning", root);
  const told = element("span", "", learning);
  told.setAttribute("aria-live", "polite");
  const stop = element("button", "button", learning, "Stop and take what it has");
  stop.type = "button";
  stop.addEventListener("click", () => model.send({ kind: "stop" }));

  const drawn = tick(root, "Show the parents as the generator draws them");
  drawn.addEventListener("change", () => change({ drawn: drawn.checked }));

  const own = element("fieldset", "own", root);
  element("legend", "", own, "Your own photos");
  const consent = tick(own, model.get("consent_text"));
  consent.addEventListener("change", () => { model.set("consent", consent.checked); model.save_changes(); });
  const buttons = element("div", "buttons", own);
  const files = SIDES.map((place) => {
    const label = element("label", "button", buttons, `Photo of the ${place} parent …`);
    const file = element("input", "hidden", label);
    Object.assign(file, { type: "file", accept: "image/*" });
    file.addEventListener("change", () => { upload(place, file.files[0]); file.value = ""; });
    return file;
  });

  const saving = element("div", "buttons", root);
  const save = element("button", "button", saving, "Save the family card");
  save.type = "button";
  save.addEventListener("click", () => model.send({ kind: "save" }));
  const download = element("a", "download", saving, "Download the card");
  download.hidden = true;
  element("span", "where", saving, `It is written to ${model.get("path")}.`);

  const line = element("div", "status", root);
  line.setAttribute("role", "status");
  line.setAttribute("aria-live", "polite");

  // --- asking: one question at a time; what changes meanwhile is asked for together when the answer is here
  let sent = {}; // on its way
  let pending = {}; // still to be sent
  let number = 0;
  let timer = 0;

  function change(values) {
    pending = { ...pending, ...values };
    if (!timer) ask();
  }

  function ask() {
    sent = pending;
    pending = {};
    number = Math.max(number + 1, Date.now()); // larger than any number of another page that shows the same view
    send(PATIENCE);
  }

  function send(patience) {
    model.send({ kind: "change", values: sent, number }); // the kernel answers a number once, however often it comes
    timer = setTimeout(() => send(2 * patience), patience);
  }

  function onAnswer() {
    clearTimeout(timer);
    timer = 0;
    sent = {};
    if (Object.keys(pending).length) ask();
  }

  function showControls() {
    const state = { ...model.get("controls"), ...sent, ...pending };
    const names = model.get("names");
    for (const place of SIDES) {
      const select = selects[place];
      const there = [...select.options].map((option) => option.value);
      if (names.join("\n") !== there.join("\n")) select.replaceChildren(...names.map((name) => new Option(name)));
      select.value = state[place];
    }
    for (const name of ["share", "crossover", "sibling"]) shown[name].set(state[name]);
    drawn.checked = state.drawn;
  }

  for (const place of SIDES) {
    selects[place].addEventListener("change", () => change({ [place]: selects[place].value }));
  }

  // --- pictures come as messages and not as the model's state, so that no saved notebook holds them
  const urls = {};
  const newest = {};

  async function showPicture(place, buffer, alt, said) {
    const turn = (newest[place] = (newest[place] || 0) + 1);
    const next = new Image();
    const url = URL.createObjectURL(new Blob([buffer], { type: "image/png" }));
    next.src = url;
    next.alt = alt;
    try {
      await next.decode(); // decoded before it takes its place, so that no frame is blank
    } catch {
      URL.revokeObjectURL(url);
      return;
    }
    if (turn < newest[place]) {
      URL.revokeObjectURL(url);
      return;
    }
    images[place].replaceWith(next);
    images[place] = next;
    URL.revokeObjectURL(urls[place]);
    urls[place] = url;
    if (place === "child") caption.textContent = said;
  }

  function onMessage(content, buffers) {
    if (content.kind === "pictures") {
      content.places.forEach((place, k) => showPicture(place, buffers[k], content.alts[k], content.said));
      if (timer && content.number === number) onAnswer();
    } else if (content.kind === "failed") {
      if (!timer || content.number !== number) return;
      onAnswer();
      showControls(); // back to what the child was drawn with
    } else if (content.kind === "picked") {
      // The picker goes with the keyboard's focus on it: hand it back to where it came from.
      const file = files[SIDES.indexOf(content.place)];
      setTimeout(() => { if (document.activeElement === document.body) file.focus({ preventScroll: true }); }, 300);
    } else if (content.kind === "card") {
      URL.revokeObjectURL(urls.card);
      urls.card = URL.createObjectURL(new Blob([buffers[0]], { type: "image/png" }));
      download.href = urls.card;
      download.download = content.name;
      download.hidden = false;
    }
  }

  // --- uploads
  async function upload(place, file) {
    if (!file) return; // the dialog was left
    const key = `${Date.now()}-${Math.random()}`;
    const small = file.size <= model.get("most_bytes"); // else Python hears only the size, and says why not
    if (small) line.textContent = "Sending the photo to the kernel …";
    model.send({ kind: "photo", key, parent: place, size: file.size });
    for (let at = 0; small && at < file.size; at += PIECE) {
      model.send({ kind: "piece", key }, undefined, [await file.slice(at, at + PIECE).arrayBuffer()]);
    }
  }

  function showConsent() {
    const given = (consent.checked = model.get("consent"));
    for (const file of files) {
      file.disabled = !given;
      file.parentElement.classList.toggle("family-view-off", !given);
    }
  }

  function showStatus() {
    const failed = model.get("failed");
    line.textContent = model.get("status");
    line.classList.toggle("family-view-failed", failed);
    line.classList.toggle("family-view-busy", model.get("busy"));
    line.setAttribute("aria-busy", model.get("busy"));
  }

  function showTuning() {
    told.textContent = model.get("tuning");
    const busy = model.get("learning");
    if (!busy && document.activeElement === stop) shown.share.focus(); // a hidden button loses the keyboard's focus
    stop.hidden = !busy;
    learning.classList.toggle("family-view-busy", busy);
  }

  const listeners = {
    "msg:custom": onMessage,
    "change:names": showControls,
    "change:controls": showControls,
    "change:consent": showConsent,
    "change:status": showStatus,
    "change:failed": showStatus,
    "change:busy": showStatus,
    "change:told": showStatus,
    "change:tuning": showTuning,
    "change:learning": showTuning,
  };
  for (const [name, listener] of Object.entries(listeners)) model.on(name, listener);
  showControls();
  showConsent();
  showStatus();
  showTuning();
  model.send({ kind: "show" });

  return () => {
    for (const [name, listener] of Object.entries(listeners)) model.off(name, listener);
    clearTimeout(timer);
    for (const url of Object.values(urls)) URL.revokeObjectURL(url);
  };
}

export default { render };
