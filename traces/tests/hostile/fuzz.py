"""A time and a seed flow in, several workers try random damage, and what they found flows out; 0 where that is nothing.

python -m traces.tests.hostile.fuzz --seconds 600
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
from collections import Counter
from pathlib import Path

ROOT = Path(__file__).resolve().parents[3]
EXTRA = 240  # seconds that a worker gets to start and to end


def start(seed: int, given: argparse.Namespace, data: Path) -> "subprocess.Popen[str]":
    """A worker with a database of its own, in memory."""
    env = os.environ | {
        "DJANGO_SETTINGS_MODULE": "tracesite.settings",
        "TRACESITE_DATA": str(data / f"data-{seed}"),
        "DATABASE_URL": "sqlite://:memory:",
    }
    command = [
        sys.executable,
        "-m",
        "traces.tests.hostile.fuzz_worker",
        "--seed",
        str(seed),
        "--folder",
        str(given.folder),
    ]
    command += ["--seconds", str(given.seconds), "--rounds", str(given.rounds)]
    return subprocess.Popen(command, cwd=ROOT, env=env, text=True, stdout=subprocess.PIPE, stderr=subprocess.PIPE)


def result(
    worker: "subprocess.Popen[str]", seed: int, given: argparse.Namespace
) -> tuple[Counter[str], dict[str, str]]:
    """What a worker tried and what it found; one that died, or never ended, is a find itself."""
    try:
        out, err = worker.communicate(timeout=given.seconds + EXTRA)
        said = json.loads(out)
    except (ValueError, subprocess.TimeoutExpired):
        worker.kill()
        died = f"worker {seed} died; its input is {given.folder}/current-{seed}.pickle"
        return Counter(), {died: worker.communicate()[1] if worker.poll() is None else err}
    return Counter(said["rounds"]), said["found"]


def main() -> int:
    """All workers side by side."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=600)
    parser.add_argument("--rounds", type=int, default=10**9, help="for each worker")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--workers", type=int, default=os.cpu_count() or 1)
    parser.add_argument("--folder", type=Path, default=ROOT / "var" / "fuzz", help="where finds are kept")
    given = parser.parse_args()
    given.folder.mkdir(parents=True, exist_ok=True)
    given.folder = given.folder.resolve()
    seeds = range(given.seed, given.seed + given.workers)
    tried: Counter[str] = Counter()
    found: dict[str, str] = {}
    with tempfile.TemporaryDirectory() as data:
        workers = {seed: start(seed, given, Path(data)) for seed in seeds}
        for seed, worker in workers.items():
            rounds, finds = result(worker, seed, given)
            tried += rounds
            found |= finds
    print(f"{', '.join(f'{number:,} {what}' for what, number in sorted(tried.items()))}; {len(found)} finds")
    for what, text in found.items():
        print(f"\n{what}\n{text}")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
