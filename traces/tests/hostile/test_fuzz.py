"""The fuzzer itself, for a few seconds; `make fuzz` runs it for ten minutes. What it found is a case of `damaged`."""

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from random import Random

import pytest

from traces.tests.fixtures.site import ROOT
from traces.tests.hostile.damaged import RECORDING
from traces.tests.hostile.mutations import mutate_bytes, mutate_json, mutate_lines


@pytest.mark.slow
def test_a_short_run_finds_nothing(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "traces.tests.hostile.fuzz", "--folder", str(tmp_path)]
    command += ["--seed", "7", "--seconds", "10", "--rounds", "80", "--workers", "2"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=300, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "; 0 finds" in done.stdout


@pytest.mark.parametrize("mutate", [mutate_bytes, mutate_json, mutate_lines])
def test_a_seed_says_everything(mutate: Callable[[bytes, Random], bytes]) -> None:
    log = RECORDING["trace.jsonl"]
    inputs = [mutate(log, Random(seed)) for seed in range(20)]
    assert inputs == [mutate(log, Random(seed)) for seed in range(20)]
    assert len(set(inputs)) > 15
