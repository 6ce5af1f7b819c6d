// Whoever draws something that depends on the time flows in; one timer for the whole page draws them all.

const OFTEN = 100; // milliseconds, while something is younger than ten seconds
const SELDOM = 1_000;
const YOUNG = 10_000;
// A machine far away may think it is another time; our own is believed.
const TOLERATED = 2_000;

const ahead = Number(document.body.dataset.nowMs) - Date.now();
const skew = Math.abs(ahead) > TOLERATED ? ahead : 0;
const drawers = [];
let timer = 0;

// The server's time, in milliseconds since 1970.
export function now() {
  return Date.now() + skew;
}

// How soon something of this age has to be drawn again.
export function again(age) {
  return age < YOUNG ? OFTEN : SELDOM;
}

// `draw(now)` returns how soon it wants to draw again.
export function every(draw) {
  drawers.push(draw);
  tick();
}

export function tick() {
  clearTimeout(timer);
  const moment = now();
  const soonest = Math.min(SELDOM, ...drawers.map((draw) => draw(moment)));
  timer = setTimeout(tick, soonest);
}
