// The list of rollouts: rings flow in, the table is asked for again the way an upload asks for it, and patched in place.
import "./liveness.js";
import { Doorbell } from "./doorbell.js";
import { gently } from "./gently.js";
import { morphChildren } from "./morph.js";

const LEAST = 500; // milliseconds between two looks
const NEWS = "rollouts-changed";
const table = document.querySelector("#rollouts");
let patching = false;

// An htmx swap style of our own: what is the same stays, with its focus, its selected text and its open folds.
window.htmx.defineExtension("patched", {
  handleSwap(style, target, content) {
    if (style !== "patched") return false;
    morphChildren(target, content);
    return [target];
  },
});

// Only the list that looks again by itself is patched; who follows a link gets a new one.
table.addEventListener("htmx:beforeSwap", (event) => {
  patching = event.target === table && event.detail.requestConfig.triggeringEvent?.type === NEWS;
  if (patching) event.detail.swapOverride = "patched";
});

// The form of the filters may be open, or half filled in: then it only learns of new choices.
document.body.addEventListener("htmx:oobBeforeSwap", (event) => {
  if (!patching || event.target.id !== "filters") return;
  event.detail.shouldSwap = false;
  const wanted = event.detail.fragment.querySelector("form");
  for (const select of event.target.querySelectorAll("select")) choices(select, wanted.elements[select.name]);
});

function choices(select, wanted) {
  const names = (each) => [...each.options].map((option) => option.textContent).join("\n");
  if (names(select) === names(wanted)) return;
  const chosen = select.value;
  select.replaceChildren(...[...wanted.options].map((option) => document.importNode(option, true)));
  select.value = chosen;
}

const look = gently(async () => {
  document.body.dispatchEvent(new Event(NEWS));
}, LEAST);

// A frame without a rollout says how new the whole list is: only whoever missed something looks again.
function rang({ rollout, revision }) {
  const known = Number(document.querySelector("#list-revision")?.dataset.revision ?? 0);
  if (rollout || revision !== known) look();
}

new Doorbell(table.dataset.socket, rang);
