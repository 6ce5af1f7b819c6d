"""Every recording flows in; its state.json and its files flow out of the API byte for byte."""

import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from asgiref.sync import sync_to_async
from django.db import connections
from django.test import AsyncClient, Client

from traces.bundle.archives import open_bundles
from traces.bundle.reader import Bundle
from traces.ingest import ingest_bundle
from traces.models import Rollout
from traces.pages.api import files
from traces.pages.samples import samples
from traces.tests.api.conftest import ROLLOUTS, body_of, recorded_files, unpacked, unzipped
from traces.tests.bundle.packing import files_of
from traces.tests.fixtures.recordings import BUNDLES, recording_folder
from traces.tests.ingest.recordings import ALL, Copy

pytestmark = pytest.mark.django_db
Ingest = Callable[[str], Rollout]
REFUSED = sorted(path.parent for path in (BUNDLES.parent / "bundles_refused").glob("*/*/manifest.json"))


@pytest.mark.parametrize("name", ALL)
def test_state_json_is_the_references(name: str, ingested: Ingest, client: Client) -> None:
    answer = client.get(f"{ROLLOUTS}{ingested(name).public_id}/state.json")
    assert (answer.status_code, answer["Content-Type"]) == (200, "application/json")
    assert body_of(answer) == (recording_folder(name) / "expected" / "state.json").read_bytes()


@pytest.mark.parametrize("name", ALL)
def test_the_files_are_those_that_were_recorded(name: str, ingested: Ingest, client: Client) -> None:
    answer = client.get(f"{ROLLOUTS}{ingested(name).public_id}/bundle.tar.zst")
    assert (answer.status_code, answer["Content-Type"]) == (200, "application/zstd")
    assert unpacked(body_of(answer)) == recorded_files(recording_folder(name))


@pytest.mark.parametrize("sample", samples(), ids=lambda path: path.name)
def test_every_sample_comes_back_as_it_was(sample: Path, client: Client, tmp_path: Path) -> None:
    with open_bundles(sample, tmp_path) as (bundle,):
        rollout = ingest_bundle(bundle).rollout
        answer = client.get(f"{ROLLOUTS}{rollout.public_id}/bundle.tar.zst")
        assert unpacked(body_of(answer)) == files_of(bundle)


@pytest.mark.parametrize("name", ["0.169.0/story", "0.125.0/interactive"])
def test_a_zip_holds_the_same(name: str, ingested: Ingest, client: Client) -> None:
    answer = client.get(f"{ROLLOUTS}{ingested(name).public_id}/bundle.zip")
    assert unzipped(body_of(answer)) == recorded_files(recording_folder(name))
    assert answer["Content-Disposition"].endswith('.zip"')


def test_what_is_downloaded_is_known_when_it_comes_back(ingested: Ingest, client: Client, tmp_path: Path) -> None:
    rollout = ingested("0.169.0/story")
    for address in ("bundle.tar.zst", "bundle.zip"):
        archive = tmp_path / address
        archive.write_bytes(body_of(client.get(f"{ROLLOUTS}{rollout.public_id}/{address}")))
        with open_bundles(archive, tmp_path) as bundles:
            again = ingest_bundle(bundles[0])
        assert (again.verdict, again.rollout) == ("same", rollout)


def test_ordinary_programs_unpack_it(ingested: Ingest, client: Client, tmp_path: Path) -> None:
    archive = tmp_path / "bundle.zip"
    archive.write_bytes(body_of(client.get(f"{ROLLOUTS}{ingested('0.169.0/killed').public_id}/bundle.zip")))
    subprocess.run(["python3", "-m", "zipfile", "-e", archive.name, "out"], cwd=tmp_path, check=True)
    (folder,) = (tmp_path / "out").iterdir()
    assert recorded_files(folder) == recorded_files(recording_folder("0.169.0/killed"))


async def streamed(address: str) -> bytes:
    """As a real server takes it: piece by piece, without a warning that all of it was collected first."""
    answer: Any = await AsyncClient().get(address)
    assert answer.status_code == 200
    return b"".join([piece async for piece in answer])


@pytest.mark.filterwarnings("error")
@pytest.mark.django_db(transaction=True)
async def test_a_server_gets_it_piece_by_piece() -> None:
    rollout = await in_rows("0.169.0/story")
    address = f"{ROLLOUTS}{rollout.public_id}"
    recorded = recording_folder("0.169.0/story")
    try:
        assert await streamed(f"{address}/state.json") == (recorded / "expected" / "state.json").read_bytes()
        assert unpacked(await streamed(f"{address}/bundle.tar.zst")) == recorded_files(recorded)
    finally:
        # The thread of the queries outlives the test; with its connection the database could not be dropped.
        await sync_to_async(connections.close_all)()


async def in_rows(name: str) -> Rollout:
    return await sync_to_async(lambda: ingest_bundle(Bundle(recording_folder(name))).rollout)()


@pytest.mark.parametrize("folder", REFUSED, ids=lambda path: "/".join(path.parts[-2:]))
def test_what_the_reference_refuses_has_no_state(folder: Path, client: Client) -> None:
    rollout = ingest_bundle(Bundle(folder)).rollout
    answer = client.get(f"{ROLLOUTS}{rollout.public_id}/state.json")
    assert answer.status_code == 409
    assert answer.json()["status"] == 409
    assert f"line {rollout.stopped_line}" in answer.json()["error"]
    whole = client.get(f"{ROLLOUTS}{rollout.public_id}/bundle.tar.zst")
    assert unpacked(body_of(whole)) == recorded_files(folder)


def test_a_torn_line_has_no_state_but_comes_back_torn(tmp_path: Path, client: Client) -> None:
    copy = Copy("0.169.0/story", tmp_path)
    rollout = ingest_bundle(copy.cut(40, torn=copy.lines[40][:50])).rollout
    answer = client.get(f"{ROLLOUTS}{rollout.public_id}/state.json")
    assert answer.status_code == 409
    assert "last line" in answer.json()["error"]
    whole = unpacked(body_of(client.get(f"{ROLLOUTS}{rollout.public_id}/bundle.tar.zst")))
    assert whole["trace.jsonl"] == copy.log.read_bytes()


def test_names_of_files_are_safe(ingested: Ingest) -> None:
    rollout = ingested("0.169.0/killed")
    assert files.folder_of(rollout) == f"trace-{rollout.trace_id}-{rollout.root_thread_id}"
    rollout.trace_id, rollout.root_thread_id = '../../"x\r\ny', "ü" * 500
    assert files.folder_of(rollout) == f"trace-_______x__y-{'_' * 60}"


def test_what_nobody_reads_to_its_end_is_put_away() -> None:
    put_away = []

    def pieces() -> Iterator[bytes]:
        try:
            yield bytes(files.PIECE)
            yield b"never asked for"
        finally:
            put_away.append(True)

    begun = files.Begun(pieces())
    assert put_away == []
    begun.close()
    assert put_away == [True]


def test_head_asks_for_no_body(ingested: Ingest, client: Client) -> None:
    answer = client.head(f"{ROLLOUTS}{ingested('0.169.0/killed').public_id}/bundle.tar.zst")
    assert (answer.status_code, answer["Content-Type"], answer.content) == (200, "application/zstd", b"")
