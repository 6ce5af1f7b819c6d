// Revisions that rang flow in, one request at a time flows out, until the page is as new as what it has heard of.
// What rings during a request is asked for after it; a request that fails is made again. So nothing is lost or doubled.

const FIRST_WAIT = 300; // milliseconds; doubles with each failure
const LONGEST_WAIT = 10_000;
const HIDDEN_PAUSE = 1_000; // a page that nobody looks at only keeps its title right

const pause = (milliseconds) => new Promise((resolve) => setTimeout(resolve, milliseconds));

export class CatchUp {
  #busy = false;
  #rung = false;
  #failures = 0;

  // `ask(revision)` brings the page up to date and returns its new revision, or null where it must stop.
  // `wanting()` says whether something else has to be asked for, although nothing is new.
  constructor(revision, ask, wanting = () => false) {
    this.revision = revision;
    this.heard = revision;
    this.ask = ask;
    this.wanting = wanting;
  }

  ring(revision) {
    this.heard = Math.max(this.heard, revision);
    this.#rung = true;
    this.run();
  }

  async run() {
    if (this.#busy) return;
    this.#busy = true;
    while (this.#rung || this.heard > this.revision || this.wanting()) {
      this.#rung = false;
      if (document.hidden) await pause(HIDDEN_PAUSE);
      if (!(await this.#once())) break;
    }
    this.#busy = false;
  }

  async #once() {
    try {
      const revision = await this.ask(this.revision);
      if (revision === null) return false;
      this.revision = Math.max(this.revision, revision);
      this.#failures = 0;
    } catch {
      await pause(Math.min(LONGEST_WAIT, FIRST_WAIT * 2 ** this.#failures));
      this.#failures += 1;
    }
    return true;
  }
}
