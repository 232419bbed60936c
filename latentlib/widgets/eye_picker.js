// The browser's half of EyePicker.

function render({ model, el }) {
  const root = stage(el, "eyes");
  const picker = pickEyes(root, (eyes) => ask({ eyes }, { kind: "" }));
  const { ask, stop } = connect(model, root, ({ kind }, pictures) => {
    if (pictures.photo) picker.show(pictures.photo, "Your photo");
    if (kind === "failed") picker.restart();
  });
  return stop;
}

export default { render };
