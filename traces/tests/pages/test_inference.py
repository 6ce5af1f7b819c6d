"""Recorded calls flow in; evidence, partial output, fates and what happened next flow out."""

from collections.abc import Callable

import pytest
from django.test import Client

from traces.models import Rollout

Ingested = Callable[[str], Rollout]
Read = Callable[..., str]

EVIDENCE = [
    (
        "0.169.0/story",
        9,
        "Cancelled — the client stopped reading the stream: response stream dropped before provider terminal event"
        " · event 82",
    ),
    (
        "0.169.0/story",
        4,
        "Failed — stream disconnected before completion: Transport error: network error: error decoding response body"
        " · event 45",
    ),
    ("0.169.0/story", 8, "Completed — the provider finished the response · event 67"),
    (
        "0.125.0/interactive",
        2,
        "Cancelled — closed when its turn ended (event 15); no terminal event was recorded",
    ),
    (
        "0.128.0/cancelled_late",
        3,
        "Cancelled — closed when its turn ended (event 24); its own end came later (event 26) with 3 complete items",
    ),
    ("0.169.0/killed", 2, "Running — the recording stops here"),
]


@pytest.mark.parametrize(("name", "number", "sentence"), EVIDENCE)
def test_evidence_is_one_sentence(ingested: Ingested, read: Read, name: str, number: int, sentence: str) -> None:
    address = f"{ingested(name).get_absolute_url()}inferences/{number}/"
    page = read(address)
    assert f"Inference {number}" in page
    assert sentence in page
    assert sentence in read(address, "inspector")


def test_partial_output_and_its_cut(ingested: Ingested, read: Read) -> None:
    page = read(f"{ingested('0.169.0/story').get_absolute_url()}inferences/9/")
    assert "Partial output 3 complete items · 396 characters" in page
    assert page.index("banker's rounding") < page.index("Cut here at +5.486 s · event 82")
    assert "Whatever was half-written after the last complete item was not recorded." in page


def test_partial_items_were_carried_on(ingested: Ingested, read: Read) -> None:
    page = read(f"{ingested('0.169.0/story').get_absolute_url()}inferences/9/")
    assert page.count("Carried on") == 3
    assert "item 26 of 31" in page
    assert "Turn 2 ended as cancelled, reason interrupted." in page
    assert "The user wrote: “Too long. Just add a line to the README" in page
    assert "Next inference: inference 10 started with 31 items: 3 of 3 partial items carried on." in page


def test_without_a_later_request(ingested: Ingested, read: Read) -> None:
    page = read(f"{ingested('0.128.0/cancelled_late').get_absolute_url()}inferences/3/")
    assert page.count("No later request") == 4  # three items and the sentence
    assert "this agent's recording holds no call after this one" in page


@pytest.mark.parametrize("name", ["0.169.0/retried", "0.128.0/retried", "0.152.0/retried"])
def test_failures_were_retried(ingested: Ingested, read: Read, name: str) -> None:
    address = f"{ingested(name).get_absolute_url()}inferences/"
    assert "Retried by inference 2" in read(f"{address}1/")
    assert "Retried by inference 3" in read(f"{address}2/")
    assert "no later request" in read(f"{address}3/")
    assert "It completed." in read(f"{address}2/")


def test_a_cancelled_call_was_not_retried(ingested: Ingested, read: Read) -> None:
    assert "Retried" not in read(f"{ingested('0.169.0/story').get_absolute_url()}inferences/9/")


def test_tokens_without_usage_are_unknown(ingested: Ingested, read: Read) -> None:
    address = f"{ingested('0.169.0/story').get_absolute_url()}inferences/"
    assert "In unknown Cached unknown Cache write unknown Out unknown Reasoning unknown" in read(f"{address}9/")
    assert "In 11,492 Cached 10,848 Cache write 0 Out 58 Reasoning 0" in read(f"{address}7/")


def test_facts_and_links(ingested: Ingested, read: Read, client: Client) -> None:
    rollout = ingested("0.169.0/story")
    address = f"{rollout.get_absolute_url()}inferences/9/"
    page, body = read(address), client.get(address).content.decode()
    for said in ("gpt-5.5", "scripted", "req_009", "none: the stream never completed", "22 ms after turn 2 began"):
        assert said in page
    for href in ("inferences/8/", "inferences/10/", "payloads/45/", "payloads/50/", "payloads/50/raw", "events/74/"):
        assert f'href="{rollout.get_absolute_url()}{href}"' in body


def test_items_are_timed_from_the_end_where_the_history_took_them_later(
    ingested: Ingested, read: Read, client: Client
) -> None:
    address = f"{ingested('0.169.0/story').get_absolute_url()}inferences/"
    assert "First item 2 ms after the end · event 46 Duration 27 ms" in read(f"{address}4/")
    assert "First item 44 ms · event 12 Last item 5 ms after the end · event 15 Duration 88 ms" in read(f"{address}1/")
    assert "First item 25 ms · event 75 Last item 767 ms · event 77 Duration 3.18 s" in read(f"{address}9/")
    assert 'title="29 ms after the start"' in client.get(f"{address}4/").content.decode()


def test_the_request_against_the_one_before(ingested: Ingested, read: Read) -> None:
    address = f"{ingested('0.169.0/story').get_absolute_url()}inferences/9/"
    page = read(address)
    assert "Request, compared with inference 8 25 items: 23 kept · 2 added · 0 removed" in page
    assert "Looking around" not in page
    assert "Looking around" in read(f"{address}?kept=0")
    assert "Looking around" in read(f"{address}?kept=0", "kept")


def test_a_call_has_its_id_as_a_second_address(ingested: Ingested, read: Read, client: Client) -> None:
    rollout = ingested("0.169.0/story")
    address = f"{rollout.get_absolute_url()}inferences/"
    assert "Inference 9" in read(f"{address}f6889f7f-9dba-4ee7-a04b-a8cc87f484c7/")
    for nobody in ("0", "99", "nobody", "9" * 40):
        assert client.get(f"{address}{nobody}/").status_code == 404


def test_many_new_items_are_a_window(ingested: Ingested, read: Read, client: Client) -> None:
    rollout = ingested("0.169.0/story")
    call = rollout.nodes.get(kind="inference_call", number=1)
    items = rollout.conversation_items.filter(thread_id=call.thread_id).order_by("position")
    first = items[0]
    for n in range(70):
        first.pk, first.item_id, first.position, first.ordinal = None, f"extra:{n}", 1000 + n, 1000 + n
        first.save()
    call.request_items.items = [f"extra:{n}" for n in range(70)]
    call.request_items.save()
    address = f"{rollout.get_absolute_url()}inferences/1/"
    assert "10 more new items: read them in the conversation" in read(address)
    assert "item=1060#conversation" in client.get(address).content.decode()
