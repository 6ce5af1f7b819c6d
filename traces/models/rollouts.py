"""What a recording is as a whole: one row of the list, its sums, and how far it has been read."""

import secrets
from datetime import timedelta
from typing import Self

from django.db import models
from django.urls import reverse

from traces.models.fields import KEY_LENGTH, JsonText

UNTITLED = "Untitled rollout"


def public_id() -> str:
    """A short random id for URLs: 60 bits, letters that cannot be mistaken for each other."""
    return "".join(secrets.choice("23456789abcdefghjkmnpqrstuvwxyz") for _ in range(12))


def no_counts() -> dict[str, int]:
    """Counts of a rollout without inference calls."""
    return {"completed": 0, "failed": 0, "cancelled": 0, "aborted": 0, "running": 0}


class RolloutQuerySet(models.QuerySet["Rollout"]):
    """Verbs on many rollouts."""

    def newest_first(self) -> Self:
        """As the list shows them."""
        return self.order_by("-started_at", "-pk")

    def of_trace(self, trace_id: str) -> Self:
        """Every rollout that says it is this recording: normally one, more when their contents differ."""
        return self.filter(trace_id=trace_id).order_by("branch")

    def of_session(self, rollout_id: str) -> Self:
        """Every recording of this session, oldest first."""
        return self.filter(rollout_id=rollout_id).order_by("started_at", "pk")


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

    # How far it has been read: so many events, their chain hash, and the bytes of a last line that is not complete.
    events = models.PositiveBigIntegerField(default=0)
    fingerprint = models.CharField(max_length=64, default="")
    tail = models.BinaryField(default=b"")
    revision = models.PositiveBigIntegerField(default=0)
    # Set when an event could not be applied: the graph stands as it was before it, later events are kept raw.
    stopped_what = models.TextField(default="")
    stopped_seq = models.BigIntegerField(null=True)
    stopped_line = models.BigIntegerField(null=True)

    manifest = JsonText(default=dict)
    # The totals of state.json as they stand there, exactly.
    head = JsonText(default=dict)
    note = models.TextField(default="")
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

    def siblings(self) -> RolloutQuerySet:
        """Other rollouts of the same trace_id: same name, other content."""
        return Rollout.objects.of_trace(self.trace_id).exclude(pk=self.pk)

    def counted(self) -> list[tuple[str, int]]:
        """Statuses that occur among its calls, with their numbers."""
        return [(status, count) for status, count in self.counts.items() if count]
