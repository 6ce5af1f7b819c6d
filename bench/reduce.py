"""A client flows in, the tables of `bench/results/reduce.md` flow out: `make bench`, or `python -m bench.reduce`."""

from __future__ import annotations

import argparse
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

from bench.measure import ROOT, Measured, RunFailed, measure
from bench.report import Case, Row, missed, page
from bench.shape import Shape

VERSION = "0.169.0"
PROGRAM = f"{VERSION}/node_modules/@openai/codex*/vendor/*/bin/codex"
# Long sessions are measured less often: the client needs a minute for the longest.
CASES = (
    Case(Shape(50), pairs=21, speed=1),
    Case(Shape(200), pairs=11, speed=5),
    Case(Shape(500), pairs=5, speed=0, memory=0.5),
    Case(Shape(1000), pairs=3, speed=60, stretch=100, memory=0.5),
    Case(Shape(2000, mean=350, compact_above=400), pairs=3, speed=30, memory=0.5),
)
QUICK = 200


def main(words: Sequence[str] | None = None) -> int:
    """Returns 0, or 1 where something could not be measured or the bytes differ; a slow machine is no error."""
    given = _parser().parse_args(words)
    client = given.client or _find_client()
    if client is None:
        print(f"Client {VERSION} is not installed: run `make client`, or name one with --client.", file=sys.stderr)
        return 1
    try:
        version = _version(client)
        rows = _measure_all(_chosen(given.quick), client, given.scratch, given.keep)
    except (RunFailed, OSError, subprocess.SubprocessError) as error:
        print(f"The benchmark stopped: {error}", file=sys.stderr)
        return 1
    return _tell(rows, version, given.out)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="bench.reduce", description="Measures the reduction beside the client's.")
    parser.add_argument("--quick", action="store_true", help=f"only sessions of up to {QUICK} inferences")
    parser.add_argument("--client", type=Path, help=f"the program of client {VERSION}")
    parser.add_argument("--out", type=Path, help="a file for the tables, beside standard output")
    parser.add_argument("--scratch", type=Path, help="a folder with 2 GB of room; the system's own if none is given")
    parser.add_argument(
        "--keep", action="store_true", help="leave the sessions in the scratch folder, and use them again"
    )
    return parser


def _find_client() -> Path | None:
    """Where `make client` puts it, or in the folder that CODEX_CLIENTS names."""
    folder = Path(os.environ.get("CODEX_CLIENTS") or ROOT / "var" / "client")
    return next(iter(sorted(folder.glob(PROGRAM))), None)


def _version(client: Path) -> str:
    said = subprocess.run([client, "--version"], capture_output=True, text=True, check=True).stdout
    return said.strip().rpartition(" ")[2]


def _chosen(quick: bool) -> list[Case]:
    return [case for case in CASES if not quick or case.shape.inferences <= QUICK]


def _measure_all(cases: Sequence[Case], client: Path, room: Path | None, keep: bool) -> list[Row]:
    """One session after the other, so that only one lies on disk; all of them stay if they are to be kept."""
    room = room or Path(tempfile.gettempdir())
    room.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=room, prefix="bench-") as scratch:
        return [(case, _measure(case, client.resolve(), Path(scratch), room if keep else None)) for case in cases]


def _measure(case: Case, client: Path, scratch: Path, kept: Path | None) -> Measured:
    _say(case.name)
    bundle = (kept or scratch) / case.shape.name
    measured = measure(case.shape, case.pairs, bundle, client, scratch, _say)
    if kept is None:
        shutil.rmtree(bundle)
    return measured


def _say(words: str) -> None:
    print(words, file=sys.stderr, flush=True)


def _tell(rows: Sequence[Row], version: str, out: Path | None) -> int:
    tables = page(rows, version)
    print(tables)
    if out is not None:
        out.parent.mkdir(parents=True, exist_ok=True)
        out.write_text(tables)
    for sentence in missed(rows):
        _say(f"Missed: {sentence}.")
    differing = [case.name for case, measured in rows if not measured.same]
    for name in differing:
        _say(f"The bytes differ: {name}.")
    return 1 if differing else 0


if __name__ == "__main__":
    sys.exit(main())
