"""Folders flow in, the recordings that are written below them flow out as rows, event by event, while they grow."""

import logging
import os
import threading
import time
from collections.abc import Container, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from django.conf import settings
from django.db import DatabaseError, close_old_connections
from watchfiles import watch

from traces.bundle.errors import BundleError
from traces.bundle.held import can_tell, held_open
from traces.bundle.manifest import LOG_NAME, MANIFEST_NAME
from traces.bundle.places import is_bundle
from traces.ingest.following import Following, Leased, follow, owner_here, read_to_its_end, release, renew
from traces.ingest.writer import Overtaken
from traces.models import Rollout
from traces.models.rollouts import Gone
from traces.reducer import ReductionError

log = logging.getLogger(__name__)
DEPTH = 3  # folders below a watched one in which bundles are looked for
LOOK_EVERY = 2.0  # seconds; not every file system tells of changes
POLL_EVERY = 0.1  # seconds, where none is told at all
SCAN_EVERY = 5.0
RENEW_EVERY = 5.0
JUDGE_EVERY = 5.0
SILENT = 10.0  # seconds; only then a writer may be gone
PAUSES = (0.1, 0.5, 2.0, 5.0)  # seconds until a recording that could not be read is tried again
GATHER_MS = 30  # changes that come so close together are looked at once
STEP_MS = 15  # it wakes up so often, also when nothing happens
STOPPING = 2.0  # seconds that a step which is under way gets
NOTHING = (-1, -1)
TROUBLE = (BundleError, ReductionError, DatabaseError, OSError)
DEMO = "demo"


@dataclass(slots=True, eq=False)
class Found:
    """A folder with a bundle in it."""

    folder: Path
    following: Following | None = None
    # Size and change time of the log when there was nothing more to read.
    seen: tuple[int, int] = NOTHING
    failures: int = 0
    try_again: float = 0.0

    def stamp(self) -> tuple[int, int]:
        """Size and change time of its log now; NOTHING where it is gone."""
        try:
            stat = os.stat(self.folder / LOG_NAME)
        except OSError:
            return NOTHING
        return stat.st_size, stat.st_mtime_ns

    def failed(self) -> None:
        """It has to be followed anew, after a pause."""
        self.following = None
        self.try_again = time.monotonic() + PAUSES[min(self.failures, len(PAUSES) - 1)]
        self.failures += 1


