"""Rates and times flow in; that the live benchmark writes real bundles, and what it makes of times, flows out."""

import threading
from collections.abc import Callable
from pathlib import Path

import pytest

from bench.live_page import ways
from bench.live_rest import Reduced, reduction, write_slowly
from bench.live_write import INFERENCE_EVERY, Growing, grow, is_tool
from bench.measure import RunFailed
from bench.sessions import write_session
from bench.shape import Shape
from traces.bundle.reader import Bundle
from traces.reducer import reduce_strict
from traces.tests.reducer.reference import Reference


def grown(into: Path) -> tuple[Growing, list[tuple[str, float]]]:
    session = Growing(into)
    return session, grow([session], 10_000, 0.03)


def test_what_grows_is_a_bundle_that_the_client_reads(tmp_path: Path, codex_client: Callable[[str], Path]) -> None:
    session, said = grown(tmp_path / "sessions")
    assert len(said) == 300
    reference = Reference(codex_client("0.169.0"), tmp_path / "reference")
    assert reference.disagreement(session.writer.folder) == ""
    graph = reduce_strict(Bundle(session.writer.folder)).graph
    assert len(graph.tool_calls) + len(graph.inference_calls) == 150
    assert len(graph.inference_calls) == 150 // INFERENCE_EVERY


def test_each_line_is_said_with_its_moment(tmp_path: Path) -> None:
    _, said = grown(tmp_path)
    assert [name for name, _ in said[:4]] == ["+probe-1", "-probe-1", "+probe-2", "-probe-2"]
    moments = [moment for _, moment in said]
    assert moments == sorted(moments)
    assert is_tool("+probe-1")
    assert not is_tool(f"-probe-{INFERENCE_EVERY}")


def test_sessions_take_turns(tmp_path: Path) -> None:
    sessions = [Growing(tmp_path) for _ in range(3)]
    assert len(grow(sessions, 1000, 0.02)) == 20
    assert [session.pairs for session in sessions] == [10, 10, 10]


def test_moments_of_two_clocks_are_held_against_each_other() -> None:
    written = [("+probe-1", 100.0), ("-probe-1", 100.1), ("+probe-2", 100.2), (f"+probe-{INFERENCE_EVERY}", 100.3)]
    seen = {"+probe-1": 50_050.0, "-probe-1": 50_150.0, "+probe-9": 1.0}
    found = ways(written, seen, 50.0)
    assert found.seconds == pytest.approx([0.05, 0.05])
    assert found.lost == 1
    assert found.rate == pytest.approx(10)
    with pytest.raises(RunFailed, match="nothing"):
        ways(written, {}, 0.0)


def test_requests_are_held_against_their_size() -> None:
    assert Reduced(0.0, [(0, 1e-3), (2, 1e-3)]).shares(1e-3, 0.5e-3) == pytest.approx([1, 0.5])


def test_the_reducer_is_measured_event_by_event(tmp_path: Path) -> None:
    write_session(tmp_path / "session", Shape(12))
    found = reduction(tmp_path / "session")
    assert 0 < found.event < 0.1
    assert len(found.requests) == 12


def test_lines_are_added_at_a_rate(tmp_path: Path) -> None:
    log = tmp_path / "trace.jsonl"
    log.write_bytes(b"1\n")
    writing = threading.Thread(target=write_slowly, args=(log, [b"2\n", b"3\n", b"4\n"], 20))
    writing.start()
    writing.join(5)
    assert log.read_bytes() == b"1\n2\n3\n4\n"
