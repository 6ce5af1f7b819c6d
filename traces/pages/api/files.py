"""A key flows in, a file flows out: `state.json` as the reference makes it, or the recording as it was uploaded."""

import re
from collections.abc import Generator, Iterator
from datetime import UTC, datetime

from django.http import HttpRequest

from traces.ingest.export import bundle_files
from traces.models import Rollout
from traces.pages.api.answers import Refusal, Stream
from traces.pages.api.archives import tar_zst, zipped
from traces.pages.api.rollouts import rollout_named
from traces.pages.api.state import state_pieces

UNSAFE = re.compile(r"[^A-Za-z0-9_-]")
LONGEST_NAME = 60
PIECE = 1 << 16
# .zip knows no time before 1980 or after 2107; a recording may claim any.
FIRST_YEAR, LAST_YEAR = 1980, 2107


def state(request: HttpRequest, public_id: str) -> Stream:
    """The file that `codex debug trace-reduce` would write."""
    found = rollout_named(request, public_id)
    refuse_without_state(found)
    return file_of(state_pieces(found), "application/json", f"{folder_of(found)}-state.json")


def refuse_without_state(found: Rollout) -> None:
    """The reference refuses a bundle as a whole, so there is no file that could be equal to its answer."""
    if found.stopped:
        line = f"line {found.stopped_line}" if found.stopped_line else "its end"
        sentence = f"The reference refuses this recording at {line} ({found.stopped_what}), so it has no state.json; "
        raise Refusal(409, f"{sentence}the page shows what could be reduced.")
    if found.tail:
        raise Refusal(
            409, "The last line of this recording is not complete. The reference refuses it, so it has no state.json."
        )


def bundle(request: HttpRequest, public_id: str) -> Stream:
    """The recording as a .tar.zst."""
    found = rollout_named(request, public_id)
    name = folder_of(found)
    pieces = tar_zst(name, bundle_files(found), max(0, int(found.started_at.timestamp())))
    return file_of(pieces, "application/zstd", f"{name}.tar.zst")


def bundle_zip(request: HttpRequest, public_id: str) -> Stream:
    """The recording as a .zip, for those who have no zstd."""
    found = rollout_named(request, public_id)
    name = folder_of(found)
    return file_of(zipped(name, bundle_files(found), date_of(found.started_at)), "application/zip", f"{name}.zip")


def file_of(pieces: Iterator[bytes], kind: str, name: str) -> Stream:
    """A download; its first piece is made at once, so that what goes wrong there is still told as a sentence."""
    response = Stream(Begun(pieces), content_type=kind)
    response["Content-Disposition"] = f'attachment; filename="{name}"'
    response["X-Content-Type-Options"] = "nosniff"
    return response


class Begun:
    """Pieces whose first is there already.

    Who goes away before the last one closes them, and the database's cursor with them (Django calls `close`): left to
    the collector of garbage, it would be closed in the middle of another request's transaction, and break that.
    """

    def __init__(self, pieces: Iterator[bytes]) -> None:
        self.rest = gathered(pieces)
        self.first = next(self.rest, b"")

    def __iter__(self) -> Iterator[bytes]:
        yield self.first
        yield from self.rest

    def close(self) -> None:
        """Nobody wants the rest."""
        self.rest.close()


def gathered(pieces: Iterator[bytes]) -> Generator[bytes]:
    """The same bytes in fewer pieces: each one is a step from thread to thread."""
    some: list[bytes] = []
    size = 0
    for piece in pieces:
        some.append(piece)
        size += len(piece)
        if size >= PIECE:
            yield b"".join(some)
            some, size = [], 0
    if some:
        yield b"".join(some)


def folder_of(found: Rollout) -> str:
    """What the client calls the folder, as far as ids that somebody else chose can stand in a name."""
    parts = (found.trace_id, found.root_thread_id)
    return "-".join(["trace", *(UNSAFE.sub("_", part)[:LONGEST_NAME] or "_" for part in parts)])


def date_of(moment: datetime) -> tuple[int, int, int, int, int, int]:
    """A time as a .zip says it."""
    at = moment.astimezone(UTC)
    year = min(max(at.year, FIRST_YEAR), LAST_YEAR)
    day = 28 if (at.month, at.day) == (2, 29) and year != at.year else at.day
    return year, at.month, day, at.hour, at.minute, at.second
