// The page of everything that runs: rings flow in, the page is asked for again and patched in place.
import "./elapsed.js";
import { tick } from "./clock.js";
import { Doorbell } from "./doorbell.js";
import { fetched, gently } from "./gently.js";
import { morph } from "./morph.js";
import { announce } from "./news.js";

const LEAST = 500; // milliseconds between two looks
const updates = document.querySelector("#updates");
const icon = document.querySelector("#icon");

function sessions() {
  const rows = document.querySelectorAll("#running [data-session]");
  return new Map([...rows].map((row) => [row.id, row.querySelector(".title").textContent]));
}

const look = gently(async () => {
  const page = await fetched(location.href);
  const before = sessions();
  for (const id of ["live", "running-count"]) morph(document.getElementById(id), page.getElementById(id));
  document.title = page.title;
  drawIcon();
  tick();
  tell(before, sessions());
}, LEAST);

function tell(before, after) {
  const begun = [...after].filter(([id]) => !before.has(id)).map(([, title]) => `Began: ${title}.`);
  const over = [...before].filter(([id]) => !after.has(id)).map(([, title]) => `Runs no more: ${title}.`);
  announce([...begun, ...over]);
}

function drawIcon() {
  const busy = Number(document.querySelector("#live").dataset.busy) > 0;
  icon.href = busy ? icon.dataset.live : icon.dataset.plain;
}

function told(state) {
  updates.hidden = state === "connected";
  updates.textContent = "Reconnecting…";
}

drawIcon();
new Doorbell("/ws/rollouts/", look, told);
