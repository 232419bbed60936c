// The browser's half of EyePicker.

function render({ model, el }) {
  const root = stage(el, "eyes");
  const { most } = model.get("start");
  if (most) {
    const file = element("input", null, { type: "file", accept: "image/*", className: "latentlib-hidden" });
    file.setAttribute("aria-label", "Choose a photo");
    file.addEventListener("change", () => { upload(file.files[0]); file.value = ""; });
    element("label", root, { className: "latentlib-button" }, file, "Choose a photo …");
  }
  const clicking = element("div", root, { hidden: true });
  const picker = pickEyes(clicking, (eyes) => ask({ eyes }, { kind: "" }));
  const { ask, say, stop } = connect(model, root, ({ kind, picking }, pictures) => {
    if (pictures.photo) picker.show(pictures.photo, "Your photo");
    if (kind === "failed" || clicking.hidden) picker.restart();
    clicking.hidden = !picking;
  });
  const upload = uploader(ask, say, most);
  return stop;
}

export default { render };