class Watcher:
    """Follows every bundle below some folders, one step of each after the other."""

    def __init__(self, roots: Iterable[Path]) -> None:
        self.roots = [root.resolve() for root in roots]
        self.owner = owner_here()
        self.found: dict[Path, Found] = {}
        self.dismissed: set[Path] = set()
        self.stopped = threading.Event()
        self.due: dict[str, float] = {}

    def run(self) -> None:
        """Until it is stopped."""
        try:
            for new in self._ticks():
                self.round(new)
        finally:
            release(self.owner)

    def stop(self) -> None:
        """Ends after the step that is under way."""
        self.stopped.set()

    # What tells that something happened

    def _ticks(self) -> Iterator[bool]:
        """Something changed, or some time has gone by; whether there may be a new bundle."""
        yield True
        while not self.stopped.is_set():
            roots = [root for root in self.roots if root.is_dir()]
            try:
                yield from self._told(roots) if roots else self._untold(LOOK_EVERY)
            except OSError as error:
                # The system takes only so many watches, and some file systems none.
                log.warning("changes of files are not told here (%s): looking %s times a second", error, 1 / POLL_EVERY)
                yield from self._untold(POLL_EVERY)

    def _told(self, roots: list[Path]) -> Iterator[bool]:
        told = watch(
            *roots,
            watch_filter=None,
            debounce=GATHER_MS,
            step=STEP_MS,
            rust_timeout=int(LOOK_EVERY * 1000),
            stop_event=self.stopped,
            yield_on_timeout=True,
            raise_interrupt=False,
        )
        for changes in told:
            yield any(path.endswith((LOG_NAME, MANIFEST_NAME)) for _, path in changes)
            if roots != [root for root in self.roots if root.is_dir()]:
                return

    def _untold(self, seconds: float) -> Iterator[bool]:
        for _ in range(int(60 / seconds)):
            if self.stopped.wait(seconds):
                return
            yield False

    # What is done then

    def round(self, new: bool = False) -> None:
        """Everything that is to be done at this moment."""
        while not self.stopped.is_set():
            if self._is_due("scan", SCAN_EVERY) or (new and any(self._unknown())):
                self._scan()
            more = [self._step(found) for found in list(self.found.values())]
            self._safely("renew", RENEW_EVERY)
            self._safely("judge", JUDGE_EVERY)
            if not any(more):
                return

    def _is_due(self, what: str, every: float) -> bool:
        now = time.monotonic()
        if now < self.due.get(what, 0.0):
            return False
        self.due[what] = now + every
        return True

    def _safely(self, what: str, every: float) -> None:
        if self._is_due(what, every):
            try:
                getattr(self, what)()
            except DatabaseError:
                log.exception("following: the database could not be reached")
                close_old_connections()

    def _unknown(self) -> Iterator[Path]:
        for root in self.roots:
            yield from bundles_below(root, DEPTH, self.found)

    def _scan(self) -> None:
        """New bundles are followed, those whose folder is gone are not any more."""
        for folder in self._unknown():
            if folder not in self.dismissed:
                self.found[folder] = Found(folder)
        for found in [found for found in self.found.values() if found.stamp() == NOTHING]:
            self._vanished(found)

    def _step(self, found: Found) -> bool:
        """Takes a little of what is new; whether there may be more."""
        stamp = found.stamp()
        if stamp in (found.seen, NOTHING) or time.monotonic() < found.try_again:
            return False
        try:
            return self._read(found, stamp)
        except (Leased, Overtaken):
            # Somebody else is at it, or was a moment ago.
            found.failed()
        except TROUBLE as error:
            log.warning("%s could not be followed: %s", found.folder.name, error)
            found.failed()
            if isinstance(error, DatabaseError):
                close_old_connections()
        return False

    def _read(self, found: Found, stamp: tuple[int, int]) -> bool:
        if found.following is None:
            found.following = None if read_to_its_end(found.folder) else follow(found.folder, self.owner)
        following = found.following
        taken = following.step() if following else 0
        found.failures = 0
        if not taken:
            found.seen = stamp
        if following and following.over:
            following.end()
            found.following = None
        return taken > 0

    # What only the clock brings

    def _followed(self) -> list[tuple[Found, Following]]:
        followed = [(found, found.following) for found in self.found.values()]
        return [(found, following) for found, following in followed if following and following.rollout.pk]

    def renew(self) -> None:
        """Tells other processes that this one is still at it; lets go of what somebody deleted."""
        pks = {following.rollout.pk: found for found, following in self._followed()}
        renew(self.owner, list(pks))
        for pk in Rollout.objects.filter(pk__in=pks, deleted_at__isnull=False).values_list("pk", flat=True):
            self.dismissed.add(pks[pk].folder)
            self.found.pop(pks[pk].folder, None)

    def judge(self) -> None:
        """Silence alone proves nothing: a writer counts as gone only where that is known."""
        before = (time.time() - SILENT) * 1e9
        silent = [each for each in self._followed() if each[0].stamp()[1] <= before]
        held = held_open(found.folder / LOG_NAME for found, _ in silent) if silent else set()
        for found, following in silent:
            gone = self._gone(found, following.rollout, held)
            if gone and found.stamp() == found.seen:
                self._ended(found, following, gone)

    def _gone(self, found: Found, rollout: Rollout, held: set[Path] | None) -> str:
        log_file = found.folder / LOG_NAME
        later = Rollout.objects.visible().filter(rollout_id=rollout.rollout_id, started_at__gt=rollout.started_at)
        if later.exclude(pk=rollout.pk).exists():
            return Gone.SUCCEEDED
        if held is not None and log_file not in held and can_tell(log_file):
            return Gone.CLOSED
        return ""

    def _ended(self, found: Found, following: Following, gone: str) -> None:
        try:
            following.end(gone)
        except (Overtaken, *TROUBLE) as error:
            log.warning("%s could not be read to its end: %s", found.folder.name, error)
            found.failed()
            return
        found.following = None

    def _vanished(self, found: Found) -> None:
        self.found.pop(found.folder)
        if found.following is not None and found.following.rollout.pk:
            found.following.note(gone=Gone.VANISHED)


def bundles_below(folder: Path, depth: int, known: Container[Path] = ()) -> Iterator[Path]:
    """Unknown bundles in a folder and in its folders; nothing is looked for inside of a bundle."""
    if folder in known:
        return
    try:
        if is_bundle(folder):
            yield folder
            return
        inner = sorted(entry.path for entry in os.scandir(folder) if entry.is_dir(follow_symlinks=False))
    except OSError:  # it is gone, or none of ours
        return
    if depth:
        for path in inner:
            yield from bundles_below(Path(path), depth - 1, known)


def demo_folder() -> Path:
    """Where the live demonstration is written; it is always followed."""
    folder = Path(settings.TRACESITE_DATA) / DEMO
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    return folder


class Service:
    """The server's own watcher, in a thread."""

    def __init__(self) -> None:
        self.watcher: Watcher | None = None
        self.thread: threading.Thread | None = None

    def start(self) -> None:
        """Follows what the settings name, and the demonstration."""
        if self.thread is None:
            self.watcher = Watcher([*map(Path, settings.TRACESITE_WATCH), demo_folder()])
            self.thread = threading.Thread(target=self.watcher.run, name="watch", daemon=True)
            self.thread.start()

    def stop(self) -> None:
        """Lets others go on at once with what this process followed."""
        if self.watcher is not None and self.thread is not None:
            self.watcher.stop()
            self.thread.join(STOPPING)


service = Service()
start, stop = service.start, service.stop
