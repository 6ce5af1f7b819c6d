"""The recording itself as rows: every line of the log and every payload it names."""

import hashlib
from typing import Self

import zstandard
from django.db import models

from traces.models.fields import KEY_LENGTH
from traces.models.rollouts import Rollout

LEVEL = 3


class PayloadQuerySet(models.QuerySet["Payload"]):
    """Verbs on many payloads."""

    def without_bodies(self) -> Self:
        """For lists: bodies stay in the database."""
        return self.defer("body")


class Payload(models.Model):
    """A request, a response, a tool's result: a body that an event names."""

    rollout = models.ForeignKey(Rollout, models.CASCADE, related_name="payloads")
    raw_payload_id = models.CharField(max_length=KEY_LENGTH)
    kind = models.CharField(max_length=40)
    path = models.TextField()
    size = models.PositiveBigIntegerField(default=0)
    sha256 = models.CharField(max_length=64, default="")
    # Compressed. Null: the bundle had no such file, or it lay outside; `missing` says what was wrong.
    body = models.BinaryField(null=True)
    missing = models.TextField(default="")
    # Whether the graph names it; payloads of events after a stop are kept, but the graph does not know them.
    in_graph = models.BooleanField(default=True)

    objects = PayloadQuerySet.as_manager()

    class Meta:
        constraints = [models.UniqueConstraint(fields=["rollout", "raw_payload_id"], name="one_row_per_payload")]

    def __str__(self) -> str:
        return self.raw_payload_id

    def fill(self, content: bytes, sha256: bytes | None = None) -> None:
        """Takes these bytes as the body; their hash, too, when the caller knows it."""
        self.size = len(content)
        self.sha256 = (sha256 or hashlib.sha256(content).digest()).hex()
        self.body = zstandard.ZstdCompressor(level=LEVEL).compress(content)

    def bytes(self) -> bytes:
        """The body, byte for byte; empty where there is none."""
        if self.body is None:
            return b""
        return zstandard.ZstdDecompressor().decompress(self.body, max_output_size=self.size)


class EventQuerySet(models.QuerySet["Event"]):
    """Verbs on many events."""

    def about(self, kind: str, object_id: str) -> Self:
        """The events of one object, in order."""
        return self.filter(object_kind=kind, object_id=object_id).order_by("line")


class Event(models.Model):
    """One line of the log."""

    rollout = models.ForeignKey(Rollout, models.CASCADE, related_name="log")
    # Empty lines are no events but count as lines. A line that could not be read has no seq and no type.
    line = models.PositiveBigIntegerField()
    seq = models.BigIntegerField(null=True)
    wall_time_ms = models.BigIntegerField(null=True)
    type = models.CharField(max_length=60, default="")
    thread_id = models.CharField(max_length=KEY_LENGTH, default="")
    codex_turn_id = models.CharField(max_length=KEY_LENGTH, default="")
    object_kind = models.CharField(max_length=24, default="")
    object_id = models.CharField(max_length=KEY_LENGTH, default="")
    body = models.BinaryField()
    # Hash over everything up to here, payloads included: equal chains, equal recordings.
    chain = models.BinaryField(max_length=16)

    objects = EventQuerySet.as_manager()

    class Meta:
        constraints = [models.UniqueConstraint(fields=["rollout", "line"], name="one_event_per_line")]
        indexes = [
            models.Index(fields=["rollout", "seq"], name="event_seq"),
            models.Index(fields=["rollout", "object_kind", "object_id"], name="event_object"),
        ]

    def __str__(self) -> str:
        return f"event {self.seq}: {self.type}"
