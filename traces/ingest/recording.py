"""The files of a recording flow in, rows that hold their very bytes flow out."""

import hashlib
from collections.abc import Hashable, Iterator, Sequence

from django.db.models import Sum

from traces.bundle.errors import BundleError
from traces.bundle.reader import Bundle
from traces.ingest.batch import Named, Stretch
from traces.ingest.keeping import Keeper
from traces.ingest.shelf import Recipe, Shelf
from traces.ingest.tables import Rows, Values, insert
from traces.models import LogBlock, Payload, Piece, Rollout
from traces.models.fields import key, plain
from traces.models.pieces import compress

PAYLOAD = (
    "raw_payload_id", "kind", "path", "size", "sha256", "run", "step", "missing", "line", "in_graph", "recipe",
)  # fmt: skip
BLOCK = ("rollout", "start", "size", "body", "before", "chains")
FILE = "file:"  # before the path, it is the id of a payload that no event names


class Recording:
    """The payloads and the log of one rollout."""

    def __init__(self, bundle: Bundle) -> None:
        self.bundle = bundle
        self.shelf = Shelf()
        self.keeper = Keeper()
        self.payloads = Rows(Payload, *PAYLOAD)
        self.waiting: dict[str, tuple[Values, Recipe | None]] = {}
        self.blocks: list[Values] = []
        # Where the bytes of payloads were, by their names; files that no event names.
        self.paths: dict[str, str] = {}
        self.loose: set[str] = set()
        self.outdated: set[str] = set()

    def resume(self, rollout: Rollout) -> None:
        """Learns what is stored already."""
        rows = Payload.objects.filter(rollout=rollout)
        self.payloads.pks.update(rows.values_list("raw_payload_id", "pk"))
        self.keeper.used = rows.pieces()
        self.shelf.runs = max(filter(None, rows.values_list("run", flat=True)), default=0)
        self.paths = dict(rows.kept().exclude(line=0).values_list("raw_payload_id", "path"))
        self.loose = set(rows.kept().filter(line=0).values_list("path", flat=True))

    def take(self, payloads: Sequence[Named], log: Sequence[Stretch]) -> None:
        """What a batch brings. Looking into it takes its time, and needs no lock."""
        for named in payloads:
            self._take_payload(named)
        self.blocks = [
            (stretch.start, len(stretch.raw), compress(stretch.raw), stretch.before, stretch.chains) for stretch in log
        ]

    def _take_payload(self, named: Named) -> None:
        body, ref = named.body, named.body.ref
        name, path = key(ref.raw_payload_id), plain(ref.path)
        recipe = None if body.content is None else self.shelf.put(body.content, body.sha256)
        run, step = (recipe.run, recipe.step) if recipe else (None, 0)
        facts = (name, ref.kind.type, path, len(body.content or b""), body.sha256)
        self.waiting[name] = (*facts, run, step, plain(body.missing), named.line, named.in_graph), recipe
        self.paths.pop(name, None)
        if recipe:
            self.paths[name] = path

    def take_rest(self) -> None:
        """The files that no event names; one that was such a file and is named by now is no longer one."""
        named = set(self.paths.values())
        self.outdated = self.loose & named
        for path, content in loose_files(self.bundle, self.loose | named):
            self._take_file(path, content)

    def _take_file(self, path: str, content: bytes) -> None:
        sha256 = hashlib.sha256(content).digest()
        recipe = self.shelf.put(content, sha256)
        name = key(FILE + path)
        facts = (name, "", plain(path), len(content), sha256)
        self.waiting[name] = (*facts, recipe.run, recipe.step, "", 0, False), recipe

    def write(self, rollout: Rollout) -> None:
        """What was taken since the last time, in a transaction of the caller's."""
        taken = self.keeper.write(self.shelf.hand_over())
        rows: dict[Hashable, Values] = {
            name: (*values, self.keeper.recipe(recipe) if recipe else None)
            for name, (values, recipe) in self.waiting.items()
        }
        self.payloads.write(rollout.pk, rows)
        insert(LogBlock, BLOCK, [(rollout.pk, *block) for block in self.blocks])
        rollout.bytes_stored += taken + sum(len(body) for _, _, body, _, _ in self.blocks)
        self.waiting, self.blocks = {}, []

    def settle(self, rollout: Rollout) -> None:
        """After the last batch: what it all comes to."""
        payloads = Payload.objects.filter(rollout=rollout)
        if self.outdated:
            payloads.filter(line=0, path__in=self.outdated).delete()
            used = payloads.pieces()
            Piece.objects.free(self.keeper.used - used)
            self.keeper.used, self.outdated = used, set()
        sizes = payloads.aggregate(total=Sum("size"))["total"] or 0
        log = LogBlock.objects.filter(rollout=rollout).aggregate(total=Sum("size"))["total"] or 0
        outside = (rollout.manifest_body, rollout.rest, rollout.tail)
        rollout.bytes_recorded = log + sizes + sum(map(len, outside))


def loose_files(bundle: Bundle, named: set[str]) -> Iterator[tuple[str, bytes]]:
    """The payload files that no event names; what is no ordinary file of the bundle is left out."""
    for path in bundle.payload_files():
        if path not in named:
            try:
                yield path, bundle.payload(path)
            except BundleError:
                continue
