"""Nothing flows in, the table of `bench/results/live.md` flows out: `make bench-live`, or `python -m bench.live`."""

from __future__ import annotations

import argparse
import resource
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path

import psycopg
from playwright.sync_api import Error as BrowserError
from websockets.exceptions import WebSocketException

from bench.live_long import left_open
from bench.live_page import crowd, follow, known, part_of, writer_beginning
from bench.live_rest import appended, idle, reduction, sockets
from bench.measure import RunFailed, write_session
from bench.shape import Shape
from bench.site_page import chromium
from bench.site_place import SQLITE, kinds, place, serving
from bench.site_report import COUNT, KILOBYTES, MEGABYTES, MILLISECONDS, PER_SECOND, Figure, Unit, page, tell, told

PARTS = ("screen", "long", "readers", "idle", "sockets", "events", "reducer")
TITLE = "Live: from a line on disk to the screen, and what following costs"
RATE, SECONDS = 20.0, 30.0
SCREENS = ((1, 0.120, 0.250), (50, None, 1.0))  # sessions, p50, p95
FINISHED, READERS, ACTIVE = 100, 1000, 200
LONG = Shape(1000)  # 1.9 GB: each request repeats all before it
SHORTER = Shape(1000, mean=350, compact_above=400)
APPENDED = 400
EVENTS, LASTS = 10_000, 100.0
RATES = Unit(lambda value: f"{value:.1f}", "/s")
SHARE = Unit(lambda value: f"{value:.2f}")
PERCENT = Unit(lambda value: f"{value * 100:.2f}", " %")
MICROSECONDS = Unit(lambda value: f"{value * 1e6:,.0f}", " µs")
NOTES = (
    "Screen: headless Chromium shows one rollout while a program of its own writes tools that start and end, evenly in "
    "time. The clock runs from the return of the write to the frame in which the row stands, or says Completed.",
    "Readers of a busy session: each does what the page does (a ring, a request for what changed, a window that "
    "moves), in one process of their own; nothing is drawn. A row that left the window before it was asked for did not "
    "come.",
    f"Left open: {EVENTS:,} events in {LASTS:g} s; the heap is what the browser holds after collecting its garbage.",
    f"Idle: processor time of the server over 30 s, {FINISHED} finished recordings followed.",
    f"Readers: resident memory of the server with {READERS:,} open sockets of one rollout, without those of one.",
    f"Live event: the last {APPENDED} lines of a recording of 1,000 inferences are held back and then written at "
    f"{RATE:g}/s; processor time of the whole server (reading, reducing, rows, commit, ringing) for each.",
    "Reducer alone: decoding and applying, event by event; each request repeats all before it, up to 3 MB.",
)


def main(words: Sequence[str] | None = None) -> int:
    """Returns 0, or 1 where something could not be measured; a missed figure is no error, it is told."""
    given = _parser().parse_args(words)
    room = given.scratch or Path(tempfile.gettempdir())
    room.mkdir(parents=True, exist_ok=True)
    _allow_many_files()
    try:
        with tempfile.TemporaryDirectory(dir=room, prefix="bench-live-") as scratch:
            figures = list(_figures(given.only or PARTS, Path(scratch), given.seconds, given.sqlite))
    except (RunFailed, OSError, subprocess.SubprocessError, psycopg.Error, BrowserError, WebSocketException) as error:
        print(f"The benchmark stopped: {error}", file=sys.stderr)
        return 1
    tell(figures, page(figures, NOTES, TITLE), given.out)
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="bench.live", description="Measures how live a live trace is.")
    parser.add_argument("--only", choices=PARTS, action="append", help="one part; can be given again")
    parser.add_argument("--seconds", type=float, default=SECONDS, help="how long sessions grow (default: 30)")
    parser.add_argument("--sqlite", action="store_true", help="not on PostgreSQL")
    parser.add_argument("--out", type=Path, help="a file for the table, beside standard output")
    parser.add_argument("--scratch", type=Path, help="a folder with 3 GB of room; the system's own if none is given")
    return parser


def _allow_many_files() -> None:
    """A thousand sockets are a thousand files, here and in the server, which inherits it."""
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))


def _figures(parts: Sequence[str], scratch: Path, seconds: float, sqlite: bool) -> Iterator[Figure]:
    if "reducer" in parts:
        yield from told(_reducer(scratch))
    for kind in [SQLITE] if sqlite else kinds():
        if "screen" in parts:
            yield from told(_screens(kind, scratch, seconds))
        if "long" in parts:
            yield from told(_long(kind, scratch))
        if "readers" in parts:
            yield from told(_readers(kind, scratch, seconds))
        if "idle" in parts:
            yield from told(_idle(kind, scratch))
        if "sockets" in parts:
            yield from told(_sockets(kind, scratch))
        if "events" in parts:
            yield from told(_events(kind, scratch))


