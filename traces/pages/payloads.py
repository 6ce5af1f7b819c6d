"""A payload's number flows in; the body flows out, to read on a page or byte for byte as a file."""

import re

from django.db.models import TextField
from django.db.models.functions import Cast
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import render
from django.urls import reverse
from django.views.decorators.http import require_safe

from traces.models import Node, Payload, Rollout
from traces.pages.facts import Ref, payload_key
from traces.pages.items import node_href
from traces.pages.outline import names
from traces.pages.pretty import pretty
from traces.sharing import rollout_for

UNSAFE = re.compile(r"[^A-Za-z0-9._-]")
SANDBOX = "default-src 'none'; sandbox"


@require_safe
def payload(request: HttpRequest, public_id: str, key: str) -> HttpResponse:
    """The page of a payload."""
    found = rollout_for(request, public_id)
    shown = payload_named(found, key)
    context = {
        "rollout": found,
        "payload": shown,
        "key": payload_key(shown.raw_payload_id),
        "text": pretty(shown.bytes()),
        "refs": named_by(found, shown.raw_payload_id),
    }
    return render(request, "traces/payload.html", context)


@require_safe
def raw(request: HttpRequest, public_id: str, key: str) -> HttpResponse:
    """The exact bytes, as a file: somebody else's content is never a page of this site."""
    found = rollout_for(request, public_id)
    shown = payload_named(found, key)
    if shown.body is None:
        raise Http404("The recording holds no bytes for this payload.")
    response = HttpResponse(shown.bytes(), content_type="application/json")
    name = f"{found.trace_id[:8]}-payload-{payload_key(shown.raw_payload_id)}.json"
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
    as_text = Node.objects.filter(rollout=found).annotate(text=Cast("data", TextField()))
    nodes = as_text.filter(text__contains=f'"{raw_payload_id}"').order_by("position")[:20]
    refs = [Ref(" ".join(filter(None, names(node))), node_href(found, node), node.status) for node in nodes]
    return refs or [Ref("Raw events", reverse("events", args=[found.public_id]))]
