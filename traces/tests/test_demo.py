"""The recording that ships flows in; that the live sample is the same session, with nothing left of it, flows out."""

import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from traces import demo
from traces.bundle import events
from traces.bundle.events import Event, decode_event, payload_refs
from traces.bundle.reader import Bundle
from traces.demo import OWN, Demo, offsets, story
from traces.reducer import Reducer, reduce_strict
from traces.tests.bundle.packing import read_files
from traces.tests.fixtures.recordings import recording_folder
from traces.tests.reducer.reference import Reference

ROOT = Path(__file__).resolve().parents[2]
SAMPLE = "0.169.0/story"
AT_ONCE = 10_000.0  # a speed at which nobody waits
PATIENCE = 30


def played(into: Path, speed: float = AT_ONCE) -> Demo:
    made = Demo(into, speed)
    assert made.play()
    return made


def texts(folder: Path) -> dict[str, str]:
    """Every file of a bundle, as text."""
    names = [name for name in read_files(folder) if not name.startswith("expected/")]
    return {name: (folder / name).read_text() for name in names}


def pairs(kinds: tuple[str, ...], sample: Path, folder: Path) -> set[tuple[str, str]]:
    """What stood in the sample, with what stands in its place now."""
    old, new = texts(sample), texts(folder)
    both = [zip(OWN.finditer(old[name]), OWN.finditer(new[name]), strict=True) for name in old]
    return {(was.group(), now.group()) for found in both for was, now in found if was.lastgroup in kinds}


def recorded(folder: Path) -> list[Event]:
    return [decode_event(line.data) for line in Bundle(folder).lines()]


# The session


def test_nothing_but_ids_and_times_differs(tmp_path: Path) -> None:
    sample, anew = texts(recording_folder(SAMPLE)), texts(played(tmp_path).folder)
    assert anew.keys() == sample.keys()
    for name, text in sample.items():
        assert OWN.sub("*", anew[name]) == OWN.sub("*", text), name


def test_no_id_of_the_sample_remains_and_each_has_one_new_one(tmp_path: Path) -> None:
    sample, made = recording_folder(SAMPLE), played(tmp_path)
    ids = pairs(("uuid", "given"), sample, made.folder)
    assert len(ids) > 100
    assert len({old for old, _ in ids}) == len({new for _, new in ids}) == len(ids)
    assert not {old for old, _ in ids} & {new for _, new in ids}
    everything = "".join(texts(made.folder).values()) + made.folder.name
    assert not [old for old, _ in ids if f'{old}"' in everything or f"{old}\\" in everything]


def test_two_sessions_share_no_id(tmp_path: Path) -> None:
    one, other = Demo(tmp_path).anew, Demo(tmp_path).anew
    assert one.say("call_1", 0) != other.say("call_1", 0)
    assert Demo(tmp_path).manifest.rollout_id != Demo(tmp_path).manifest.rollout_id
    assert Demo(tmp_path).manifest.trace_id != Demo(tmp_path).manifest.trace_id


def test_the_published_client_makes_the_same_of_it(tmp_path: Path, codex_client: Callable[[str], Path]) -> None:
    made = played(tmp_path / "demo")
    reference = Reference(codex_client("0.169.0"), tmp_path / "reference")
    assert reference.disagreement(made.folder) == ""
    assert reference.reduce(made.folder)[1] == ""


def test_it_shows_every_end_of_an_inference_and_a_second_agent(tmp_path: Path) -> None:
    graph = reduce_strict(Bundle(played(tmp_path).folder)).graph
    ends = [call.execution.status for call in graph.inference_calls.values()]
    assert {status: ends.count(status) for status in set(ends)} == {"completed": 13, "failed": 2, "cancelled": 1}
    assert len(graph.threads) == 2
    assert graph.terminal_operations
    assert graph.interaction_edges
    assert graph.status == "completed"


# The times


