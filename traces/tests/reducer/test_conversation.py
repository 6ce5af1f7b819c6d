"""Requests and responses flow in, conversation items that keep their identity flow out."""

import hashlib
import json

import pytest

from traces.reducer import ReductionError
from traces.tests.reducer.builder import CHILD, ROOT, Session
from traces.tests.reducer.items import (
    Item,
    agent_message,
    assistant,
    call,
    code,
    code_output,
    image,
    message,
    output,
    reasoning,
    sealed_part,
    user,
)

HI, MORE = user("hi"), user("more")


def parts(session: Session, number: int) -> list[dict[str, str]]:
    found: list[dict[str, str]] = session.items(number)[0]["body"]["parts"]
    return found


# --- identity ---------------------------------------------------------------------------------------------------------


def test_a_repeated_item_is_the_same_item(session: Session) -> None:
    session.ask("I1", HI)
    session.complete("I1", assistant("hello"))
    session.ask("I2", HI, assistant("hello"), MORE)
    assert (session.asked("I2"), session.history()) == ([1, 2, 3], [1, 2, 3])


def test_equal_items_of_one_request_are_two(session: Session) -> None:
    session.ask("I1", HI, HI)
    session.ask("I2", HI, HI, HI)
    assert session.asked("I2") == [1, 2, 3]


def test_an_item_that_moves_keeps_its_id(session: Session) -> None:
    session.ask("I1", HI, MORE)
    session.ask("I2", user("new"), MORE, HI)
    assert session.asked("I2") == [3, 2, 1]


def test_an_item_that_moved_may_also_stay_in_schema_1_only(old: Session, new: Session) -> None:
    for session in (old, new):
        session.ask("I1", HI, MORE, MORE)
        session.ask("I2", MORE, MORE)
    assert (old.asked("I2"), new.asked("I2")) == ([2, 2], [2, 3])


def test_an_item_that_was_left_out_comes_back_as_another(session: Session) -> None:
    session.ask("I1", HI, MORE)
    session.ask("I2", HI)
    session.ask("I3", HI, MORE)
    assert session.asked("I3") == [1, 3]


def test_threads_share_no_items(session: Session) -> None:
    session.ask("I1", HI)
    session.child()
    session.turn("T2")
    session.ask("I2", HI)
    assert (session.history(ROOT), session.history(CHILD)) == ([1], [2])


def test_what_tells_items_apart(session: Session) -> None:
    session.ask("I1", HI, assistant("x"), assistant("x", phase="commentary"), call("c1", "{}"), output("c1", "x"))
    session.ask(
        "I2", message("system", "hi"), assistant("x", phase="final_answer"), code("c1", "{}"), output("c2", "x")
    )
    assert session.asked("I2") == [6, 7, 8, 9]


def test_json_arguments_are_compared_by_what_is_shown_of_them(session: Session) -> None:
    session.ask("I1", call("c1", ' {"a": 1} '))
    session.ask("I2", call("c1", '{"a":1}'))
    assert session.asked("I2") == [1]


# --- ids of the provider ----------------------------------------------------------------------------------------------


def test_other_ids_are_other_items_in_schema_2(new: Session) -> None:
    new.ask("I1", user("hi", id="m1"))
    new.ask("I2", user("hi", id="m2"))
    assert (new.asked("I1"), new.asked("I2")) == ([1], [2])
    assert [item["responses_item_id"] for item in new.items()] == ["m1", "m2"]


def test_ids_mean_nothing_in_schema_1(old: Session) -> None:
    old.ask("I1", user("hi", id="m1"))
    old.ask("I2", user("hi", id="m2"))
    assert old.asked("I2") == [1]
    assert "responses_item_id" not in old.items(1)[0]


def test_an_item_learns_its_id_late(new: Session) -> None:
    new.ask("I1", HI)
    new.ask("I2", user("hi", id="m1"))
    new.ask("I3", user("hi", id="m2"))
    assert (new.asked("I2"), new.asked("I3")) == ([1], [2])


def test_a_missing_id_fits_any(new: Session) -> None:
    new.ask("I1", user("hi", id="m1"))
    new.ask("I2", HI)
    assert new.asked("I2") == [1]


def test_the_same_id_with_other_content_is_a_new_item(new: Session) -> None:
    new.ask("I1", user("hi", id="m1"))
    new.ask("I2", user("ho", id="m1"))
    assert new.asked("I2") == [2]


def test_ids_that_are_no_text_are_none_and_empty_ones_are_ids(new: Session) -> None:
    new.ask("I1", user("a", id=5), user("b", id=""))
    assert ["responses_item_id" in item for item in new.items()] == [False, True]


# --- outputs ----------------------------------------------------------------------------------------------------------


def test_outputs_join_the_conversation_at_once_in_schema_1(old: Session) -> None:
    old.ask("I1", HI)
    old.complete("I1", assistant("a"))
    assert old.history() == [1, 2]


