"""The words of the API: what is sent as JSON, field by field; the OpenAPI document is made out of these very types."""

from datetime import datetime
from typing import Annotated, Any, Literal

from msgspec import Meta, Struct

RolloutStatus = Literal["running", "completed", "failed", "aborted"]
CallStatus = Literal["running", "completed", "failed", "cancelled", "aborted"]
EvidenceKind = Literal["observed", "turn_end", "none"]
UploadState = Literal["receiving", "waiting", "reducing", "done", "failed"]
VerdictWord = Literal["new", "same", "continued", "other_content"]


class Problem(Struct):
    """What went wrong, in a sentence."""

    error: str
    status: int


class Tokens(Struct):
    """What the provider counted, over all calls that say it."""

    input: int
    cached_input: int
    output: int
    reasoning_output: int
    calls_without_usage: int


class CallCounts(Struct):
    """How many calls to the model ended how."""

    completed: int
    failed: int
    cancelled: int
    aborted: int
    running: int


class Stopped(Struct):
    """The first event that could not be applied; later ones are kept as they are."""

    what: str
    seq: int | None
    line: int | None


class RolloutUrls(Struct):
    """Where everything else of a rollout is."""

    page: str
    self: str
    inferences: str
    state: str
    bundle: str
    bundle_zip: str


class Rollout(Struct):
    """One recording of one session."""

    key: str
    url: Annotated[str, Meta(description="the page for people")]
    title: str
    status: RolloutStatus
    trace_id: str
    rollout_id: Annotated[str, Meta(description="the session: several recordings may belong to one")]
    root_thread_id: str
    schema_version: int
    recording_complete: bool | None
    started_at: datetime
    ended_at: datetime | None
    duration_seconds: float | None
    model: str
    client_version: str
    client_version_guess: Annotated[bool, Meta(description="told from what the recording holds, not written in it")]
    agents: int
    events: int
    inferences: CallCounts
    tokens: Tokens
    stopped: Stopped | None
    note: str
    bytes_recorded: int
    bytes_stored: int
    urls: RolloutUrls


class RolloutDetail(Rollout):
    """A rollout with the counts of its page."""

    counts: Annotated[dict[str, dict[str, int]], Meta(description="objects by kind and status")]
    conversation_items: int
    payloads: int
    events_after_stop: int
    same_trace: Annotated[list[str], Meta(description="keys of other content with the same trace id")]
    same_session: Annotated[list[str], Meta(description="keys of the other recordings of the session, oldest first")]


class RolloutPage(Struct):
    """Some rollouts of a list."""

    count: int
    next: str | None
    previous: str | None
    results: list[Rollout]


class Evidence(Struct):
    """How a status is known: its own last event, the repair at its turn's end, or nothing at all."""

    kind: EvidenceKind
    event: str | None
    seq: int | None
    text: str


class LateEnd(Struct):
    """A call's own last event that came only after the repair at its turn's end."""

    event: str
    seq: int
    text: str
    items: int


class Inference(Struct):
    """One call to the model and how it ended."""

    number: int
    inference_call_id: str
    url: str
    thread_id: str
    codex_turn_id: str
    status: CallStatus
    evidence: Evidence
    error: Annotated[str | None, Meta(description="of a failed call, as it was recorded")]
    reason: Annotated[str | None, Meta(description="of a cancelled call, as it was recorded")]
    late: LateEnd | None
    started_at_unix_ms: int
    started_seq: int
    ended_at_unix_ms: int | None
    ended_seq: int | None
    model: str
    provider_name: str
    response_id: str | None
    upstream_request_id: str | None
    response_item_ids: list[str]
    usage: dict[str, Any] | None
    raw_request_payload_id: str
    raw_response_payload_id: str | None


class InferencePage(Struct):
    """Some calls of a rollout."""

    count: int
    next: str | None
    previous: str | None
    results: list[Inference]


class Verdict(Struct):
    """What came of one bundle of an archive."""

    key: str
    url: str
    api: str
    title: str
    verdict: VerdictWord
    sentence: str


class Upload(Struct):
    """How far an archive is."""

    upload: str
    url: Annotated[str, Meta(description="where to ask again")]
    name: str
    state: UploadState
    size: int
    events_done: int
    events_total: int | None
    error: str
    rollouts: list[Verdict]


class Created(Struct):
    """A rollout is there: the first bundle's, where an archive holds several."""

    key: str
    url: str
    api: str
    verdict: VerdictWord
    sentence: str
    upload: Upload
