"""A server that follows a recording, or the writer itself, is killed at random moments: no event is lost or doubled.

`make kills` kills at 50 moments; the ordinary tests at a few.
"""

import os
import random
import shutil
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from traces.tests.fixtures.recordings import recording_folder
from traces.tests.fixtures.site import PATIENCE, Blank
from traces.tests.hostile.servers import Server
from traces.tests.hostile.test_killed import Home

pytestmark = pytest.mark.slow
MOMENTS = min(50, int(os.environ.get("TRACESITE_TEST_KILLS", "2")) * 5 // 3)
NAMES = ("0.169.0/story", "0.128.0/agents")
WRITER = """
import pathlib, sys, time
lines = pathlib.Path(sys.argv[1]).read_bytes()
with open(sys.argv[2], "ab", buffering=0) as log:
    for start in range(0, len(lines), 700):
        log.write(lines[start : start + 700])
        time.sleep(0.002)
"""


class Watched(Home):
    """A site that follows a folder."""

    def __init__(self, blank: Blank, folder: Path, root: Path) -> None:
        super().__init__(blank, folder)
        self.env["TRACESITE_WATCH"] = str(root)


def begin(name: str, root: Path) -> Path:
    """The folder of a recording whose log has not begun."""
    folder = root / name.replace("/", "-")
    shutil.copytree(recording_folder(name), folder, ignore=shutil.ignore_patterns("expected", "trace.jsonl"))
    (folder / "trace.jsonl").touch()
    return folder


def write_slowly(folder: Path, lines: list[bytes], seconds: float) -> None:
    """Line by line, each torn once."""
    with (folder / "trace.jsonl").open("ab", buffering=0) as log:
        for line in lines:
            middle = len(line) // 2
            log.write(line[:middle])
            time.sleep(seconds / len(lines))
            log.write(line[middle:])


@pytest.mark.parametrize("name", NAMES[: 2 if MOMENTS > 5 else 1])
def test_the_server_is_killed_while_a_recording_grows(name: str, blank_database: Blank, tmp_path: Path) -> None:
    root = tmp_path / "root"
    root.mkdir()
    lines = (recording_folder(name) / "trace.jsonl").read_bytes().splitlines(keepends=True)
    folder = begin(name, root)
    home = Watched(blank_database, tmp_path / "home", root)
    chance = random.Random(name)
    writer = threading.Thread(target=write_slowly, args=(folder, lines, MOMENTS * 1.2))
    writer.start()
    for _ in range(MOMENTS):
        server = home.start()
        time.sleep(chance.uniform(0, 1.0))
        server.kill()
    writer.join()
    check(home, blank_database, tmp_path, folder)


@pytest.mark.parametrize("name", NAMES)
def test_the_writer_is_killed(name: str, blank_database: Blank, tmp_path: Path) -> None:
    root = tmp_path / "root"
    root.mkdir()
    folder = begin(name, root)
    home = Watched(blank_database, tmp_path / "home", root)
    server = home.start()
    log = recording_folder(name) / "trace.jsonl"
    command = [sys.executable, "-c", WRITER, str(log), str(folder / "trace.jsonl")]
    writer = subprocess.Popen(command)
    time.sleep(random.Random(name).uniform(0.1, 0.4))
    writer.kill()
    writer.wait()
    assert "Traceback" not in server.stop()
    check(home, blank_database, tmp_path, folder)


def check(home: Watched, blank: Blank, tmp_path: Path, folder: Path) -> None:
    """After a last start the rows are those of an import of the folder as it is now."""
    undisturbed = Home(blank, tmp_path / "undisturbed")
    manage(undisturbed, "import", str(folder))
    expected = undisturbed.rows()
    # A writer counts as gone only after some silence, which nobody has to wait for here.
    os.utime(folder / "trace.jsonl", (1e9, 1e9))
    server: Server = home.start()
    try:
        deadline = time.monotonic() + PATIENCE
        while home.rows() != expected:
            assert time.monotonic() < deadline, "the rows are not those of an import"
    finally:
        assert "Traceback" not in server.stop()


def manage(home: Home, *words: str) -> None:
    subprocess.run([sys.executable, "manage.py", *words], env=home.env, check=True, capture_output=True)
