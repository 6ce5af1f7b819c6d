// The page of a rollout that grows: rings flow in, what changed is asked for and patched in, a line at a time.
import "./elapsed.js";
import { CatchUp } from "./catch_up.js";
import { tick } from "./clock.js";
import { Doorbell } from "./doorbell.js";
import { follow } from "./follow.js";
import { fetched, gently } from "./gently.js";
import { connected, judged } from "./liveness.js";
import { morphChildren } from "./morph.js";
import { announce } from "./news.js";
import { patchList, stretch, tellWindow } from "./rows.js";

const SLACK = 0.75; // of a window that follows: the rest is room for what comes, so that it moves seldom
const panes = document.querySelector("#panes");
const outline = () => panes.querySelector("#outline ol.outline");
const talk = () => panes.querySelector("#conversation > .body > ol.conv");
let holes = false;
let problemStart = new URLSearchParams(location.search).get("problem") ?? "0";

// What is shown ----------------------------------------------------------------------------------------------------

function shown() {
  return {
    row: outline().dataset.start ?? "0",
    item: talk().dataset.start ?? "0",
    thread: talk().dataset.thread ?? "",
    problem: problemStart,
  };
}

// Where a window has to begin so that the newest is in it.
function last(list) {
  const { start, total, size } = list.dataset;
  return Number(total) - Number(start) > Number(size) ? String(Math.round(total - SLACK * size)) : start;
}

function moving() {
  if (!follow.on) return null;
  const [row, item] = [last(outline()), last(talk())];
  const now = shown();
  return row === (outline().dataset.start ?? row) && item === (talk().dataset.start ?? item) ? null : { ...now, row, item };
}

// Asking -----------------------------------------------------------------------------------------------------------

// A window that moves, or that lacks a line, is asked for as a whole, and what changed meanwhile comes after it.
async function ask(revision) {
  const before = shown();
  const whole = moving() ?? (holes ? before : null);
  // All who were rung for the same revision ask the same, and are answered as one.
  const query = new URLSearchParams({ ...(whole ?? before), since: whole ? 0 : revision, to: catchUp.heard });
  const answer = await fetch(`${panes.dataset.changesUrl}?${query}`, { cache: "no-store" });
  if (answer.status === 404) return gone();
  if (!answer.ok) throw new Error(`${answer.status}`);
  const changes = await fragment(answer);
  // The reader went elsewhere meanwhile: this is not the window that is shown now.
  if (JSON.stringify(before) !== JSON.stringify(shown())) return revision;
  if (changes) apply(changes, Boolean(whole));
  if (judged(answer.headers.get("X-Liveness"))) again();
  if (!changes) return catchUp.heard;
  return whole ? revision : Number(changes.dataset.revision);
}

// What is newer than the ring comes early, and comes again with its own.
const announced = new Set();

function isNew(sentence) {
  const about = `${sentence.dataset.inference} ${sentence.dataset.status}`;
  const known = "inference" in sentence.dataset && announced.has(about);
  announced.add(about);
  return !known;
}

async function fragment(answer) {
  if (answer.status === 204) return null;
  const page = new DOMParser().parseFromString(await answer.text(), "text/html");
  return page.querySelector("#changes");
}

function gone() {
  doorbell.end();
  const note = document.createElement("div");
  note.className = "note";
  note.textContent = "This rollout is not here any more: somebody deleted it. What you see is how it was last.";
  document.querySelector("#notes").replaceChildren(note);
  announce([note.textContent]);
  return null;
}

// Patching ---------------------------------------------------------------------------------------------------------

function apply(changes, whole) {
  const part = (name) => changes.querySelector(`[data-part=${name}]`);
  const rows = part("outline");
  const grown = Number(rows.dataset.total) - Number(outline().dataset.total);
  const known = new Set([...outline().children].map((row) => row.id));
  const complete = [window_(outline(), rows, "node-", "row"), window_(talk(), part("conversation"), "", "item")];
  holes = !whole && complete.includes(false);
  stretch(outline(), Number(changes.dataset.axisStart), Number(changes.dataset.axisEnd));
  for (const name of ["meta", "notes", "problems"]) morphChildren(document.getElementById(name), part(name));
  window.htmx.process(panes);
  show(document.querySelector("#problems"));
  entitle();
  tick();
  follow.grew(grown);
  follow.show();
  announce([...part("said").children].filter(isNew).map((sentence) => sentence.textContent));
  look(rows, known);
}

