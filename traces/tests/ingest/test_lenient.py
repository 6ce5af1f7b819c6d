"""An event that cannot be applied: the rows stand as before it, say which it was, and the rest is kept raw."""

from pathlib import Path

import pytest

from traces.ingest import ingest_bundle, state_of
from traces.models import Event, Rollout
from traces.tests.ingest.dumps import dump
from traces.tests.ingest.recordings import Bundle, Copy, by

pytestmark = pytest.mark.django_db
BROKEN = {
    "unknown event type": (b'"type":"inference_started"', b'"type":"inference_sarted"', "sarted"),
    "unknown status": (b'"status":"completed"', b'"status":"complete"', "complete"),
    "no JSON": (b'{"schema_version"', b'{schema_version"', ""),
    "a turn that did not start": (b'_turn_ended","codex_turn_id":"', b'_turn_ended","codex_turn_id":"x', "x"),
}


def damaged(copy: Copy, after: int, old: bytes, new: bytes) -> tuple[Bundle, int]:
    """The recording with the first event from there on changed that can be; and its line."""
    index = next(index for index, line in enumerate(copy.lines) if index >= after and old in line)
    lines = [*copy.lines[:index], copy.lines[index].replace(old, new), *copy.lines[index + 1 :]]
    return copy.with_log(*lines), index + 1


@pytest.mark.parametrize("how", BROKEN)
@pytest.mark.parametrize("batch_events", [1, 500])
def test_everything_before_the_broken_event_is_there(how: str, batch_events: int, tmp_path: Path) -> None:
    copy = Copy("0.169.0/story", tmp_path)
    old, new, word = BROKEN[how]
    bundle, line = damaged(copy, 60, old, new)
    rollout = ingest_bundle(bundle, build=by(batch_events)).rollout
    assert (rollout.stopped, rollout.stopped_line, rollout.events) == (True, line, 156)
    assert word in rollout.stopped_what
    stopped, in_graph = state_of(rollout), rollout.payloads.filter(in_graph=True).count()
    assert rollout.payloads.count() == 95, "payloads of later events are kept too, and those that nothing names"
    assert rollout.payloads.filter(line=0).count() == (1 if how == "no JSON" else 0)
    Rollout.objects.all().delete()
    before = ingest_bundle(copy.cut(line - 1)).rollout
    assert (state_of(before), before.payloads.exclude(line=0).count()) == (stopped, in_graph)


def test_the_stop_is_named_by_its_seq(tmp_path: Path) -> None:
    bundle, line = damaged(Copy("0.169.0/story", tmp_path), 60, *BROKEN["a turn that did not start"][:2])
    rollout = ingest_bundle(bundle).rollout
    assert rollout.stopped_seq == line


def test_a_line_that_is_no_json_is_kept_as_it_is(tmp_path: Path) -> None:
    bundle, line = damaged(Copy("0.169.0/story", tmp_path), 60, *BROKEN["no JSON"][:2])
    rollout = ingest_bundle(bundle).rollout
    event = Event.objects.get(rollout=rollout, line=line)
    assert (event.seq, event.type, rollout.stopped_seq) == (None, "", None)
    assert bytes(event.body).startswith(b"{schema_version")


def test_an_unknown_event_is_kept_under_its_name(tmp_path: Path) -> None:
    bundle, line = damaged(Copy("0.169.0/story", tmp_path), 60, *BROKEN["unknown event type"][:2])
    rollout = ingest_bundle(bundle).rollout
    event = Event.objects.get(rollout=rollout, line=line)
    assert (event.seq, event.type, rollout.stopped_seq) == (line, "inference_sarted", line)


def test_a_stopped_recording_that_grows_stays_stopped_where_it_was(tmp_path: Path) -> None:
    copy = Copy("0.169.0/story", tmp_path)
    bundle, line = damaged(copy, 60, *BROKEN["unknown event type"][:2])
    lines = copy.log.read_bytes().splitlines(keepends=True)
    whole = dump(ingest_bundle(bundle).rollout, without=("revision",))
    Rollout.objects.all().delete()
    ingest_bundle(copy.with_log(*lines[:line]))
    grown = ingest_bundle(copy.with_log(*lines))
    assert grown.verdict == "continued"
    assert dump(grown.rollout, without=("revision",)) == whole


def test_a_missing_payload_stops_the_graph_and_nothing_else(tmp_path: Path) -> None:
    copy = Copy("0.169.0/story", tmp_path)
    (copy.folder / "payloads" / "43.json").unlink()
    rollout = ingest_bundle(copy.bundle).rollout
    assert rollout.stopped
    assert rollout.events == 156
    missing = rollout.payloads.get(raw_payload_id="raw_payload:43")
    assert not missing.kept
    assert missing.missing
    assert rollout.payloads.kept().count() == 94


def test_a_payload_path_that_leaves_the_bundle_is_not_followed(tmp_path: Path) -> None:
    copy = Copy("0.128.0/completed", tmp_path)
    (tmp_path / "secret.json").write_text('{"secret": true}')
    lines = [line.replace(b"payloads/2.json", b"../secret.json") for line in copy.lines]
    rollout = ingest_bundle(copy.with_log(*lines)).rollout
    assert rollout.payloads.get(raw_payload_id="raw_payload:2").bytes() == b""
    assert not any(b"secret" in row.bytes() for row in rollout.payloads.all())


def test_text_that_databases_do_not_like(tmp_path: Path) -> None:
    copy = Copy("0.169.0/completed", tmp_path)
    payload = next(path for path in (copy.folder / "payloads").iterdir() if b"say hello" in path.read_bytes())
    payload.write_bytes(payload.read_bytes().replace(b"say hello", b"say\\u0000 \\ud83d\\ude00 hello"))
    rollout = ingest_bundle(copy.bundle).rollout
    assert rollout.title == "say␀ 😀 hello"
    items = state_of(rollout)["conversation_items"].values()
    assert any({"type": "text", "text": "say\x00 😀 hello"} in item["body"]["parts"] for item in items)
