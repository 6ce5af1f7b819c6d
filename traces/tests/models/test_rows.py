"""What single rows know to do."""

from datetime import UTC, datetime

import pytest

from traces.models import ConversationItem, Node, RequestItems, Rollout, Upload
from traces.models.fields import KEY_LENGTH, key, moment, number, plain

pytestmark = pytest.mark.django_db


def new_rollout(**values: object) -> Rollout:
    """A rollout with nothing in it."""
    started = datetime(2026, 11, 22, 18, 15, tzinfo=UTC)
    return Rollout.objects.create(**{"trace_id": "t", "schema_version": 2, "started_at": started, **values})


def new_call(rollout: Rollout, number: int) -> Node:
    """An inference call with nothing in it."""
    return Node.objects.create(
        rollout=rollout,
        kind=Node.Kind.INFERENCE_CALL,
        object_id=f"call-{number}",
        position=f"1{number:x}",
        number=number,
        status="completed",
        evidence="observed",
        started_at_ms=10,
        started_seq=number,
        ended_at_ms=25,
        revision=1,
        data={},
    )


def test_json_keeps_what_databases_would_lose() -> None:
    data = {"text": "a\x00b\u2028", "z": 1, "a": [2**64 - 1, 0.1, None, {}]}
    item = ConversationItem.objects.create(
        rollout=new_rollout(), item_id="conversation_item:1", ordinal=1, thread_id="t", role="user", kind="message",
        data=data, revision=1,
    )  # fmt: skip
    again = ConversationItem.objects.get(pk=item.pk)
    assert again.data == data
    assert list(again.data) == ["text", "z", "a"]


def test_texts_and_numbers_that_columns_do_not_take() -> None:
    assert plain("a\x00b") == "a␀b"
    assert plain(None) == ""
    assert key("call_1") == "call_1"
    monstrous = [key("x" * 10_000 + end) for end in "ab"]
    assert monstrous[0] != monstrous[1]
    assert max(map(len, monstrous)) <= KEY_LENGTH
    assert number(2**64 - 1) == 2**63 - 1
    assert number(None) is None
    assert moment(1795371301264) == datetime(2026, 11, 22, 18, 15, 1, 264000, tzinfo=UTC)
    assert moment(2**63 - 1).year == 9999
    assert moment(-(2**63)).year == 1


def test_a_request_is_rebuilt_from_its_differences() -> None:
    rollout, base = new_rollout(), None
    lists = [["a", "b"], ["a", "b", "c"], ["a", "x"], ["a", "x"], []]
    for step, (ids, kept) in enumerate(zip(lists, [0, 2, 1, 2, 0], strict=True)):
        call = new_call(rollout, step + 1)
        base = RequestItems.objects.create(
            rollout=rollout, inference=call, base=base, kept=kept, items=ids[kept:], run=1, step=step
        )
        assert base.item_ids() == call.request_item_ids == ids
    assert [row.item_ids() for row in rollout.requests.order_by("step")] == lists


def test_rollouts_of_one_trace_and_of_one_session() -> None:
    first, second = new_rollout(branch=0, rollout_id="s"), new_rollout(branch=1, rollout_id="s")
    other = new_rollout(trace_id="u", rollout_id="s")
    assert list(Rollout.objects.of_trace("t")) == [first, second]
    assert list(first.siblings()) == [second]
    assert set(Rollout.objects.of_session("s")) == {first, second, other}
    assert len({first.public_id, second.public_id, other.public_id}) == 3


def test_counts_and_durations() -> None:
    rollout = new_rollout(counts={"completed": 2, "failed": 1, "cancelled": 0, "aborted": 0, "running": 0})
    assert rollout.inferences == 3
    assert rollout.counted() == [("completed", 2), ("failed", 1)]
    assert (rollout.duration, rollout.stopped) == (None, False)
    assert new_call(rollout, 1).duration_ms == 15


def test_uploads_are_taken_one_by_one_and_put_back() -> None:
    first, second = (Upload.objects.create(name=name, state=Upload.State.WAITING) for name in ("a.zip", "b.zip"))
    Upload.objects.create(name="c.zip")
    assert [Upload.objects.take(), Upload.objects.take(), Upload.objects.take()] == [first, second, None]
    assert Upload.objects.put_back() == 2
    assert Upload.objects.take() == first
