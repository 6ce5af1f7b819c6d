"""Shapes of sessions flow in; the benchmark's bundles are as the client reads them, its tables say what was run."""

import os
import subprocess
import sys
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import pytest

from bench.measure import Measured, Pair, Run, RunFailed, exponent, run
from bench.report import Case, missed, page
from bench.sessions import write_session
from bench.shape import Shape, parse
from bench.site_report import MILLISECONDS, PART, PER_SECOND, Figure
from bench.site_report import missed as missed_by_site
from bench.site_report import page as page_of_site
from traces.bundle.reader import Bundle
from traces.reducer import Reducer, reduce_strict

REFERENCES = {1: "0.164.0", 2: "0.169.0"}
SHAPES = {
    "schema 1": Shape(12, schema=1),
    "schema 2": Shape(12, schema=2),
    "schema 1, compacted": Shape(12, mean=200, compact_above=8, schema=1),
    "schema 2, compacted": Shape(12, mean=200, compact_above=8, schema=2),
}


@pytest.fixture(params=list(SHAPES.values()), ids=list(SHAPES))
def shape(request: pytest.FixtureRequest) -> Shape:
    assert isinstance(request.param, Shape)
    return request.param


# Sessions


def reduced(folder: Path, shape: Shape) -> Reducer:
    write_session(folder, shape)
    return reduce_strict(Bundle(folder))


def test_a_session_is_reduced(tmp_path: Path, shape: Shape) -> None:
    graph = reduced(tmp_path / "session", shape).graph
    assert len(graph.inference_calls) == 12
    assert bool(graph.compactions) == bool(shape.compact_above)
    assert graph.tool_calls
    assert graph.terminal_operations


def test_a_session_is_reduced_as_by_the_client(
    tmp_path: Path, shape: Shape, codex_client: Callable[[str], Path]
) -> None:
    ours = reduced(tmp_path / "session", shape).state()
    theirs = tmp_path / "state.json"
    client = str(codex_client(REFERENCES[shape.schema]))
    command = [client, "debug", "trace-reduce", str(tmp_path / "session"), "-o", str(theirs)]
    subprocess.run(command, env=os.environ | {"CODEX_HOME": str(tmp_path)}, capture_output=True, check=True)
    assert ours == theirs.read_bytes()


def test_inferences_end_in_every_way(tmp_path: Path) -> None:
    """About nine of ten are completed, the others failed, were cancelled with output, or closed with their turn."""
    reducer = reduced(tmp_path / "session", Shape(150, mean=40, compact_above=60))
    calls = reducer.graph.inference_calls
    ends = Counter(calls[call].execution.status for call in calls)
    assert ends["completed"] > 120
    assert ends["failed"] > 2
    assert ends["cancelled"] > 2
    assert {evidence.kind for evidence in reducer.evidence.values()} == {"observed", "turn_end"}


def test_the_same_shape_is_the_same_session(tmp_path: Path) -> None:
    for name in ("one", "two"):
        write_session(tmp_path / name, SHAPES["schema 2"])
    one, two = (
        {path.name: path.read_bytes() for path in (tmp_path / name).rglob("*.json*")} for name in ("one", "two")
    )
    assert one == two


def test_a_shape_survives_a_command_line() -> None:
    shape = Shape(7, mean=20, compact_above=5, schema=1, seed=9)
    assert parse(["folder", *shape.arguments()]) == (Path("folder"), shape)


# Runs and tables


def test_the_cost_of_a_whole_process_is_counted(tmp_path: Path) -> None:
    cost = run([sys.executable, "-c", "held = b'x' * 500_000_000; sum(range(3_000_000))"], tmp_path)
    assert cost.seconds > 0.01
    assert 500e6 < cost.peak < 600e6


def test_a_program_that_fails_is_told(tmp_path: Path) -> None:
    with pytest.raises(RunFailed, match="ended with 1: no such thing"):
        run([sys.executable, "-c", "raise SystemExit('no such thing')"], tmp_path)


def measured(inferences: int, ours: float, client: float) -> Measured:
    runs = [Pair(Run(ours * share, 40_000_000), Run(client * share, 100_000_000)) for share in (0.5, 1.0, 3.0)]
    return Measured(Shape(inferences), 1_000_000, runs, same=True)


def test_medians_are_compared_with_what_was_asked() -> None:
    short, long = measured(100, 1.0, 8.0), measured(200, 2.0, 64.0)
    rows = [(Case(Shape(100), 3, speed=9), short), (Case(Shape(200), 3, speed=30, stretch=32, memory=0.3), long)]
    assert exponent(short, long, Measured.ours) == pytest.approx(1)
    assert exponent(short, long, Measured.client) == pytest.approx(3)
    assert missed(rows) == [
        "100 inferences, 1000 bytes an item: 8.00 times as fast, 9 asked",
        "200 inferences, 1000 bytes an item: 0.40 of the client's memory, 0.3 asked",
    ]
    assert "| 2.00 s (1.00 s–6.00 s) | 64.00 s (32.00 s–192.00 s) | **32.00×** |" in page(rows, "0.169.0")


def test_figures_of_the_site_are_held_against_what_was_asked() -> None:
    figures = [
        Figure("upload", "SQLite", PER_SECOND, (4_000, 5_500, 6_000), least=5_000),
        Figure("the list", "SQLite", MILLISECONDS, (0.1, 0.2, 0.4), most=0.3, judged=0.4),
        Figure("stored", "SQLite", PART, (18.8,), least=15),
        Figure("until done", "SQLite", MILLISECONDS, (2.0,)),
    ]
    assert missed_by_site(figures) == ["the list, SQLite: 400 ms, ≤ 300 ms asked"]
    shown = page_of_site(figures, ["a note"]).splitlines()
    assert "| upload | SQLite | ≥ 5,000/s | **5,500/s** | 4,000/s–6,000/s | 3 | yes |" in shown
    assert "| the list | SQLite | ≤ 300 ms | **400 ms** | 100 ms–400 ms | 3 | **no** |" in shown
    assert "| stored | SQLite | ≤ 1/15 | **1/18.8** | – | 1 | yes |" in shown
    assert "| until done | SQLite | – | **2,000 ms** | – | 1 | – |" in shown
    assert "- a note" in shown
