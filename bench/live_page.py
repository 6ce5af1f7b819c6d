"""Sessions that grow flow in; how long each of their lines took to the screen of Chromium flows out."""

from __future__ import annotations

import json
import math
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, replace
from http.client import HTTPConnection
from pathlib import Path

from playwright.sync_api import Browser, Page

from bench.live_write import is_tool
from bench.measure import ROOT, RunFailed
from bench.site_page import ELEMENTS
from bench.site_place import Served
from bench.site_upload import get

PATIENCE = 60
SETTLE = 5.0  # seconds after the last line in which the page may still catch up
# Notes the frame in which a probe stands in a row for the first time, and the one in which that row says it is over.
WATCH = """() => {
  window.seen = {};
  const look = (rows) => requestAnimationFrame(() => {
    const now = performance.timeOrigin + performance.now();
    for (const row of rows) {
      const text = row.textContent;
      const probe = text.match(/probe-\\d+/)?.[0];
      if (!probe) continue;
      window.seen[`+${probe}`] ??= now;
      if (/Completed/.test(text)) window.seen[`-${probe}`] ??= now;
    }
  });
  const rowsOf = (node) => {
    const element = node instanceof Element ? node : node.parentElement;
    const row = element?.closest("li, tr");
    return row ? [row] : [...(element?.querySelectorAll("li, tr") ?? [])];
  };
  new MutationObserver((changes) => {
    const rows = new Set();
    for (const change of changes) {
      rowsOf(change.target).forEach((row) => rows.add(row));
      for (const node of change.addedNodes) {
        rowsOf(node).forEach((row) => rows.add(row));
        if (node instanceof Element) node.querySelectorAll("li, tr").forEach((row) => rows.add(row));
      }
    }
    if (rows.size) look(rows);
  }).observe(document.body, {subtree: true, childList: true, characterData: true, attributes: true});
}"""
CLOCK = "() => performance.timeOrigin + performance.now()"


@dataclass(frozen=True)
class Followed:
    """One run: the way of each line that came, how many did not, and what else was counted."""

    seconds: list[float]
    lost: int
    rate: float  # lines a second that the writer reached in the session that was watched
    elements: int = 0  # of the page, at the end
    processor: float = 0.0  # seconds that the server used meanwhile
    asked: float = 0.0  # requests a second, of all readers

    def part(self, share: float) -> float:
        """So large a share was not slower."""
        return part_of(self.seconds, share)


def part_of(values: Sequence[float], share: float) -> float:
    """So large a share of these is not greater."""
    return sorted(values)[math.ceil(len(values) * share) - 1]


def follow(browser: Browser, site: Served, folder: Path, sessions: int, rate: float, seconds: float) -> Followed:
    """Begins the sessions, opens the first one's page, lets them grow."""
    with writer(folder, sessions, rate, seconds) as process:
        traces: list[str] = json.loads(told(process))
        keys = known(site, traces)
        context = browser.new_context(viewport={"width": 1280, "height": 800})
        page = context.new_page()
        page.goto(f"{site.url}/rollouts/{keys[traces[0]]}/", wait_until="networkidle")
        offset = clock(page)
        page.evaluate(WATCH)
        before = site.processor()
        say_go(process)
        page.wait_for_timeout((seconds + SETTLE) * 1000)
        processor = site.processor() - before
        written: list[tuple[str, float]] = json.loads(told(process))
        seen: dict[str, float] = page.evaluate("() => window.seen")
        elements = int(page.evaluate(ELEMENTS))
        context.close()
    return replace(ways(written, seen, offset), elements=elements, processor=processor)


def ways(written: Sequence[tuple[str, float]], seen: dict[str, float], offset: float) -> Followed:
    """Each line's moment on disk held against its moment on the screen."""
    wanted = [(name, at) for name, at in written if is_tool(name)]
    came = [seen[name] / 1000 + offset - at for name, at in wanted if name in seen]
    if not came:
        raise RunFailed("nothing of what was written came to the page")
    rate = (len(written) - 1) / (written[-1][1] - written[0][1])
    return Followed(came, len(wanted) - len(came), rate)


