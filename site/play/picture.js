// Pictures on canvases.
const small = document.createElement("canvas");

/** Show a network's picture (1, channels, side, side) in [0, 1], enlarged smoothly. ink: high values are dark. */
export function show(canvas, values, ink = false) {
  const channels = ink ? 1 : 3;
  const side = Math.sqrt(values.length / channels);
  const wide = side + 2; // with its outermost pixels twice: a canvas fades out at its edges when it is enlarged
  const inside = (k) => Math.min(side - 1, Math.max(0, k - 1));
  const pixels = new ImageData(wide, wide);
  for (let k = 0; k < wide * wide; k++) {
    const from = inside(Math.floor(k / wide)) * side + inside(k % wide);
    for (let c = 0; c < 3; c++) {
      const value = values[ink ? from : c * side * side + from];
      pixels.data[4 * k + c] = 255 * (ink ? 1 - value : value); // clamped and rounded by the array
    }
    pixels.data[4 * k + 3] = 255;
  }
  small.width = small.height = wide;
  small.getContext("2d").putImageData(pixels, 0, 0);
  const pen = canvas.getContext("2d");
  const scale = canvas.width / side;
  pen.imageSmoothingQuality = "high";
  pen.drawImage(small, -scale, -scale, wide * scale, wide * scale);
}
