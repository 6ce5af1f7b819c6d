"""Recordings, damaged recordings and random sessions flow in; that the published clients agree with us flows out."""

import shutil
import tempfile
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings

from traces.tests.fixtures.recordings import BUNDLES, recording_folder
from traces.tests.reducer.builder import Session
from traces.tests.reducer.mutations import MUTATIONS, Recording, mutated
from traces.tests.reducer.reference import CLIENTS, Reference
from traces.tests.reducer.sessions import STEPS, Player, Steps

RECORDINGS = {
    1: [
        "0.128.0/cancelled_late",
        "0.128.0/agents",
        "0.152.0/code_mode",
        "0.152.0/ws_compact",
        "0.152.0/terminal",
        "0.160.0/old_collab2",
        "0.164.0/bg_terminal",
        "0.164.0/mcp_interrupt",
    ],
    2: [
        "0.166.0/view_image",
        "0.169.0/agents_namespaced",
        "0.169.0/child_fails",
        "0.169.0/code_interrupt",
        "0.169.0/compacted_inline",
        "0.169.0/interactive",
        "0.169.0/terminal",
        "0.169.0/ws_turns",
    ],
}
CASES = [(schema, name) for schema, names in RECORDINGS.items() for name in names]
ALL = sorted(
    path.parent for root in ("bundles", "bundles_refused") for path in (BUNDLES.parent / root).glob("*/*/expected")
)

Client = Callable[[int], Reference]


@pytest.fixture
def client(codex_client: Callable[[str], Path], tmp_path: Path) -> Client:
    """The client that is the reference of a schema."""
    return lambda schema: Reference(codex_client(CLIENTS[schema]), tmp_path / "reference")


@pytest.mark.parametrize("mutation", MUTATIONS)
@pytest.mark.parametrize(("schema", "name"), CASES, ids=[name for _, name in CASES])
def test_a_damaged_recording_is_reduced_or_refused_alike(
    client: Client, tmp_path: Path, schema: int, name: str, mutation: str
) -> None:
    damaged = mutated(Recording.read(recording_folder(name)), mutation, name)
    assert client(schema).disagreement(damaged.write(tmp_path / "damaged")) == ""


@pytest.mark.parametrize("folder", ALL, ids=lambda path: f"{path.parent.name}/{path.name}")
def test_what_lies_beside_a_recording_is_the_clients_answer(client: Client, folder: Path) -> None:
    answer = folder / "expected" / "state.json"
    version = (folder / "expected" / "reference.txt").read_text().split()[-1]
    [schema] = [schema for schema, known in CLIENTS.items() if known == version]
    state, error = client(schema).reduce(folder)
    assert state == (answer.read_bytes() if answer.exists() else None)
    assert bool(error) is (folder / "expected" / "error.txt").exists()


@pytest.mark.parametrize("schema", CLIENTS)
def test_random_sessions_are_reduced_or_refused_alike(client: Client, tmp_path: Path, schema: int) -> None:
    reference = client(schema)

    @given(steps=STEPS)
    @settings(max_examples=100, deadline=None, derandomize=True, suppress_health_check=[HealthCheck.too_slow])
    def agree(steps: Steps) -> None:
        session = Session(schema)
        Player(session).play(steps)
        folder = Path(tempfile.mkdtemp(dir=tmp_path))
        assert reference.disagreement(session.write(folder)) == ""
        shutil.rmtree(folder)

    agree()