def clock(page: Page) -> float:
    """What the page's clock has to be added to be ours, in seconds; of several looks the quickest."""
    looks = []
    for _ in range(20):
        before = time.time()
        there = float(page.evaluate(CLOCK)) / 1000
        after = time.time()
        looks.append((after - before, (before + after) / 2 - there))
    return min(looks)[1]


def crowd(site: Served, folder: Path, readers: int, idle: int, rate: float, seconds: float) -> Followed:
    """Many readers of one session that grows, and idle ones of another, all of them a process of their own."""
    with writer(folder, 2, rate, seconds, grown=1) as process:
        traces: list[str] = json.loads(told(process))
        keys = known(site, traces)
        many = [str(readers), keys[traces[1]], str(idle), str(seconds + SETTLE)]
        with talking("bench.live_readers", site.url, keys[traces[0]], *many) as crowded:
            told(crowded)
            before = site.processor()
            say_go(process)
            written: list[tuple[str, float]] = json.loads(told(process))
            processor = site.processor() - before
            seen, asked = json.loads(told(crowded))
    runs = [ways(written, {name: at * 1000 for name, at in one.items()}, 0.0) for one in seen]
    came, lost = [way for run in runs for way in run.seconds], sum(run.lost for run in runs)
    return Followed(came, lost, runs[0].rate, processor=processor, asked=asked / (seconds + SETTLE))


def writer(
    folder: Path, sessions: int, rate: float, seconds: float, grown: int = 0
) -> AbstractContextManager[subprocess.Popen[str]]:
    """The program that writes; of its sessions all grow, or so many."""
    return talking("bench.live_write", folder, sessions, rate, seconds, grown or sessions)


@contextmanager
def talking(module: str, *words: object) -> Iterator[subprocess.Popen[str]]:
    """One of our programs, in a process of its own, gone with the block."""
    command = [sys.executable, "-m", module, *map(str, words)]
    process = subprocess.Popen(command, cwd=ROOT, text=True, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    try:
        yield process
    finally:
        process.kill()
        process.wait()


@contextmanager
def writer_beginning(folder: Path) -> Iterator[str]:
    """A session that has begun and stays as it is; its trace."""
    with writer(folder, 1, 1, 1) as process:
        [trace] = json.loads(told(process))
        yield trace


def say_go(process: subprocess.Popen[str]) -> None:
    """From now on the sessions grow."""
    if process.stdin is not None:
        process.stdin.write("go\n")
        process.stdin.flush()


def told(process: subprocess.Popen[str]) -> str:
    """A line of the writer."""
    line = process.stdout.readline() if process.stdout else ""
    if not line:
        raise RunFailed("the writer ended without a word")
    return line


def known(site: Served, traces: Sequence[str]) -> dict[str, str]:
    """The rollouts' keys, once the site knows them all."""
    connection = HTTPConnection(*site.address, timeout=PATIENCE)
    deadline, keys = time.monotonic() + PATIENCE, dict[str, str]()
    while time.monotonic() < deadline:
        keys = {rollout["trace_id"]: rollout["key"] for rollout in rollouts(connection)}
        if set(traces) <= set(keys):
            return keys
        time.sleep(0.2)
    raise RunFailed(f"the site found {len(set(traces) & set(keys))} of {len(traces)} sessions in {PATIENCE} s")


def rollouts(connection: HTTPConnection) -> Iterator[dict[str, str]]:
    """All of them, as the API lists them."""
    start, count = 0, 1
    while start < count:
        status, body = get(connection, f"/api/v1/rollouts/?limit=100&from={start}")
        if status != 200:
            raise RunFailed(f"the list of rollouts answered {status}")
        listed = json.loads(body)
        yield from listed["results"]
        count, start = listed["count"], start + 100
