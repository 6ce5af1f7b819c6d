// Rows that are still running flow in; how long they have been flows out, counted here, by one timer for the page.
import { again, every } from "./clock.js";
import { isRunning } from "./liveness.js";
import { duration } from "./words.js";

const NO_END = "no end";

function place(element) {
  return element.matches("li") ? element.querySelector(".t") : element;
}

function drawAll(moment) {
  let soonest = Infinity;
  for (const element of document.querySelectorAll("[data-started-ms]:is([data-status=running], .elapsed)")) {
    const running = isRunning(element);
    const age = moment - Number(element.dataset.startedMs);
    const shown = place(element);
    const words = running ? (element.dataset.before ?? "") + duration(Math.max(0, age)) : (element.dataset.otherwise ?? NO_END);
    if (shown && shown.textContent !== words) shown.textContent = words;
    if (running) soonest = Math.min(soonest, again(age));
  }
  return soonest;
}

every(drawAll);
