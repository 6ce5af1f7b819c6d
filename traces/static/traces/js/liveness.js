// The time and the state of the connection flow in; words such as "Live", "Quiet for 3 min", "Stale" and "Ended" flow
// out, everywhere on the page, and the tab's title and icon say the same. The server writes the words first; silence
// grows without its help, so from then on they are counted here.
import { announce } from "./news.js";
import { every, now, tick } from "./clock.js";
import { silence } from "./words.js";

const SIGNS = { live: "● ", quiet: "● ", stale: "◌ " };
const TOO_SILENT = "It has been silent for too long.";
const icon = document.querySelector("#icon");
let connection = "connected";
let told = head() ? wordOf(head(), now()) : "";

function head() {
  return document.querySelector("#liveness .live-word");
}

function wordOf(badge, moment) {
  const { word, heardMs, quietMs, staleMs } = badge.dataset;
  if (word === "ended" || word === "stale") return word;
  const silent = moment - Number(heardMs);
  if (silent > Number(staleMs)) return "stale";
  return silent > Number(quietMs) ? "quiet" : "live";
}

function text(word, silent) {
  if (word === "quiet") return `Quiet for ${silence(silent)}`;
  return { live: "Live", stale: "Stale", ended: "Ended" }[word];
}

function draw(badge, moment) {
  const word = wordOf(badge, moment);
  const lost = badge.closest("#liveness") && word !== "ended" && connection !== "connected";
  const words = lost ? "Reconnecting…" : text(word, moment - Number(badge.dataset.heardMs));
  if (badge.textContent !== words) badge.textContent = words;
  const look = `live-word ${lost ? "off" : word}`;
  if (badge.className !== look) badge.className = look;
  return word;
}

function drawAll(moment) {
  for (const badge of document.querySelectorAll(".live-word[data-word]")) {
    const word = draw(badge, moment);
    if (badge.closest("#liveness")) drawHead(word);
  }
  return 1_000;
}

// Whether more is to be expected of the session that this element belongs to: then what is open counts up.
export function isRunning(element) {
  const badge = element.closest("[data-session]")?.querySelector(".live-word") ?? head();
  return Boolean(badge) && ["live", "quiet"].includes(wordOf(badge, now()));
}

function drawHead(word) {
  const why = document.querySelector("#liveness [data-why]");
  if (word === "stale" && why && !why.textContent) why.textContent = TOO_SILENT;
  drawTab(word);
  if (word === told || (word === "quiet" && told === "live")) return;
  // Silence is nothing to interrupt anybody for; its end, a loss or the end of everything is.
  const sentence = { live: "Live again.", stale: `Stale. ${why?.textContent ?? ""}`, ended: "Ended." }[word];
  if (told !== "quiet" || word !== "live") announce([sentence ?? ""]);
  told = word;
}

function drawTab(word) {
  const busy = document.querySelector("#liveness")?.dataset.busy === "true";
  const sign = word === "stale" || busy ? (SIGNS[word] ?? "") : "";
  const title = sign + document.title.replace(/^[●◌] /, "");
  if (document.title !== title) document.title = title;
  const address = sign === SIGNS.live ? icon.dataset.live : icon.dataset.plain;
  if (icon.getAttribute("href") !== address) icon.setAttribute("href", address);
}

// Whether the server judges otherwise than the page does: silence is counted here, but not who holds a log open.
export function judged(word) {
  const known = head()?.dataset.word ?? "";
  const coarse = (each) => (each === "quiet" ? "live" : each);
  return word !== null && coarse(word) !== coarse(known) && !(word === "stale" && wordOf(head(), now()) === "stale");
}

// What the doorbell tells.
export function connected(state) {
  connection = state;
  tick();
}

every(drawAll);
