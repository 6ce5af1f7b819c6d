"""Bytes that recordings repeat flow in once, and flow out wherever a payload names them.

Pieces lie in packs: compressed together they take a fraction of what each would take alone. Whoever adds or frees some
holds the lock of the store meanwhile, so that a piece never goes away while somebody begins to use it.
"""

from collections import defaultdict
from collections.abc import Iterable, Iterator
from itertools import islice
from typing import Any

from backports import zstd
from django.core.files.base import ContentFile
from django.core.files.storage import default_storage
from django.db import connection, models, transaction

LEVEL = 6
AT_ONCE = 900  # pieces or packs in one question: SQLite takes a bounded number of parameters
LOCK = 0x7261636573  # any number that nobody else takes


class PieceQuerySet(models.QuerySet["Piece"]):
    """Verbs on many pieces."""

    def named(self, sha256s: Iterable[bytes]) -> dict[bytes, int]:
        """The numbers of those that are here."""
        found: dict[bytes, int] = {}
        for some in chunked(sha256s):
            rows = self.filter(sha256__in=some).values_list("sha256", "number")
            found.update((bytes(sha256), number) for sha256, number in rows)
        return found

    def contents(self, numbers: Iterable[int]) -> dict[int, bytes]:
        """Their bytes."""
        places: dict[int, list[tuple[int, int, int]]] = defaultdict(list)
        for some in chunked(numbers):
            for number, pack, start, size in self.filter(pk__in=some).values_list("number", "pack_id", "start", "size"):
                places[pack].append((number, start, size))
        found: dict[int, bytes] = {}
        for pack in Pack.objects.several(places):
            whole = pack.bytes()
            found.update((number, whole[start : start + size]) for number, start, size in places[pack.pk])
        return found

    def use(self, numbers: Iterable[int]) -> None:
        """One more rollout uses them."""
        for some in chunked(numbers):
            self.filter(pk__in=some).update(users=models.F("users") + 1)

    def free(self, numbers: Iterable[int]) -> None:
        """One rollout fewer uses them: what nobody uses any more is gone, and its room with it."""
        packs: set[int] = set()
        for some in chunked(numbers):
            self.filter(pk__in=some).update(users=models.F("users") - 1)
            unused = self.filter(pk__in=some, users__lte=0)
            packs.update(unused.values_list("pack_id", flat=True))
            unused.delete()
        for pack in Pack.objects.several(packs):
            pack.shrink()


class PackQuerySet(models.QuerySet["Pack"]):
    """Verbs on many packs."""

    def several(self, numbers: Iterable[int]) -> Iterator["Pack"]:
        """These packs, one after the other: never all of them in memory."""
        for some in chunked(numbers):
            yield from self.filter(pk__in=some).order_by("pk").iterator(chunk_size=8)

    def orphans(self) -> Iterator[str]:
        """Files that no pack names: somebody was interrupted between the file and the row."""
        known = set(self.exclude(file="").values_list("file", flat=True))
        _, names = default_storage.listdir(FOLDER) if default_storage.exists(FOLDER) else ([], [])
        return (f"{FOLDER}/{name}" for name in names if f"{FOLDER}/{name}" not in known)


FOLDER = "packs"


class Pack(models.Model):
    """Pieces that are compressed together. A large one is a file of the site's storage."""

    number = models.BigIntegerField(primary_key=True)
    body = models.BinaryField(default=b"")
    file = models.CharField(max_length=100, default="")
    # Where the bytes end when nothing is compressed, and which pieces there can be at all.
    size = models.PositiveBigIntegerField()
    first = models.BigIntegerField()
    last = models.BigIntegerField()

    objects = PackQuerySet.as_manager()

    def __str__(self) -> str:
        return f"pack {self.number}: pieces {self.first} to {self.last}"

    def bytes(self) -> bytes:
        """What lies in it, one piece after the other."""
        if not self.file:
            return decompress(self.body, self.size)
        with default_storage.open(self.file) as file:
            return decompress(file.read(), self.size)

    def shrink(self) -> None:
        """Keeps only the pieces that are still there; goes away when there are none."""
        kept = list(Piece.objects.filter(pack=self, pk__range=(self.first, self.last)).order_by("start"))
        old = self.file
        if kept and sum(piece.size for piece in kept) < self.size:
            self._pack_again(kept)
        elif not kept:
            self.delete()
        if old and (not kept or self.file != old):
            transaction.on_commit(lambda: default_storage.delete(old))

    def _pack_again(self, kept: "list[Piece]") -> None:
        whole, start = self.bytes(), 0
        parts = [whole[piece.start : piece.start + piece.size] for piece in kept]
        for piece, part in zip(kept, parts, strict=True):
            piece.start, start = start, start + len(part)
        Piece.objects.bulk_update(kept, ["start"])
        self.size, self.body, self.file = start, compress(b"".join(parts)), ""
        self.save()


class Piece(models.Model):
    """Bytes that are here once, however many payloads repeat them."""

    number = models.BigIntegerField(primary_key=True)
    sha256 = models.BinaryField(max_length=32, unique=True)
    pack = models.ForeignKey(Pack, models.CASCADE, db_index=False)
    start = models.PositiveBigIntegerField()
    size = models.PositiveBigIntegerField()
    # So many rollouts.
    users = models.PositiveIntegerField(default=1)

    objects = PieceQuerySet.as_manager()

    def __str__(self) -> str:
        return f"piece {self.number}: {self.size} bytes"


def lock_store() -> None:
    """Until the transaction ends nobody else adds or frees pieces. SQLite has one writer anyway."""
    if connection.vendor == "postgresql":
        with connection.cursor() as cursor:
            cursor.execute("select pg_advisory_xact_lock(%s)", [LOCK])


def save_file(number: int, content: bytes) -> str:
    """A large pack's file; its name."""
    name: str = default_storage.save(f"{FOLDER}/{number}.zst", ContentFile(content))
    return name


def compress(content: bytes) -> bytes:
    """One frame."""
    return zstd.compress(content, LEVEL)


def decompress(body: Any, size: int) -> bytes:
    """And back."""
    return zstd.decompress(body) if size else b""


def chunked(values: Iterable[Any]) -> Iterator[list[Any]]:
    """As many at a time as one question takes."""
    ahead = iter(values)
    while some := list(islice(ahead, AT_ONCE)):
        yield some
