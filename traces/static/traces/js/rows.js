// The outline in the page and what changed of it flow in; rows are put into the order they are given in, each by its id.
import { morph, put } from "./morph.js";
import { number, plural } from "./words.js";

const LEAST_WIDTH = 2.5; // percent, as traces/pages/outline.py has it

// Returns whether every line of the window is there now: the server sends only those that changed.
export function patchList(list, changed, prefix = "") {
  const wanted = new Set((changed.dataset.order ?? "").split(" ").filter(Boolean).map((key) => prefix + key));
  const fresh = new Map([...changed.children].map((line) => [line.id, line]));
  if (!wanted.size) return true;
  for (const line of [...list.children]) if (!wanted.has(line.id)) line.remove();
  let here = list.firstElementChild;
  let whole = true;
  for (const id of wanted) {
    const line = brought(list, id, fresh.get(id));
    if (!line) whole = false;
    else if (line === here) here = here.nextElementSibling;
    else put(list, line, here);
  }
  return whole;
}

function brought(list, id, fresh) {
  const row = list.querySelector(`:scope > #${CSS.escape(id)}`);
  if (!row) return fresh ? document.importNode(fresh, true) : null;
  if (fresh) morph(row, fresh);
  return row;
}

// The row of what began last.
export function newest(list) {
  let found = null;
  for (const row of list.children) {
    if (row.dataset.startedMs === undefined) continue;
    if (!found || Number(row.dataset.startedMs) >= Number(found.dataset.startedMs)) found = row;
  }
  return found;
}

// Bars stand on the axis of the whole rollout, which grows: all of them are moved, not only those of changed rows.
export function stretch(list, start, end) {
  const whole = Math.max(1, end - start);
  for (const row of list.children) {
    const bar = row.querySelector(".span rect");
    if (!bar || row.dataset.startedMs === undefined) continue;
    const begun = Number(row.dataset.startedMs);
    const x = Math.min(Math.max(0, ((begun - start) / whole) * 100), 100 - LEAST_WIDTH);
    const ended = row.dataset.endedMs ? Number(row.dataset.endedMs) : end;
    const width = Math.min(Math.max(LEAST_WIDTH, ((ended - start) / whole) * 100 - x), 100 - x);
    bar.setAttribute("x", `${x.toFixed(2)}%`);
    bar.setAttribute("width", `${width.toFixed(2)}%`);
  }
}

// What stands above and below a window: which part of the whole it is, and the ways to the rest.
export function tellWindow(list, name, noun) {
  const [start, total, size] = ["start", "total", "size"].map((key) => Number(list.dataset[key]));
  const pane = list.closest(".pane");
  const shown = Math.min(size, total - start);
  say(pane, shown === total ? "" : `${noun}s ${number(start + 1)}–${number(start + shown)} of ${number(total)}`, total);
  const later = total - start - shown;
  way(list, name, ["earlier", noun], start ? Math.max(0, start - size) : null, Math.min(start, size));
  way(list, name, ["later", noun], later > 0 ? start + shown : null, Math.min(later, size));
}

function say(pane, part, total) {
  const place = pane.querySelector("header > .dim");
  // The conversation's head names its agent too, where there is only one.
  const lead = place.textContent.match(/^.*as the model saw it/)?.[0];
  const outline = pane.id === "outline";
  const words = outline ? part || plural(total, "row") : [lead, part].filter(Boolean).join(" · ");
  if (place.textContent !== words) place.textContent = words || "as the model saw it";
}

function way(list, name, [which, noun], start, count) {
  const pane = list.closest(".pane");
  const found = pane.querySelector(`.body > .fold[data-more=${which}]`);
  if (start === null) return found?.remove();
  const link = (found ?? added(list, which)).querySelector("a");
  const words = `${number(count)} ${which} ${noun}s`;
  if (link.textContent !== words) link.textContent = words;
  const address = new URL(location);
  address.searchParams.set(name, start);
  address.hash = pane.id;
  const path = address.pathname + address.search + address.hash;
  if (link.getAttribute("href") === path) return;
  for (const [key, value] of Object.entries({ href: path, "hx-get": path, "hx-target": `#${pane.id}` })) {
    link.setAttribute(key, value);
  }
  link.setAttribute("hx-swap", "innerHTML show:none");
  window.htmx.process(link);
}

function added(list, which) {
  const place = document.createElement("p");
  place.className = "fold";
  place.dataset.more = which;
  const link = document.createElement("a");
  link.className = "more";
  place.append(link);
  if (which === "earlier") list.before(place);
  else list.after(place);
  return place;
}
