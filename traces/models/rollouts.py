"""What a recording is as a whole: one row of the list, its sums, and how far it has been read."""

import secrets
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Literal, Self

from django.conf import settings
from django.db import models, transaction
from django.urls import reverse
from django.utils import timezone

from traces.models.fields import KEY_LENGTH, JsonText
from traces.models.pieces import Piece, lock_store

UNDO = timedelta(minutes=1)
UNTITLED = "Untitled rollout"
# Events come only at the ends of things: a shorter silence says nothing.
QUIET_SECONDS = 30


def public_id() -> str:
    """A short random id for URLs: 60 bits, letters that cannot be mistaken for each other."""
    return "".join(secrets.choice("23456789abcdefghjkmnpqrstuvwxyz") for _ in range(12))


def no_counts() -> dict[str, int]:
    """Counts of a rollout without inference calls."""
    return {"completed": 0, "failed": 0, "cancelled": 0, "aborted": 0, "running": 0}


def delete_all(rows: models.QuerySet[Any]) -> None:
    """One statement, without loading what hangs on each row."""
    rows._raw_delete(rows.db)


@dataclass(frozen=True)
class Liveness:
    """Whether more is to be expected of a recording: our judgement, which never enters the graph."""

    word: Literal["live", "quiet", "stale", "ended"]
    since: datetime
    why: str = ""


class RolloutQuerySet(models.QuerySet["Rollout"]):
    """Verbs on many rollouts."""

    def newest_first(self) -> Self:
        """As the list shows them."""
        return self.order_by("-started_at", "-pk")

    def visible(self) -> Self:
        """Those that nobody deleted."""
        return self.filter(deleted_at=None)

    def expired(self) -> Self:
        """Deleted so long ago that it cannot be undone any more."""
        return self.filter(deleted_at__lt=timezone.now() - UNDO)

    def purge_expired(self) -> int:
        """Purges what is expired; returns how many rollouts that were."""
        return sum(rollout.purge(only_expired=True) for rollout in self.expired())

    def disk_use(self) -> int:
        """How many bytes their recordings take up here; what several of them share counts for the first."""
        return int(self.aggregate(total=models.Sum("bytes_stored"))["total"] or 0)

    def running(self) -> Self:
        """Those that are followed and not known to be over, newest activity first."""
        return self.filter(status=Rollout.Status.RUNNING, heard_at__isnull=False, gone="").order_by("-heard_at", "-pk")

    def of_trace(self, trace_id: str) -> Self:
        """Every rollout that says it is this recording: normally one, more when their contents differ."""
        return self.filter(trace_id=trace_id).order_by("branch")

    def of_session(self, rollout_id: str) -> Self:
        """Every recording of this session, oldest first."""
        return self.filter(rollout_id=rollout_id).order_by("started_at", "pk")


class Gone(models.TextChoices):
    """How it is known that nobody writes a recording any more, though it did not end."""

    CLOSED = "closed", "No process holds its log open any more."
    VANISHED = "vanished", "Its folder is gone."
    SUCCEEDED = "succeeded", "A later recording of the same session began."


