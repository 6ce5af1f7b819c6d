"""A server is killed at random moments of an upload and its reduction; after a restart the rows are all there.

`make kills` kills it at 30 moments; the ordinary tests at four.
"""

import io
import json
import os
import random
import sqlite3
import subprocess
import sys
import threading
import time
import zipfile
from collections.abc import Callable
from http.client import HTTPException
from pathlib import Path

import pytest

from traces.tests.bundle.packing import read_files
from traces.tests.fixtures.recordings import recording_folder
from traces.tests.fixtures.site import PATIENCE, ROOT, Blank
from traces.tests.hostile.servers import Server, Visitor

pytestmark = pytest.mark.slow
MOMENTS = int(os.environ.get("TRACESITE_TEST_KILLS", "4"))
NAMES = ("0.169.0/story", "0.169.0/retried", "0.128.0/killed", "0.125.0/interactive")
ROWS = """
import django, hashlib, json
django.setup()
from traces.models import Rollout, Upload
from traces.tests.ingest.dumps import LIVE, dump
rows = {}
for rollout in Rollout.objects.all():
    for table, values in dump(rollout, without=LIVE).items():
        rows[f"{rollout.trace_id} {table}"] = hashlib.sha256(repr(values).encode()).hexdigest()
print(json.dumps([rows, sorted(Upload.objects.values_list("state", "error"))]))
"""


def archive() -> bytes:
    """Some recordings, large enough to be interrupted while it arrives."""
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as packed:
        for name in NAMES:
            for path, data in read_files(recording_folder(name)).items():
                packed.writestr(f"{name.replace('/', '-')}/{path}", data)
        packed.writestr("noise", random.Random(9).randbytes(8_000_000))
    return out.getvalue()


class Home:
    """A data folder and the servers that lived in it."""

    def __init__(self, blank: Blank, folder: Path) -> None:
        folder.mkdir()
        self.data = folder
        self.env = {**blank.copy(folder), "DJANGO_SETTINGS_MODULE": "tracesite.settings"}
        self.starts = 0

    def start(self) -> Server:
        self.starts += 1
        return Server(self.env, self.data / f"serve-{self.starts}.log")

    def states(self) -> list[str]:
        """What the uploads are at."""
        with sqlite3.connect(self.data / "traces.sqlite3") as connection:
            return [state for (state,) in connection.execute("select state from traces_upload")]

    def rows(self) -> object:
        """All rows of all rollouts, and what came of the uploads."""
        command = [sys.executable, "-c", ROWS]
        done = subprocess.run(command, cwd=ROOT, env=self.env, capture_output=True, text=True, check=True)
        return json.loads(done.stdout)

    def left_over(self) -> list[str]:
        """Files that no row needs."""
        folders = ("uploads", "scratch", "tmp")
        return [str(path) for name in folders for path in (self.data / name).rglob("*") if path.is_file()]

    def finish(self, data: bytes) -> object:
        """Starts again, sends the archive again where it had not arrived, and waits for the end."""
        server = self.start()
        try:
            wait(lambda: "receiving" not in self.states())
            if not self.states():
                assert Visitor(server.url).upload("all.zip", data)[0] == 200
            wait(lambda: set(self.states()) == {"done"})
            return self.rows()
        finally:
            assert "Traceback" not in server.stop()


def wait(done: Callable[[], bool]) -> None:
    deadline = time.monotonic() + PATIENCE
    while not done():
        assert time.monotonic() < deadline, "it does not end"
        time.sleep(0.02)


def send(url: str, data: bytes) -> None:
    """An upload that may break off."""
    try:
        Visitor(url).upload("all.zip", data)
    except (OSError, HTTPException, AssertionError):
        return


def test_killed_at_random_moments(blank_database: Blank, tmp_path: Path) -> None:
    data = archive()
    undisturbed = Home(blank_database, tmp_path / "undisturbed")
    began = time.monotonic()
    expected = undisturbed.finish(data)
    longest = min(time.monotonic() - began, 2.5)
    chance = random.Random(9)
    for moment in range(MOMENTS):
        home = Home(blank_database, tmp_path / f"killed-{moment}")
        server = home.start()
        sender = threading.Thread(target=send, args=(server.url, data))
        sender.start()
        after = chance.uniform(0, longest)
        time.sleep(after)
        server.kill()
        sender.join()
        assert home.finish(data) == expected, f"killed after {after:.3f} s"
        assert home.left_over() == []
