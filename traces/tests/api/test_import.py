"""Folders and archives flow in from the shell, rollouts, sentences and exit codes flow out."""

import io
import os
import pty
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from django.core.management import call_command

from traces.ingest import state_of
from traces.models import Rollout
from traces.tests.fixtures.recordings import BUNDLES, recording_folder
from traces.tests.fixtures.site import ROOT, Blank
from traces.tests.ingest.recordings import Copy, expected

pytestmark = pytest.mark.django_db
Zipped = Callable[[str], Path]


def imported(*paths: Path, code: int = 0) -> tuple[str, str]:
    """What it says, and what it complains about."""
    out, err = io.StringIO(), io.StringIO()
    if code:
        with pytest.raises(SystemExit) as stopped:
            call_command("import", *map(str, paths), stdout=out, stderr=err)
        assert stopped.value.code == code
    else:
        call_command("import", *map(str, paths), stdout=out, stderr=err)
    return out.getvalue(), err.getvalue()


def test_folders_and_archives(zipped: Zipped) -> None:
    said, complaints = imported(recording_folder("0.169.0/story"), zipped("0.125.0/interactive"))
    assert complaints == ""
    assert "story: A new rollout with 156 events. /rollouts/" in said
    story = Rollout.objects.get(events=156)
    assert state_of(story) == expected("0.169.0/story")
    assert Rollout.objects.count() == 2
    said, _ = imported(recording_folder("0.169.0/story"))
    assert "Nothing new: this recording is here already." in said


def test_a_folder_of_many(tmp_path: Path) -> None:
    for name in ("0.169.0/killed", "0.128.0/retried"):
        Copy(name, tmp_path / "many")
    said, _ = imported(tmp_path / "many")
    assert said.count("A new rollout") == 2


def test_what_fails_is_said_and_the_rest_is_imported(tmp_path: Path) -> None:
    notes = tmp_path / "notes.txt"
    notes.write_text("just text")
    broken = Copy("0.169.0/completed", tmp_path / "broken")
    (broken.folder / "manifest.json").write_text("{}")
    said, complaints = imported(notes, tmp_path / "nothing", broken.folder, recording_folder("0.169.0/killed"), code=1)
    assert said.count("A new rollout") == 1
    assert "notes.txt: " in complaints
    assert "nothing: there is no such file" in complaints
    assert "manifest" in complaints
    assert complaints.splitlines()[-1] == "3 not imported."


def test_where_a_reduction_stopped_is_said() -> None:
    said, _ = imported(BUNDLES.parent / "bundles_refused" / "0.169.0" / "dup_call_id")
    assert "could not be applied" in said


def test_a_terminal_shows_a_bar(blank_database: Blank, tmp_path: Path) -> None:
    env = blank_database.copy(tmp_path) | {"TERM": "xterm"}
    master, terminal = pty.openpty()
    command = [sys.executable, "manage.py", "import", str(recording_folder("0.169.0/story"))]
    try:
        done = subprocess.run(command, cwd=ROOT, env=env, stdout=subprocess.PIPE, stderr=terminal, check=True)
        shown = os.read(master, 100_000).decode()
    finally:
        os.close(terminal)
        os.close(master)
        blank_database.drop(env)
    assert b"A new rollout with 156 events." in done.stdout
    assert "story" in shown
    assert "156" in shown
