// Names for a screen reader: ipywidgets gives its sliders' handles no label and its images no alt text.
// Shows nothing, unless drawing failed: then the sentence that says why.

function render({ model, el }) {
  const line = document.createElement("div");
  line.setAttribute("role", "status");
  line.setAttribute("aria-live", "polite");
  line.style.fontWeight = "bold";
  line.style.color = "var(--jp-ui-font-color1, var(--vscode-foreground, inherit))";
  el.append(line);

  function name() {
    const box = el.closest(".widget-vbox");
    if (!box) return false;
    for (const image of box.querySelectorAll("img")) image.alt = model.get("text");
    for (const control of box.querySelectorAll(".jupyter-widgets")) {
      const label = control.querySelector(":scope > .widget-label");
      const handle = control.querySelector("[role=slider], .ui-slider-handle, .widget-readout");
      if (label && handle) handle.setAttribute("aria-label", label.textContent);
    }
    return true;
  }

  function update() {
    const failed = model.get("failed");
    line.textContent = failed ? `⚠ ${failed}` : "";
    name();
  }

  // The controls beside it may come onto the page later than this line does.
  let tries = 0;
  let timer = setInterval(() => { if ((name() && ++tries > 4) || ++tries > 60) clearInterval(timer); }, 250);
  model.on("change:text", update);
  model.on("change:failed", update);
  update();
  return () => {
    clearInterval(timer);
    model.off("change:text", update);
    model.off("change:failed", update);
  };
}

export default { render };
