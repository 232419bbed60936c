// The browser's half of FamilyView: choices, sliders, pictures, siblings to breed on with, uploads, card and film.

const CONSENT = "My own photos: I agree that they go to the kernel that runs this notebook, on Colab or Binder their "
  + "server, and nowhere else. I use only photos of people who said yes.";
const SKETCH_AFTER = 250; // milliseconds of rest after which siblings are drawn again

function render({ model, el }) {
  const { layers, siblings, row, most } = model.get("start");
  const root = stage(el, "family");
  const top = element("div", root, { className: "latentlib-row latentlib-middle" });
  const couple = element("div", top, { className: "latentlib-couple" });
  const [images, selects, files] = [{}, {}, {}];
  for (const place of ["first", "child", "second"]) {
    const figure = element("div", couple, { className: `latentlib-figure latentlib-${place}` });
    images[place] = picture(element("div", figure, { className: "latentlib-frame" }));
    if (place === "child") continue;
    selects[place] = element("select", figure, { "aria-label": `${place} parent` });
    selects[place].addEventListener("change", () => ask({ [place]: selects[place].value }));
    files[place] = element("input", null, { type: "file", accept: "image/*", className: "latentlib-hidden", disabled: true });
    element("label", figure, { className: "latentlib-button" }, files[place], "Use a photo …");
    files[place].setAttribute("aria-label", `Photo of the ${place} parent`);
    files[place].addEventListener("change", () => { upload(files[place].files[0], { side: place }); files[place].value = ""; });
  }
  const said = element("div", couple.children[1], { className: "latentlib-said" });

  const panel = element("div", top, { className: "latentlib-panel" });
  const grid = element("div", panel, { className: "latentlib-grid" });
  const control = (name, label, high, step, say) =>
    slider(grid, { label, low: 0, high, step, say }, (value) => ask({ [name]: value }));
  const parts = {
    share: control("share", "Mix", 1, 0.05, (k) => `${percent(k)} second`),
    crossover: control("crossover", "Crossover", layers - 1, 1, (k) => (k ? `${k} of ${layers} layers` : "off")),
    sibling: control("sibling", "Sibling", siblings, 1, (k) => (k ? `number ${k}` : "off")),
  };
  const tick = (parent, text) => {
    const box = element("input", null, { type: "checkbox" });
    element("label", parent, { className: "latentlib-box" }, box, text);
    return box;
  };
  const drawn = tick(panel, "Show the parents as the generator draws them");
  drawn.addEventListener("change", () => ask({ drawn: drawn.checked }));
  const agreed = tick(panel, CONSENT);
  const keeping = element("div", panel, { className: "latentlib-buttons" });
  let saving = false; // was a file asked for here, and not in another view?
  for (const what of ["card", "film"]) button(keeping, `Save a ${what}`, () => { saving = true; act({ keep: what }); });
  const link = element("a", keeping, { className: "latentlib-link", hidden: true });
  const tuning = element("div", panel, { className: "latentlib-tuning" });
  const told = element("span", tuning, { "aria-live": "polite" });
  const stopTuning = button(tuning, "Stop and take what it has", () => act({ stop: true }));

  const brood = element("div", root, { className: "latentlib-brood" });
  const title = element("div", brood, { className: "latentlib-heading" });
  const children = element("div", brood, { className: "latentlib-children" });
  const kids = Array.from({ length: row }, (_, place) => {
    const kid = button(children, "", () => act({ breed: place }));
    const image = picture(element("div", kid, { className: "latentlib-frame" }));
    return { kid, image, name: element("span", kid) };
  });
  const turns = element("div", children, { className: "latentlib-buttons latentlib-turns" });
  button(turns, "Others", () => act({ others: true }));
  const back = button(turns, "Back", () => act({ back: true }));

  const showAgreed = () => Object.values(files).forEach((file) => {
    file.disabled = !agreed.checked;
    file.parentElement.classList.toggle("latentlib-off", !agreed.checked);
    file.parentElement.title = agreed.checked ? "" : "Tick the box at the right first";
  });
  agreed.addEventListener("change", showAgreed);
  showAgreed();
  const { ask, say, stop } = connect(model, root, show);
  const act = (values) => ask(values, { kind: "" });
  const upload = uploader(ask, say, most);

  const clicking = element("div", root);
  const picker = pickEyes(clicking, (eyes) => act({ eyes }));
  button(picker.buttons, "Leave it", () => act({ leave: true }));
  clicking.hidden = true;

  let [sketching, url] = [0, ""];

  function show(content, pictures, waiting) {
    const { controls, names, seeds, stale, leaving, can_go_back: canGoBack, learning, file } = content;
    for (const side of Object.keys(selects)) {
      const select = selects[side];
      if (names.join("\n") !== [...select.options].map((option) => option.value).join("\n")) {
        select.replaceChildren(...names.map((name) => new Option(name)));
      }
      if (!waiting) select.value = controls[side];
      images[side].describe(`${side} parent: ${controls[side]}`);
      if (pictures[side]) images[side].show(pictures[side], `${side} parent: ${controls[side]}`);
    }
    if (!waiting) {
      Object.entries(parts).forEach(([name, part]) => part.set(controls[name]));
      drawn.checked = controls.drawn;
    }
    const mixed = [`${percent(1 - controls.share)} ${controls.first}, ${percent(controls.share)} ${controls.second}`];
    if (controls.crossover) mixed.push(`crossover after layer ${controls.crossover} of ${layers}`);
    if (controls.sibling) mixed.push(`sibling ${controls.sibling}`);
    said.textContent = mixed.join("; ");
    if (pictures.child) images.child.show(pictures.child, `Child: ${said.textContent}`);
    title.textContent = `Siblings: click one, and it becomes the ${leaving} parent`;
    kids.forEach(({ kid, image, name }, place) => {
      name.textContent = seeds[place];
      kid.classList.toggle("latentlib-stale", stale);
      kid.setAttribute("aria-label", `Sibling ${seeds[place]}: make it the ${leaving} parent`);
      if (pictures[`sibling ${place}`]) image.show(pictures[`sibling ${place}`], "");
    });
    back.setAttribute("aria-disabled", String(!canGoBack)); // not disabled: the keyboard's place would be lost
    told.textContent = content.tuning;
    if (!learning && stopTuning.matches(":focus")) parts.share.input.focus({ preventScroll: true });
    stopTuning.hidden = !learning;
    if (pictures.photo) picker.show(pictures.photo, "Your photo");
    if (content.picking && clicking.hidden) {
      picker.restart();
      setTimeout(() => picker.focus());
    } else if (content.picking && content.kind === "failed") {
      picker.restart();
    } else if (!content.picking && clicking.contains(document.activeElement)) {
      files.first.focus({ preventScroll: true });
    }
    clicking.hidden = !content.picking;
    if (pictures.file) {
      URL.revokeObjectURL(url);
      url = URL.createObjectURL(new Blob([pictures.file]));
      Object.assign(link, { href: url, download: file, textContent: `Download ${file}`, hidden: false });
      if (saving) link.click();
      saving = false;
    }
    clearTimeout(sketching);
    if (stale && !waiting) sketching = setTimeout(() => act({ siblings: true }), SKETCH_AFTER);
  }

  return () => { stop(); clearTimeout(sketching); URL.revokeObjectURL(url); };
}

export default { render };
