"""Documents of every kind flow in; levels of their trees, windows of their texts and their exact bytes flow out."""

import json
from collections.abc import Callable

import pytest
from django.test import Client
from hypothesis import given
from hypothesis import strategies as st

from traces.models import Payload, Rollout
from traces.pages.json_tree import NoSuchPlaceError, Place, root, trail
from traces.pages.json_tree import text as text_of
from traces.pages.payload_tree import Level, asked_path, shown
from traces.tests.ingest.recordings import fill

Ingested = Callable[[str], Rollout]
Read = Callable[..., str]
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=5) | st.dictionaries(st.text(max_size=5), inner, max_size=5),
    max_leaves=30,
)


def value_of(place: Place) -> object:
    """The value put together again from its places alone."""
    if place.kind == "object":
        return {child.key: value_of(child) for child in place.children()}
    if place.kind == "array":
        return [value_of(child) for child in place.children()]
    if place.kind == "string":
        return whole_text(place, 30)
    return json.loads(place.body[place.start : place.end])


def whole_text(place: Place, size: int) -> str:
    """A string read in small windows."""
    said, start = "", 0
    while True:
        window = text_of(place, start, size)
        said += window.text
        if window.stop is None:
            return said
        assert window.stop > start
        start = window.stop


@given(JSON, st.sampled_from([None, 2]), st.booleans())
def test_a_tree_is_the_document(value: object, indent: int | None, ascii_only: bool) -> None:
    body = json.dumps(value, indent=indent, ensure_ascii=ascii_only).encode("utf-8", "surrogatepass")
    top = root(body)
    assert top is not None
    assert value_of(top) == value


@given(st.text(st.characters(codec="utf-8"), min_size=1), st.booleans(), st.integers(24, 40))
def test_windows_of_a_text_tear_nothing(text: str, ascii_only: bool, size: int) -> None:
    top = root(json.dumps(text, ensure_ascii=ascii_only).encode())
    assert top is not None
    assert whole_text(top, size) == text


@given(st.binary(max_size=80))
def test_garbage_is_a_text(body: bytes) -> None:
    page = shown(body, (), 0)
    assert page.level or page.text


def test_equal_keys_are_all_shown() -> None:
    top = root(b'{"a": 1, "a": 2}')
    assert top is not None
    assert [(child.key, child.size) for child in top.children()] == [("a", 1), ("a", 1)]


@pytest.mark.parametrize(
    ("body", "said"),
    [
        (b'["\\ud800"]', "\\ud800"),
        (b"[NaN]", "NaN"),
        (b'["\xff"]', "\ufffd"),
        (b'["a\\u0000b"]', "a\x00b"),
        (b"[1e999]", "1e999"),
    ],
)
def test_what_only_a_lenient_parser_takes_is_a_tree_too(body: bytes, said: str) -> None:
    level = shown(body, (), 0).level
    assert level is not None
    assert level.lines[0].text == said


@pytest.mark.parametrize("body", [b"", b"{", b'{"a":', b"not json", b"[" * 100_000, b"[1,]", b"{'a': 1}", b"[1] x"])
def test_what_is_no_json_is_shown_as_it_stands(body: bytes) -> None:
    page = shown(body, (), 0)
    assert not page.is_json
    assert page.text is not None
    assert page.text.text == body.decode()[:60_000]


def test_deep_documents_open_level_by_level() -> None:
    body = b'{"a":' * 400 + b"1" + b"}" * 400
    page = shown(body, (0,) * 395, 0)
    assert page.level is not None
    assert page.at == ".".join("0" * 395)
    with pytest.raises(NoSuchPlaceError):
        trail(body, (0,) * 401)


def test_windows_of_a_long_array() -> None:
    body = json.dumps(list(range(1_050))).encode()
    level = shown(body, (), 0).level
    assert level is not None
    assert (level.stop, level.later, level.total) == (100, 100, 1_050)
    last = shown(body, (), 1_000).level
    assert last is not None
    assert ([line.text for line in last.lines][-1], last.later, last.earlier) == ("1049", None, 900)
    beyond = shown(body, (), 5_000).level
    assert beyond is not None
    assert beyond.start == 0


def test_only_so_many_lines_are_open_at_once() -> None:
    body = json.dumps([[[1, 2, 3]] * 20] * 100).encode()
    level = shown(body, (), 0).level
    assert level is not None

    def lines(of: Level) -> int:
        return sum(1 + (lines(one.level) if one.level else 0) for one in of.lines)

    assert lines(level) <= 340


@pytest.mark.parametrize("asked", ["x", "1.", "-1", "1..2", "²", "1" * 20, ".".join("1" * 2_000)])
def test_what_is_no_path(asked: str) -> None:
    assert asked_path(asked) is None


def filled(rollout: Rollout, content: bytes) -> str:
    """The address of a payload with this content."""
    payload = Payload.objects.get(rollout=rollout, raw_payload_id="raw_payload:1")
    fill(payload, content)
    payload.save()
    return f"{rollout.get_absolute_url()}payloads/1/"


def test_long_strings_are_read_in_windows(ingested: Ingested, client: Client, read: Read) -> None:
    content = b'{"a": "' + b"x" * 300_000 + b'"}'
    address = filled(ingested("0.169.0/retried"), content)
    page = read(address)
    assert "show more (300 KB)" in page
    assert len(page) < 5_000
    one = read(f"{address}?at=0")
    assert "whole payload a" in one
    assert "from byte 1 to 60,000" in one
    assert "Show more" not in read(f"{address}?at=0&from=299000")
    assert client.get(f"{address}raw").content == content


def test_a_level_is_filled_in_by_htmx(ingested: Ingested, read: Read) -> None:
    address = filled(ingested("0.169.0/retried"), json.dumps({"a": ["x" * 5_000, {"<b>": 1}]}).encode())
    assert "Show what it holds" in read(address)
    level = read(f"{address}?at=0", "at-0")
    assert "Rollout traces" not in level
    assert "<b>: 1" in level


@pytest.mark.parametrize("at", ["7", "0.0.0", "x", "0..1"])
def test_a_place_that_is_not_there(ingested: Ingested, client: Client, at: str) -> None:
    address = filled(ingested("0.169.0/retried"), b'{"a": 1}')
    assert client.get(f"{address}?at={at}").status_code == 404


def test_an_empty_payload(ingested: Ingested, read: Read) -> None:
    assert "It is empty." in read(filled(ingested("0.169.0/retried"), b""))
    assert "It is empty." in read(filled(ingested("0.169.0/story"), b"{}"))