def test_every_moment_is_one_of_now(tmp_path: Path) -> None:
    before = time.time_ns() // 1_000_000
    made = played(tmp_path, 100)
    after = time.time_ns() // 1_000_000 + 1
    moments = [int(new) for _, new in pairs(("ms",), recording_folder(SAMPLE), made.folder)]
    assert all(before - 100 <= moment <= after for moment in moments)
    seconds = [float(new) for _, new in pairs(("second", "fraction"), recording_folder(SAMPLE), made.folder)]
    assert all(before // 1000 - 1 <= second <= after / 1000 for second in seconds)
    walls = [event.wall_time_unix_ms for event in recorded(made.folder)]
    assert walls == sorted(walls)


def test_a_tool_begins_when_its_event_says_so(tmp_path: Path) -> None:
    made = played(tmp_path, 100)
    for event in recorded(made.folder):
        if isinstance(event.payload, events.ToolCallRuntimeStarted):
            body = json.loads((made.folder / event.payload.runtime_payload.path).read_text())
            began = body.get("started_at_ms", event.wall_time_unix_ms)
            assert abs(began - event.wall_time_unix_ms) < 50


def test_people_can_watch_it() -> None:
    lines = [line.event for line in story().lines]
    when = offsets(lines, 1)
    assert 25 <= when[-1] <= 40
    cancelled = next(event.payload for event in lines if isinstance(event.payload, events.InferenceCancelled))
    calls = [
        moment
        for event, moment in zip(lines, when, strict=True)
        if getattr(event.payload, "inference_call_id", "") == cancelled.inference_call_id
    ]
    assert calls[1] - calls[0] >= 5
    assert offsets(lines, 2)[-1] == pytest.approx(when[-1] / 2)


# Growing


def test_it_grows_by_whole_lines_whose_payloads_are_there(tmp_path: Path) -> None:
    made = Demo(tmp_path, 20)
    writing = threading.Thread(target=made.play)
    writing.start()
    lengths = set()
    while writing.is_alive():
        lengths.add(whole(made.folder))
        time.sleep(0.02)
    assert len(lengths) > 20
    assert whole(made.folder) == len(story().lines)


def whole(folder: Path) -> int:
    """How many lines there are now; all of them whole, each payload that one names complete."""
    log = folder / "trace.jsonl"
    data = log.read_bytes() if log.exists() else b""
    assert data == b"" or data.endswith(b"\n")
    for line in data.splitlines():
        for ref in payload_refs(decode_event(line).payload):
            json.loads((folder / ref.path).read_bytes())
    return data.count(b"\n")


def test_stopped_in_the_middle_it_is_readable_so_far(tmp_path: Path) -> None:
    stop = threading.Event()
    made = Demo(tmp_path, 20)
    threading.Timer(0.5, stop.set).start()
    assert not made.play(stop)
    assert 1 < whole(made.folder) < len(story().lines)
    assert reduced(made.folder).graph.status == "running"


def reduced(folder: Path) -> Reducer:
    return reduce_strict(Bundle(folder))


# The command


def begin(into: Path, data: Path, *words: str) -> subprocess.Popen[str]:
    """`manage.py demo`, once it has written some lines."""
    command = [sys.executable, "manage.py", "demo", "--into", str(into), *words]
    env = {**os.environ, "TRACESITE_DATA": str(data), "DATABASE_URL": ""}
    process = subprocess.Popen(command, cwd=ROOT, env=env, text=True, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    deadline = time.monotonic() + PATIENCE
    while time.monotonic() < deadline and process.poll() is None and sum(map(whole, into.glob("*"))) < 20:
        time.sleep(0.02)
    return process


def test_killed_in_the_middle_it_is_what_a_killed_client_leaves(
    tmp_path: Path, codex_client: Callable[[str], Path]
) -> None:
    process = begin(tmp_path / "into", tmp_path / "data", "--speed", "10")
    process.kill()
    process.communicate(timeout=PATIENCE)
    [folder] = (tmp_path / "into").iterdir()
    assert 20 <= whole(folder) < len(story().lines)
    assert reduced(folder).graph.status == "running"
    assert Reference(codex_client("0.169.0"), tmp_path / "reference").disagreement(folder) == ""


def test_ctrl_c_ends_it_with_a_sentence(tmp_path: Path) -> None:
    process = begin(tmp_path / "into", tmp_path / "data", "--speed", "10", "--forever")
    process.send_signal(signal.SIGINT)
    said, errors = process.communicate(timeout=PATIENCE)
    assert (process.returncode, errors) == (0, "")
    assert str(tmp_path / "into") in said
    assert "serve --watch" in said
    assert "breaks off here" in said
    [folder] = (tmp_path / "into").iterdir()
    assert reduced(folder).graph.status == "running"


def test_it_ends_by_itself(tmp_path: Path) -> None:
    process = begin(tmp_path / "into", tmp_path / "data", "--speed", "1000")
    said, errors = process.communicate(timeout=PATIENCE)
    assert (process.returncode, errors) == (0, "")
    assert "The session has ended." in said
    [folder] = (tmp_path / "into").iterdir()
    assert reduced(folder).graph.status == "completed"


@pytest.mark.parametrize("words", [("--speed", "0"), ("--speed", "fast"), ("--speed", "nan")])
def test_a_speed_is_a_number(tmp_path: Path, words: tuple[str, str]) -> None:
    process = begin(tmp_path / "into", tmp_path / "data", *words)
    _, errors = process.communicate(timeout=PATIENCE)
    assert process.returncode == 2
    assert "is no speed" in errors


def test_a_folder_that_is_none_is_told_in_a_sentence(tmp_path: Path) -> None:
    (tmp_path / "into").write_text("")
    command = [sys.executable, "manage.py", "demo", "--into", str(tmp_path / "into"), "--speed", "1000"]
    env = {**os.environ, "TRACESITE_DATA": str(tmp_path / "data"), "DATABASE_URL": ""}
    refused = subprocess.run(command, cwd=ROOT, env=env, capture_output=True, text=True, check=False)
    assert refused.returncode == 1
    assert "a recording cannot begin here" in refused.stderr
    assert len(refused.stderr.splitlines()) == 1


# Old ones


def test_those_of_yesterday_go(tmp_path: Path) -> None:
    old, young = played(tmp_path).folder, played(tmp_path).folder
    foreign = tmp_path / "notes"
    foreign.mkdir()
    (tmp_path / "trace-link").symlink_to(recording_folder(SAMPLE))
    day_before = time.time() - demo.KEPT - 60
    os.utime(old / "trace.jsonl", (day_before, day_before))
    demo.clean(tmp_path, time.time())
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted(["notes", "trace-link", young.name])
    assert (recording_folder(SAMPLE) / "trace.jsonl").exists()
