"""JSON as clients write it flows in, the text the reference makes of it flows out: digits, order, cuts, escapes."""

import json
from typing import Any

import pytest

from traces.tests.reducer.builder import Session
from traces.tests.reducer.items import call, output, user


def summaries(session: Session) -> list[str]:
    return [item["body"]["parts"][0]["summary"] for item in session.items()]


def show(session: Session, *arguments: str) -> list[str]:
    """What is shown of arguments, given as the model wrote them."""
    session.ask("I1", *(call(f"c{number}", text) for number, text in enumerate(arguments)))
    return summaries(session)


def test_numbers_keep_their_text(session: Session) -> None:
    numbers = "[1.0, 0.10, 123456789012345678901234567890, -0.0, 1e-7, 3.14159265358979323846]"
    assert show(session, numbers) == [numbers.replace(" ", "")]


def test_exponents_are_spelled_one_way(session: Session) -> None:
    assert show(session, "[1e5, 1E+400, 1.50E-02, -0]") == ["[1e+5,1e+400,1.50e-02,0]"]


def test_objects_keep_their_order_and_the_last_of_equal_keys(session: Session) -> None:
    assert show(session, '{"b":1,"a":2,"b":3}') == ['{"b":3,"a":2}']


def test_white_space_goes_and_characters_stay(session: Session) -> None:
    assert show(session, ' { "a" : [ true , null ] , "é" : "\\u00e9\\/\\u007f\\ud83d\\ude00" } ') == [
        '{"a":[true,null],"é":"é/\x7f😀"}'
    ]


def test_control_characters_are_escaped_in_lower_case(session: Session) -> None:
    assert show(session, json.dumps('\x00\x08\x0c\n\r\t\x1f"\\')) == ['"\\u0000\\b\\f\\n\\r\\t\\u001f\\"\\\\"']


@pytest.mark.parametrize("text", ["", "{", "NaN", "\ufeff{}", '"\\ud800"', "[1] x", "[" * 128 + "]" * 128])
def test_arguments_that_are_no_json_are_text(session: Session, text: str) -> None:
    session.ask("I1", call("c1", text))
    assert session.items(1)[0]["body"]["parts"] == [{"type": "text", "text": text}]


def test_as_deep_as_the_reference_reads(session: Session) -> None:
    text = "[" * 127 + "]" * 127
    session.ask("I1", call("c1", text))
    assert session.items(1)[0]["body"]["parts"][0] == {
        "type": "json",
        "summary": text[:240] + ("..." if len(text) > 240 else ""),
        "raw_payload_id": "raw_payload:1",
    }


@pytest.mark.parametrize(("value", "shown"), [(None, "null"), (5, "5"), ({"b": 1, "a": []}, '{"b":1,"a":[]}')])
def test_arguments_that_are_no_string_are_shown_as_they_are(session: Session, value: Any, shown: str) -> None:
    session.ask("I1", call("c1", value))
    assert summaries(session) == [shown]


def test_missing_arguments_and_outputs_are_kept_by_reference(session: Session) -> None:
    asked, answer = call("c1"), output("c2")
    del asked["arguments"], answer["output"]
    session.ask("I1", asked, answer)
    assert [item["body"]["parts"][0]["label"] for item in session.items()] == ["payload", "tool_output"]


@pytest.mark.parametrize("length", [237, 238, 239, 240, 300])
def test_what_is_longer_than_240_bytes_is_cut(session: Session, length: int) -> None:
    text = json.dumps("x" * length)
    assert show(session, text) == [text if len(text) <= 240 else text[:240] + "..."]


@pytest.mark.parametrize("before", [235, 236, 237, 238, 239])
def test_the_cut_falls_between_characters(session: Session, before: int) -> None:
    """Client 0.164.0 panics on some of these; they are reduced as 0.169.0 does."""
    [shown] = show(session, json.dumps("x" * before + "😀é" * 9, ensure_ascii=False))
    assert len(shown.removesuffix("...").encode()) in (237, 238, 239, 240)
    assert shown.removesuffix("...") == '"' + ("x" * before + "😀é" * 9)[: len(shown) - 4]


def test_every_string_of_the_state_is_written_as_the_reference_does(session: Session) -> None:
    odd = '"\\/\x00\x1f\x7f\x80\u2028\ufeff😀é'
    session.ask("I1", user(odd))
    session.fail("I1", odd)
    state = session.reducer.state()
    assert json.loads(state)["conversation_items"]["conversation_item:1"]["body"]["parts"][0]["text"] == odd
    assert '"text": "\\"\\\\/\\u0000\\u001f\x7f\x80\u2028\ufeff😀é"'.encode() in state
    assert b'"code_cells": {},' in state
    assert not state.endswith(b"\n")
