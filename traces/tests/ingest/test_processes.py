"""Several processes write one recording, or one is killed meanwhile: the rows are those of an undisturbed import."""

import json
import random
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from traces.tests.fixtures.recordings import recording_folder
from traces.tests.fixtures.site import ROOT, Blank
from traces.tests.ingest.recordings import expected

NAME = "0.169.0/story"
IMPORT = """
import django, pathlib, sys
django.setup()
from traces.bundle.reader import Bundle
from functools import partial
from traces.ingest import ingest_bundle
from traces.ingest.building import batches
print("ready", flush=True)
sys.stdin.readline()
print(ingest_bundle(Bundle(pathlib.Path(sys.argv[1])), build=partial(batches, batch_events=3)).verdict)
"""
LOOK = """
import django, json
django.setup()
from traces.ingest import state_of
from traces.models import Rollout
print(json.dumps([[rollout.events, state_of(rollout)] for rollout in Rollout.objects.all()]))
"""


@pytest.fixture
def env(blank_database: Blank, tmp_path: Path) -> Iterator[dict[str, str]]:
    """The environment of a site of this test's own."""
    env = {**blank_database.copy(tmp_path), "DJANGO_SETTINGS_MODULE": "tracesite.settings"}
    yield env
    blank_database.drop(env)


def python(env: dict[str, str], code: str) -> "subprocess.Popen[str]":
    """A process of the site."""
    command = [sys.executable, "-c", code, str(recording_folder(NAME))]
    return subprocess.Popen(command, cwd=ROOT, env=env, text=True, stdin=subprocess.PIPE, stdout=subprocess.PIPE)


def importer(env: dict[str, str]) -> "subprocess.Popen[str]":
    """A process that is about to import the recording."""
    process = python(env, IMPORT)
    assert process.stdout
    assert process.stdout.readline() == "ready\n"
    return process


def rollouts(env: dict[str, str]) -> list[Any]:
    """What another process finds in the database: events and state of each rollout."""
    found: list[Any] = json.loads(python(env, LOOK).communicate()[0])
    return found


def test_two_processes_that_import_one_bundle_make_one_rollout(env: dict[str, str]) -> None:
    processes = [importer(env), importer(env)]
    for process in processes:
        assert process.stdin
        process.stdin.write("go\n")
        process.stdin.flush()
    verdicts = [process.communicate(timeout=60)[0].strip() for process in processes]
    assert set(verdicts) <= {"new", "same", "continued"}
    assert "new" in verdicts or verdicts == ["continued", "continued"]
    assert rollouts(env) == [[156, expected(NAME)]]


def test_an_import_that_is_killed_goes_on_where_it_was(env: dict[str, str]) -> None:
    chance = random.Random(169)
    for _ in range(4):
        process = importer(env)
        assert process.stdin
        process.stdin.write("go\n")
        process.stdin.flush()
        time.sleep(chance.uniform(0.02, 0.25))
        process.kill()
        process.communicate()
        assert all(events % 3 == 0 for events, _ in rollouts(env)), "only whole batches"
    importer(env).communicate("go\n")
    assert rollouts(env) == [[156, expected(NAME)]]
