"""The state of a reduction flows in and, after a restart, out: only what came after it is reduced again.

A checkpoint is a pickle in the data folder, which only its owner can write. It is thrown away when the code that made
it changed, or when it does not fit the rows: reducing from the start gives the same.
"""

import hashlib
import logging
import os
import pickle
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from django.conf import settings

from traces.ingest.building import Builder
from traces.ingest.reading import Mark

log = logging.getLogger(__name__)
ROOMS = ("bundle", "reducer", "ingest")
# Whatever a pickle of another day can come to grief on.
UNREADABLE = (pickle.UnpicklingError, AttributeError, EOFError, ImportError, IndexError, TypeError, ValueError, OSError)


@dataclass(slots=True)
class Checkpoint:
    """A builder, and how far it has read."""

    builder: Builder
    mark: Mark


def save(name: str, checkpoint: Checkpoint) -> None:
    """Keeps it instead of the one before; a full disk is no reason to stop following."""
    path = _path(name)
    unfinished = path.with_suffix(f".{os.getpid()}")
    try:
        path.parent.mkdir(mode=0o700, exist_ok=True)
        unfinished.write_bytes(_made_by() + pickle.dumps(checkpoint, pickle.HIGHEST_PROTOCOL))
        unfinished.replace(path)
    except OSError as error:
        log.warning("no checkpoint was written: %s", error.strerror)
        unfinished.unlink(missing_ok=True)


def load(name: str) -> Checkpoint | None:
    """The last one; None where there is none that can be used."""
    try:
        body = _path(name).read_bytes()
        if not body.startswith(_made_by()):
            return None
        found = pickle.loads(memoryview(body)[len(_made_by()) :])
    except UNREADABLE:
        return None
    return found if isinstance(found, Checkpoint) else None


def drop(name: str) -> None:
    """It is of no use any more."""
    _path(name).unlink(missing_ok=True)


def _path(name: str) -> Path:
    return Path(settings.TRACESITE_DATA) / "checkpoints" / f"{name}.pickle"


@cache
def _made_by() -> bytes:
    """A digest of the code whose objects a checkpoint holds."""
    digest = hashlib.sha256()
    for source in _sources():
        digest.update(source.read_bytes())
    return digest.digest()


def _sources() -> Iterator[Path]:
    traces = Path(__file__).parent.parent
    for room in ROOMS:
        yield from sorted((traces / room).glob("*.py"))
