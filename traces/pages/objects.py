"""A kind and an id flow in; the page of that agent, turn, tool, terminal, cell, compaction or item flows out."""

from typing import Any

from django.http import Http404, HttpResponse
from django.views.decorators.http import require_safe

from traces.models import ConversationItem, Event, InteractionEdge, Node, Rollout
from traces.pages.answers import Request, answer, target
from traces.pages.details import details
from traces.pages.facts import Ref, payload_refs
from traces.pages.items import SLUGS, Surroundings, node_href
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
    if slug == "items":
        return item(request, found, object_id)
    node = Node.objects.filter(rollout=found, kind=KINDS.get(slug, ""), object_id=object_id).first()
    if node is None:
        raise Http404("This rollout has no such object.")
    context = node_context(found, node)
    inspector = target(request) == "inspector"
    if not inspector:
        context |= below(found, node, asked_start(request.GET.get("row"))) | log_of(found, node)
    return answer(request, "traces/object/inspector.html" if inspector else "traces/object.html", context)


def node_context(found: Rollout, node: Node) -> dict[str, Any]:
    """What every kind of object shows."""
    name, said = names(node)
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
        "edges": edges_of(found, node),
        "start_ms": int(found.started_at.timestamp() * 1000),
    }


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
    events = Event.objects.filter(rollout=found).about(node.kind, node.object_id).defer("body")
    total = events.count()
    return {"log": events[:EVENTS], "log_more": max(0, total - EVENTS)}


def edges_of(found: Rollout, node: Node) -> list[tuple[str, Ref]]:
    """What flowed to it or from it."""
    if node.kind not in ("thread", "tool_call"):
        return []
    key = f"{node.kind}_id"
    refs: list[tuple[str, Ref]] = []
    for edge in InteractionEdge.objects.filter(rollout=found):
        for side, other, words in (("source", "target", "to"), ("target", "source", "from")):
            if edge.data[side].get(key) == node.object_id:
                refs.append((edge.kind, end_ref(found, edge.data[other], words)))
    return refs


def end_ref(found: Rollout, end: dict[str, str], words: str) -> Ref:
    """One end of an edge as a link."""
    kind = end["type"]
    object_id = next(value for key, value in end.items() if key != "type")
    slug = "items" if kind == "conversation_item" else SLUGS.get(kind, "items")
    href = f"{found.get_absolute_url()}{slug}/{object_id}/"
    return Ref(f"{words} {kind.replace('_', ' ')}", href, note=object_id)


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
        "near": {"previous" if other.position == place - 1 else "following": other for other in near},
        "window_start": max(0, place - 10),
        "start_ms": int(found.started_at.timestamp() * 1000),
    }
    return answer(request, "traces/item.html", context)
