"""The objects of a reduced rollout as rows: what stands in the outline, what was said, and what flowed between them."""

from typing import Self

from django.db import models

from traces.models.fields import KEY_LENGTH, PackedJson
from traces.models.rollouts import Rollout


class NodeQuerySet(models.QuerySet["Node"]):
    """Verbs on many nodes."""

    def outline(self) -> Self:
        """Depth first, as the outline shows them."""
        return self.order_by("position")

    def under(self, node: "Node") -> Self:
        """Everything below this node, in the order of the outline."""
        return self.filter(
            rollout=node.rollout_id, position__gt=node.position, position__lt=node.position + "z"
        ).outline()

    def since(self, revision: int) -> Self:
        """What changed after this revision."""
        return self.filter(revision__gt=revision)


class Node(models.Model):
    """One object of the outline, whatever its kind."""

    class Kind(models.TextChoices):
        """The kinds of object that have a place in the outline."""

        THREAD = "thread"
        CODEX_TURN = "codex_turn"
        INFERENCE_CALL = "inference_call"
        TOOL_CALL = "tool_call"
        TERMINAL_OPERATION = "terminal_operation"
        CODE_CELL = "code_cell"
        COMPACTION = "compaction"
        COMPACTION_REQUEST = "compaction_request"

    class Status(models.TextChoices):
        """How it ended, in the words of `state.json`."""

        RUNNING = "running"
        COMPLETED = "completed"
        FAILED = "failed"
        CANCELLED = "cancelled"
        ABORTED = "aborted"

    class Evidence(models.TextChoices):
        """How we know: its own last event, the repair at the end of its turn, or nothing at all."""

        OBSERVED = "observed"
        TURN_END = "turn_end"
        NONE = "none"

    rollout = models.ForeignKey(Rollout, models.CASCADE, related_name="nodes", db_index=False)
    kind = models.CharField(max_length=24, choices=Kind)
    object_id = models.CharField(max_length=KEY_LENGTH)
    parent = models.ForeignKey("self", models.CASCADE, null=True, related_name="children")
    # A sort key, not a number: the parent's key plus this node's own part. New objects never move the old ones.
    position = models.CharField(max_length=1000)
    depth = models.PositiveIntegerField(default=0)
    number = models.PositiveIntegerField()
    thread_id = models.CharField(max_length=KEY_LENGTH, default="")
    status = models.CharField(max_length=16, choices=Status)
    evidence = models.CharField(max_length=16, choices=Evidence)
    # Which event says so, by its type and seq; for a call the provider's error or the client's reason, verbatim.
    evidence_event = models.CharField(max_length=40, default="")
    evidence_seq = models.BigIntegerField(null=True)
    evidence_text = models.TextField(default="")
    # An own last event that came after the repair.
    late_event = models.CharField(max_length=40, default="")
    late_seq = models.BigIntegerField(null=True)
    late_text = models.TextField(default="")
    late_items = models.PositiveIntegerField(default=0)
    started_at_ms = models.BigIntegerField()
    started_seq = models.BigIntegerField()
    ended_at_ms = models.BigIntegerField(null=True)
    ended_seq = models.BigIntegerField(null=True)
    title = models.TextField(default="")
    revision = models.PositiveBigIntegerField()
    # The object of state.json without its two long lists: a thread's conversation_item_ids are the positions of its
    # ConversationItems, a call's request_item_ids are its RequestItems.
    data = PackedJson()

    objects = NodeQuerySet.as_manager()

    class Meta:
        constraints = [models.UniqueConstraint(fields=["rollout", "kind", "object_id"], name="one_node_per_object")]
        indexes = [
            models.Index(fields=["rollout", "position"], name="node_position"),
            models.Index(fields=["rollout", "revision"], name="node_revision"),
            models.Index(fields=["rollout", "kind", "number"], name="node_number"),
            models.Index(fields=["rollout"], condition=models.Q(status="running"), name="node_running"),
        ]

    def __str__(self) -> str:
        return f"{self.kind} {self.number}: {self.title}"

    @property
    def duration_ms(self) -> int | None:
        """From its start to its end."""
        return None if self.ended_at_ms is None else self.ended_at_ms - self.started_at_ms

    @property
    def request_item_ids(self) -> list[str]:
        """Everything this call sent to the model, in order."""
        found = RequestItems.objects.filter(inference=self).first()
        return found.item_ids() if found else []


