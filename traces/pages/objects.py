"""A kind and an id flow in; the page of that agent, turn, tool, terminal, cell, compaction or item flows out."""

from typing import Any

from django.http import Http404, HttpResponse
from django.views.decorators.http import require_safe

from traces.models import ConversationItem, Event, InteractionEdge, Node, Rollout, TerminalSession
from traces.pages.answers import Request, answer, target
from traces.pages.details import details
from traces.pages.edges import End, Link, edge_context, edges_of
from traces.pages.facts import Ref, payload_refs
from traces.pages.groups import session_context, sides_of
from traces.pages.inference import item_views
from traces.pages.items import SLUGS, ItemView, Surroundings, node_href
from traces.pages.outline import WINDOW as OUTLINE_WINDOW
from traces.pages.outline import axis, names, row, row_of
from traces.pages.story import evidence_sentence, how_known
from traces.pages.windows import Window, asked_start
from traces.sharing import rollout_for

KINDS = {slug: kind for kind, slug in SLUGS.items()}
CHILDREN = 100
EVENTS = 30
WHOLE = 200_000  # characters of one text on an item's own page


@require_safe
def thing(request: Request, public_id: str, slug: str, object_id: str) -> HttpResponse:
    """The page of the object with this id, or its inspector."""
    found = rollout_for(request, public_id)
    if slug in OTHERS:
        return OTHERS[slug](request, found, object_id)
    node = Node.objects.filter(rollout=found, kind=KINDS.get(slug, ""), object_id=object_id).first()
    if node is None:
        raise Http404("This rollout has no such object.")
    context = node_context(found, node)
    inspector = target(request) == "inspector"
    if not inspector:
        context |= below(found, node, asked_start(request.GET.get("row"))) | log_of(found, node)
        context["sides"] = sides_of(found, node, request.GET.dict())
        context["exchanged"] = exchanged(found, node, context["edges"])
    return answer(request, "traces/object/inspector.html" if inspector else "traces/object.html", context)


def node_context(found: Rollout, node: Node) -> dict[str, Any]:
    """What every kind of object shows."""
    name, said = names(node)
    edges, more_edges = edges_of(found, End(node.kind, node.object_id))
    return {
        "rollout": found,
        "node": node,
        "href": node_href(found, node),
        "name": name or "Tool call",
        "said": said or (node.title if node.kind != "thread" else ""),
        "sentence": evidence_sentence(node),
        "how": how_known(node),
        "owners": owners(found, node),
        "details": details(found, node),
        "payloads": payload_refs(found, node.data),
        "edges": edges,
        "more_edges": more_edges,
        "start_ms": int(found.started_at.timestamp() * 1000),
    }


def exchanged(found: Rollout, node: Node, edges: list[Link]) -> list[ItemView]:
    """An agent's task, its messages and its result: what its edges carried."""
    if node.kind != "thread":
        return []
    carried = dict.fromkeys(item_id for edge in edges for item_id in edge.carried)
    return item_views(found, list(carried)[:EVENTS])


def owners(found: Rollout, node: Node) -> list[Ref]:
    """The agent, the turn and whatever else it lies in, from the top."""
    refs: list[Ref] = []
    parent = node.parent
    while parent is not None and len(refs) < 12:
        name, said = names(parent)
        refs.insert(0, Ref(name or said, node_href(found, parent), parent.status))
        parent = parent.parent
    return refs


def below(found: Rollout, node: Node, start: int) -> dict[str, Any]:
    """A window of what lies in it."""
    children = Node.objects.all().under(node).defer("data")
    window = Window(start, CHILDREN, children.count())
    scale = axis(found)
    nodes = list(children[window.start : window.stop])
    tools = [child.pk for child in nodes if child.kind == "tool_call"]
    data = dict(Node.objects.filter(pk__in=tools).values_list("pk", "data"))
    for child in nodes:
        child.data = data.get(child.pk, {})
    return {
        "window": window,
        "rows": [row(found, child, scale, lifted=node.depth + 1) for child in nodes],
        "row": row_of(found, node) // OUTLINE_WINDOW * OUTLINE_WINDOW,
    }


def log_of(found: Rollout, node: Node) -> dict[str, Any]:
    """The raw events about it."""
    events = Event.objects.filter(rollout=found).about(node.kind, node.object_id)
    total = events.count()
    return {"log": events[:EVENTS], "log_total": total, "log_more": max(0, total - EVENTS)}


def item(request: Request, found: Rollout, item_id: str) -> HttpResponse:
    """One conversation item, with its call and output."""
    rows = ConversationItem.objects.filter(rollout=found)
    row_ = rows.filter(item_id=item_id).first()
    if row_ is None:
        raise Http404("This rollout has no such item.")
    around = Surroundings(found, [row_])
    view = around.view(row_, WHOLE)
    place = -10 if row_.position is None else row_.position  # items outside of the conversation have no neighbours
    near = rows.conversation(row_.thread_id).filter(position__in=[place - 1, place + 1])
    threads = around.nodes("thread", [row_.thread_id])
    context = {
        "rollout": found,
        "row": row_,
        "item": view,
        "call": around.inferences.get(view.inference_id),
        "turn": around.turns.get(row_.data.get("codex_turn_id") or ""),
        "thread": threads.get(row_.thread_id),
        "edges": edges_of(found, End("conversation_item", item_id))[0],
        "near": {"previous" if other.position == place - 1 else "following": other for other in near},
        "window_start": max(0, place - 10),
        "start_ms": int(found.started_at.timestamp() * 1000),
    }
    return answer(request, "traces/item.html", context)


def edge(request: Request, found: Rollout, edge_id: str) -> HttpResponse:
    """What flowed from one object to another, with both ends and what was carried."""
    shown = InteractionEdge.objects.filter(rollout=found, edge_id=edge_id).first()
    if shown is None:
        raise Http404("This rollout has no such edge.")
    context = edge_context(found, shown)
    context["items"] = item_views(found, context["item_ids"][:CHILDREN])
    return answer(request, "traces/edge.html", context)


def session(request: Request, found: Rollout, terminal_id: str) -> HttpResponse:
    """A terminal with all its operations."""
    shown = TerminalSession.objects.filter(rollout=found, terminal_id=terminal_id).first()
    if shown is None:
        raise Http404("This rollout has no such terminal.")
    return answer(request, "traces/session.html", session_context(found, shown, request.GET.get("from")))


OTHERS = {"items": item, "edges": edge, "sessions": session}  # what has a page and no place in the outline
