"""Nothing flows in, the table of `bench/results/site.md` flows out: `make bench-site`, or `python -m bench.site`."""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path

import psycopg
from playwright.sync_api import Error as BrowserError

from bench.measure import RunFailed, write_session
from bench.shape import Shape
from bench.site_disk import install, stored
from bench.site_many import MANY, many
from bench.site_page import Shown, chromium, visit
from bench.site_place import kinds, place, serving
from bench.site_report import (
    COUNT,
    KILOBYTES,
    MEBIBYTES,
    MEGABYTES,
    MILLISECONDS,
    PART,
    PER_SECOND,
    Figure,
    page,
    say,
    tell,
    told,
)
from bench.site_upload import pack, upload

RUNS = 3
PARTS = ("upload", "store", "many")
# About 11,000 objects each; the second one's requests repeat a tenth of the history.
UPLOADED = (Shape(2000, mean=350, compact_above=400), Shape(2000, mean=350, compact_above=40))
STORED = ((Shape(1000), 100.0), (Shape(2000, mean=350, compact_above=400), 15.0))
NOTES = (
    "Objects: nodes and conversation items, counted by the site after its answer. The clock runs from the last byte of "
    "the request until the site says that the upload is done and the rollout's page has come.",
    "Cold page: a new profile with an empty cache; rows count when their names stand inside the window. The jump is "
    "made with the page's own form. KB (headers included) and requests are of both together.",
    "Memory: resident, of the server, after all uploads and visits above it.",
    "Stored: payload bytes of the bundle to bytes of the payload store (packs, pieces, payloads, with their indexes "
    "and files), after a checkpoint. The next line counts the whole database: also the objects, items and events of "
    "the rollout with their indexes, and what an empty database takes (8 MB in PostgreSQL).",
    f"{MANY:,} rollouts: copies of one real recording, with its objects, and with other titles, statuses, models "
    "and dates; p95 of 60 requests one after the other.",
)


def main(words: Sequence[str] | None = None) -> int:
    """Returns 0, or 1 where something could not be measured; a missed figure is no error, it is told."""
    given = _parser().parse_args(words)
    room = given.scratch or Path(tempfile.gettempdir())
    room.mkdir(parents=True, exist_ok=True)
    try:
        with tempfile.TemporaryDirectory(dir=room, prefix="bench-site-") as scratch:
            kept = room if given.keep else Path(scratch)
            figures = list(_figures(given.only or PARTS, given.install, kept, Path(scratch)))
    except (RunFailed, OSError, subprocess.SubprocessError, psycopg.Error, BrowserError) as error:
        print(f"The benchmark stopped: {error}", file=sys.stderr)
        return 1
    tell(figures, page(figures, NOTES), given.out)
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="bench.site", description="Measures the whole way of a recording.")
    parser.add_argument("--only", choices=PARTS, action="append", help="one part; can be given again")
    parser.add_argument("--install", action="store_true", help="also a fresh install with pip")
    parser.add_argument("--out", type=Path, help="a file for the table, beside standard output")
    parser.add_argument("--scratch", type=Path, help="a folder with 5 GB of room; the system's own if none is given")
    parser.add_argument("--keep", action="store_true", help="leave the sessions in the scratch folder, use them again")
    return parser


def _figures(parts: Sequence[str], fresh: bool, kept: Path, scratch: Path) -> Iterator[Figure]:
    for kind in kinds():
        if "upload" in parts:
            yield from told(_uploads(kind, kept, scratch))
        if "store" in parts:
            yield from told(_stored(kind, kept, scratch))
        if "many" in parts:
            yield from told(_many(kind, scratch))
    if fresh:
        yield from told(iter([Figure("fresh install, `du -sm`", "–", MEBIBYTES, [install(scratch)], most=150)]))


def _uploads(kind: str, kept: Path, scratch: Path) -> Iterator[Figure]:
    """Uploads, visits and what the server holds then."""
    archives = {shape: [_archive(replace(shape, seed=seed), kept) for seed in range(1, RUNS + 1)] for shape in UPLOADED}
    with place(kind, scratch) as where, serving(where) as site:
        pages: list[str] = []
        for shape, files in archives.items():
            done = [upload(site, file) for file in files]
            pages += [one.page for one in done]
            name = f"upload of {done[0].objects:,} objects, {_compacted(shape)}"
            yield Figure(name, kind, PER_SECOND, [one.speed for one in done], least=5000)
            yield Figure(f"{name}: until done", kind, MILLISECONDS, [one.seconds for one in done])
        with chromium() as browser:
            yield from _visits(kind, [visit(browser, site.url + address) for address in pages])
        yield Figure(f"server's memory after {len(pages)} of these", kind, MEGABYTES, [site.resident()], most=250e6)


def _visits(kind: str, shown: Sequence[Shown]) -> Iterator[Figure]:
    yield Figure("cold page: named rows at the top", kind, MILLISECONDS, [one.top for one in shown], most=1)
    yield Figure("then a jump to the middle", kind, MILLISECONDS, [one.jump for one in shown], most=1)
    yield Figure("transferred by both", kind, KILOBYTES, [one.transferred for one in shown], most=500e3)
    yield Figure("requests of the cold page", kind, COUNT, [one.first for one in shown], most=20)
    yield Figure("requests with the jump's", kind, COUNT, [one.requests for one in shown], most=20)
    yield Figure("DOM elements", kind, COUNT, [one.elements for one in shown], most=3000)


def _stored(kind: str, kept: Path, scratch: Path) -> Iterator[Figure]:
    for shape, part in STORED:
        say(f"storing {shape.name}")
        one = stored(kind, _session(shape, kept), scratch)
        name = f"stored of {one.payloads / 1e6:,.0f} MB, {_compacted(shape)}"
        yield Figure(name, kind, PART, [one.payloads / one.store], least=part)
        yield Figure(f"{name}: with all other rows and the empty database", kind, PART, [one.payloads / one.whole])


def _many(kind: str, scratch: Path) -> Iterator[Figure]:
    for answered in many(kind, scratch):
        name = f"{MANY:,} rollouts, p95: {answered.name}"
        yield Figure(name, kind, MILLISECONDS, answered.seconds, most=0.3, judged=answered.p95)


def _archive(shape: Shape, kept: Path) -> Path:
    return pack(_session(shape, kept), kept / f"{shape.name}.tar.zst")


def _session(shape: Shape, kept: Path) -> Path:
    write_session(kept / shape.name, shape)
    return kept / shape.name


def _compacted(shape: Shape) -> str:
    history = f"compacted above {shape.compact_above} items" if shape.compact_above else "full history"
    return f"{shape.inferences:,} inferences, {history}"


if __name__ == "__main__":
    sys.exit(main())
