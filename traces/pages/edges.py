"""What flowed between agents: edges flow in; for an object its edges as links, for an edge its page flow out."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from django.urls import reverse

from traces.models import ConversationItem, InteractionEdge, Rollout
from traces.pages.facts import Fact, Ref, item_refs, payload_ref
from traces.pages.items import SLUGS, node_href
from traces.pages.outline import names

SHOWN = 100  # edges of one object; the rest is counted


@dataclass(frozen=True)
class End:
    """One end of an edge."""

    kind: str
    object_id: str


@dataclass(frozen=True)
class Link:
    """An edge as one of its ends sees it."""

    kind: str
    href: str
    towards: str  # to or from
    other: Ref
    carried: tuple[str, ...]  # items


def end_of(edge: InteractionEdge, side: str) -> End:
    """The object on this side."""
    end: dict[str, str] = edge.data[side]
    return End(end["type"], next((value for key, value in end.items() if key != "type"), ""))


def edge_href(rollout: Rollout, edge: InteractionEdge) -> str:
    """An edge's own page."""
    return reverse("object", args=[rollout.public_id, "edges", edge.edge_id])


class Ends:
    """The objects at the ends of some edges, fetched with three queries."""

    def __init__(self, rollout: Rollout, edges: Iterable[InteractionEdge]) -> None:
        self.rollout = rollout
        ends = {end_of(edge, side) for edge in edges for side in ("source", "target")}
        ids = {end.object_id for end in ends}
        found = rollout.nodes.filter(kind__in={end.kind for end in ends}, object_id__in=ids)
        self.nodes = {End(node.kind, node.object_id): node for node in found}
        items = ConversationItem.objects.filter(rollout=rollout, item_id__in=ids)
        self.threads_of_items = dict(items.values_list("item_id", "thread_id"))
        agents = rollout.nodes.filter(kind="thread").defer("data")
        self.agents = {node.object_id: node.title for node in agents}

    def thread_id(self, end: End) -> str:
        """The agent an end belongs to."""
        if end.kind == "thread":
            return end.object_id
        if end.kind == "conversation_item":
            return self.threads_of_items.get(end.object_id, "")
        node = self.nodes.get(end)
        return node.thread_id if node else ""

    def ref(self, end: End) -> Ref:
        """An end as a link, with its agent."""
        agent = self.agents.get(self.thread_id(end), "")
        if node := self.nodes.get(end):
            label = " ".join(filter(None, names(node)))
            return Ref(label, node_href(self.rollout, node), node.status, note="" if node.kind == "thread" else agent)
        slug = "items" if end.kind == "conversation_item" else SLUGS.get(end.kind, "items")
        label = f"{end.kind.replace('_', ' ')} {end.object_id.removeprefix('conversation_item:')}"
        return Ref(label, reverse("object", args=[self.rollout.public_id, slug, end.object_id]), note=agent)


def edges_of(rollout: Rollout, own: End) -> tuple[list[Link], int]:
    """The edges that begin or end at this object, an agent's whole thread included; and how many more there are."""
    edges = list(InteractionEdge.objects.filter(rollout=rollout).order_by("pk"))
    if not edges:
        return [], 0
    ends = Ends(rollout, edges)
    links = [link for edge in edges for link in _links(rollout, edge, own, ends)]
    return links[:SHOWN], max(0, len(links) - SHOWN)


def _links(rollout: Rollout, edge: InteractionEdge, own: End, ends: Ends) -> Iterable[Link]:
    carried = tuple(edge.data.get("carried_item_ids", ()))
    for side, other, words in (("source", "target", "to"), ("target", "source", "from")):
        here, there = end_of(edge, side), end_of(edge, other)
        mine = ends.thread_id(here) == own.object_id if own.kind == "thread" else here == own
        if mine:
            yield Link(edge.kind, edge_href(rollout, edge), words, ends.ref(there), carried)


def edge_context(rollout: Rollout, edge: InteractionEdge) -> dict[str, Any]:
    """What an edge's page shows."""
    data, ends = edge.data, Ends(rollout, [edge])
    started, ended = data.get("started_at_unix_ms"), data.get("ended_at_unix_ms")
    payloads = [payload_ref(rollout, "Carried", one) for one in data.get("carried_raw_payload_ids", ())]
    return {
        "rollout": rollout,
        "edge": edge,
        "source": ends.ref(end_of(edge, "source")),
        "target": ends.ref(end_of(edge, "target")),
        "carried": item_refs(rollout, "Item", data.get("carried_item_ids", [])),
        "item_ids": data.get("carried_item_ids", []),
        "payloads": [ref for ref in payloads if ref],
        "facts": [Fact("Kind", edge.kind.replace("_", " ")), Fact("Edge id", edge.edge_id, mono=True)],
        "started_ms": started,
        "ended_ms": ended,
        "start_ms": int(rollout.started_at.timestamp() * 1000),
    }
