// The browser's half of BreedingBoard: two parents, a grid of children with their genes, and what can be done.

const PATIENCE = 8000; // milliseconds after which an answer is no longer waited for; nothing is asked twice
const COLUMNS = 4;

function element(kind, name, parent, text = "") {
  const made = document.createElement(kind);
  if (name) made.className = `breeding-${name}`;
  made.textContent = text;
  parent.append(made);
  return made;
}

function render({ model, el }) {
  const root = element("div", "", el);
  root.className = "breeding";
  root.setAttribute("data-lm-suppress-shortcuts", "true"); // else JupyterLab takes arrow keys and Enter for itself:
  root.addEventListener("keydown", (event) => { // older versions heed the attribute, newer ones listen further up
    if (!event.ctrlKey && !event.altKey && !event.metaKey) event.stopPropagation();
  });
  const [first, second] = model.get("founders");
  let [version, waiting, focused, urls] = [0, 0, 0, []];

  // --- the parts of the page, in the order in which Tab visits them
  const couple = element("div", "couple", root);
  const parents = [0, 1].map(() => {
    const figure = element("div", "parent", couple);
    const image = element("img", "", figure);
    image.alt = "";
    return { image, name: element("div", "name", figure) };
  });
  const key = element("div", "key", couple);
  element("span", "cell breeding-first", key).setAttribute("aria-hidden", "true");
  element("span", "", key, `from ${first}`);
  element("span", "cell breeding-second", key).setAttribute("aria-hidden", "true");
  element("span", "", key, `from ${second}`);
  const rule = element("div", "rule", key);

  const grid = element("div", "grid", root);
  grid.setAttribute("role", "group");
  grid.setAttribute("aria-label", "Children. Arrow keys move, Enter chooses one as the next parent");
  const children = [];

  function child(k) {
    const figure = element("div", "child", grid);
    const button = element("button", "choose", figure);
    button.type = "button";
    const image = element("img", "", button);
    const name = element("span", "name", button);
    const genes = element("div", "genes", figure);
    genes.setAttribute("role", "img");
    button.addEventListener("click", () => ask("choose", { child: k }));
    button.addEventListener("focus", () => { focused = k; rove(); });
    return { button, image, name, genes };
  }

  const rove = () => children.forEach(({ button }, k) => { button.tabIndex = k === focused ? 0 : -1; });

  grid.addEventListener("keydown", (event) => {
    const way = { ArrowLeft: -1, ArrowRight: 1, ArrowUp: -COLUMNS, ArrowDown: COLUMNS }[event.key];
    if (!way || event.ctrlKey || event.altKey || event.metaKey) return;
    event.preventDefault();
    if (children[focused + way]) children[focused + way].button.focus();
  });

  const row = element("div", "row", root);
  function button(text, kind) {
    const made = element("button", "button", row, text);
    made.type = "button";
    made.addEventListener("click", () => { if (made.getAttribute("aria-disabled") !== "true") ask(kind); });
    return made;
  }
  button("Another brood", "another");
  const undo = button("Undo", "undo");
  button("Save a card", "save");
  const link = element("a", "link", row);
  const lineage = element("div", "lineage", root);
  const status = element("div", "status", root);
  status.setAttribute("role", "status");

  // --- asking: one question at a time; what is clicked while one is open would speak of an old brood
  function ask(kind, values = {}) {
    if (waiting) return;
    waiting = setTimeout(() => settle(), PATIENCE);
    root.setAttribute("aria-busy", "true");
    model.send({ kind, version, ...values });
  }

  function settle() {
    clearTimeout(waiting);
    waiting = 0;
    root.removeAttribute("aria-busy");
  }

  function say(text, failed = false) {
    status.textContent = text;
    status.classList.toggle("failed", failed);
  }

  const png = (view) => URL.createObjectURL(new Blob([view], { type: "image/png" }));

  function show(brood, buffers) {
    urls.forEach((url) => URL.revokeObjectURL(url));
    urls = buffers.map(png);
    version = brood.version;
    parents.forEach(({ image, name }, k) => {
      Object.assign(image, { src: urls[k], alt: `Parent: ${brood.names[k]}` });
      name.textContent = brood.names[k];
    });
    rule.textContent = `The child that you choose takes the place of ${brood.names[brood.leaving]}.`;
    brood.genes.forEach((genes, k) => {
      children[k] ??= child(k);
      const [title, made] = [`${brood.number}.${k + 1}`, children[k]];
      Object.assign(made.image, { src: urls[k + 2], alt: `Child ${title} of ${brood.names.join(" and ")}` });
      made.name.textContent = title;
      made.genes.setAttribute("aria-label", `Genes of child ${title}, ${brood.alts[k]}`);
      made.genes.replaceChildren();
      for (const share of genes) {
        element("span", "cell", made.genes).style.setProperty("--share", `${Math.round(100 * share)}%`);
      }
    });
    rove();
    undo.setAttribute("aria-disabled", String(brood.first)); // not disabled: the keyboard's place would be lost
    lineage.textContent = `Lineage: ${brood.lineage}`;
    say(`Brood ${brood.number} of ${brood.names.join(" and ")}`);
  }

  function onMessage(message, buffers) {
    if (message.kind === "card") {
      Object.assign(link, { href: png(buffers[0]), download: message.name, textContent: "Download the card" });
      return;
    }
    if (message.kind === "brood") show(message, buffers);
    else say(message.said, message.failed);
    settle();
  }

  model.on("msg:custom", onMessage);
  ask("show");
  return () => {
    model.off("msg:custom", onMessage);
    clearTimeout(waiting);
    urls.forEach((url) => URL.revokeObjectURL(url));
  };
}

export default { render };
