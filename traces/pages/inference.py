"""A call's number flows in; how it ended, what it had produced, what went in and what happened next flow out."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from django.http import Http404, HttpResponse
from django.views.decorators.http import require_safe

from traces.models import ConversationItem, Node, Rollout
from traces.pages.answers import Request, answer, target
from traces.pages.attempts import next_calls, previous_call, retries
from traces.pages.facts import payload_refs, usage_facts
from traces.pages.items import ItemView, Surroundings, is_injected
from traces.pages.story import CARRIED_ON, Change, change, cut, evidence_sentence, fates, how_known
from traces.pages.windows import Window, asked_start
from traces.sharing import rollout_for

WINDOW = 60  # items of a request that are shown at once
PARTIALS = {"inspector": "traces/inference/inspector.html", "kept": "traces/inference/kept.html"}


@dataclass(frozen=True)
class Next:
    """The next call of the same thread."""

    call: Node
    retry: bool
    wait_ms: int | None
    items: int
    user: ItemView | None  # what a person wrote in between


@require_safe
def inference(request: Request, public_id: str, key: str) -> HttpResponse:
    """The page, its inspector, or a window of the items that the request kept."""
    found = rollout_for(request, public_id)
    call = call_named(found, key)
    partial = target(request)
    context = inference_context(found, call) | {"thread": thread_of(found, call)}
    if partial != "inspector":
        context |= request_context(found, call, context["change"], request.GET.get("kept"))
        context |= neighbours(found, call)
    return answer(request, PARTIALS.get(partial, "traces/inference.html"), context)


def call_named(found: Rollout, key: str) -> Node:
    """The call with this number or id."""
    calls = Node.objects.filter(rollout=found, kind="inference_call")
    numbered = key.isascii() and key.isdigit() and len(key) < 10
    call = (calls.filter(number=int(key)).first() if numbered else None) or calls.filter(object_id=key).first()
    if call is None:
        raise Http404("This rollout has no such inference.")
    return call


def inference_context(found: Rollout, call: Node) -> dict[str, Any]:
    """Everything but the request's items: the page and the inspector share it."""
    later = next_calls(found, [call]).get(call.pk)
    before = previous_call(found, call)
    request = call.request_item_ids
    later_request = later.request_item_ids if later else None
    response = call.data["response_item_ids"]
    views = item_views(found, response)
    lives = list(zip(views, fates([view.item_id for view in views], later_request), strict=True))
    for view, fate in lives:
        view.fate = fate.word if call.status != "completed" else ""
    return {
        "rollout": found,
        "call": call,
        "before": before,
        "turn": turn_of(found, call),
        "sentence": evidence_sentence(call),
        "how": how_known(call),
        "response": views,
        "cut": cut(call, len(response)),
        "lives": lives,
        "carried": sum(fate.word == CARRIED_ON for _, fate in lives),
        "next": next_of(found, call, later, request, later_request or ()),
        "sent": request,
        "change": change(before.request_item_ids if before else None, request),
        "first_item": response_time(views, min),
        "last_item": response_time(views, max),
        "characters": sum(view.characters for view in views),
        "usage": usage_facts(call),
        "payloads": payload_refs(found, call.data),
        "start_ms": int(found.started_at.timestamp() * 1000),
    }


def next_of(
    found: Rollout, call: Node, later: Node | None, request: Sequence[str], later_request: Sequence[str]
) -> Next | None:
    """The next call of the thread and what a person wrote before it."""
    if later is None:
        return None
    wait = None if call.ended_at_ms is None else later.started_at_ms - call.ended_at_ms
    new = change(request, later_request).added
    rows = ConversationItem.objects.filter(rollout=found, role="user", kind="message").named(new[-WINDOW:])
    typed = [row for row in rows if not is_injected(row)]
    user = Surroundings(found, typed[-1:]).view(typed[-1]) if typed else None
    return Next(later, later.pk in _retry_of(found, call), wait, len(later_request), user)


def _retry_of(found: Rollout, call: Node) -> set[int]:
    return {again.pk for again in retries(found, [call]).values()} if call.status == "failed" else set()


def item_views(found: Rollout, item_ids: Sequence[str]) -> list[ItemView]:
    """These items in this order."""
    rows = {row.item_id: row for row in ConversationItem.objects.filter(rollout=found, item_id__in=list(item_ids))}
    around = Surroundings(found, rows.values())
    return [around.view(rows[item_id]) for item_id in item_ids if item_id in rows]


def request_context(found: Rollout, call: Node, compared: Change, kept_from: str | None) -> dict[str, Any]:
    """What went in: the new items, and, asked for, a window of those kept."""
    kept = Window(asked_start(kept_from), WINDOW, len(compared.kept))
    return {
        "added": item_views(found, compared.added[:WINDOW]),
        "added_more": max(0, len(compared.added) - WINDOW),
        "kept_window": kept,
        "kept": None if kept_from is None else item_views(found, compared.kept[kept.start : kept.stop]),
    }


def neighbours(found: Rollout, call: Node) -> dict[str, Any]:
    """The calls before and after it in the rollout, and the attempt it repeats."""
    calls = Node.objects.filter(rollout=found, kind="inference_call").defer("data")
    around = {node.number: node for node in calls.filter(number__in=[call.number - 1, call.number + 1])}
    before = previous_call(found, call)
    tried = before is not None and call.pk in _retry_of(found, before)
    return {
        "previous": around.get(call.number - 1),
        "following": around.get(call.number + 1),
        "retry_of": before if tried else None,
    }


def turn_of(found: Rollout, call: Node) -> Node | None:
    """The turn that made the call."""
    return Node.objects.filter(rollout=found, kind="codex_turn", object_id=call.data["codex_turn_id"]).first()


def thread_of(found: Rollout, call: Node) -> Node | None:
    """The agent that made the call."""
    return Node.objects.filter(rollout=found, kind="thread", object_id=call.thread_id).first()


def response_time(views: Sequence[ItemView], pick: Any) -> ItemView | None:
    """The first or last item whose own time and event were recorded."""
    timed = [view for view in views if view.seq is not None]
    return pick(timed, key=lambda view: view.seq) if timed else None
