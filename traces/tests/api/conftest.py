"""A recording's name flows in, its rollout behind the API flows out, and what an archive holds."""

import io
import tarfile
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import zstandard
from django.test import Client

from traces.tests.fixtures.ingested import ingested

__all__ = ["ingested"]  # the fixture, for every test below

ROLLOUTS = "/api/v1/rollouts/"


@pytest.fixture(autouse=True)
def _own_folder(tmp_path: Path, settings: Any) -> None:
    settings.TRACESITE_DATA = tmp_path / "data"


@pytest.fixture
def ask(client: Client) -> Callable[..., Any]:
    """The JSON at an address."""

    def asked(address: str, status: int = 200) -> Any:
        answer = client.get(address)
        assert (answer.status_code, answer["Content-Type"]) == (status, "application/json"), answer.content
        return answer.json()

    return asked


def body_of(answer: Any) -> bytes:
    """What was streamed."""
    return b"".join(answer.streaming_content)


def recorded_files(folder: Path) -> dict[str, bytes]:
    """The files of a recording, as a client wrote them."""
    paths = (path for path in folder.rglob("*") if path.is_file())
    named = ((path.relative_to(folder), path) for path in paths)
    return {str(name): path.read_bytes() for name, path in named if name.parts[0] != "expected"}


def unpacked(content: bytes) -> dict[str, bytes]:
    """The files of a .tar.zst, without the one folder they lie in."""
    plain = zstandard.ZstdDecompressor(max_window_size=2**27).stream_reader(io.BytesIO(content)).read()
    with tarfile.open(fileobj=io.BytesIO(plain)) as archive:
        return dict(without_folder((member.name, read(archive, member)) for member in archive.getmembers()))


def read(archive: tarfile.TarFile, member: tarfile.TarInfo) -> bytes:
    file = archive.extractfile(member)
    assert file is not None, member.name
    return file.read()


def unzipped(content: bytes) -> dict[str, bytes]:
    """The files of a .zip, without the one folder they lie in."""
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        return dict(without_folder((name, archive.read(name)) for name in archive.namelist()))


def without_folder(files: Iterator[tuple[str, bytes]] | Any) -> Iterator[tuple[str, bytes]]:
    folders = set()
    for name, content in files:
        folder, _, inside = name.partition("/")
        folders.add(folder)
        yield inside, content
    assert len(folders) == 1, folders