class Rollout(models.Model):
    """One recording of one session."""

    class Status(models.TextChoices):
        """The words of `state.json`."""

        RUNNING = "running"
        COMPLETED = "completed"
        FAILED = "failed"
        ABORTED = "aborted"

    public_id = models.CharField(max_length=32, unique=True, default=public_id)
    trace_id = models.CharField(max_length=KEY_LENGTH)
    # 0 for the first content seen under this trace_id, 1 for the next other content, and so on.
    branch = models.PositiveIntegerField(default=0)
    rollout_id = models.CharField(max_length=KEY_LENGTH)
    root_thread_id = models.CharField(max_length=KEY_LENGTH)
    schema_version = models.PositiveIntegerField()
    started_at = models.DateTimeField()
    ended_at = models.DateTimeField(null=True)
    status = models.CharField(max_length=16, choices=Status, default=Status.RUNNING)
    recording_complete = models.BooleanField(null=True)
    title = models.TextField(default=UNTITLED)
    model = models.CharField(max_length=KEY_LENGTH, default="")
    client_version = models.CharField(max_length=80, default="")
    client_version_guess = models.BooleanField(default=False)

    agents = models.PositiveIntegerField(default=0)
    tokens_in = models.BigIntegerField(default=0)
    tokens_cached = models.BigIntegerField(default=0)
    tokens_out = models.BigIntegerField(default=0)
    tokens_reasoning = models.BigIntegerField(default=0)
    calls_without_usage = models.PositiveIntegerField(default=0)
    counts = JsonText(default=no_counts)

    # How far it has been read: so many events, their chain hash, the line ends and empty lines after them,
    # and the bytes of a last line that is not complete.
    events = models.PositiveBigIntegerField(default=0)
    fingerprint = models.CharField(max_length=64, default="")
    rest = models.BinaryField(default=b"")
    tail = models.BinaryField(default=b"")
    revision = models.PositiveBigIntegerField(default=0)
    # Set when an event could not be applied: the graph stands as it was before it, later events are kept raw.
    stopped_what = models.TextField(default="")
    stopped_seq = models.BigIntegerField(null=True)
    stopped_line = models.BigIntegerField(null=True)

    manifest = JsonText(default=dict)
    # manifest.json as it was, byte for byte.
    manifest_body = models.BinaryField(default=b"")
    # The recording's files, and what keeping them costs.
    bytes_recorded = models.PositiveBigIntegerField(default=0)
    bytes_stored = models.PositiveBigIntegerField(default=0)
    # The totals of state.json as they stand there, exactly.
    head = JsonText(default=dict)
    note = models.TextField(default="")
    # Only of a recording that is or was followed while it grew: when its last event arrived here, and why no more will.
    heard_at = models.DateTimeField(null=True)
    gone = models.CharField(max_length=16, choices=Gone, default="", blank=True)
    # The folder it is followed in, and which process does so; another may when the time is over.
    followed_in = models.TextField(default="")
    leased_by = models.CharField(max_length=64, default="")
    leased_until = models.DateTimeField(null=True)
    # Out of sight since then; after a minute it is gone for good.
    deleted_at = models.DateTimeField(null=True, db_index=True)
    created_at = models.DateTimeField(auto_now_add=True)
    updated_at = models.DateTimeField(auto_now=True)

    objects = RolloutQuerySet.as_manager()

    class Meta:
        constraints = [models.UniqueConstraint(fields=["trace_id", "branch"], name="one_rollout_per_content")]
        indexes = [
            models.Index(fields=["-started_at", "-id"], name="rollout_started"),
            models.Index(fields=["rollout_id", "started_at"], name="rollout_session"),
            models.Index(fields=["status", "-started_at"], name="rollout_status"),
        ]

    def __str__(self) -> str:
        return self.title

    def get_absolute_url(self) -> str:
        """Where it is read."""
        return reverse("rollout", args=[self.public_id])

    @property
    def inferences(self) -> int:
        """How many calls to the model it holds."""
        return sum(self.counts.values())

    @property
    def duration(self) -> timedelta | None:
        """From its start to its recorded end."""
        return self.ended_at - self.started_at if self.ended_at else None

    @property
    def stopped(self) -> bool:
        """Whether an event could not be applied."""
        return bool(self.stopped_what)

    def liveness(self, now: datetime) -> "Liveness | None":
        """What silence means at this moment; None for a recording that nobody follows."""
        if self.heard_at is None:
            return None
        if self.status != self.Status.RUNNING:
            return Liveness("ended", self.heard_at)
        if self.gone:
            return Liveness("stale", self.heard_at, str(Gone(self.gone).label))
        silence = (now - self.heard_at).total_seconds()
        if silence > settings.TRACESITE_STALE_SECONDS:
            return Liveness("stale", self.heard_at, "It has been silent for too long.")
        return Liveness("quiet" if silence > QUIET_SECONDS else "live", self.heard_at)

    def siblings(self) -> RolloutQuerySet:
        """Other rollouts of the same trace_id: same name, other content."""
        return Rollout.objects.of_trace(self.trace_id).exclude(pk=self.pk)

    def purge(self, only_expired: bool = False) -> bool:
        """Deletes its rows and frees what nobody else uses; false where somebody was quicker, or took it back."""
        mine = Rollout.objects.expired() if only_expired else Rollout.objects.all()
        with transaction.atomic():
            # Whoever writes to it at this moment finds its revision changed.
            if not mine.filter(pk=self.pk).update(revision=models.F("revision") + 1):
                return False
            pieces = self.payloads.pieces()
            self._delete_rows()
            lock_store()
            Piece.objects.free(pieces)
            self._settle_siblings()
        return True

    def _delete_rows(self) -> None:
        """Rows that point to each other go at once: foreign keys are looked at when the transaction ends."""
        for relation in Rollout._meta.related_objects:
            model = getattr(relation, "through", None) or relation.related_model
            delete_all(model._base_manager.filter(rollout=self.pk))
        delete_all(Rollout.objects.filter(pk=self.pk))

    def _settle_siblings(self) -> None:
        """A rollout that is alone under its trace_id again has nothing to note."""
        siblings = self.siblings()
        if siblings.count() == 1:
            siblings.update(note="")

    def counted(self) -> list[tuple[str, int]]:
        """Statuses that occur among its calls, with their numbers."""
        return [(status, count) for status, count in self.counts.items() if count]
