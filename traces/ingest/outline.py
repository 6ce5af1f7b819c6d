"""Touched objects of the graph flow in, places in the outline flow out: below whom, in which order, by which number."""

from collections.abc import Iterator, Mapping, Set
from dataclasses import dataclass, field
from typing import Any

from traces.bundle.events import Event
from traces.models import Node
from traces.reducer.graph import Graph, Section

Key = tuple[str, str]
"""A kind of node and the id of an object."""

# Parents come before children, so that an event that makes both places both.
KINDS: dict[Section, str] = {
    "threads": Node.Kind.THREAD,
    "codex_turns": Node.Kind.CODEX_TURN,
    "inference_calls": Node.Kind.INFERENCE_CALL,
    "code_cells": Node.Kind.CODE_CELL,
    "tool_calls": Node.Kind.TOOL_CALL,
    "terminal_operations": Node.Kind.TERMINAL_OPERATION,
    "compaction_requests": Node.Kind.COMPACTION_REQUEST,
    "compactions": Node.Kind.COMPACTION,
}
# What may decide on the parent of something else.
DECIDING = frozenset({"inference_calls", "conversation_items", "interaction_edges"})
SECTIONS: dict[str, Section] = {kind: section for section, kind in KINDS.items()}
RANKS = {kind: f"{rank:x}" for rank, kind in enumerate(KINDS.values())}
ANCHORS = {
    "tool_call_id": Node.Kind.TOOL_CALL,
    "code_cell_id": Node.Kind.CODE_CELL,
    "inference_call_id": Node.Kind.INFERENCE_CALL,
    "codex_turn_id": Node.Kind.CODEX_TURN,
    "thread_id": Node.Kind.THREAD,
}
LONGEST_POSITION = 970  # so that one more part always fits into the column


@dataclass(slots=True, eq=False)
class Place:
    """Where an object stands, and what the log said of it that the graph does not keep."""

    kind: str
    object_id: str
    number: int
    started_seq: int
    parent: "Place | None" = None
    children: "list[Place]" = field(default_factory=list)
    position: str = ""
    depth: int = 0
    title: str = ""
    end_event: str = ""
    said: str = ""
    # A hash of what its row says.
    written: int = 0

    @property
    def key(self) -> Key:
        """How others find it."""
        return self.kind, self.object_id

    def move_below(self, parent: "Place | None") -> None:
        """Makes it, with all that stands below it, a child of this place."""
        if self.parent is not None:
            self.parent.children.remove(self)
        self.parent = parent
        if parent is not None:
            parent.children.append(self)

    def descendants(self) -> "Iterator[Place]":
        """Itself and everything below it, parents first."""
        ahead = [self]
        while ahead:
            place = ahead.pop()
            yield place
            ahead.extend(place.children)

    def settle(self) -> None:
        """Works out its position and depth from its parent's."""
        above = self.parent
        self.depth = above.depth + 1 if above else 0
        while above is not None and len(above.position) > LONGEST_POSITION:
            above = above.parent
        self.position = (above.position if above else "") + sort_key(self.kind, self.started_seq, self.number)


def sort_key(kind: str, started_seq: int, number: int) -> str:
    """A text that sorts siblings by start; digits and small letters only, which every collation sorts alike."""
    return sortable(started_seq) + RANKS[kind] + sortable(number)


def sortable(number: int) -> str:
    """Hexadecimal with its length in front: sorts as the number does, however large, and says where it ends."""
    digits = f"{number:x}"
    return "0123456789abcdefg"[len(digits)] + digits


