"""Events and payloads flow in from several threads; a bundle that we and the published clients read flows out."""

import json
import os
import subprocess
import threading
from collections.abc import Callable
from pathlib import Path

import pytest

from traces.bundle import events
from traces.bundle.errors import BundleError
from traces.bundle.events import Event, decode_event, payload_refs
from traces.bundle.manifest import Manifest
from traces.bundle.reader import Bundle
from traces.bundle.shapes import PayloadRef
from traces.bundle.writer import BundleWriter
from traces.tests.bundle.packing import read_files
from traces.tests.fixtures.recordings import BUNDLES

RECORDINGS = sorted(path.parent for path in BUNDLES.glob("*/*/manifest.json"))
REFERENCE = {1: "0.164.0", 2: "0.169.0"}


def manifest(schema: int = 2) -> Manifest:
    return Manifest(schema, "trace", "rollout", "thread", 1_795_371_301_264, "trace.jsonl", "payloads")


def write_again(bundle: Bundle, folder: Path) -> list[Event]:
    """Plays a recording through the writer, each payload before the event that names it."""
    recorded = [decode_event(line.data) for line in bundle.lines()]
    refs = sorted((ref for event in recorded for ref in payload_refs(event.payload)), key=number)
    returned = []
    with BundleWriter(folder, bundle.manifest) as again:
        for event in recorded:
            # Where threads overlapped, payloads were written in another order than events name them.
            needed = max(map(number, payload_refs(event.payload)), default=0)
            while refs and number(refs[0]) <= needed:
                ref = refs.pop(0)
                assert again.payload(ref.kind.type, json.loads(bundle.payload(ref.path))) == ref
            returned.append(
                again.event(
                    event.payload,
                    thread_id=event.thread_id,
                    codex_turn_id=event.codex_turn_id,
                    wall_time_unix_ms=event.wall_time_unix_ms,
                )
            )
    return returned


def number(ref: PayloadRef) -> int:
    return int(ref.raw_payload_id.removeprefix("raw_payload:"))


@pytest.mark.parametrize("folder", RECORDINGS, ids=lambda path: f"{path.parent.name}/{path.name}")
def test_a_real_recording_written_again_is_the_same(folder: Path, tmp_path: Path) -> None:
    recorded = Bundle(folder)
    returned = write_again(recorded, tmp_path / "again")
    again = Bundle(tmp_path / "again")
    assert again.manifest == recorded.manifest
    assert returned == [decode_event(line.data) for line in again.lines()]
    assert returned == [decode_event(line.data) for line in recorded.lines()]
    files = read_files(tmp_path / "again")
    if folder.parent.name != "0.125.0":  # that version had not all the fields yet
        assert files["trace.jsonl"] == (folder / "trace.jsonl").read_bytes()
    for name in files.keys() - {"trace.jsonl"}:
        assert files[name] == (folder / name).read_bytes(), name


def write_every_end(folder: Path, schema: int) -> None:
    """One turn with a completed, a failed and a cancelled inference, as a program of its own would record it."""
    with BundleWriter(folder, manifest(schema)) as out:
        out.event(events.RolloutStarted("trace", "thread"))
        metadata = out.payload("session_metadata", {"model": "any", "cwd": "/é"})
        out.event(events.ThreadStarted("thread", "/root", metadata))
        out.event(events.CodexTurnStarted("turn", "thread"), thread_id="thread", codex_turn_id="turn")
        if schema == 2:
            out.event(events.HistoryItemAccepted("msg_1"), thread_id="thread", codex_turn_id="turn")
        for call in ("one", "two", "three"):
            request = out.payload("inference_request", {"model": "any", "input": [question()]})
            out.event(
                events.InferenceStarted(call, "thread", "turn", "any", "scripted", request),
                thread_id="thread",
                codex_turn_id="turn",
            )
            end_call(out, call)
        out.event(events.CodexTurnEnded("turn", "cancelled"), thread_id="thread", codex_turn_id="turn")
        out.event(events.RolloutEnded("completed"))


def question() -> dict[str, object]:
    content = [{"type": "input_text", "text": "why? \u2028 \x7f \x01"}]
    return {"type": "message", "role": "user", "id": "msg_1", "content": content}


def end_call(out: BundleWriter, call: str) -> None:
    response = out.payload("inference_response", {"response_id": None, "upstream_request_id": None, "output_items": []})
    if call == "one":
        out.event(
            events.InferenceCompleted(call, response, response_id="resp"), thread_id="thread", codex_turn_id="turn"
        )
    elif call == "two":
        out.event(
            events.InferenceFailed(call, "busy", partial_response_payload=response),
            thread_id="thread",
            codex_turn_id="turn",
        )
    else:
        out.event(
            events.InferenceCancelled(call, "stopped", partial_response_payload=response),
            thread_id="thread",
            codex_turn_id="turn",
        )


@pytest.mark.parametrize("schema", [1, 2])
def test_the_client_reduces_what_is_written(codex_client: Callable[[str], Path], tmp_path: Path, schema: int) -> None:
    write_every_end(tmp_path / "written", schema)
    state = reduce_by_client(codex_client(REFERENCE[schema]), tmp_path / "written", tmp_path)
    ends = [call["execution"]["status"] for call in state["inference_calls"].values()]
    assert sorted(ends) == ["cancelled", "completed", "failed"]
    assert state["status"] == "completed"


