"""A bundle's folder flows in, `state.json` flows out: `python -m traces.reducer BUNDLE [--out FILE]`."""

from __future__ import annotations

import gc
import importlib
import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import NoReturn

from traces.bundle.errors import BundleError
from traces.bundle.places import is_bundle
from traces.bundle.reader import Bundle
from traces.reducer.errors import ReductionError
from traces.reducer.replay import reduce_strict
from traces.reducer.state import pieces

USAGE = """\
usage: reduce BUNDLE [--out FILE]

Reduces a rollout-trace bundle, a folder or an archive that holds one, to state.json
as the published client does. Without --out it goes to standard output.
"""


def main(argv: Sequence[str] | None = None) -> int:
    """Returns 0; 1 after one line on standard error that says what is wrong, with seq and line; 2 after the usage."""
    words = list(sys.argv[1:] if argv is None else argv)
    if words in (["-h"], ["--help"]):
        sys.stdout.write(USAGE)
        return 0
    given = _given(words)
    if given is None:
        sys.stderr.write(USAGE)
        return 2
    gc.disable()  # one rollout, one pass, no cycles to speak of: looking for them costs more than it frees
    keep_memory()
    try:
        _reduce(*given)
    except (BundleError, ReductionError, OSError) as error:
        print(" ".join(str(error).split()), file=sys.stderr)
        return 1
    return 0


def keep_memory() -> None:
    """Has the C library keep the memory of one request for the next.

    Requests grow as a session does, and glibc gives the memory of a block larger than any before back to the system at
    once: the next request then pays for every page again, half of all time in a session of 1,000. Freeing one untouched
    block of 31 MB, just below the most that glibc learns from, teaches it better. Elsewhere this does nothing.
    """
    block = bytes(31 * 2**20)
    del block


def leave(code: int) -> NoReturn:
    """Ends the process at once: taking a large graph apart object by object helps nobody."""
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code)


def _given(words: list[str]) -> tuple[Path, Path | None] | None:
    """The bundle and where to write. argparse would take as long to load as a small bundle takes to reduce."""
    match _split(words):
        case [bundle]:
            return Path(bundle), None
        case [bundle, "--out", out] | ["--out", out, bundle]:
            return Path(bundle), Path(out)
    return None


def _split(words: list[str]) -> list[str]:
    """`--out=FILE` is `--out FILE`."""
    return [part for word in words for part in (word.split("=", 1) if word.startswith("--out=") else [word])]


def _reduce(path: Path, out: Path | None) -> None:
    if is_bundle(path):
        _write(Bundle(path), out)
        return
    # The archives' modules take as long to load as a small bundle takes to reduce, and a folder needs none of them.
    archives = importlib.import_module("traces.bundle.archives")
    with archives.open_bundles(path) as bundles:
        if len(bundles) != 1:
            raise BundleError(f"{path.name} holds {len(bundles)} bundles", hint="Name one of them.")
        _write(bundles[0], out)


def _write(bundle: Bundle, out: Path | None) -> None:
    graph = reduce_strict(bundle).graph
    if out is None:
        sys.stdout.buffer.writelines(pieces(graph))
        return
    with out.open("wb") as file:
        file.writelines(pieces(graph))


if __name__ == "__main__":
    leave(main())