class Outline:
    """The places of a rollout. Each event settles what it touched, so the order of events alone decides."""

    def __init__(self, graph: Graph) -> None:
        self.graph = graph
        self.places: dict[Key, Place] = {}
        self.moved: set[Key] = set()
        self.counts: dict[str, int] = dict.fromkeys(SECTIONS, 0)
        # What has to be looked at again when something else changes.
        self.started_by: dict[str, str] = {}
        self.tools_of_call: dict[str, list[str]] = {}
        self.cells_of_item: dict[str, str] = {}
        self.threads_of_edge: dict[str, str] = {}

    def take(self, event: Event, touched: Mapping[Section, Set[str]]) -> None:
        """Settles what an event touched."""
        for key in keys_of(touched):
            place = self.places.get(key) or self._add(*key, event)
            self._place(place)
        self.settle(touched)

    def settle(self, touched: Mapping[Section, Set[str]]) -> None:
        """Finds new parents for those whose parent hangs on what was touched."""
        if not touched.keys().isdisjoint(DECIDING):
            for place in list(self._concerned(touched)):
                self._place(place)

    def _add(self, kind: str, object_id: str, event: Event) -> Place:
        self.counts[kind] += 1
        value = self.value(kind, object_id)
        window = getattr(value, "execution", None)
        seq = window.started_seq if window else event.seq
        place = self.places[kind, object_id] = Place(kind, object_id, self.counts[kind], seq)
        place.settle()
        self.moved.add(place.key)
        if kind == Node.Kind.THREAD:
            self.threads_of_edge[value.origin.get("spawn_edge_id", "")] = object_id
        elif kind == Node.Kind.TOOL_CALL and value.model_visible_call_id:
            self.tools_of_call.setdefault(value.model_visible_call_id, []).append(object_id)
        elif kind == Node.Kind.CODE_CELL:
            self.cells_of_item[value.source_item_id] = object_id
        return place

    def value(self, kind: str, object_id: str) -> Any:
        """An object of the graph."""
        return getattr(self.graph, SECTIONS[kind])[object_id]

    def _concerned(self, touched: Mapping[Section, Set[str]]) -> Iterator[Place]:
        """Places that were not touched themselves, but what decides on their parent was."""
        keys: list[Key] = []
        for inference_id in sorted(touched.get("inference_calls", ())):
            for tool_call_id in self.graph.inference_calls[inference_id].tool_call_ids_started_by_response:
                if self.started_by.get(tool_call_id) != inference_id:
                    self.started_by[tool_call_id] = inference_id
                    keys.append((Node.Kind.TOOL_CALL, tool_call_id))
        for item_id in touched.get("conversation_items", ()):
            if item_id in self.cells_of_item:
                keys.append((Node.Kind.CODE_CELL, self.cells_of_item[item_id]))
            call_id = self.graph.conversation_items[item_id].call_id or ""
            keys.extend((Node.Kind.TOOL_CALL, tool_call_id) for tool_call_id in self.tools_of_call.get(call_id, ()))
        for edge_id in touched.get("interaction_edges", ()):
            if edge_id in self.threads_of_edge:
                keys.append((Node.Kind.THREAD, self.threads_of_edge[edge_id]))
        return (self.places[key] for key in sorted(keys) if key in self.places)

    def _place(self, place: Place) -> None:
        parent = self._parent(place)
        if parent is place.parent:
            return
        place.move_below(parent)
        for moved in place.descendants():
            moved.settle()
            self.moved.add(moved.key)

    def _parent(self, place: Place) -> Place | None:
        for key in self._parent_keys(place):
            parent = self.places.get(key)
            if parent is not None and not is_below(parent, place):
                return parent
        return None

    def _parent_keys(self, place: Place) -> Iterator[Key]:
        """Who may be its parent, the closest first."""
        value = self.value(place.kind, place.object_id)
        if place.kind == Node.Kind.THREAD:
            yield from self._spawners(value.origin)
            return
        if place.kind == Node.Kind.TOOL_CALL:
            yield Node.Kind.CODE_CELL, value.requester.get("code_cell_id", "")
            yield Node.Kind.INFERENCE_CALL, self.started_by.get(place.object_id, "")
            for item_id in value.model_visible_call_item_ids:
                yield from self._producers(item_id)
            yield Node.Kind.CODEX_TURN, value.started_by_codex_turn_id or ""
        if place.kind == Node.Kind.CODE_CELL:
            yield from self._producers(value.source_item_id)
        if place.kind == Node.Kind.TERMINAL_OPERATION:
            yield Node.Kind.TOOL_CALL, value.tool_call_id
            return
        if place.kind not in (Node.Kind.CODEX_TURN, Node.Kind.TOOL_CALL):
            yield Node.Kind.CODEX_TURN, value.codex_turn_id
        yield Node.Kind.THREAD, value.thread_id

    def _spawners(self, origin: Mapping[str, str]) -> Iterator[Key]:
        edge = self.graph.interaction_edges.get(origin.get("spawn_edge_id", ""))
        if edge is not None:
            yield from ((kind, edge.source[name]) for name, kind in ANCHORS.items() if name in edge.source)
        yield Node.Kind.THREAD, origin.get("parent_thread_id", "")

    def _producers(self, item_id: str) -> Iterator[Key]:
        item = self.graph.conversation_items.get(item_id)
        for producer in item.produced_by if item else ():
            yield from ((kind, producer[name]) for name, kind in ANCHORS.items() if name in producer)


def keys_of(touched: Mapping[Section, Set[str]]) -> list[Key]:
    """The nodes among what was touched, parents before children."""
    return [
        (kind, object_id)
        for section, kind in KINDS.items()
        if section in touched
        for object_id in sorted(touched[section])
    ]


def is_below(place: Place | None, other: Place) -> bool:
    """Whether a place is another one or stands below it: somebody's graph may go in circles, an outline may not."""
    while place is not None:
        if place is other:
            return True
        place = place.parent
    return False
