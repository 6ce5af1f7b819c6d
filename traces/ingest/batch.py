"""What one transaction writes, as plain values: a reduction flows on while they are written, in another process too."""

from collections.abc import Hashable
from dataclasses import dataclass, field
from typing import Any

from traces.ingest.reading import Body
from traces.ingest.tables import Values

NodeKey = tuple[str, str]
"""A kind of node and the id of its object, as its row has it."""


@dataclass(slots=True)
class Request:
    """The items of a request as a difference to the one before, by the calls' ids."""

    inference_id: str
    base: str | None
    values: Values


@dataclass(slots=True)
class Named:
    """A payload and the line that names it; whether the graph knows it."""

    body: Body
    line: int
    in_graph: bool


@dataclass(slots=True)
class Stretch:
    """A part of the log: where it starts, its bytes, how many events stand before it, the chain after each of its."""

    start: int
    raw: bytes
    before: int
    chains: bytes


@dataclass(slots=True)
class Batch:
    """Rows by their keys, without what only the database knows, such as primary keys; and the recording itself."""

    nodes: dict[NodeKey, tuple[NodeKey | None, Values]]
    requests: list[Request]
    items: dict[Hashable, Values]
    edges: dict[Hashable, Values]
    terminals: dict[Hashable, Values]
    events: list[Values]
    payloads: list[Named]
    log: list[Stretch]
    # Columns of the rollout.
    columns: dict[str, Any]
    last: bool = False


@dataclass(slots=True)
class Stored:
    """What there is already of a recording that goes on."""

    events: int = 0
    # Where its last event ends in the log.
    position: int = 0
    nodes: dict[NodeKey, str] = field(default_factory=dict)
