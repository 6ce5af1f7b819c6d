"""A recorded bundle flows in, copies of it that grow, break off or differ flow out."""

import hashlib
import json
import shutil
from functools import partial
from pathlib import Path
from typing import Any

from traces.bundle.reader import Bundle
from traces.ingest.building import batches
from traces.ingest.keeping import Keeper
from traces.ingest.pipe import Build
from traces.ingest.shelf import Shelf
from traces.models import Payload
from traces.tests.fixtures.recordings import BUNDLES, recording_folder

ALL = sorted(str(path.parent.parent.relative_to(BUNDLES)) for path in BUNDLES.glob("*/*/expected/state.json"))


def expected(name: str) -> dict[str, Any]:
    """What the reference made of it."""
    state: dict[str, Any] = json.loads((recording_folder(name) / "expected" / "state.json").read_bytes())
    return state


class Copy:
    """A copy of a recording whose log can be changed."""

    def __init__(self, name: str, folder: Path) -> None:
        self.folder = folder / name.replace("/", "-")
        shutil.copytree(recording_folder(name), self.folder, ignore=shutil.ignore_patterns("expected"))
        self.log = self.folder / "trace.jsonl"
        self.lines = self.log.read_bytes().splitlines(keepends=True)

    @property
    def bundle(self) -> Bundle:
        """It, as it is now."""
        return Bundle(self.folder)

    def with_log(self, *lines: bytes) -> Bundle:
        """It, with these lines as its log."""
        self.log.write_bytes(b"".join(lines))
        return self.bundle

    def cut(self, events: int, torn: bytes = b"") -> Bundle:
        """It, as it was after so many events."""
        return self.with_log(*self.lines[:events], torn)


def by(events: int) -> Build:
    """Small batches, so that a small recording has several."""
    return partial(batches, batch_events=events)


def fill(payload: Payload, content: bytes) -> None:
    """Gives a payload's row another body."""
    shelf, keeper, sha256 = Shelf(), Keeper(), hashlib.sha256(content).digest()
    recipe = shelf.put(content, sha256)
    keeper.write(shelf.hand_over())
    payload.recipe, payload.run, payload.step = keeper.recipe(recipe), None, 0
    payload.size, payload.sha256 = len(content), sha256.hex()
