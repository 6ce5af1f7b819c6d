"""The files of a recording flow in, what keeps their very bytes flows out: payloads as recipes, the log as blocks."""

import hashlib
from collections.abc import Iterator, Sequence

from traces.bundle.errors import BundleError
from traces.bundle.reader import Bundle
from traces.ingest.batch import Recipe, Stored
from traces.ingest.reading import Body, Entry
from traces.ingest.shelf import Shelf
from traces.ingest.tables import Values
from traces.models.fields import key, plain
from traces.models.pieces import compress

PAYLOAD = (
    "raw_payload_id", "kind", "path", "size", "sha256", "run", "step", "missing", "line", "in_graph",
)  # fmt: skip
BLOCK = ("start", "size", "body", "before", "chains")
BLOCK_BYTES = 250_000
FILE = "file:"  # before the path, it is the id of a payload that no event names


class Recording:
    """The payloads and the log of one rollout."""

    def __init__(self, stored: Stored) -> None:
        self.shelf = Shelf(runs=stored.runs)
        self.paths = dict(stored.payloads)
        self.loose = set(stored.loose)
        self.payloads: dict[str, tuple[Values, Recipe | None]] = {}
        # Where the log's last event ends, and how many events there are.
        self.position = stored.position
        self.events = stored.events

    def take(self, body: Body, line: int, in_graph: bool) -> None:
        """A payload that an event names."""
        ref = body.ref
        name = key(ref.raw_payload_id)
        recipe = None if body.content is None else self.shelf.put(body.content, body.sha256)
        run, step = (recipe.run, recipe.step) if recipe else (None, 0)
        path = plain(ref.path)
        facts = (name, ref.kind.type, path, len(body.content or b""), body.sha256)
        self.payloads[name] = (*facts, run, step, plain(body.missing), line, in_graph), recipe
        self.paths.pop(name, None)
        if recipe:
            self.paths[name] = path

    def take_rest(self, bundle: Bundle) -> set[str]:
        """The files that no event names; returns those that were such files and are named by now."""
        named = set(self.paths.values())
        for path, content in loose_files(bundle, self.loose | named):
            self._take_file(path, content)
        return self.loose & named

    def _take_file(self, path: str, content: bytes) -> None:
        sha256 = hashlib.sha256(content).digest()
        recipe = self.shelf.put(content, sha256)
        name = key(FILE + path)
        facts = (name, "", plain(path), len(content), sha256)
        self.payloads[name] = (*facts, recipe.run, recipe.step, "", 0, False), recipe

    def hand_over(self) -> dict[str, tuple[Values, Recipe | None]]:
        """The payloads that are new since the last time."""
        payloads, self.payloads = self.payloads, {}
        return payloads

    def blocks(self, entries: Sequence[Entry]) -> Iterator[Values]:
        """These lines of the log, see BLOCK."""
        first = size = 0
        for index, entry in enumerate(entries):
            size += len(entry.gap) + len(entry.data)
            if size >= BLOCK_BYTES or index + 1 == len(entries):
                yield self._block(entries[first : index + 1])
                first, size = index + 1, 0

    def _block(self, entries: Sequence[Entry]) -> Values:
        raw = b"".join(part for entry in entries for part in (entry.gap, entry.data))
        start, before = self.position, self.events
        self.position += len(raw)
        self.events += len(entries)
        return start, len(raw), compress(raw), before, b"".join(entry.chain for entry in entries)


def loose_files(bundle: Bundle, named: set[str]) -> Iterator[tuple[str, bytes]]:
    """The payload files that no event names; what is no ordinary file of the bundle is left out."""
    for path in bundle.payload_files():
        if path not in named:
            try:
                yield path, bundle.payload(path)
            except BundleError:
                continue
