// A picture of the family to keep: both parents, the child, its siblings, and what it is not.
const [WIDTH, HEIGHT] = [720, 620];

/** parents and siblings: canvases; the picture is drawn and offered as a download. */
export function card({ parents, names, child, siblings }) {
  const sheet = Object.assign(document.createElement("canvas"), { width: WIDTH, height: HEIGHT });
  const pen = sheet.getContext("2d");
  pen.fillStyle = "#fff";
  pen.fillRect(0, 0, WIDTH, HEIGHT);
  pen.fillStyle = "#1b1b1b";
  pen.textAlign = "center";
  const write = (text, x, y, size) => {
    pen.font = `${size}px system-ui, sans-serif`;
    pen.fillText(text, x, y, WIDTH - 40);
  };
  write("A family in latent space", WIDTH / 2, 40, 26);
  [parents[0], child, parents[1]].forEach((canvas, k) => {
    pen.drawImage(canvas, 24 + 232 * k, 66, 208, 208);
    write([names[0], "the child", names[1]][k], 128 + 232 * k, 298, 17);
  });
  siblings.slice(0, 4).forEach((canvas, k) => {
    pen.drawImage(canvas, 24 + 174 * k, 336, 150, 150);
    write(`sibling ${k + 1}`, 99 + 174 * k, 510, 15);
  });
  write("A weighted blend, not a prediction of a real child.", WIDTH / 2, 566, 18);
  const link = document.getElementById("card");
  sheet.toBlob((blob) => {
    URL.revokeObjectURL(link.href);
    Object.assign(link, { href: URL.createObjectURL(blob), download: "family.png", hidden: false });
    link.focus();
  }, "image/png");
}
