// From a file to an aligned face, as latentlib.photos does it: read, find six points, cut. Points are [x, y].
import { run } from "./engine.js";

const MOST_BYTES = 60e6;
const WORKING_SIDE = 1600; // pixels: larger photos are made smaller when they are read
const HEIC = ["heic", "heix", "mif1", "hevc", "msf1"];
const LEAST_SCORE = 0.65;
const NEAR = 0.5; // guesses whose middles are nearer than this many sides of their boxes are of one face
const DETECTOR_SIDE = 128;
const LARGE_ENOUGH = 0.36; // a face that fills less of the detector's picture is looked at again from near
const EYE_RULER = 3.78;
const MOUTH_RULER = 0.9 * EYE_RULER;
const LOWER = 0.06;
const EYES_TO_MOUTH = 1.1;
export const SIDE = 64;

const plus = (a, b, share = 1) => [a[0] + share * b[0], a[1] + share * b[1]];
const minus = (a, b) => plus(a, b, -1);
const long = ([x, y]) => Math.hypot(x, y);
const times = (a, b) => [a[0] * b[0] - a[1] * b[1], a[0] * b[1] + a[1] * b[0]]; // turns and scales

/** A photo as a canvas, upright, on white; an Error whose message is one sentence when the file is none. */
export async function read(file) {
  if (file.size > MOST_BYTES) throw new Error("This file has more than 60 MB; make the photo smaller and try again.");
  const start = new TextDecoder("latin1").decode(await file.slice(4, 12).arrayBuffer());
  const bitmap = await createImageBitmap(file).catch(() => {
    if (start.startsWith("ftyp") && HEIC.includes(start.slice(4))) {
      throw new Error("This is a HEIC photo, which this browser cannot read; share it as JPEG, or choose a screenshot of it.");
    }
    throw new Error("This file is no picture that can be read here; choose a JPEG or PNG photo.");
  });
  const shrink = Math.min(1, WORKING_SIDE / Math.max(bitmap.width, bitmap.height));
  const photo = canvasOf(Math.max(1, Math.round(bitmap.width * shrink)), Math.max(1, Math.round(bitmap.height * shrink)));
  const pen = penOf(photo);
  pen.fillStyle = "#fff";
  pen.fillRect(0, 0, photo.width, photo.height);
  pen.drawImage(bitmap, 0, 0, photo.width, photo.height);
  bitmap.close();
  return photo;
}

/** All faces of a photo, the largest first: {points, side, score}. */
export async function findFaces(photo) {
  const [middle, side] = [[photo.width / 2, photo.height / 2], Math.max(photo.width, photo.height)];
  for (const parts of [1, 2, 4]) {
    const found = []; // the parts of a photo overlap by half
    for (let y = 1 - parts; y < parts; y++) {
      for (let x = 1 - parts; x < parts; x++) {
        found.push(...await guesses(photo, { middle: plus(middle, [x, y], side / parts / 2), turn: [side / parts, 0] }));
      }
    }
    const faces = gathered(found);
    if (!faces.length) continue;
    const seen = [];
    for (const face of faces) {
      const large = face.side > (LARGE_ENOUGH * side) / parts;
      seen.push(large ? face : await lookAgain(photo, face));
    }
    return seen.filter(Boolean).sort((a, b) => b.side - a.side);
  }
  return [];
}

/** The detector's guesses in a square window of the photo: {score, side, places}, a face's middle and its six points. */
async function guesses(photo, window) {
  const input = pixels(drawn(photo, window, DETECTOR_SIDE, false)).map((value) => 2 * value - 1);
  const output = await run("landmarks", input);
  const found = [];
  for (let k = 0; k < output.length; k += 17) {
    if (output[k] <= LEAST_SCORE) continue;
    const pairs = Array.from({ length: 8 }, (_, i) => [output[k + 1 + 2 * i], output[k + 2 + 2 * i]]);
    const places = [pairs[0], ...pairs.slice(2)].map((pair) => onPhoto(pair, window, DETECTOR_SIDE));
    const side = (((pairs[1][0] + pairs[1][1]) / 2) * long(window.turn)) / DETECTOR_SIDE;
    found.push({ score: output[k], side, places });
  }
  return found;
}

/** Several guesses are of one face: their mean, by score. */
function gathered(found) {
  const faces = [];
  while (found.length) {
    const best = found.reduce((a, b) => (b.score > a.score ? b : a));
    const apart = (guess) => long(minus(guess.places[0], best.places[0]));
    const one = found.filter((guess) => apart(guess) < NEAR * Math.max(guess.side, best.side));
    found = found.filter((guess) => !one.includes(guess));
    const total = one.reduce((sum, { score }) => sum + score, 0);
    const mean = (what) => one.reduce((sum, guess) => sum + (guess.score / total) * what(guess), 0);
    const points = [1, 2, 3, 4, 5, 6].map((i) => [mean((g) => g.places[i][0]), mean((g) => g.places[i][1])]);
    faces.push({ points, side: mean((g) => g.side), score: best.score });
  }
  return faces;
}

