"""A bundle that grows flows in, rows flow out event by event: the same builder and writer as for an upload."""

import os
import socket
import time
from datetime import UTC, datetime, timedelta
from itertools import islice
from pathlib import Path

from django.conf import settings
from django.db.models import Q
from django.utils import timezone

from traces.bundle.leftovers import is_running
from traces.bundle.manifest import LOG_NAME
from traces.bundle.reader import Bundle
from traces.ingest import checkpoints
from traces.ingest.building import Builder, to_the_end
from traces.ingest.checkpoints import Checkpoint
from traces.ingest.identity import find, holds
from traces.ingest.reading import Mark, Reading
from traces.ingest.writer import Writer
from traces.models import Rollout
from traces.models.fields import key
from traces.models.rollouts import RolloutQuerySet

LEASE = timedelta(seconds=15)
# A checkpoint is made after so many events, but never takes more than this part of the time.
CHECKPOINT_EVENTS = 2000
CHECKPOINT_PART = 0.05


class Leased(Exception):
    """Another process follows this recording."""


class Following:
    """One recording that is reduced while it is written."""

    def __init__(self, folder: Path, owner: str, writer: Writer, builder: Builder, mark: Mark) -> None:
        self.folder = folder
        self.owner = owner
        self.writer = writer
        self.builder = builder
        self.mark = mark
        self.bundle = writer.recording.bundle
        self.saved_events = mark.events
        self.next_save = 0.0

    @property
    def rollout(self) -> Rollout:
        """Its row."""
        return self.writer.rollout

    @property
    def over(self) -> bool:
        """Whether the recording itself says that it ended."""
        return self.rollout.status != Rollout.Status.RUNNING and self.rollout.recording_complete is not False

    def step(self) -> int:
        """Takes what was written since the last time, but not too much at once; how many events that were."""
        reading = Reading(self.bundle, self.mark, growing=True)
        entries, _ = self.builder.take_some(iter(reading))
        if not entries:
            return 0
        batch = self.builder.batch(entries)
        batch.columns |= {"rest": reading.rest, "tail": b"", **self._heard(timezone.now())}
        if not self.rollout.manifest_body:
            batch.columns["manifest_body"] = self.bundle.manifest_body()
        self.writer.write(batch)
        self.mark = reading.mark
        self._save()
        return len(entries)

    def _heard(self, now: datetime) -> dict[str, object]:
        lease = {"leased_by": self.owner, "leased_until": now + LEASE}
        written = datetime.fromtimestamp(os.stat(self.folder / LOG_NAME).st_mtime, UTC)
        return {"heard_at": min(now, written), "gone": "", "followed_in": str(self.folder), **lease}

    def note(self, gone: str) -> None:
        """Nobody writes it any more, and it cannot be read any more either."""
        self.writer.note(gone=gone, leased_by="", leased_until=None)

    def end(self, gone: str = "") -> None:
        """Nothing more will come: the rest is read, and what waited for later events is settled without them.

        Should more come after all, the recording has to be followed anew.
        """
        reading = Reading(self.bundle, self.mark)
        for batch in to_the_end(self.builder, reading, iter(reading)):
            if batch.last:
                batch.columns |= {"gone": gone, "leased_by": "", "leased_until": None, "followed_in": str(self.folder)}
            self.writer.write(batch)
        self.mark = reading.mark
        checkpoints.drop(self.rollout.public_id)

    def _save(self) -> None:
        """A restart has to read only what came after the last checkpoint."""
        now = time.monotonic()
        if self.mark.events - self.saved_events < CHECKPOINT_EVENTS or now < self.next_save:
            return
        checkpoints.save(self.rollout.public_id, Checkpoint(self.builder, self.mark))
        self.saved_events = self.mark.events
        self.next_save = time.monotonic() + (time.monotonic() - now) / CHECKPOINT_PART


def follow(folder: Path, owner: str) -> Following | None:
    """Begins where the rows stand; None while the folder holds less than they do. Raises Leased."""
    bundle = Bundle(folder, limits=settings.TRACESITE_LIMITS)
    resumed = _from_checkpoint(folder, bundle, owner)
    if resumed is not None:
        return resumed
    match = find(bundle)
    _lease(match.rollout, owner)
    if match.events < match.rollout.events:
        return None
    writer = Writer(match.rollout, bundle)
    return _caught_up(folder, owner, writer, Builder(bundle, writer.resume()), Reading(bundle))


def _from_checkpoint(folder: Path, bundle: Bundle, owner: str) -> Following | None:
    """Without reading again what the checkpoint knows."""
    rollout = _followed(folder, bundle).first()
    found = checkpoints.load(rollout.public_id) if rollout else None
    if rollout is None or found is None or not _fits(found.mark, rollout, bundle):
        return None
    _lease(rollout, owner)
    writer = Writer(rollout, bundle)
    found.builder.resume(bundle, writer.resume())
    return _caught_up(folder, owner, writer, found.builder, Reading(bundle, found.mark))


def _fits(mark: Mark, rollout: Rollout, bundle: Bundle) -> bool:
    """Whether both the rows and the folder begin with what was read up to here."""
    if mark.events > rollout.events or mark.position > bundle.log_size():
        return False
    return holds(rollout, mark.events, mark.chain.hex())


def _caught_up(folder: Path, owner: str, writer: Writer, builder: Builder, reading: Reading) -> Following:
    builder.catch_up(islice(iter(reading), writer.rollout.events - reading.events))
    return Following(folder, owner, writer, builder, reading.mark)


def read_to_its_end(folder: Path) -> Rollout | None:
    """The rollout that holds all of this folder and is over, told by sizes alone: nothing is read at a restart."""
    bundle = Bundle(folder, limits=settings.TRACESITE_LIMITS)
    rollout = _followed(folder, bundle).exclude(status=Rollout.Status.RUNNING, gone="").first()
    last = rollout.blocks.order_by("-start").first() if rollout else None
    if rollout is None or last is None:
        return None
    taken = last.start + last.size + len(rollout.rest) + len(rollout.tail)
    return rollout if taken == bundle.log_size() else None


def _followed(folder: Path, bundle: Bundle) -> RolloutQuerySet:
    return Rollout.objects.of_trace(key(bundle.manifest.trace_id)).filter(followed_in=str(folder))


def _lease(rollout: Rollout, owner: str) -> None:
    """Only one process reduces a rollout; another one takes over when this lease lapses."""
    now = timezone.now()
    free = Q(leased_by=owner) | Q(leased_until=None) | Q(leased_until__lt=now)
    if has_ended(rollout.leased_by):
        free |= Q(leased_by=rollout.leased_by)
    mine = Rollout.objects.filter(free, pk=rollout.pk)
    if rollout.pk is not None and not mine.update(leased_by=owner, leased_until=now + LEASE):
        raise Leased


def owner_here() -> str:
    """What this process is called in a lease."""
    return f"{os.getpid()}@{socket.gethostname()[:40]}"


def has_ended(owner: str) -> bool:
    """Whether a process of this machine was killed, so that nobody has to wait for its lease to lapse."""
    process, _, host = owner.partition("@")
    if host != socket.gethostname()[:40] or not process.isdigit():
        return False
    return not is_running(int(process))


def renew(owner: str, pks: list[int]) -> None:
    """Every few seconds, for all that this process follows."""
    Rollout.objects.filter(pk__in=pks, leased_by=owner).update(leased_until=timezone.now() + LEASE)


def release(owner: str) -> None:
    """Whoever ends lets others go on at once."""
    Rollout.objects.filter(leased_by=owner).update(leased_by="", leased_until=None)
