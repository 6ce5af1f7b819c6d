"""The files of a recording flow in, rows that hold their very bytes flow out."""

import hashlib
from collections.abc import Hashable, Iterator, Sequence

from django.db.models import Sum

from traces.bundle.errors import BundleError
from traces.bundle.reader import Bundle
from traces.ingest.reading import Body, Entry
from traces.ingest.shelf import Recipe, Shelf
from traces.ingest.tables import Rows, Values, insert
from traces.models import LogBlock, Payload, Piece, Rollout
from traces.models.fields import key, plain
from traces.models.pieces import compress

PAYLOAD = (
    "raw_payload_id", "kind", "path", "size", "sha256", "run", "step", "missing", "line", "in_graph", "recipe",
)  # fmt: skip
BLOCK = ("rollout", "start", "size", "body", "before", "chains")
BLOCK_BYTES = 250_000
FILE = "file:"  # before the path, it is the id of a payload that no event names


class Recording:
    """The payloads and the log of one rollout."""

    def __init__(self) -> None:
        self.shelf = Shelf()
        self.payloads = Rows(Payload, *PAYLOAD)
        self.waiting: dict[str, tuple[Values, Recipe | None]] = {}
        self.outdated: set[str] = set()
        # Where the log's last event ends.
        self.position = 0

    def resume(self, rollout: Rollout) -> None:
        """Learns what is stored already."""
        rows = Payload.objects.filter(rollout=rollout)
        self.payloads.pks.update(rows.values_list("raw_payload_id", "pk"))
        self.shelf.used = rows.pieces()
        last = LogBlock.objects.filter(rollout=rollout).order_by("-start").first()
        self.position = last.start + last.size if last else 0
        self.shelf.runs = max(filter(None, rows.values_list("run", flat=True)), default=0)

    def take(self, body: Body, line: int, in_graph: bool) -> None:
        """A payload. Looking into it takes its time, and needs no lock."""
        ref = body.ref
        name = key(ref.raw_payload_id)
        recipe = None if body.content is None else self.shelf.put(body.content, body.sha256)
        run, step = (recipe.run, recipe.step) if recipe else (None, 0)
        facts = (name, ref.kind.type, plain(ref.path), len(body.content or b""), body.sha256)
        self.waiting[name] = (*facts, run, step, plain(body.missing), line, in_graph), recipe

    def take_file(self, path: str, content: bytes) -> None:
        """A file that no event names."""
        sha256 = hashlib.sha256(content).digest()
        recipe = self.shelf.put(content, sha256)
        name = key(FILE + path)
        facts = (name, "", plain(path), len(content), sha256)
        self.waiting[name] = (*facts, recipe.run, recipe.step, "", 0, False), recipe

    def take_rest(self, bundle: Bundle, rollout: Rollout) -> None:
        """The files that no event names; one that was such a file and is named by now is no longer one."""
        rows = Payload.objects.filter(rollout=rollout.pk).kept()
        named = set(rows.exclude(line=0).values_list("path", flat=True))
        named |= {values[2] for values, recipe in self.waiting.values() if recipe}
        known = set(rows.filter(line=0).values_list("path", flat=True))
        self.outdated = known & named
        for path, content in loose_files(bundle, known | named):
            self.take_file(path, content)

    def write(self, rollout: Rollout, entries: Sequence[Entry]) -> None:
        """What was taken since the last time, and these lines of the log."""
        before = self.shelf.stored
        self.shelf.write()
        rows: dict[Hashable, Values] = {
            name: (*values, self.shelf.recipe(recipe) if recipe else None)
            for name, (values, recipe) in self.waiting.items()
        }
        self.payloads.write(rollout.pk, rows)
        blocks = list(_blocks(rollout, entries))
        insert(LogBlock, BLOCK, blocks)
        self.position = blocks[-1][1] + blocks[-1][2] if blocks else self.position
        rollout.bytes_stored += self.shelf.stored - before + sum(len(block[3]) for block in blocks)
        self.waiting = {}

    def settle(self, rollout: Rollout) -> None:
        """After the last batch: what it all comes to."""
        rows = Payload.objects.filter(rollout=rollout)
        if self.outdated:
            rows.filter(line=0, path__in=self.outdated).delete()
            used = rows.pieces()
            Piece.objects.free(self.shelf.used - used)
            self.shelf.used, self.outdated = used, set()
        sizes = rows.aggregate(total=Sum("size"))["total"] or 0
        outside = (rollout.manifest_body, rollout.rest, rollout.tail)
        rollout.bytes_recorded = self.position + sizes + sum(map(len, outside))


def _blocks(rollout: Rollout, entries: Sequence[Entry]) -> Iterator[Values]:
    first = size = 0
    for index, entry in enumerate(entries):
        size += len(entry.gap) + len(entry.data)
        if size >= BLOCK_BYTES or index + 1 == len(entries):
            yield _block(rollout, rollout.events + first, entries[first : index + 1])
            first, size = index + 1, 0


def _block(rollout: Rollout, before: int, entries: Sequence[Entry]) -> Values:
    raw = b"".join(part for entry in entries for part in (entry.gap, entry.data))
    start = entries[0].start - len(entries[0].gap)
    return rollout.pk, start, len(raw), compress(raw), before, b"".join(entry.chain for entry in entries)


def loose_files(bundle: Bundle, named: set[str]) -> Iterator[tuple[str, bytes]]:
    """The payload files that no event names; what is no ordinary file of the bundle is left out."""
    for path in bundle.payload_files():
        if path not in named:
            try:
                yield path, bundle.payload(path)
            except BundleError:
                continue
