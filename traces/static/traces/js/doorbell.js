// The address of a socket flows in, its rings and the state of the connection flow out. One socket for a page.
// A ring only says that there is something new: whoever hears it asks for it. So a lost ring, a dropped connection or
// a laptop that slept cost nothing but the time until the next one.

const FIRST_WAIT = 400; // milliseconds; doubles with each failure
const LONGEST_WAIT = 20_000;
const ASLEEP_AFTER = 5 * 60_000; // hidden for so long, nobody waits for news
const DOUBTFUL_AFTER = 30_000; // hidden for so long, the machine may have slept and the socket may be dead
const GONE = 4404; // what it rang for is not there any more

export class Doorbell {
  #socket = null;
  #timer = 0;
  #sleeper = 0;
  #failures = 0;
  #hiddenAt = 0;
  #over = false;

  // `rang` gets each frame, `told` each new state: connected, reconnecting, asleep, gone.
  constructor(path, rang, told = () => {}) {
    this.address = new URL(path, location.href);
    this.address.protocol = location.protocol === "https:" ? "wss:" : "ws:";
    this.rang = rang;
    this.told = told;
    addEventListener("online", () => this.#again());
    addEventListener("pagehide", () => this.#drop());
    addEventListener("pageshow", (event) => event.persisted && this.#again());
    document.addEventListener("visibilitychange", () => (document.hidden ? this.#hidden() : this.#seen()));
    this.#open();
  }

  // Ends it for good.
  end() {
    this.#over = true;
    this.#drop();
  }

  #open() {
    clearTimeout(this.#timer);
    if (this.#over) return;
    const socket = new WebSocket(this.address);
    this.#socket = socket;
    socket.onopen = () => this.told("connected");
    socket.onmessage = ({ data }) => {
      this.#failures = 0;
      this.rang(JSON.parse(data));
    };
    socket.onclose = ({ code }) => socket === this.#socket && this.#lost(code);
  }

  #lost(code) {
    this.#socket = null;
    if (code === GONE) {
      this.#over = true;
      this.told("gone");
      return;
    }
    this.told("reconnecting");
    this.#timer = setTimeout(() => this.#open(), this.#wait());
  }

  // Jitter, so that all pages do not come back in the same moment when the server does.
  #wait() {
    const wait = Math.min(LONGEST_WAIT, FIRST_WAIT * 2 ** this.#failures);
    this.#failures += 1;
    return wait * (0.5 + Math.random() / 2);
  }

  #drop() {
    clearTimeout(this.#timer);
    const socket = this.#socket;
    this.#socket = null;
    // A socket that is still connecting goes with its page; closing it would only make the browser complain.
    if (socket?.readyState === WebSocket.OPEN) socket.close(1000);
  }

  #again() {
    if (this.#over || this.#socket?.readyState === WebSocket.CONNECTING) return;
    this.#drop();
    this.#failures = 0;
    this.#open();
  }

  #hidden() {
    this.#hiddenAt = Date.now();
    this.#sleeper = setTimeout(() => {
      this.#drop();
      this.told("asleep");
    }, ASLEEP_AFTER);
  }

  #seen() {
    clearTimeout(this.#sleeper);
    if (!this.#socket || Date.now() - this.#hiddenAt > DOUBTFUL_AFTER) this.#again();
  }
}
