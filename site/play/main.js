import { ALLOWED, disagreement, fail, start } from "./engine.js";
import { face } from "./face.js";
import { map } from "./map.js";
import { family } from "./family.js";

async function play() {
  await start();
  await face();
  document.documentElement.dataset.firstPicture = performance.now().toFixed(0);
  await new Promise(requestAnimationFrame); // let it be seen before the rest is loaded
  await map();
  await family();
  document.getElementById("status").textContent = "Ready.";
  const worst = await disagreement();
  const text = document.getElementById("agreement");
  const good = worst <= ALLOWED;
  text.textContent = `Checked in this page just now: the networks ${good ? "agree" : "do not agree"} with PyTorch; the largest `
    + `difference is ${worst.toPrecision(2)} of the range (at most ${ALLOWED} is allowed).`;
  text.classList.toggle("failed", !good);
  text.dataset.worst = worst;
}

play().catch(fail);