// A session has a title only once somebody asked for something.
function entitle() {
  const { title, short } = document.querySelector("#meta [data-title]").dataset;
  const heading = document.querySelector("h1");
  if (heading.textContent === title) return;
  heading.textContent = title;
  document.title = `${short} · Rollout traces`;
}

function show(problems) {
  problems.hidden = !problems.firstElementChild;
  window.htmx.process(problems);
}

// The name of the query's value, and what its lines are called.
function window_(list, part, prefix, name) {
  const complete = patchList(list, part, prefix);
  if (part.dataset.total === undefined) return complete;
  for (const key of ["start", "total", "thread"]) if (key in part.dataset) list.dataset[key] = part.dataset[key];
  list.dataset.size ??= "40";
  tellWindow(list, name, name);
  return complete;
}

// What depends on more than one row is asked for as a whole, seldom.
function look(rows, known) {
  const changed = [...rows.children];
  const current = outline().querySelector("[aria-current]")?.closest("li").id;
  if (changed.some((row) => row.id === current || row.dataset.kind === "inference_call")) inspect();
  if (changed.some((row) => row.dataset.kind === "thread" && !known.has(row.id))) agents();
}

async function pane(name, address) {
  const answer = await fetch(address, { headers: { "HX-Request": "true", "HX-Target": name } });
  if (!answer.ok) throw new Error(`${answer.status}`);
  return new DOMParser().parseFromString(await answer.text(), "text/html").body;
}

const inspect = gently(async () => {
  const link = outline().querySelector("[aria-current]") ?? first();
  if (!link) return;
  const body = await pane("inspector", link.href);
  if (link.hasAttribute("aria-current")) morphChildren(document.querySelector("#inspector"), body);
  tick();
}, 500);

// Where there was nothing to show, the first call is something.
function first() {
  if (!document.querySelector("#inspector [data-nothing]")) return null;
  const link = outline().querySelector("[data-kind=inference_call] > a");
  link?.setAttribute("aria-current", "true");
  return link;
}

// A new agent can be chosen at once.
const agents = gently(async () => {
  const { thread, item } = shown();
  const address = new URL(location.pathname, location);
  address.search = new URLSearchParams({ thread, item });
  const body = await pane("conversation", address);
  if (shown().thread !== thread) return;
  const header = document.querySelector("#conversation > header");
  morphChildren(header, body.querySelector("header"));
  window.htmx.process(header);
}, 500);

// The writer may be known to be gone, or to be back, without a single new event.
const again = gently(async () => {
  const page = await fetched(location.href);
  for (const name of ["meta", "problems"]) morphChildren(document.getElementById(name), page.getElementById(name));
  show(document.querySelector("#problems"));
  tick();
}, 1_000);

// Wiring -----------------------------------------------------------------------------------------------------------

const catchUp = new CatchUp(Number(panes.dataset.revision), ask, () => holes || moving() !== null);
let greeted = false;

function rang({ revision }) {
  // The first ring says only what the page knows already, unless something changed while it was loaded.
  if (greeted || revision > catchUp.revision) catchUp.ring(revision);
  greeted = true;
}

function told(state) {
  connected(state);
  if (state === "gone") gone();
}

const doorbell = new Doorbell(`/ws${panes.dataset.changesUrl.replace(/changes\/$/, "")}`, rang, told);
follow.onResume = () => catchUp.run();
catchUp.run();

document.body.addEventListener("htmx:afterSwap", (event) => {
  const { target, pathInfo } = event.detail;
  if (target?.id === "problems") problemStart = new URL(pathInfo.requestPath, location).searchParams.get("problem") ?? "0";
  tick();
});
