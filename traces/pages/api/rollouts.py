"""A query or a key flows in, rollouts and their calls flow out as JSON."""

from typing import Any, cast

import msgspec
from django.db.models import Count
from django.http import Http404, HttpRequest, HttpResponse
from django.urls import reverse
from django.utils import timezone

from traces.models import Node, Rollout
from traces.pages.api import shapes
from traces.pages.api.answers import Refusal, json
from traces.pages.api.asking import filters_of, page_of, statuses_of
from traces.pages.rollout import events_after_stop
from traces.sharing import rollout_for, rollouts_for

NO_ROLLOUT = "There is no rollout with this key."
# What a call says in state.json is said here in the same words.
WINDOW = ("started_at_unix_ms", "started_seq", "ended_at_unix_ms", "ended_seq")
SAME = (
    *("inference_call_id", "thread_id", "codex_turn_id", "model", "provider_name", "response_id"),
    *("upstream_request_id", "response_item_ids", "usage", "raw_request_payload_id", "raw_response_payload_id"),
)


def rollouts(request: HttpRequest) -> HttpResponse:
    """The list."""
    filters = filters_of(request)
    found = filters.apply(rollouts_for(request)).order_by(*filters.sort.order())
    page = page_of(request, found)
    rows = [summary(request, rollout) for rollout in page.rows]
    return json(shapes.RolloutPage(page.count, page.next, page.previous, rows))


def rollout(request: HttpRequest, public_id: str) -> HttpResponse:
    """One of them, with everything that is counted."""
    found = rollout_named(request, public_id)
    session = rollouts_for(request).of_session(found.rollout_id).exclude(pk=found.pk)
    same_trace = rollouts_for(request).filter(pk__in=found.siblings())
    detail = shapes.RolloutDetail(
        **msgspec.structs.asdict(summary(request, found)),
        counts=_counts(found),
        conversation_items=found.conversation_items.count(),
        payloads=found.payloads.count(),
        events_after_stop=events_after_stop(found),
        same_trace=list(same_trace.order_by("branch").values_list("public_id", flat=True)),
        same_session=list(session.values_list("public_id", flat=True)),
    )
    return json(detail)


def delete(request: HttpRequest, public_id: str) -> HttpResponse:
    """Puts it out of sight; the list of the pages can bring it back for a minute, then it is gone for good."""
    found = rollout_named(request, public_id)
    rollouts_for(request).filter(pk=found.pk).update(deleted_at=timezone.now())
    return HttpResponse(status=204)


def inferences(request: HttpRequest, public_id: str) -> HttpResponse:
    """Its calls, in the order they began."""
    found = rollout_named(request, public_id)
    calls = found.nodes.filter(kind=Node.Kind.INFERENCE_CALL).order_by("number")
    if statuses := statuses_of(request):
        calls = calls.filter(status__in=statuses)
    page = page_of(request, calls)
    rows = [_inference(request, found, call) for call in page.rows]
    return json(shapes.InferencePage(page.count, page.next, page.previous, rows))


def rollout_named(request: HttpRequest, public_id: str) -> Rollout:
    """The rollout with this key, where this request may see it."""
    try:
        return rollout_for(request, public_id)
    except Http404 as error:
        raise Refusal(404, NO_ROLLOUT) from error


def summary(request: HttpRequest, found: Rollout) -> shapes.Rollout:
    """A rollout as the list shows it."""
    stopped = shapes.Stopped(found.stopped_what, found.stopped_seq, found.stopped_line) if found.stopped else None
    urls = urls_of(request, found.public_id)
    return shapes.Rollout(
        key=found.public_id,
        url=urls.page,
        title=found.title,
        status=cast(shapes.RolloutStatus, found.status),
        trace_id=found.trace_id,
        rollout_id=found.rollout_id,
        root_thread_id=found.root_thread_id,
        schema_version=found.schema_version,
        recording_complete=found.recording_complete,
        started_at=found.started_at,
        ended_at=found.ended_at,
        duration_seconds=found.duration.total_seconds() if found.duration is not None else None,
        model=found.model,
        client_version=found.client_version,
        client_version_guess=found.client_version_guess,
        agents=found.agents,
        events=found.events,
        inferences=shapes.CallCounts(**found.counts),
        tokens=_tokens(found),
        stopped=stopped,
        note=found.note,
        bytes_recorded=found.bytes_recorded,
        bytes_stored=found.bytes_stored,
        urls=urls,
    )


def urls_of(request: HttpRequest, public_id: str) -> shapes.RolloutUrls:
    """Whole addresses, ready to be asked."""

    def url(name: str) -> str:
        return request.build_absolute_uri(reverse(name, args=[public_id]))

    return shapes.RolloutUrls(
        page=url("rollout"),
        self=url("api_rollout"),
        inferences=url("api_inferences"),
        state=url("api_state"),
        bundle=url("api_bundle"),
        bundle_zip=url("api_bundle_zip"),
    )


def _tokens(found: Rollout) -> shapes.Tokens:
    return shapes.Tokens(
        found.tokens_in, found.tokens_cached, found.tokens_out, found.tokens_reasoning, found.calls_without_usage
    )


def _counts(found: Rollout) -> dict[str, dict[str, int]]:
    """How many objects of each kind there are, by status."""
    counts: dict[str, dict[str, int]] = {}
    rows = found.nodes.values_list("kind", "status").annotate(Count("pk")).order_by("kind", "status")
    for kind, status, count in rows:
        counts.setdefault(kind, {})[status] = count
    return counts


def _inference(request: HttpRequest, found: Rollout, call: Node) -> shapes.Inference:
    data: dict[str, Any] = call.data
    page = reverse("inference", args=[found.public_id, str(call.number)])
    return shapes.Inference(
        number=call.number,
        url=request.build_absolute_uri(page),
        status=cast(shapes.CallStatus, call.status),
        evidence=_evidence(call),
        error=call.evidence_text if call.status == Node.Status.FAILED else None,
        reason=call.evidence_text if call.status == Node.Status.CANCELLED else None,
        late=_late(call),
        **{name: data["execution"][name] for name in WINDOW},
        **{name: data[name] for name in SAME},
    )


def _evidence(call: Node) -> shapes.Evidence:
    kind = cast(shapes.EvidenceKind, call.evidence)
    return shapes.Evidence(kind, call.evidence_event or None, call.evidence_seq, call.evidence_text)


def _late(call: Node) -> shapes.LateEnd | None:
    if call.late_seq is None:
        return None
    return shapes.LateEnd(call.late_event, call.late_seq, call.late_text, call.late_items)
