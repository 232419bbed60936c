// A photo on its way to the kernel; and one with a crosshair that the mouse, a finger or the arrow keys move: two marks
// are the two eyes.

const PIECE = 1 << 18; // bytes of a photo in one message
const MOST_SIDE = 2048; // pixels: larger photos are made smaller here

function uploader(ask, say, most) { // upload(file, more): more goes along with each piece
  return async function upload(file, more = {}) {
    if (!file) return; // the dialog was left
    say("Reading the photo …", "busy", true);
    let whole;
    try {
      whole = await (await shrunk(file)).arrayBuffer();
    } catch {
      say("This file could not be read. It may have changed, or lie in a cloud: save it on this device, then choose it "
        + "again.", "failed");
      return;
    }
    if (whole.byteLength > most) {
      say(`This file has ${Math.round(whole.byteLength / 1e6)} MB, more than ${most / 1e6}: choose a smaller one.`, "failed");
      return;
    }
    const key = `${Date.now()}-${Math.random()}`;
    for (let at = 0; at < Math.max(1, whole.byteLength); at += PIECE) {
      say("Sending the photo to the kernel …", "busy", at + PIECE < whole.byteLength);
      const piece = { key, at, size: whole.byteLength, ...more };
      if (!await ask({ piece }, { kind: "", buffers: [whole.slice(at, at + PIECE)] })) return; // nobody is there, as was said
    }
  };
}

async function shrunk(file) { // as the browser shows it, or as it is when the browser cannot: EXIF, colours, transparency
  let image;
  try {
    image = await createImageBitmap(file);
  } catch {
    return file;
  }
  const scale = Math.min(1, MOST_SIDE / Math.max(image.width, image.height));
  const [width, height] = [image.width, image.height].map((side) => Math.max(1, Math.round(side * scale)));
  const canvas = Object.assign(document.createElement("canvas"), { width, height });
  const pen = canvas.getContext("2d");
  pen.fillStyle = "#fff";
  pen.fillRect(0, 0, width, height);
  pen.imageSmoothingQuality = "high";
  pen.drawImage(image, 0, 0, width, height);
  image.close();
  const made = await new Promise((done) => { canvas.toBlob(done, "image/jpeg", 0.92); });
  return made ?? file;
}

const ASKS = ["Click the middle of one eye.", "Now the middle of the other eye.", ""];

function pickEyes(parent, done) { // done(eyes): two places in shares of the photo; an empty list when begun again
  const line = element("div", parent, { className: "latentlib-heading", "aria-live": "polite" });
  const help = element("div", null, { className: "latentlib-help", id: `eyes-${Math.random().toString(36).slice(2)}` },
    "Keyboard: Tab to the photo, arrow keys (Shift: longer steps), then Enter.");
  const photo = element("div", parent, {
    className: "latentlib-photo", tabIndex: 0, role: "application", "aria-describedby": help.id,
    "aria-label": "Photo: set a mark on each of the two eyes",
  });
  const image = picture(photo);
  const cross = element("div", photo, { className: "latentlib-cross" });
  const spokenPlace = element("div", photo, { className: "latentlib-hidden", "aria-live": "polite" });
  parent.append(help);
  const buttons = element("div", parent, { className: "latentlib-buttons" });
  button(buttons, "Start again", () => { restart(); done([]); photo.focus({ preventScroll: true }); });
  let [place, marks, speaking] = [[0.5, 0.4], [], 0];

  const put = (part, [x, y]) => Object.assign(part.style, { left: `${100 * x}%`, top: `${100 * y}%` });

  function restart() {
    marks = [];
    tell();
  }

  function tell() {
    put(cross, place);
    cross.hidden = marks.length > 1;
    photo.querySelectorAll(".latentlib-mark").forEach((old) => old.remove());
    marks.forEach((mark, k) => put(element("div", photo, { className: "latentlib-mark" }, `${k + 1}`), mark));
    line.textContent = ASKS[marks.length];
  }

  function moveTo(x, y) {
    place = [clamp(x, 0, 1), clamp(y, 0, 1)];
    put(cross, place);
  }

  function mark() {
    if (marks.length > 1) return;
    marks.push(place);
    tell();
    if (marks.length === 2) done(marks);
  }

  photo.addEventListener("pointermove", (event) => moveTo(...shareOf(photo, event)));
  photo.addEventListener("click", (event) => {
    photo.focus({ preventScroll: true });
    moveTo(...shareOf(photo, event));
    mark();
  });
  photo.addEventListener("latentlib-key", (event) => {
    const [way, step] = [ARROWS[event.key], event.shiftKey ? 0.06 : 0.01];
    if (way) {
      const upright = photo.clientWidth / (photo.clientHeight || 1); // the same distance in both directions
      moveTo(place[0] + step * way[0], place[1] + step * upright * way[1]);
      clearTimeout(speaking);
      const text = `${percent(place[0])} from the left, ${percent(place[1])} from the top`;
      speaking = setTimeout(() => { spokenPlace.textContent = text; }, 400); // said once the crosshair rests
    } else if (event.key === "Enter" || event.key === " ") {
      mark();
    } else {
      return;
    }
    event.preventDefault();
  });
  tell();
  return { show: image.show, restart, buttons, focus: () => photo.focus({ preventScroll: true }) };
}