def test_outputs_join_the_conversation_when_they_are_sent_again_in_schema_2(new: Session) -> None:
    new.ask("I1", HI)
    new.complete("I1", assistant("a"), assistant("b"))
    assert (new.history(), new.answered("I1")) == ([1], [2, 3])
    new.ask("I2", HI, assistant("b"))
    assert (new.asked("I2"), new.history()) == ([1, 3], [1, 3])


def test_an_output_is_known_by_its_id_wherever_it_was_seen(new: Session) -> None:
    new.ask("I1", HI, assistant("a", id="m1"))
    new.complete("I1", assistant("a", id="m1"))
    assert new.answered("I1") == [2]
    assert new.items(2)[0]["produced_by"] == [{"type": "inference", "inference_call_id": "I1"}]


def test_two_calls_may_produce_one_item(new: Session) -> None:
    new.ask("I1", HI)
    new.complete("I1", assistant("a", id="m1"))
    new.ask("I2", HI)
    new.complete("I2", assistant("a", id="m1"))
    assert new.answered("I2") == [2]
    assert [producer["inference_call_id"] for producer in new.items(2)[0]["produced_by"]] == ["I1", "I2"]


def test_schema_2_compares_with_the_outputs_of_the_latest_call_alone(old: Session, new: Session) -> None:
    for session in (old, new):
        session.ask("I1", HI)
        session.ask("I2", MORE)
        session.complete("I1", assistant("a"))
        session.complete("I2", assistant("b"))
        session.ask("I3", HI, assistant("a"), MORE, assistant("b"))
    assert (old.asked("I3"), new.asked("I3")) == ([5, 3, 2, 4], [5, 6, 2, 4])


def test_a_second_end_takes_the_outputs_of_the_first_away_in_schema_2(old: Session, new: Session) -> None:
    for session in (old, new):
        session.ask("I1", HI)
        session.fail("I1", "broken", assistant("a"))
        session.cancel("I1", "late", assistant("b"))
        session.ask("I2", HI, assistant("a"), assistant("b"))
    assert (old.asked("I2"), new.asked("I2")) == ([1, 2, 3], [1, 4, 3])


# --- kinds of items ---------------------------------------------------------------------------------------------------


def test_reasoning_is_known_by_its_sealed_content(session: Session) -> None:
    session.ask("I1", HI)
    session.complete("I1", reasoning("short", sealed="S"))
    session.ask("I2", HI, reasoning(content=["long"], sealed="S"))
    assert session.asked("I2") == [1, 2]
    assert [part["type"] for part in parts(session, 2)] == ["text", "summary", "encoded"]


def test_reasoning_with_nothing_in_it_is_refused(session: Session) -> None:
    with pytest.raises(ReductionError, match="has no content, summary or encrypted_content"):
        session.ask("I1", reasoning())


@pytest.mark.parametrize("item", [{"type": "other"}, {"type": "compaction_trigger"}, {"type": 5}, {}, "x", None])
def test_items_that_are_not_known_are_refused(session: Session, item: Item) -> None:
    with pytest.raises(ReductionError, match=r"unknown type|has no type"):
        session.ask("I1", HI, item)


def test_additional_tools_are_no_item(session: Session) -> None:
    tools = {"type": "additional_tools", "whatever": [1]}
    session.ask("I1", tools, HI, tools)
    session.complete("I1", tools, assistant("a"))
    session.ask("I2", HI, assistant("a"), tools, MORE)
    assert (session.asked("I1"), session.asked("I2")) == ([1], [1, 2, 3])


def test_code_is_code_only_for_exec(session: Session) -> None:
    session.ask("I1", code("c1", "x"), code("c2", "x", name="apply_patch"), code_output("c1", {"a": 1}))
    assert parts(session, 1) == [{"type": "code", "language": "javascript", "source": "x"}]
    assert parts(session, 2) == [{"type": "text", "text": "x"}]
    assert parts(session, 3) == [{"type": "json", "summary": '{"a":1}', "raw_payload_id": "raw_payload:1"}]


def test_a_compaction_is_a_summary(session: Session) -> None:
    session.ask("I1", *({"type": kind, "encrypted_content": kind} for kind in ("compaction", "context_compaction")))
    assert [item["channel"] for item in session.items()] == ["summary", "summary"]
    with pytest.raises(ReductionError, match="has no encrypted_content"):
        session.ask("I2", {"type": "compaction"})


def test_messages_between_agents_keep_author_and_recipient(session: Session) -> None:
    session.ask("I1", agent_message("/root", "/root/kid", "head", sealed_part("S")))
    session.ask("I2", agent_message("/root/kid", "/root/kid", "head", sealed_part("S")))
    assert session.asked("I2") == [2]
    item = session.items(1)[0]
    assert (item["role"], item["channel"]) == ("assistant", "analysis")
    assert item["body"]["parts"] == [
        {"type": "text", "text": "head"},
        {"type": "encoded", "label": "encrypted_content", "value": "S"},
    ]
    with pytest.raises(ReductionError, match="is empty"):
        session.ask("I3", agent_message("/root", "/root/kid"))


