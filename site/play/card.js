// A picture of the family to keep: both parents, the child, its siblings, what it is not, and for machines what it is.
import numbers from "./numbers.json";

const [WIDTH, HEIGHT] = [720, 620];
const HEADER = 33; // bytes of a PNG before the first chunk that may stand anywhere

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
  sheet.toBlob(async (blob) => {
    const png = new Uint8Array(await blob.arrayBuffer());
    const marked = new Blob([png.slice(0, HEADER), xmp(), png.slice(HEADER)], { type: "image/png" });
    URL.revokeObjectURL(link.href);
    Object.assign(link, { href: URL.createObjectURL(marked), download: "family.png", hidden: false });
    link.focus();
  }, "image/png");
}

/** A chunk of a PNG with the mark of IPTC for what a trained network has drawn. */
function xmp() {
  const content = new TextEncoder().encode(`iTXtXML:com.adobe.xmp\0\0\0\0\0${numbers.xmp}`);
  const chunk = new DataView(new ArrayBuffer(content.length + 8));
  chunk.setUint32(0, content.length - 4);
  new Uint8Array(chunk.buffer).set(content, 4);
  let sum = 0xffffffff; // CRC-32
  for (const byte of content) {
    sum ^= byte;
    for (let bit = 0; bit < 8; bit++) sum = (sum >>> 1) ^ (sum & 1 ? 0xedb88320 : 0);
  }
  chunk.setUint32(content.length + 4, ~sum);
  return chunk.buffer;
}