@pytest.mark.parametrize("name", ["0.169.0/agents_namespaced", "0.152.0/story"])
def test_the_client_reduces_a_recording_written_again(
    codex_client: Callable[[str], Path], tmp_path: Path, name: str
) -> None:
    recorded = Bundle(BUNDLES / name)
    write_again(recorded, tmp_path / "again")
    state = reduce_by_client(codex_client(REFERENCE[recorded.manifest.schema_version]), tmp_path / "again", tmp_path)
    assert state == json.loads((BUNDLES / name / "expected" / "state.json").read_bytes())


def reduce_by_client(program: Path, bundle: Path, home: Path) -> dict[str, dict[str, dict[str, dict[str, str]]]]:
    done = subprocess.run(
        [program, "debug", "trace-reduce", bundle, "-o", home / "state.json"],
        env={**os.environ, "CODEX_HOME": str(home)},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    state: dict[str, dict[str, dict[str, dict[str, str]]]] = json.loads((home / "state.json").read_bytes())
    return state


# Order


def test_many_threads_write_one_recording(tmp_path: Path) -> None:
    out = BundleWriter(tmp_path / "written", manifest())

    def work(name: int) -> None:
        for number in range(50):
            ref = out.payload("protocol_event", {"worker": name, "number": number})
            event = out.event(events.ProtocolEventObserved("told", ref), thread_id=str(name))
            assert event.payload.event_payload == ref  # type: ignore[union-attr]

    workers = [threading.Thread(target=work, args=(name,)) for name in range(8)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    out.close()
    bundle = Bundle(tmp_path / "written")
    recorded = [decode_event(line.data) for line in bundle.lines()]
    assert [event.seq for event in recorded] == list(range(1, 401))
    refs = [ref for event in recorded for ref in payload_refs(event.payload)]
    assert sorted(ref.path for ref in refs) == sorted(f"payloads/{number}.json" for number in range(1, 401))
    told = {
        (event.thread_id, json.loads(bundle.payload(ref.path))["worker"])
        for event, ref in zip(recorded, refs, strict=True)
    }
    assert told == {(str(name), name) for name in range(8)}


def test_a_payload_and_an_event_are_there_when_the_call_returns(tmp_path: Path) -> None:
    with BundleWriter(tmp_path, manifest()) as out:
        ref = out.payload("tool_result", {"a": []})
        assert (tmp_path / ref.path).read_bytes() == b'{\n  "a": []\n}'
        out.event(events.RecordingCompleted(), wall_time_unix_ms=7)
        assert (tmp_path / "trace.jsonl").read_bytes() == (
            b'{"schema_version":2,"seq":1,"wall_time_unix_ms":7,"rollout_id":"rollout","thread_id":null,'
            b'"codex_turn_id":null,"payload":{"type":"recording_completed"}}\n'
        )


# What cannot be written


def test_a_recording_is_never_written_over(tmp_path: Path) -> None:
    BundleWriter(tmp_path / "written", manifest()).close()
    with pytest.raises(BundleError, match=r"^written: a recording cannot begin here: file exists$"):
        BundleWriter(tmp_path / "written", manifest())


@pytest.mark.parametrize("value", [object(), {"a": {1, object()}}, "\ud800", {(1, 2): 3}])
def test_a_payload_that_is_no_json_leaves_no_gap(tmp_path: Path, value: object) -> None:
    with BundleWriter(tmp_path, manifest()) as out:
        with pytest.raises(BundleError, match="cannot be written as JSON"):
            out.payload("tool_result", value)
        assert out.payload("tool_result", None).raw_payload_id == "raw_payload:1"


@pytest.mark.parametrize(
    "payload",
    [
        events.RolloutEnded("finished"),  # type: ignore[arg-type]
        events.RolloutStarted("trace", None),  # type: ignore[arg-type]
        events.OtherEvent("a", "b", [], object()),
        events.CompactionRequestFailed("a", "b", "\ud800"),
    ],
)
def test_an_event_that_nobody_could_read_leaves_no_gap(tmp_path: Path, payload: events.EventPayload) -> None:
    with BundleWriter(tmp_path, manifest()) as out:
        with pytest.raises(BundleError):
            out.event(payload)
        assert out.event(events.RecordingCompleted()).seq == 1


def test_schema_1_has_no_events_of_schema_2(tmp_path: Path) -> None:
    with (
        BundleWriter(tmp_path, manifest(1)) as out,
        pytest.raises(BundleError, match="schema 1 has no event ThreadResumed"),
    ):
        out.event(events.ThreadResumed("thread"))


def test_nothing_follows_the_close(tmp_path: Path) -> None:
    out = BundleWriter(tmp_path / "written", manifest())
    out.close()
    out.close()
    with pytest.raises(BundleError, match=r"^written: the recording is closed$"):
        out.event(events.RecordingCompleted())


def test_a_full_disk_leaves_no_torn_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    whole, room = os.write, [200]

    def write(file: int, data: bytes) -> int:
        if not room[0]:
            raise OSError(28, "No space left on device")
        room[0] -= (written := whole(file, data[: room[0]]))
        return written

    with BundleWriter(tmp_path / "written", manifest()) as out:
        out.event(events.RecordingCompleted(), wall_time_unix_ms=7)
        monkeypatch.setattr(os, "write", write)
        with pytest.raises(BundleError, match=r"^written: trace\.jsonl cannot be written: no space left"):
            out.event(events.InferenceFailed("call", "e" * 300))
        room[0] = 10_000
        assert out.event(events.ThreadResumed("thread")).seq == 2
    assert [decode_event(line.data).seq for line in Bundle(tmp_path / "written").lines()] == [1, 2]


def test_a_folder_that_cannot_be_made(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(BundleError, match="a recording cannot begin here"):
        BundleWriter(tmp_path / "file" / "written", manifest())
