// The browser's half of picture_slider and player: sliders above a picture, and a film that plays without the kernel.

function render({ model, el }) {
  const root = stage(el, "sliders");
  const { controls, frames, width, interval } = model.get("start");
  const grid = element("div", root, { className: "latentlib-grid" });
  const image = picture(root, width ? { width } : {});
  const { ask, stop } = connect(model, root, show);
  const parts = controls.map((control) => {
    const { name, texts } = control;
    const say = texts ? (k) => texts[k] : (x) => spoken(x, control.digits);
    return { name, ...slider(grid, { ...control, say }, (value) => (frames ? turn(value) : ask({ [name]: value }))) };
  });

  function show({ values, said }, pictures, waiting) {
    if (frames) return;
    if (!waiting) parts.forEach(({ name, set }) => set(values[name]));
    if (pictures.picture) image.show(pictures.picture, said);
    else image.describe(said);
  }

  // --- a film: all its frames are in the page
  let [now, playing] = [0, 0];

  function turn(frame) {
    now = frame;
    parts[0].set(now);
    image.show(frames[now], `frame ${now + 1} of ${frames.length}`);
  }

  function play(on) {
    clearInterval(playing);
    playing = on ? setInterval(() => (now + 1 < frames.length ? turn(now + 1) : play(false)), interval) : 0;
    toggle.textContent = on ? "Pause" : "Play";
  }

  let toggle;
  if (frames) {
    toggle = button(grid, "Play", () => {
      if (!playing && now === frames.length - 1) turn(0);
      play(!playing);
    });
    grid.prepend(toggle);
    turn(0);
  }
  return () => { stop(); clearInterval(playing); };
}

export default { render };
