// Rings flow in, work flows out: at once, then not more often than this; the last ring is never forgotten.

const LONGEST_WAIT = 20_000; // milliseconds; the wait doubles with each failure

const pause = (milliseconds) => new Promise((resolve) => setTimeout(resolve, milliseconds));

// `work` may take its time; it never overlaps itself, and where it fails it is tried again.
export function gently(work, least) {
  let wanted = false;
  let busy = false;
  let wait = least;
  async function once() {
    wanted = false;
    try {
      await work();
      wait = least;
    } catch {
      wanted = true;
      wait = Math.min(LONGEST_WAIT, wait * 2);
    }
    await pause(wait);
  }
  return async () => {
    wanted = true;
    if (busy) return;
    busy = true;
    while (wanted) await once();
    busy = false;
  };
}

// The page at this address, as it is now.
export async function fetched(address) {
  const answer = await fetch(address, { headers: { Accept: "text/html" } });
  if (!answer.ok) throw new Error(`${answer.status}`);
  return new DOMParser().parseFromString(await answer.text(), "text/html");
}
