"""New pieces flow in, packs flow out: what the database has already is used again."""

from collections.abc import Iterator

from django.conf import settings
from django.db.models import Max

from traces.ingest.shelf import Recipe
from traces.ingest.tables import insert
from traces.models import Pack, Piece
from traces.models.pieces import compress, lock_store, save_file
from traces.models.recipes import encode

PACK_BYTES = 1_000_000
PIECE = ("number", "sha256", "pack", "start", "size", "users")
PACK = ("number", "body", "file", "size", "first", "last")


class Keeper:
    """The pieces of one rollout in the database."""

    def __init__(self) -> None:
        # The database's numbers: those that this rollout uses, and those of the numbers that recipes give.
        self.used: set[int] = set()
        self.numbers: dict[int, int] = {0: 0}

    def write(self, fresh: list[tuple[int, bytes, bytes]]) -> int:
        """Brings new pieces into rows, in a transaction of the caller's; how many bytes that takes."""
        if not fresh:
            return 0
        lock_store()
        found = Piece.objects.named(sha256 for _, sha256, _ in fresh)
        Piece.objects.use(set(found.values()) - self.used)
        number = (Piece.objects.aggregate(last=Max("number"))["last"] or 0) + 1
        taken = 0
        for pack in packed((sha256, content) for _, sha256, content in fresh if sha256 not in found):
            found.update(zip(pack, range(number, number + len(pack)), strict=True))
            taken += write_pack(number, pack)
            number += len(pack)
        self.numbers.update((mine, found[sha256]) for mine, sha256, _ in fresh)
        self.used.update(found.values())
        return taken

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
