// Sentences flow in, a screen reader says each of them once: through the one live region of the page, which stays.

const MOST = 4; // sentences at once; nobody can listen to more
const region = document.querySelector("#news");

let waiting = [];

// What is told at the same moment is said together, or the last one would drown the others.
export function announce(sentences) {
  if (!waiting.length) queueMicrotask(say);
  waiting.push(...sentences.map((sentence) => sentence.trim()).filter(Boolean));
}

function say() {
  const said = waiting;
  waiting = [];
  if (!region || !said.length) return;
  const rest = said.length - MOST;
  const shown = rest > 0 ? [...said.slice(0, MOST), `And ${rest} more ${rest === 1 ? "change" : "changes"}.`] : said;
  region.textContent = shown.join(" ");
}
