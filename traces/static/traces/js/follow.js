// The reader's wish to follow flows in, panes that keep the newest in view flow out. Scrolling up or choosing something
// pauses it, so that nothing moves under a reader's eyes or hands; a button says how much is new and takes it up again.
import { newest } from "./rows.js";
import { plural } from "./words.js";

const panes = document.querySelector("#panes");
const button = document.querySelector("[data-follow]");
const UP = new Set(["ArrowUp", "PageUp", "Home"]);
let on = button?.getAttribute("aria-pressed") === "true";
let paused = ""; // why: "scrolled" takes itself back at the end
let fresh = 0;
let wanted = () => {};
// Where our own scrolling left each pane: less than that is the reader's doing.
const left = new WeakMap();

export const follow = {
  get on() {
    return on;
  },
  // Called when the reader wants to follow again.
  set onResume(call) {
    wanted = call;
  },
  // So many rows are new.
  grew(rows) {
    if (!on) fresh += Math.max(0, rows);
    tell();
  },
  show,
};

function bodies() {
  return panes.querySelectorAll("#outline > .body, #conversation > .body");
}

function show() {
  for (const body of bodies()) {
    body.classList.toggle("following", on);
    if (on) scroll(body);
    left.set(body, body.scrollTop);
  }
}

function scroll(body) {
  const list = body.querySelector("ol.outline");
  const row = list ? newest(list) : null;
  if (!row || row === list.lastElementChild) {
    body.scrollTop = body.scrollHeight;
    return;
  }
  const [inside, around] = [row.getBoundingClientRect(), body.getBoundingClientRect()];
  if (inside.top < around.top) body.scrollTop -= around.top - inside.top;
  else if (inside.bottom > around.bottom) body.scrollTop += inside.bottom - around.bottom;
}

// Whether the last line stands before the reader's eyes: then nothing is below it.
function isAtEnd() {
  const body = panes.querySelector("#outline > .body");
  const line = body.querySelector("ol.outline").lastElementChild;
  const later = body.querySelector("[data-more=later]");
  return !later && (!line || line.getBoundingClientRect().bottom <= body.getBoundingClientRect().bottom + 1);
}

function tell() {
  const below = panes.querySelector(".below");
  if (!below) return;
  if (fresh && isAtEnd()) fresh = 0;
  const words = `${plural(fresh, "new").replace(/news$/, "new")} below`;
  const label = below.querySelector("span");
  if (label.textContent !== words) label.textContent = words;
  below.hidden = on || !fresh;
}

function set(value, why = "") {
  if (!button || on === value) return;
  on = value;
  paused = why;
  fresh = 0;
  button.setAttribute("aria-pressed", String(on));
  tell();
  show();
  if (on) wanted();
}

function pause(why) {
  if (on) set(false, why);
}

function scrolled(event) {
  const body = event.target;
  if (!body.matches?.(".pane > .body") || !left.has(body)) return;
  const atEnd = body.scrollTop + body.clientHeight >= body.scrollHeight - 4;
  // At the end nobody scrolled up: the list became shorter.
  if (body.scrollTop < left.get(body) - 4 && !atEnd) pause("scrolled");
  if (body.parentElement.id !== "outline") return;
  tell();
  if (!on && paused === "scrolled" && atEnd && isAtEnd()) set(true);
}

function wheeled(event) {
  const body = event.target.closest("#outline > .body, #conversation > .body");
  if (event.deltaY < 0 && body?.scrollTop > 0) pause("scrolled");
}

function chosen(event) {
  if (event.target.closest(".below")) {
    set(true);
    // The button is hidden now; who came by keyboard goes on from here.
    panes.querySelector("#outline > .body").focus({ preventScroll: true });
  } else if (event.target.closest("#outline a, #conversation a, #conversation summary")) pause("chosen");
}

function selected() {
  const selection = getSelection();
  if (selection.isCollapsed || !selection.anchorNode) return;
  if (panes.contains(selection.anchorNode)) pause("chosen");
}

function pressed(event) {
  if (UP.has(event.key) && event.target.closest?.(".pane")) pause("scrolled");
  const typing = event.target.closest?.("input, select, textarea, [contenteditable]");
  if (typing || event.ctrlKey || event.metaKey || event.altKey || event.key.toLowerCase() !== "f") return;
  event.preventDefault();
  set(!on);
}

if (button) {
  button.addEventListener("click", () => set(!on));
  panes.addEventListener("click", chosen);
  panes.addEventListener("wheel", wheeled, { passive: true });
  panes.addEventListener("scroll", scrolled, { capture: true, passive: true });
  panes.addEventListener("htmx:afterSettle", () => tell());
  // A jump is a choice too.
  document.body.addEventListener("htmx:beforeRequest", (event) => event.detail.target === panes && pause("chosen"));
  document.addEventListener("selectionchange", selected);
  document.addEventListener("keydown", pressed);
  show();
}
