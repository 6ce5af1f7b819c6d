"""What one transaction writes, as plain values: a reduction flows on while they are written, in another process too."""

from collections.abc import Hashable
from dataclasses import dataclass, field
from typing import Any

from traces.ingest.tables import Values

NodeKey = tuple[str, str]
"""A kind of node and the id of its object, as its row has it."""


@dataclass(slots=True)
class Recipe:
    """What a payload is made of: kept from the one before at both ends, and the tokens between."""

    run: int | None
    step: int
    head: int
    tail: int
    middle: list[int]


@dataclass(slots=True)
class Request:
    """The items of a request as a difference to the one before, by the calls' ids."""

    inference_id: str
    base: str | None
    values: Values


@dataclass(slots=True)
class Batch:
    """Rows by their keys, without what only the database knows: primary keys, the revision, the numbers of pieces."""

    nodes: dict[NodeKey, tuple[NodeKey | None, Values]]
    requests: list[Request]
    items: dict[Hashable, Values]
    edges: dict[Hashable, Values]
    terminals: dict[Hashable, Values]
    events: list[Values]
    blocks: list[Values]
    payloads: dict[str, tuple[Values, Recipe | None]]
    # Pieces that were not there before, by the number that recipes give them.
    pieces: list[tuple[int, bytes, bytes]]
    # Columns of the rollout.
    columns: dict[str, Any]
    # Paths of files that an event names after all.
    outdated: set[str] = field(default_factory=set)
    last: bool = False


@dataclass(slots=True)
class Stored:
    """What there is already of a recording that goes on."""

    events: int = 0
    # Where its last event ends in the log.
    position: int = 0
    nodes: dict[NodeKey, str] = field(default_factory=dict)
    runs: int = 0
    # Payloads by name, with the path where their bytes were; files that no event names.
    payloads: dict[str, str] = field(default_factory=dict)
    loose: set[str] = field(default_factory=set)
