"""Failed calls flow in, the calls that tried the same again flow out."""

from collections.abc import Iterable

from traces.models import ConversationItem, Node, RequestItems, Rollout
from traces.pages.items import OUTPUTS
from traces.pages.story import Call, is_retry


def next_calls(rollout: Rollout, calls: Iterable[Node]) -> dict[int, Node]:
    """For every call the next one of its thread, with two queries whatever their number."""
    wanted = list(calls)
    if not wanted:
        return {}
    threads = {call.thread_id for call in wanted}
    later = Node.objects.filter(rollout=rollout, kind="inference_call", thread_id__in=threads)
    order = later.order_by("thread_id", "started_seq").values_list("pk", "thread_id")
    following: dict[int, int] = {}
    before: tuple[int, str] | None = None
    for pk, thread_id in order:
        if before and before[1] == thread_id:
            following[before[0]] = pk
        before = (pk, thread_id)
    found = Node.objects.in_bulk([following[call.pk] for call in wanted if call.pk in following])
    return {call.pk: found[following[call.pk]] for call in wanted if call.pk in following}


def previous_call(rollout: Rollout, call: Node) -> Node | None:
    """The call of the same thread before this one."""
    calls = Node.objects.filter(rollout=rollout, kind="inference_call", thread_id=call.thread_id)
    return calls.filter(started_seq__lt=call.started_seq).order_by("-started_seq").first()


def retries(rollout: Rollout, failed: list[Node]) -> dict[int, Node]:
    """For every failed call the attempt that followed it, where there is one."""
    after = {pk: call for pk, call in next_calls(rollout, failed).items() if call.thread_id}
    if not after:
        return {}
    requests = RequestItems.objects.in_bulk([*after, *(call.pk for call in after.values())], field_name="inference_id")
    outputs = _outputs(rollout, failed)
    found = {}
    for call in failed:
        later = after.get(call.pk)
        if later and _tries_again(call, later, requests, outputs):
            found[call.pk] = later
    return found


def _tries_again(call: Node, later: Node, requests: dict[int, RequestItems], outputs: set[str]) -> bool:
    if call.pk not in requests or later.pk not in requests:
        return False
    request, again = _requests(requests[call.pk], requests[later.pk])
    return is_retry(
        Call(call.status, call.data["codex_turn_id"], request, call.data["response_item_ids"], outputs),
        Call(later.status, later.data["codex_turn_id"], again, ()),
    )


def _requests(earlier: RequestItems, later: RequestItems) -> tuple[list[str], list[str]]:
    """Both lists; where one extends the other, what they share is left out and nothing need be fetched."""
    whole = earlier.kept + len(earlier.items)
    if later.base_id == earlier.pk and later.kept == whole:
        return [], later.items
    return earlier.item_ids(), later.item_ids()


def _outputs(rollout: Rollout, calls: list[Node]) -> set[str]:
    """The outputs of tools that the calls' complete items had asked for."""
    partial = [item_id for call in calls for item_id in call.data["response_item_ids"]]
    asked = ConversationItem.objects.filter(rollout=rollout, item_id__in=partial).exclude(call_id="")
    answers = ConversationItem.objects.filter(
        rollout=rollout, kind__in=OUTPUTS, call_id__in=list(asked.values_list("call_id", flat=True))
    )
    return set(answers.values_list("item_id", flat=True))
