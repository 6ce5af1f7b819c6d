"""A bundle's folder flows in, `state.json` flows out: `python -m traces.reducer BUNDLE [--out FILE]`."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from traces.bundle.archives import open_bundles
from traces.bundle.errors import BundleError
from traces.reducer.errors import ReductionError
from traces.reducer.replay import reduce_strict
from traces.reducer.state import pieces


def main(argv: Sequence[str] | None = None) -> int:
    """Returns 0, or 1 after one line on standard error that says what is wrong, with seq and line."""
    parser = argparse.ArgumentParser(prog="reduce", description="Reduce a rollout-trace bundle to state.json.")
    parser.add_argument("bundle", type=Path, help="the bundle: a folder, or an archive that holds one")
    parser.add_argument("--out", type=Path, help="where to write; default is standard output")
    given = parser.parse_args(argv)
    try:
        _reduce(given.bundle, given.out)
    except (BundleError, ReductionError, OSError) as error:
        print(" ".join(str(error).split()), file=sys.stderr)
        return 1
    return 0


def _reduce(path: Path, out: Path | None) -> None:
    with open_bundles(path) as bundles:
        if len(bundles) != 1:
            raise BundleError(f"{path.name} holds {len(bundles)} bundles", hint="Name one of them.")
        graph = reduce_strict(bundles[0]).graph
    if out is None:
        sys.stdout.buffer.writelines(pieces(graph))
        return
    with out.open("wb") as file:
        file.writelines(pieces(graph))


if __name__ == "__main__":
    sys.exit(main())
