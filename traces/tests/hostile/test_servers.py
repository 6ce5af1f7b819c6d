"""Visitors who disappear, disks that are full and folders that cannot be written: no row, no file, one sentence."""

import random
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from traces.tests.bundle.packing import pack_zip
from traces.tests.fixtures.site import PATIENCE, ROOT, Blank, LiveSite, environment
from traces.tests.hostile.damaged import RECORDING
from traces.tests.hostile.servers import Server, Visitor

NOISE = random.Random(4).randbytes(8_000_000)
GOOD = pack_zip(RECORDING)


def files(data: Path) -> list[str]:
    """What lies where uploads go."""
    folders = ("uploads", "scratch", "tmp")
    return [path.name for name in folders for path in (data / name).rglob("*") if path.is_file()]


@contextmanager
def running(blank: Blank, data: Path, largest_file: int = 0, **settings: str) -> Iterator[Server]:
    """A site of its own that is stopped afterwards, and must not have printed a traceback."""
    env = blank.copy(data) | settings
    server = Server(env, data / "serve.log", largest_file)
    try:
        yield server
    finally:
        assert "Traceback" not in server.stop()
        blank.drop(env)


@pytest.mark.parametrize("sent", [0, 1000, 5_000_000])
def test_a_browser_that_disconnects_half_way(live_site: LiveSite, sent: int) -> None:
    visitor = Visitor(live_site.url)
    visitor.break_off(NOISE[:sent], claimed=len(NOISE))
    time.sleep(0.3)
    assert files(live_site.data) == []
    assert "half.zip" not in visitor.get("/")[1]
    assert visitor.upload("good.zip", GOOD)[0] == 200


def test_an_upload_beyond_the_limit(blank_database: Blank, tmp_path: Path) -> None:
    with running(blank_database, tmp_path, TRACESITE_MAX_UPLOAD_BYTES="7_000_000") as server:
        status, _, said = Visitor(server.url).upload("large.zip", NOISE)
        assert (status, files(tmp_path)) == (413, [])
        assert said.startswith("This upload is larger than 7,000,000 bytes, the limit of TRACESITE_MAX_UPLOAD_BYTES; ")
        assert Visitor(server.url).upload("good.zip", GOOD)[0] == 200


def test_a_full_disk(blank_database: Blank, tmp_path: Path) -> None:
    with running(blank_database, tmp_path, largest_file=4_000_000) as server:
        status, _, said = Visitor(server.url).upload("large.zip", NOISE)
        assert (status, files(tmp_path)) == (507, [])
        assert said.startswith("There is no room left on the disk of this site, and nothing was kept: free some ")
        assert "large.zip" not in Visitor(server.url).get("/")[1]
        assert Visitor(server.url).upload("good.zip", GOOD)[0] == 200


def test_no_room_to_unpack(blank_database: Blank, tmp_path: Path) -> None:
    with running(blank_database, tmp_path, largest_file=4_000_000) as server:
        visitor = Visitor(server.url)
        bomb = pack_zip(RECORDING | {"payloads/99.json": bytes(5_000_000)})
        row = visitor.upload("bomb.zip", bomb)[1]
        address = row.split('hx-get="')[1].split('"')[0]
        deadline = time.monotonic() + PATIENCE
        while "Not opened" not in (page := visitor.get(address)[1]):
            assert time.monotonic() < deadline
            time.sleep(0.05)
        assert "there is no room left to unpack it; free some disk space and try again." in page
        assert list((tmp_path / "scratch").iterdir()) == []


def start(data: Path, **settings: str) -> subprocess.CompletedProcess[str]:
    """A start that is expected to end at once."""
    command = [sys.executable, "manage.py", "serve", "--port", "0"]
    env = environment(data, "") | settings
    return subprocess.run(command, cwd=ROOT, env=env, capture_output=True, text=True, timeout=PATIENCE, check=False)


def test_a_data_folder_that_cannot_be_written(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("no folder")
    for data, why in ((tmp_path / "file", "file exists"), (tmp_path / "file" / "var", "not a directory")):
        done = start(data)
        assert done.returncode == 1
        assert done.stdout == ""
        assert done.stderr == (
            f"The data folder {data} cannot be used: {why}. "
            "Let this user write to it, or name another one in TRACESITE_DATA.\n"
        )


def test_a_data_folder_that_can_only_be_read() -> None:
    # The root user may write whatever the permissions say, but nobody makes files in here.
    done = start(Path("/proc/self"))
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr.count("\n") == 1
    assert done.stderr.startswith("The data folder ")


def test_a_limit_that_is_no_number(tmp_path: Path) -> None:
    done = start(tmp_path, TRACESITE_MAX_FILES="many")
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr == (
        f"The site cannot start: TRACESITE_MAX_FILES is 'many'; give a whole number from 1 to {2**63 - 1:,}.\n"
    )
