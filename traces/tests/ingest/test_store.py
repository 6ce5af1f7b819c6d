"""Every byte comes back, is stored once, and is gone when nobody uses it any more."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from traces.ingest import ingest_bundle
from traces.ingest.export import bundle_files
from traces.ingest.keeping import Keeper
from traces.ingest.shelf import Shelf
from traces.models import LogBlock, Pack, Payload, Piece, Rollout
from traces.models.recipes import decode, join, numbers
from traces.tests.ingest.recordings import ALL, Bundle, Copy, by, recording_folder

pytestmark = pytest.mark.django_db
INDENT = {"plain": None, "pretty": 2}


def files(folder: Path) -> dict[str, bytes]:
    """The files of a bundle in a folder."""
    named = [folder / "manifest.json", folder / "trace.jsonl", *(folder / "payloads").rglob("*")]
    return {str(path.relative_to(folder)): path.read_bytes() for path in named if path.is_file()}


def downloaded(rollout: Rollout) -> dict[str, bytes]:
    """The files of a bundle as they are downloaded."""
    found = [(path, b if isinstance(b, bytes) else b"".join(b)) for path, b in bundle_files(rollout)]
    assert len(dict(found)) == len(found)
    return dict(found)


@pytest.mark.parametrize("name", ALL)
def test_a_rollout_downloads_as_the_bundle_it_was(name: str) -> None:
    folder = recording_folder(name)
    assert downloaded(ingest_bundle(Bundle(folder)).rollout) == files(folder)


@pytest.mark.parametrize("batch_events", [1, 50, 1000])
def test_line_ends_empty_lines_and_loose_files_are_kept(batch_events: int, tmp_path: Path) -> None:
    copy = Copy("0.169.0/story", tmp_path)
    lines = [line.removesuffix(b"\n") for line in copy.lines]
    log = b"\n\n" + b"\r\n".join(lines[:60]) + b"\n \n" + b"\n".join(lines[60:])
    copy.log.write_bytes(log)
    manifest = copy.folder / "manifest.json"
    manifest.write_bytes(manifest.read_bytes().replace(b"\n", b"\r\n") + b"  ")
    (copy.folder / "payloads" / "deep").mkdir()
    (copy.folder / "payloads" / "deep" / "nobody names me.json").write_bytes(b"\xff\x00")
    rollout = ingest_bundle(copy.bundle, build=by(batch_events)).rollout
    assert downloaded(rollout) == files(copy.folder)
    assert rollout.log.get(seq=70).body == lines[69]


def test_a_recording_that_grows_downloads_as_it_is(tmp_path: Path) -> None:
    copy = Copy("0.169.0/story", tmp_path)
    for events in (0, 50, 51, 156):
        copy.cut(events, torn=b"\n" if events == 50 else b"")
        rollout = ingest_bundle(copy.bundle).rollout
        assert downloaded(rollout)["trace.jsonl"] == copy.log.read_bytes()
    assert downloaded(rollout) == files(copy.folder)


def test_purging_frees_what_nobody_else_uses(tmp_path: Path) -> None:
    copy = Copy("0.169.0/story", tmp_path)
    first = ingest_bundle(copy.bundle).rollout
    pieces = Piece.objects.count()
    *lines, last = copy.lines
    other = ingest_bundle(copy.with_log(*lines, last.replace(b'"seq":156', b'"seq": 156'))).rollout
    assert Piece.objects.count() == pieces, "both recordings are made of the same pieces"
    assert first.purge()
    assert Piece.objects.count() == pieces
    assert downloaded(other) == files(copy.folder)
    other.refresh_from_db()
    assert other.note == ""
    assert other.purge()
    assert not other.purge()
    for model in (Piece, Pack, LogBlock, Payload, Rollout):
        assert not model._base_manager.exists()


def test_a_pack_shrinks_to_what_is_used(tmp_path: Path) -> None:
    story = ingest_bundle(Bundle(recording_folder("0.169.0/story"))).rollout
    copy = Copy("0.169.0/completed", tmp_path)
    (copy.folder / "payloads" / "shared.json").write_bytes(Payload.objects.get(raw_payload_id="raw_payload:43").bytes())
    other = ingest_bundle(copy.bundle).rollout
    story.purge()
    assert downloaded(other) == files(copy.folder)
    assert sum(Pack.objects.values_list("size", flat=True)) == sum(Piece.objects.values_list("size", flat=True))


def test_what_stays_large_is_a_file(tmp_path: Path, settings: Any) -> None:
    settings.MEDIA_ROOT, settings.TRACESITE_LARGE_BYTES = str(tmp_path / "media"), 1000
    copy = Copy("0.169.0/story", tmp_path)
    rollout = ingest_bundle(copy.bundle).rollout
    assert Pack.objects.exclude(file="").exists()
    assert list(Pack.objects.orphans()) == []
    assert downloaded(rollout) == files(copy.folder)
    rollout.purge()
    assert list(Pack.objects.orphans()) != [], "files go when the transaction is committed"


def requests(style: str) -> Iterator[bytes]:
    """A conversation of two agents that grows, is compacted, and is asked again."""
    items = [{"type": "message", "role": "user", "content": f"{'say it again ' * 20}{n}"} for n in range(60)]
    tools = [{"type": "function", "name": f"tool {n}", "description": "what it does " * 9} for n in range(5)]
    for count in (3, 5, 5, 20, 40, 7, 60):
        for agent in ("a", "b"):
            body = {"model": agent, "input": items[:count], "n": [1, 2, count], "tools": tools, "é": "漢字 \x00"}
            yield json.dumps(body, indent=INDENT[style], ensure_ascii=False).encode()


@pytest.mark.parametrize("style", INDENT)
def test_requests_are_made_of_items_they_share(style: str) -> None:
    check(list(requests(style)))
    stored = sum(Piece.objects.values_list("size", flat=True))
    assert stored < 2.2 * len(max(requests(style), key=len))


MUCH = b" " * 5000
ODD = [
    b"",
    b"{}",
    b'{"a": [1, 2',
    b'{"a": [{"b": "' + b"x" * 100 + b'"}, {"b": "' + b"y" * 100 + b'"}' + b" " * 5000,
    b'{"a": [{"b": "' + b"x" * 100 + b'"} , {"b": "' + b"\xff" * 100 + b'"},["' + b"z" * 60 + b'"]], "c": NaN}' + MUCH,
    b'{"a": ' + b"[" * 100_000 + b"]" * 100_000 + b"}",
    b'{"a": [' + b"1" * 10_000 + b", 2]}",
    b'{"a": ["' + b"x" * 60 + b'", "' + b"y" * 60 + b'"], "a": ["' + b"x" * 60 + b'"]}' + b"\n" * 5000,
    b"{" + b"\x00" * 5000,
    b'{"a" [' + b" " * 5000,
]  # fmt: skip


def test_whatever_was_recorded_comes_back() -> None:
    check([*ODD, *(body + b" " for body in ODD), *ODD])


def check(bodies: list[bytes]) -> None:
    """Puts bodies on a shelf and reads them back."""
    shelf, keeper = Shelf(), Keeper()
    runs: dict[int | None, list[int]] = {}
    for body in bodies:
        recipe = shelf.put(body, b"")
        keeper.write(shelf.hand_over())
        before = runs.get(recipe.run, []) if recipe.step else []
        tokens = decode(before, keeper.recipe(recipe))
        runs[recipe.run] = tokens
        assert join(tokens, Piece.objects.contents(numbers(tokens))) == body


def test_reading_a_payload_takes_few_questions(django_assert_max_num_queries: Any) -> None:
    rollout = ingest_bundle(Bundle(recording_folder("0.169.0/story"))).rollout
    largest = rollout.payloads.order_by("-size")[0]
    with django_assert_max_num_queries(3):
        assert len(largest.bytes()) == largest.size