# --- call ids ---------------------------------------------------------------------------------------------------------


def test_a_call_id_with_other_content_is_refused(session: Session) -> None:
    session.ask("I1", call("c1", '{"a":1}'))
    with pytest.raises(ReductionError, match="call id c1 is used again with other content"):
        session.ask("I2", call("c1", '{"a":2}'))


def test_an_output_with_other_content_is_refused_in_schema_1_only(old: Session, new: Session) -> None:
    for session in (old, new):
        session.ask("I1", output("c1", "x"))
    with pytest.raises(ReductionError, match="call id c1 is used again"):
        old.ask("I2", output("c1", "y"))
    new.ask("I2", output("c1", "y"))
    assert new.asked("I2") == [2]


def test_one_call_id_may_be_used_by_two_threads(session: Session) -> None:
    session.ask("I1", call("c1", "1"))
    session.child()
    session.turn("T2")
    session.ask("I2", call("c1", "2"))
    assert session.asked("I2") == [2]


# --- images and other parts kept by reference -------------------------------------------------------------------------


def test_an_image_is_a_new_item_in_every_request_of_schema_1(old: Session) -> None:
    old.ask("I1", user("see", image()))
    old.ask("I2", user("see", image()), MORE)
    old.ask("I3", user("see", image()), MORE)
    assert (old.asked("I2"), old.asked("I3")) == ([2, 3], [4, 3])
    reference = {"type": "payload_ref", "label": "input_image", "raw_payload_id": "raw_payload:1"}
    assert parts(old, 1) == [{"type": "text", "text": "see"}, reference]


def test_an_image_in_an_output_is_refused_when_schema_1_sees_it_again(old: Session) -> None:
    old.ask("I1", output("c1", [image()]))
    with pytest.raises(ReductionError, match="call id c1 is used again"):
        old.ask("I2", output("c1", [image()]))


def test_an_image_is_known_by_its_digest_in_schema_2(new: Session) -> None:
    new.ask("I1", user(image()), output("c1", [image()]))
    new.ask("I2", user({"image_url": image()["image_url"], "type": "input_image"}), output("c1", [image()]), MORE)
    assert new.asked("I2") == [1, 2, 3]
    digest = hashlib.sha256(b'{"image_url":"data:image/png;base64,AAAA","type":"input_image"}').hexdigest()
    assert parts(new, 1)[0] == {
        "type": "payload_ref",
        "label": "input_image",
        "raw_payload_id": "raw_payload:1",
        "content_sha256": digest,
    }
    new.ask("I3", user(image("data:x")))
    assert new.asked("I3") == [4]


def test_content_without_parts(old: Session, new: Session) -> None:
    for session in (old, new):
        session.ask("I1", user(), message("user") | {"content": "text"})
    assert parts(old, 1) == [{"type": "payload_ref", "label": "empty_content", "raw_payload_id": "raw_payload:1"}]
    assert parts(new, 1) == []
    for session in (old, new):
        assert parts(session, 2) == [{"type": "payload_ref", "label": "content", "raw_payload_id": "raw_payload:1"}]


# --- requests ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("request_body", [{}, {"input": None}, {"input": {}}, {"input": "hi"}, [], None, 5])
def test_a_request_without_a_list_of_items_is_refused(session: Session, request_body: object) -> None:
    with pytest.raises(ReductionError, match="request payload raw_payload:1"):
        session.ask_with("I1", request_body)


@pytest.mark.parametrize("damage", [b"\xff", b"\\ud800", b"[" * 200 + b"]" * 200])
def test_a_damaged_item_after_those_of_the_request_before_is_refused(session: Session, damage: bytes) -> None:
    session.ask_with("I1", json.dumps({"input": [HI, MORE], "model": "m"}).encode())
    text = damage if damage.startswith(b"[") else b'"' + damage + b'"'
    added = b', {"type": "message", "role": "user", "content": ' + text + b"}]"
    body = json.dumps({"input": [HI, MORE], "model": "m"}).encode().replace(b"]}]", b"]}" + added)
    with pytest.raises(ReductionError, match="raw_payload:2 cannot be read: "):
        session.ask_with("I2", body)


def test_an_empty_request_forgets_what_came_before(session: Session) -> None:
    session.ask("I1", HI)
    session.ask("I2")
    session.ask("I3", HI)
    assert (session.asked("I2"), session.asked("I3"), session.history()) == ([], [2], [1, 2])


def test_white_space_and_order_in_a_request_do_not_matter(session: Session) -> None:
    session.ask("I1", HI, MORE)
    body = json.dumps({"input": [HI, MORE, user("third")], "model": "m"}, indent=7).encode()
    session.ask_with("I2", body)
    assert session.asked("I2") == [1, 2, 3]
