"""Payloads flow in, recipes flow out: each piece of them is stored once, whoever repeats it.

Pieces have a number of this shelf's own until their batch is written; only then is it known which of them the
database has already.
"""

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass, field

from django.conf import settings
from django.db.models import Max

from traces.ingest.cutting import Cut, Cutter
from traces.ingest.tables import insert
from traces.models import Pack, Piece
from traces.models.pieces import compress, lock_store, save_file
from traces.models.recipes import NO_GLUE, differ, encode, glue_token, piece_token

PACK_BYTES = 1_000_000
LONGEST_RUN = 64
PIECE = ("number", "sha256", "pack", "start", "size", "users")
PACK = ("number", "body", "file", "size", "first", "last")


@dataclass(slots=True)
class Recipe:
    """What a payload is made of: kept from the one before at both ends, and the tokens between."""

    run: int | None
    step: int
    head: int
    tail: int
    middle: list[int]


@dataclass(slots=True)
class Shelf:
    """The pieces of one rollout."""

    # The database's numbers that this rollout uses, and how many runs of recipes it has.
    used: set[int] = field(default_factory=set)
    runs: int = 0
    stored: int = 0
    cutter: Cutter = field(default_factory=Cutter)
    mine: dict[bytes, int] = field(default_factory=dict)
    numbers: list[int] = field(default_factory=lambda: [0])
    waiting: dict[bytes, bytes] = field(default_factory=dict)

    def put(self, body: bytes, sha256: bytes) -> Recipe:
        """Takes a payload."""
        cut = self.cutter.cut(body)
        if cut is None:
            return Recipe(None, 0, 0, 0, [piece_token(self._piece(body, sha256))])
        self._lay_out(cut)
        before = self._stand(cut)
        head, tail = differ(before, cut.tokens, cut.counts[cut.kept - 1] if cut.step else 0)
        cut.before = None
        return Recipe(cut.run, cut.step, head, tail, cut.tokens[head : len(cut.tokens) - tail])

    def _stand(self, cut: Cut) -> list[int]:
        """Finds its place in a run; returns the tokens of the step before."""
        before = cut.before
        if before is None or before.step + 1 >= LONGEST_RUN:
            self.runs += 1
            cut.run, cut.step = self.runs, 0
            return []
        cut.run, cut.step = before.run, before.step + 1
        return before.tokens

    def _lay_out(self, cut: Cut) -> None:
        """Its tokens: those of the payload before as far as they are the same, then the rest."""
        before, at, glue = cut.before, 0, b""
        if before is not None:
            count = before.counts[cut.kept - 1]
            cut.tokens, cut.counts, cut.glues = (
                before.tokens[:count],
                before.counts[: cut.kept],
                before.glues[: cut.kept],
            )
            at, glue = cut.elements[cut.kept - 1].end, cut.glues[-1]
        body, tokens = cut.body, cut.tokens
        for element in cut.elements[cut.kept :]:
            gap = body[at : element.start]
            if element.first:
                tokens.extend(self._text(gap, glue))
                glue = b""
            elif gap != glue:
                tokens.append(glue_token(self._piece(gap)))
                glue = gap
            tokens.append(piece_token(self._piece(body[element.start : element.end])))
            cut.counts.append(len(tokens))
            cut.glues.append(glue)
            at = element.end
        tokens.extend(self._text(body[at:], glue))

    def _text(self, text: bytes, glue: bytes) -> Iterator[int]:
        """What stands around the elements."""
        if glue:
            yield NO_GLUE
        yield piece_token(self._piece(text))

    def _piece(self, content: bytes, sha256: bytes = b"") -> int:
        sha256 = sha256 or hashlib.sha256(content).digest()
        number = self.mine.get(sha256)
        if number is None:
            number = self.mine[sha256] = len(self.numbers)
            self.numbers.append(0)
            self.waiting[sha256] = content
        return number

    def write(self) -> None:
        """Brings the pieces that wait into rows, in a transaction of the caller's."""
        if not self.waiting:
            return
        lock_store()
        found = Piece.objects.named(self.waiting)
        Piece.objects.use(set(found.values()) - self.used)
        number = (Piece.objects.aggregate(last=Max("number"))["last"] or 0) + 1
        for pack in packed((sha256, content) for sha256, content in self.waiting.items() if sha256 not in found):
            found.update(zip(pack, range(number, number + len(pack)), strict=True))
            self.stored += write_pack(number, pack)
            number += len(pack)
        for sha256, known in found.items():
            self.numbers[self.mine[sha256]] = known
        self.used.update(found.values())
        self.waiting = {}

    def recipe(self, recipe: Recipe) -> bytes:
        """The bytes of a recipe whose pieces are written."""
        middle = [self.numbers[token >> 1] << 1 | token & 1 for token in recipe.middle]
        return encode(recipe.head, recipe.tail, middle)


def packed(pieces: Iterator[tuple[bytes, bytes]]) -> Iterator[dict[bytes, bytes]]:
    """Pieces, as many at a time as lie in one pack; a large one lies alone."""
    pack: dict[bytes, bytes] = {}
    size = 0
    for sha256, content in pieces:
        if pack and size + len(content) > PACK_BYTES:
            yield pack
            pack, size = {}, 0
        pack[sha256] = content
        size += len(content)
    if pack:
        yield pack


def write_pack(number: int, pieces: dict[bytes, bytes]) -> int:
    """The rows of a pack and its pieces, with numbers from here on; how many bytes that takes."""
    content = b"".join(pieces.values())
    body, file = compress(content), ""
    taken = len(body)
    if taken > settings.TRACESITE_LARGE_BYTES:
        body, file = b"", save_file(number, body)
    insert(Pack, PACK, [(number, body, file, len(content), number, number + len(pieces) - 1)])
    rows, start = [], 0
    for index, (sha256, piece) in enumerate(pieces.items()):
        rows.append((number + index, sha256, number, start, len(piece), 1))
        start += len(piece)
    insert(Piece, PIECE, rows)
    return taken