/** The same face, seen from near with its eyes level; undefined: it was no face. */
async function lookAgain(photo, { points, side }) {
  const [left, right, , mouth] = points;
  const eyes = minus(right, left);
  if (long(eyes) < 1) return undefined;
  const between = plus(left, eyes, 0.5);
  const window = { middle: plus(between, minus(mouth, between), 0.25), turn: times(eyes, [(2 * side) / long(eyes), 0]) };
  const nearer = gathered(await guesses(photo, window)).filter(
    (face) => long(minus(face.points[2], window.middle)) < side / 2,
  );
  return nearer.sort((a, b) => b.score - a.score)[0];
}

/** The square to cut out, by FFHQ's rule; points: six landmarks, or the two eyes alone. */
export function windowOf(points) {
  const [left, right] = points;
  const eyes = minus(right, left);
  const between = plus(left, eyes, 0.5);
  const down = points.length > 2 ? minus(points[3], between) : times(eyes, [0, EYES_TO_MOUTH]);
  const across = plus(eyes, [down[1], -down[0]]); // eyes - i * down
  const side = Math.max(EYE_RULER * long(eyes), MOUTH_RULER * long(down));
  return { middle: plus(between, down, LOWER), turn: times(across, [side / long(across), 0]) };
}

/** The face, (3 * 64 * 64) in [0, 1]: drawn at four times the size and averaged. Beyond the border the photo is mirrored. */
export function cut(photo, window) {
  const large = pixels(drawn(photo, window, 4 * SIDE, true));
  const small = new Float32Array(3 * SIDE * SIDE);
  for (let k = 0; k < large.length; k++) {
    const [channel, row, column] = [Math.floor(k / (16 * SIDE * SIDE)), Math.floor(k / (4 * SIDE)) % (4 * SIDE), k % (4 * SIDE)];
    small[channel * SIDE * SIDE + (row >> 2) * SIDE + (column >> 2)] += large[k] / 16;
  }
  return small;
}

/** A window of the photo as a canvas; the photo is averaged first where it is much too fine. */
function drawn(photo, { middle, turn }, side, mirrored) {
  const coarser = Math.max(1, Math.floor(long(turn) / side));
  if (coarser > 1) {
    const small = canvasOf(Math.ceil(photo.width / coarser), Math.ceil(photo.height / coarser));
    penOf(small).drawImage(photo, 0, 0, photo.width / coarser, photo.height / coarser);
    [photo, middle, turn] = [small, middle.map((value) => value / coarser), times(turn, [1 / coarser, 0])];
  }
  const canvas = canvasOf(side, side);
  const pen = penOf(canvas);
  const k = side / (turn[0] ** 2 + turn[1] ** 2);
  const [right, down] = [k * turn[0], k * turn[1]];
  pen.fillRect(0, 0, side, side);
  pen.setTransform(right, -down, down, right, side / 2 - middle[0] * right - middle[1] * down, side / 2 + middle[0] * down - middle[1] * right);
  pen.imageSmoothingQuality = "low"; // linear, as in Python; it was averaged before
  const { width, height } = photo;
  for (const x of mirrored ? [-1, 1, 0] : [0]) {
    for (const y of mirrored ? [-1, 1, 0] : [0]) {
      pen.save();
      pen.transform(x ? -1 : 1, 0, 0, y ? -1 : 1, x > 0 ? 2 * width : 0, y > 0 ? 2 * height : 0);
      pen.drawImage(photo, 0, 0);
      pen.restore();
    }
  }
  return canvas;
}

/** A canvas as Float32Array (3 * height * width) in [0, 1]. */
function pixels(canvas) {
  const { data } = penOf(canvas).getImageData(0, 0, canvas.width, canvas.height);
  const count = data.length / 4;
  return Float32Array.from({ length: 3 * count }, (_, k) => data[4 * (k % count) + Math.floor(k / count)] / 255);
}

function onPhoto([x, y], { middle, turn }, side) {
  return plus(middle, times([x / side - 0.5, y / side - 0.5], turn));
}

function canvasOf(width, height) {
  return Object.assign(document.createElement("canvas"), { width, height });
}

function penOf(canvas) {
  const pen = canvas.getContext("2d", { willReadFrequently: true });
  pen.imageSmoothingQuality = "high";
  return pen;
}
