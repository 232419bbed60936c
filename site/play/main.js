import { ALLOWED, disagreement, fail, start } from "./engine.js";
import { face } from "./face.js";
import { map } from "./map.js";
import { noise } from "./noise.js";
import { family } from "./family.js";
import { own } from "./photos.js";

async function play() {
  await start();
  await face();
  document.documentElement.dataset.firstPicture = performance.now().toFixed(0);
  await new Promise(requestAnimationFrame); // let it be seen before the rest is loaded
  await map();
  await noise();
  const people = await family();
  own(people, compare);
  document.getElementById("status").textContent = "Ready.";
  await compare();
}

/** Say how far the networks that are loaded are from what torch made of the same inputs. */
async function compare() {
  const worst = await disagreement();
  const text = document.getElementById("agreement");
  const good = worst <= ALLOWED;
  text.textContent = `Checked in this page just now: the networks ${good ? "agree" : "do not agree"} with PyTorch; the largest `
    + `difference is ${worst.toPrecision(2)} of the range (at most ${ALLOWED} is allowed).`;
  text.classList.toggle("failed", !good);
  text.dataset.worst = worst;
}

if (parent !== window) { // on the site's front page: say how high the frame must be
  new ResizeObserver(() => parent.postMessage({ height: document.documentElement.offsetHeight }, "*")).observe(document.body);
}
play().catch(fail);
