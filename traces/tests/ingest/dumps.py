"""A rollout flows in, everything its rows say flows out as plain values: without row numbers, random ids and clocks."""

from typing import Any

from django.db import models

from traces.models import Event, Node, Payload, RequestItems, Rollout

# What pieces are called, and how much they add, hangs on what was stored before.
RANDOM = {"id", "public_id", "created_at", "updated_at", "rollout", "recipe", "run", "step", "bytes_stored"}
# What says how a recording came here, and not what it holds.
LIVE = ("revision", "heard_at", "followed_in", "leased_by", "leased_until", "gone")
Dump = dict[str, list[dict[str, Any]]]


def dump(rollout: Rollout, without: tuple[str, ...] = ()) -> Dump:
    """All rows of a rollout, table by table."""
    tables: dict[str, models.QuerySet[Any]] = {
        "rollout": Rollout.objects.filter(pk=rollout.pk),
        "nodes": rollout.nodes.order_by("position"),
        "conversation_items": rollout.conversation_items.order_by("ordinal"),
        "requests": rollout.requests.order_by("run", "step"),
        "interaction_edges": rollout.interaction_edges.order_by("edge_id"),
        "terminal_sessions": rollout.terminal_sessions.order_by("terminal_id"),
        "payloads": rollout.payloads.order_by("raw_payload_id"),
        "log": rollout.log.order_by("line"),
    }
    return {name: [values(row, {*RANDOM, *without}) for row in rows] for name, rows in tables.items()}


def values(row: models.Model, without: set[str]) -> dict[str, Any]:
    """What one row says; rows it points to stand there by name."""
    if isinstance(row, RequestItems):
        without = without - {"run", "step"}
    names = [field.name for field in row._meta.concrete_fields if field.name not in without]
    said = {name: named(getattr(row, name)) for name in names}
    if isinstance(row, Payload):
        said["bytes"] = row.bytes()
    elif isinstance(row, Event):
        said["bytes"] = row.body
    return said


def named(value: Any) -> Any:
    """A value, or for another row what identifies it within the rollout."""
    if isinstance(value, Node):
        return value.kind, value.object_id
    if isinstance(value, models.Model):
        return str(value)
    return bytes(value) if isinstance(value, memoryview) else value


def seqs(rollout: Rollout) -> list[int | None]:
    """The seqs of its log."""
    return list(Event.objects.filter(rollout=rollout).order_by("line").values_list("seq", flat=True))