def _screens(kind: str, scratch: Path, seconds: float) -> Iterator[Figure]:
    for sessions, half, most in SCREENS:
        folder = _fresh(scratch, f"screen-{sessions}-{kind}")
        with place(kind, scratch) as where, serving(where, "--watch", folder) as site, chromium() as browser:
            run = follow(browser, site, folder, sessions, RATE, seconds)
            name = f"line to screen, {sessions} × {RATE:g}/s"
            yield Figure(f"{name}: p50", kind, MILLISECONDS, run.seconds, most=half, judged=run.part(0.5))
            yield Figure(f"{name}: p95", kind, MILLISECONDS, run.seconds, most=most, judged=run.part(0.95))
            yield Figure(f"{name}: lines that did not come", kind, COUNT, [run.lost], most=0)
            yield Figure(f"{name}: DOM elements at the end", kind, COUNT, [run.elements], most=3000)
            yield Figure(f"{name}: lines that were written to the session on the screen", kind, RATES, [run.rate])
            used = run.processor / (seconds * RATE * sessions)
            yield Figure(f"{name}: server's processor for each line, pages included", kind, MICROSECONDS, [used])


def _long(kind: str, scratch: Path) -> Iterator[Figure]:
    folder = _fresh(scratch, f"long-{kind}")
    with place(kind, scratch) as where, serving(where, "--watch", folder) as site, chromium() as browser:
        run = left_open(browser, site, folder, EVENTS / LASTS, LASTS)
    name = f"page left open over {EVENTS:,} events"
    heaps = [held.heap for held in run.held]
    yield Figure(f"{name}: DOM elements", kind, COUNT, [held.elements for held in run.held], most=3000)
    yield Figure(f"{name}: heap at the end", kind, MEGABYTES, heaps, judged=heaps[-1])
    yield Figure(f"{name}: heap at the end to heap at a fifth", kind, SHARE, [heaps[-1] / heaps[0]], most=1.25)
    yield Figure(f"{name}: errors in the console", kind, COUNT, [run.complaints], most=0)


def _readers(kind: str, scratch: Path, seconds: float) -> Iterator[Figure]:
    folder = _fresh(scratch, f"readers-{kind}")
    with place(kind, scratch) as where, serving(where, "--watch", folder) as site:
        run = crowd(site, folder, ACTIVE, READERS, RATE, seconds)
    name = f"line to each of {ACTIVE} readers, {READERS:,} idle ones beside"
    yield Figure(f"{name}: p50", kind, MILLISECONDS, run.seconds, judged=run.part(0.5))
    yield Figure(f"{name}: p95", kind, MILLISECONDS, run.seconds, most=0.5, judged=run.part(0.95))
    yield Figure(f"{name}: rows that did not come", kind, COUNT, [run.lost])
    yield Figure(f"{name}: answers of the server", kind, PER_SECOND, [run.asked])


def _idle(kind: str, scratch: Path) -> Iterator[Figure]:
    with place(kind, scratch) as where:
        part = idle(where, _fresh(scratch, f"idle-{kind}"), FINISHED)
    yield Figure(f"idle, following {FINISHED} finished recordings", kind, PERCENT, [part], most=0.01)


def _sockets(kind: str, scratch: Path) -> Iterator[Figure]:
    folder = _fresh(scratch, f"sockets-{kind}")
    with place(kind, scratch) as where, serving(where, "--watch", folder) as site:
        with writer_beginning(folder) as trace:
            taken = sockets(site, known(site, [trace])[trace], READERS)
        yield Figure(f"memory for each of {READERS:,} idle readers", kind, KILOBYTES, [taken], most=100e3)


def _events(kind: str, scratch: Path) -> Iterator[Figure]:
    with place(kind, scratch) as where:
        taken = appended(where, _session(SHORTER, scratch), _fresh(scratch, f"events-{kind}"), APPENDED, RATE)
    yield Figure("live event at 1,000 inferences, whole server", kind, MICROSECONDS, [taken])


def _reducer(scratch: Path) -> Iterator[Figure]:
    found = reduction(_session(LONG, scratch))
    name = "reducer alone at 1,000 inferences"
    yield Figure(f"{name}: an event", "–", MICROSECONDS, [found.event], most=150e-6)
    shares = found.shares(1e-3, 0.5e-3)
    yield Figure(
        f"{name}: p95 of requests, of 1 ms + 0.5 ms/MB", "–", SHARE, shares, most=1, judged=part_of(shares, 0.95)
    )


def _session(shape: Shape, scratch: Path) -> Path:
    write_session(scratch / shape.name, shape)
    return scratch / shape.name


def _fresh(scratch: Path, name: str) -> Path:
    folder = scratch / name
    folder.mkdir()
    return folder


if __name__ == "__main__":
    sys.exit(main())