class ConversationItemQuerySet(models.QuerySet["ConversationItem"]):
    """Verbs on many items."""

    def conversation(self, thread_id: str) -> Self:
        """What one agent saw and said, in order."""
        return self.filter(thread_id=thread_id, position__isnull=False).order_by("position")

    def named(self, item_ids: list[str]) -> Self:
        """The items with these ids, in the order they were first seen."""
        return self.filter(item_id__in=item_ids).order_by("ordinal")

    def since(self, revision: int) -> Self:
        """What changed after this revision."""
        return self.filter(revision__gt=revision)


class ConversationItem(models.Model):
    """One thing the model saw or said."""

    rollout = models.ForeignKey(Rollout, models.CASCADE, related_name="conversation_items", db_index=False)
    item_id = models.CharField(max_length=KEY_LENGTH)
    ordinal = models.PositiveIntegerField()
    thread_id = models.CharField(max_length=KEY_LENGTH)
    # Its index in its thread's conversation_item_ids.
    position = models.PositiveIntegerField(null=True)
    role = models.CharField(max_length=24)
    channel = models.CharField(max_length=24, default="")
    kind = models.CharField(max_length=40)
    call_id = models.CharField(max_length=KEY_LENGTH, default="")
    # Whether one agent wrote it to another.
    between_agents = models.BooleanField(default=False)
    data = PackedJson()
    revision = models.PositiveBigIntegerField()

    objects = ConversationItemQuerySet.as_manager()

    class Meta:
        constraints = [models.UniqueConstraint(fields=["rollout", "item_id"], name="one_row_per_item")]
        indexes = [
            models.Index(fields=["rollout", "thread_id", "position"], name="item_position"),
            models.Index(fields=["rollout", "revision"], name="item_revision"),
            models.Index(fields=["rollout", "call_id"], name="item_call"),
        ]

    def __str__(self) -> str:
        return f"{self.item_id}: {self.kind}"


class RequestItems(models.Model):
    """What one call sent to the model, as the difference to the request before it."""

    rollout = models.ForeignKey(Rollout, models.CASCADE, related_name="requests", db_index=False)
    inference = models.OneToOneField(Node, models.CASCADE, primary_key=True, related_name="request_items")
    # The request this one extends, how many of its items it kept, and what follows them.
    base = models.ForeignKey("self", models.CASCADE, null=True, related_name="extended_by", db_index=False)
    kept = models.PositiveIntegerField(default=0)
    items = PackedJson()
    # Differences are counted from here (itself, where the list is whole): one query brings all that is needed.
    run = models.PositiveIntegerField()
    step = models.PositiveIntegerField()

    class Meta:
        constraints = [models.UniqueConstraint(fields=["rollout", "run", "step"], name="one_request_per_step")]

    def __str__(self) -> str:
        return f"{self.kept} kept, {len(self.items)} added"

    def item_ids(self) -> list[str]:
        """The whole list."""
        steps = RequestItems.objects.filter(rollout=self.rollout_id, run=self.run, step__lte=self.step).order_by("step")
        whole: list[str] = []
        for kept, items in steps.values_list("kept", "items"):
            whole[kept:] = items
        return whole


class InteractionEdge(models.Model):
    """What flowed from one object to another, mostly between agents."""

    rollout = models.ForeignKey(Rollout, models.CASCADE, related_name="interaction_edges", db_index=False)
    edge_id = models.CharField(max_length=KEY_LENGTH)
    kind = models.CharField(max_length=40)
    data = PackedJson()
    revision = models.PositiveBigIntegerField()

    class Meta:
        constraints = [models.UniqueConstraint(fields=["rollout", "edge_id"], name="one_row_per_edge")]

    def __str__(self) -> str:
        return f"{self.kind}: {self.edge_id}"


class TerminalSession(models.Model):
    """A terminal that several operations share; the operations are nodes."""

    rollout = models.ForeignKey(Rollout, models.CASCADE, related_name="terminal_sessions", db_index=False)
    terminal_id = models.CharField(max_length=KEY_LENGTH)
    thread_id = models.CharField(max_length=KEY_LENGTH)
    data = PackedJson()
    revision = models.PositiveBigIntegerField()

    class Meta:
        constraints = [models.UniqueConstraint(fields=["rollout", "terminal_id"], name="one_row_per_terminal")]

    def __str__(self) -> str:
        return self.terminal_id
