"""A schema flows in, a session that is in its first turn flows out.

Where the published clients are installed, every session of these tests is put to them, too: a rule that is only
believed here fails its test.
"""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from traces.tests.fixtures.clients import find_client
from traces.tests.reducer.builder import Session
from traces.tests.reducer.reference import CLIENTS, Reference

Begin = Callable[[int], Session]


@pytest.fixture(scope="session")
def references(tmp_path_factory: pytest.TempPathFactory) -> dict[int, Reference]:
    """The clients that are installed, by schema."""
    found = {schema: find_client(version) for schema, version in CLIENTS.items()}
    scratch = tmp_path_factory.mktemp("reference")
    return {schema: Reference(program, scratch / str(schema)) for schema, program in found.items() if program}


@pytest.fixture
def begin(references: dict[int, Reference], tmp_path: Path) -> Iterator[Begin]:
    """Begins a session of a schema."""
    begun: list[Session] = []

    def begin(schema: int) -> Session:
        session = Session(schema).start()
        session.turn("T1")
        begun.append(session)
        return session

    yield begin
    for number, session in enumerate(begun):
        if session.schema in references:
            folder = session.write(tmp_path / f"session{number}")
            assert references[session.schema].disagreement(folder) == ""


@pytest.fixture(params=[1, 2], ids=["schema1", "schema2"])
def session(request: pytest.FixtureRequest, begin: Begin) -> Session:
    """A session of either schema."""
    return begin(request.param)


@pytest.fixture
def old(begin: Begin) -> Session:
    """A session of schema 1."""
    return begin(1)


@pytest.fixture
def new(begin: Begin) -> Session:
    """A session of schema 2."""
    return begin(2)
