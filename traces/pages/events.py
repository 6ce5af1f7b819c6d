"""The log as it was recorded: a line number or a seq flows in, the raw event flows out."""

from typing import Any

import msgspec
from django.http import Http404, HttpResponse
from django.views.decorators.http import require_safe

from traces.models import Event, Node, Rollout
from traces.pages.answers import Request, answer
from traces.pages.facts import Ref, payload_ref
from traces.pages.items import node_href
from traces.pages.log_filter import Asked, choices, rows_of, stop_of
from traces.pages.outline import names
from traces.pages.pretty import pretty
from traces.pages.windows import Window, asked_start
from traces.sharing import rollout_for

WINDOW = 100  # rows of some ten elements each


@require_safe
def events(request: Request, public_id: str) -> HttpResponse:
    """A window of the log, or of those events the form asks for."""
    found = rollout_for(request, public_id)
    asked = Asked.of(request.GET)
    log = asked.events(found).order_by("line")
    window = Window(asked_start(request.GET.get("from")), WINDOW, log.count())
    context = {
        "rollout": found,
        "asked": asked,
        "window": window,
        "rows": rows_of(found, list(log[window.start : window.stop])),
        "start_ms": int(found.started_at.timestamp() * 1000),
    }
    if request.htmx:
        return answer(request, "traces/events/table.html", context)
    return answer(request, "traces/events.html", context | choices(found) | stop_of(found))


@require_safe
def event(request: Request, public_id: str, seq: int) -> HttpResponse:
    """The event with this seq; where a recording repeats one, the first."""
    found = rollout_for(request, public_id)
    return _page(request, found, Event.objects.filter(rollout=found, seq=seq).order_by("line").first())


@require_safe
def line(request: Request, public_id: str, line: int) -> HttpResponse:
    """The event on this line: the way to lines that could not be read."""
    found = rollout_for(request, public_id)
    return _page(request, found, Event.objects.filter(rollout=found, line=line).first())


def _page(request: Request, found: Rollout, shown: Event | None) -> HttpResponse:
    if shown is None:
        raise Http404("This recording has no such event.")
    log = Event.objects.filter(rollout=found)
    body = bytes(shown.body)
    context = {
        "rollout": found,
        "event": shown,
        "previous": log.filter(line__lt=shown.line).order_by("-line").first(),
        "following": log.filter(line__gt=shown.line).order_by("line").first(),
        "same_seq": log.filter(seq=shown.seq).exclude(pk=shown.pk) if shown.seq is not None else (),
        "text": pretty(body),
        "size": len(body),
        "refs": _refs(found, shown, body),
        "stopped": found.stopped_line is not None and shown.line >= found.stopped_line,
        "start_ms": int(found.started_at.timestamp() * 1000),
    }
    return answer(request, "traces/event.html", context)


def _refs(found: Rollout, shown: Event, body: bytes) -> list[Ref]:
    """The object the event is about and the payloads it names."""
    node = Node.objects.filter(rollout=found, kind=shown.object_kind, object_id=shown.object_id).first()
    refs = []
    if node:
        refs.append(Ref(" ".join(filter(None, names(node))), node_href(found, node), node.status))
    for raw_payload_id in payload_ids(body):
        if ref := payload_ref(found, "Payload", raw_payload_id):
            refs.append(ref)
    return refs


def payload_ids(body: bytes) -> list[str]:
    """The payloads a line names, whatever its type."""
    try:
        payload = msgspec.json.decode(body).get("payload")
    except (msgspec.DecodeError, AttributeError, UnicodeDecodeError):
        return []
    values: list[Any] = list(payload.values()) if isinstance(payload, dict) else []
    flat = [one for value in values for one in (value if isinstance(value, list) else [value])]
    ids = [one.get("raw_payload_id") for one in flat if isinstance(one, dict)]
    return [raw_payload_id for raw_payload_id in ids if isinstance(raw_payload_id, str)]
