// The page of an inference: as long as its rollout may go on, rings flow in and the page turns into its next form in place.
import "./elapsed.js";
import { tick } from "./clock.js";
import { Doorbell } from "./doorbell.js";
import { fetched, gently } from "./gently.js";
import { connected } from "./liveness.js";
import { morph } from "./morph.js";
import { announce } from "./news.js";

const OFTEN = 100; // milliseconds between two looks at a call that runs
const SELDOM = 2_000; // and at one that is over, to which only what came after it is new
const main = () => document.querySelector("#main");
const pause = (milliseconds) => new Promise((resolve) => setTimeout(resolve, milliseconds));
const icon = document.querySelector("#icon");
let revision = Number(main().querySelector("[data-revision]").dataset.revision);

function status() {
  return document.querySelector("#evidence")?.dataset.status;
}

const look = gently(async () => {
  const page = await fetched(location.href);
  const before = status();
  // Items kept from the request before are there only when somebody asked for them.
  const kept = document.querySelector("#kept:has(ol)");
  if (kept) page.querySelector("#kept")?.replaceWith(kept.cloneNode(true));
  morph(main(), page.querySelector("#main"));
  window.htmx.process(main());
  revision = Number(main().querySelector("[data-revision]").dataset.revision);
  document.title = page.title;
  if (!document.querySelector("#liveness")) icon.href = icon.dataset.plain;
  tick();
  if (status() !== before) announce([document.querySelector("#evidence .sentence").textContent.replace(/\s+/g, " ")]);
  if (status() !== "running") await pause(SELDOM);
}, OFTEN);

function rang(frame) {
  if (frame.revision !== revision) look();
}

function told(state) {
  connected(state);
}

new Doorbell(main().querySelector("[data-socket]").dataset.socket, rang, told);
