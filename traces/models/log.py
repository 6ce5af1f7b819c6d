"""The recording itself as rows: every line of the log and every payload it names."""

from collections.abc import Iterable
from typing import Self

from django.db import models

from traces.models import recipes
from traces.models.fields import KEY_LENGTH, HexField
from traces.models.pieces import Piece, decompress
from traces.models.rollouts import Rollout


class PayloadQuerySet(models.QuerySet["Payload"]):
    """Verbs on many payloads."""

    def without_bodies(self) -> Self:
        """For lists; bodies are never loaded before somebody asks for their bytes."""
        return self

    def kept(self) -> Self:
        """Those whose bytes are here."""
        return self.exclude(recipe=None)

    def pieces(self) -> set[int]:
        """The numbers of all pieces that these payloads of one rollout are made of."""
        used: set[int] = set()
        before: list[int] = []
        for step, recipe in self.kept().order_by("run", "step").values_list("step", "recipe").iterator():
            tokens = recipes.decode(before if step else (), bytes(recipe))
            used |= recipes.numbers(tokens)
            before = tokens
        return used


class Payload(models.Model):
    """A request, a response, a tool's result: a body that an event names. Or a file that no event names."""

    rollout = models.ForeignKey(Rollout, models.CASCADE, related_name="payloads", db_index=False)
    raw_payload_id = models.CharField(max_length=KEY_LENGTH)
    kind = models.CharField(max_length=40)
    path = models.TextField()
    size = models.PositiveBigIntegerField(default=0)
    sha256 = HexField(default=b"")
    # The pieces it is made of. Null: the bundle had no such file, or it lay outside; `missing` says what was wrong.
    recipe = models.BinaryField(null=True)
    # Recipes of one run are differences, each to the step before it; outside of a run they stand alone.
    run = models.PositiveIntegerField(null=True)
    step = models.PositiveIntegerField(default=0)
    missing = models.TextField(default="")
    # The line that names it first; 0 where none does.
    line = models.PositiveBigIntegerField(default=0)
    # Whether the graph names it; payloads of events after a stop are kept, but the graph does not know them.
    in_graph = models.BooleanField(default=True)

    objects = PayloadQuerySet.as_manager()

    class Meta:
        constraints = [models.UniqueConstraint(fields=["rollout", "raw_payload_id"], name="one_row_per_payload")]
        indexes = [
            models.Index(fields=["rollout", "run", "step"], name="payload_run", condition=models.Q(run__isnull=False)),
        ]

    def __str__(self) -> str:
        return self.raw_payload_id

    @property
    def kept(self) -> bool:
        """Whether its bytes are here."""
        return self.recipe is not None

    def bytes(self) -> bytes:
        """The body, byte for byte; empty where there is none."""
        if self.recipe is None:
            return b""
        tokens = self.tokens()
        return recipes.join(tokens, Piece.objects.contents(recipes.numbers(tokens)))

    def tokens(self) -> list[int]:
        """The pieces it is made of."""
        if self.run is None:
            return recipes.decode((), bytes(self.recipe or b""))
        run = Payload.objects.filter(rollout=self.rollout_id, run=self.run, step__lte=self.step).order_by("step")
        tokens: list[int] = []
        for recipe in run.values_list("recipe", flat=True):
            tokens = recipes.decode(tokens, bytes(recipe or b""))
        return tokens


class LogBlock(models.Model):
    """A stretch of trace.jsonl as it was, with its line ends and empty lines."""

    rollout = models.ForeignKey(Rollout, models.CASCADE, related_name="blocks", db_index=False)
    start = models.PositiveBigIntegerField()
    size = models.PositiveBigIntegerField()
    body = models.BinaryField()
    # How many events stand before it, and after each of its own a hash over everything up to there, payloads included:
    # equal chains, equal recordings.
    before = models.PositiveBigIntegerField()
    chains = models.BinaryField()

    class Meta:
        constraints = [models.UniqueConstraint(fields=["rollout", "start"], name="one_block_per_start")]

    def __str__(self) -> str:
        return f"bytes {self.start} to {self.start + self.size}"

    def bytes(self) -> bytes:
        """The stretch."""
        return decompress(self.body, self.size)


class EventQuerySet(models.QuerySet["Event"]):
    """Verbs on many events."""

    def about(self, kind: str, object_id: str) -> Self:
        """The events of one object, in order."""
        return self.filter(object_kind=kind, object_id=object_id).order_by("line")


class Event(models.Model):
    """One line of the log."""

    rollout = models.ForeignKey(Rollout, models.CASCADE, related_name="log", db_index=False)
    # Empty lines are no events but count as lines. A line that could not be read has no seq and no type.
    line = models.PositiveBigIntegerField()
    seq = models.BigIntegerField(null=True)
    wall_time_ms = models.BigIntegerField(null=True)
    type = models.CharField(max_length=60, default="")
    thread_id = models.CharField(max_length=KEY_LENGTH, default="")
    codex_turn_id = models.CharField(max_length=KEY_LENGTH, default="")
    object_kind = models.CharField(max_length=24, default="")
    object_id = models.CharField(max_length=KEY_LENGTH, default="")
    # Where it stands in trace.jsonl, without its line end.
    start = models.PositiveBigIntegerField()
    size = models.PositiveBigIntegerField()

    objects = EventQuerySet.as_manager()

    class Meta:
        constraints = [models.UniqueConstraint(fields=["rollout", "line"], name="one_event_per_line")]
        indexes = [
            models.Index(fields=["rollout", "seq"], name="event_seq"),
            models.Index(fields=["rollout", "object_kind", "object_id"], name="event_object"),
        ]

    def __str__(self) -> str:
        return f"event {self.seq}: {self.type}"

    @property
    def body(self) -> bytes:
        """The line, byte for byte."""
        return lines_of([self])[self.line]


def lines_of(events: "Iterable[Event]") -> dict[int, bytes]:
    """The lines of these events of one rollout, by their numbers; each block is opened once."""
    found: dict[int, bytes] = {}
    block, content = None, b""
    for event in sorted(events, key=lambda event: event.start):
        if block is None or event.start >= block.start + block.size:
            blocks = LogBlock.objects.filter(rollout=event.rollout_id, start__lte=event.start)
            block = blocks.order_by("-start")[0]
            content = block.bytes()
        at = event.start - block.start
        found[event.line] = content[at : at + event.size]
    return found
