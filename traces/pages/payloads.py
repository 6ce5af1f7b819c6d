"""A payload's number flows in; the body flows out, to read on a page or byte for byte as a file."""

import re

import msgspec
from django.db.models import Q, QuerySet
from django.http import Http404, HttpRequest, HttpResponse
from django.urls import reverse
from django.views.decorators.http import require_safe

from traces.models import Event, Node, Payload, Rollout
from traces.pages.answers import Request, answer, target
from traces.pages.facts import Ref, payload_key
from traces.pages.items import node_href
from traces.pages.json_tree import NoSuchPlaceError
from traces.pages.outline import names
from traces.pages.payload_tree import Shown, asked_path, shown
from traces.pages.windows import asked_start
from traces.sharing import rollout_for

UNSAFE = re.compile(r"[^A-Za-z0-9._-]")
SANDBOX = "default-src 'none'; sandbox"


@require_safe
def payload(request: Request, public_id: str, key: str) -> HttpResponse:
    """The page of a payload, or the level of its tree that htmx wants to fill in."""
    found = rollout_for(request, public_id)
    asked = payload_named(found, key)
    content = content_of(asked, request.GET.get("at", ""), asked_start(request.GET.get("from")))
    number = payload_key(asked.raw_payload_id)
    context = {
        "rollout": found,
        "payload": asked,
        "key": number,
        "content": content,
        "level": content.level,
        "href": reverse("payload", args=[found.public_id, number]),
    }
    if content.level and target(request).startswith("at-"):
        return answer(request, "traces/payload/level.html", context)
    context["refs"] = named_by(found, asked.raw_payload_id)
    return answer(request, "traces/payload.html", context)


def content_of(asked: Payload, at: str, start: int) -> Shown:
    """What the recording holds at this place of the payload."""
    path = asked_path(at)
    try:
        if path is not None:
            return shown(asked.bytes(), path, start)
    except NoSuchPlaceError:
        pass
    raise Http404("This payload holds nothing there.")


@require_safe
def raw(request: HttpRequest, public_id: str, key: str) -> HttpResponse:
    """The exact bytes, as a file: somebody else's content is never a page of this site."""
    found = rollout_for(request, public_id)
    asked = payload_named(found, key)
    if asked.missing:
        raise Http404("The recording holds no bytes for this payload.")
    response = HttpResponse(asked.bytes(), content_type="application/json")
    name = f"{found.trace_id[:8]}-payload-{payload_key(asked.raw_payload_id)}.json"
    response["Content-Disposition"] = f'attachment; filename="{UNSAFE.sub("_", name)}"'
    response["X-Content-Type-Options"] = "nosniff"
    response["Content-Security-Policy"] = SANDBOX
    return response


def payload_named(found: Rollout, key: str) -> Payload:
    """The payload with this number or id."""
    ids = [f"raw_payload:{key}", key]
    rows = {row.raw_payload_id: row for row in Payload.objects.filter(rollout=found, raw_payload_id__in=ids)}
    for raw_payload_id in ids:
        if raw_payload_id in rows:
            return rows[raw_payload_id]
    raise Http404("This recording has no such payload.")


def named_by(found: Rollout, raw_payload_id: str) -> list[Ref]:
    """The objects that name it; where there are none, the way to the log."""
    lines = found.payloads.filter(raw_payload_id=raw_payload_id).values("line")
    about = [Q(kind=kind, object_id=name) for kind, name in subjects(found.log.filter(line__in=lines))]
    nodes = [node for which in about for node in found.nodes.filter(which | Q(parent__in=found.nodes.filter(which)))]
    naming = sorted((node for node in nodes if names_payload(node, raw_payload_id)), key=lambda node: node.position)
    refs = [Ref(" ".join(filter(None, names(node))), node_href(found, node), node.status) for node in naming[:20]]
    return refs or [Ref("Raw events", reverse("events", args=[found.public_id]))]


def subjects(events: QuerySet[Event]) -> list[tuple[str, str]]:
    """What these events are about."""
    return list(events.exclude(object_id="").values_list("object_kind", "object_id"))


def names_payload(node: Node, raw_payload_id: str) -> bool:
    """Whether an object's data names a payload."""
    return f'"{raw_payload_id}"'.encode() in msgspec.json.encode(node.data)
