"""A seed and a time flow in; random damage flows through everything that parses foreign bytes; what broke flows out.

The expected end of damaged input is BundleError or ReductionError. Anything else is a find: the input is saved with its
traceback. The input at hand always lies on disk, so that a process that dies leaves it behind.
"""

import argparse
import faulthandler
import json
import os
import pickle
import re
import resource
import shutil
import sys
import time
import traceback
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from random import Random

import django
from django.core.management import call_command
from django.test import Client
from django.test.utils import setup_test_environment

django.setup()

from traces.bundle.archives import open_bundles  # noqa: E402
from traces.bundle.errors import BundleError  # noqa: E402
from traces.bundle.events import decode_event, payload_refs  # noqa: E402
from traces.bundle.manifest import read_manifest  # noqa: E402
from traces.bundle.reader import Bundle  # noqa: E402
from traces.ingest import ingest_bundle  # noqa: E402
from traces.ingest.reading import glimpse  # noqa: E402
from traces.models import Rollout  # noqa: E402
from traces.reducer import ReductionError, reduce_lenient, reduce_strict  # noqa: E402
from traces.tests.bundle.packing import KINDS, Files, pack_tar, read_files  # noqa: E402
from traces.tests.fixtures.recordings import BUNDLES  # noqa: E402
from traces.tests.hostile.damaged import LIMITS, RECORDING  # noqa: E402
from traces.tests.hostile.mutations import mutate_bytes, mutate_json, mutate_lines  # noqa: E402

MEMORY = 400_000_000  # that a worker may grow by, whatever it is given
ADDRESS_SPACE = 4_000_000_000
PATIENCE = 60  # seconds for one input
LARGEST = 2_000_000  # a recording that is mutated is smaller: many small ones find more than a few large ones
REFUSALS = (BundleError, ReductionError)
LINK = re.compile(r'href="(/rollouts/[^"#]+)"')
PAGES = 12


class Worker:
    """One process of the fuzzer."""

    def __init__(self, seed: int, folder: Path) -> None:
        self.chance = Random(seed)
        self.seed = seed
        self.folder = folder
        self.scratch = folder / f"scratch-{seed}"
        self.current = folder / f"current-{seed}.pickle"
        self.rounds: Counter[str] = Counter()
        self.finds: dict[str, str] = {}
        self.recordings = [path.parent.parent for path in sorted(BUNDLES.glob("*/*/expected/state.json"))]
        self.memory = resident()
        self.visitor = Client()

    def run(self, seconds: float, rounds: int) -> None:
        """Until the time or the rounds are over."""
        ways = (self.archive, self.archive, self.manifest, self.line, self.line, self.bundle, self.bundle, self.rows)
        until = time.monotonic() + seconds
        while time.monotonic() < until and sum(self.rounds.values()) < rounds:
            way = self.chance.choice(ways)
            faulthandler.dump_traceback_later(PATIENCE, exit=True)
            self.round(way)
            faulthandler.cancel_dump_traceback_later()

    def round(self, way: Callable[[], None]) -> None:
        """One input."""
        self.rounds[way.__name__] += 1
        try:
            way()
        except REFUSALS:
            self.rounds["refused"] += 1
        # Finding every other exception is what this program is for.
        except Exception as error:  # noqa: BLE001
            self.found(error)
        grown = resident() - self.memory
        if grown > MEMORY:
            self.keep(f"memory grew by {grown:,} bytes", "")
            self.memory += grown

    def found(self, error: Exception) -> None:
        """Keeps an input, once for each place in the code that failed."""
        frames = [frame for frame in traceback.extract_tb(error.__traceback__) if "/traces/" in frame.filename]
        where = f"{Path(frames[-1].filename).name}-{frames[-1].lineno}" if frames else "elsewhere"
        self.keep(f"{type(error).__name__}-{where}", traceback.format_exc())

    def keep(self, name: str, text: str) -> None:
        if name not in self.finds:
            self.finds[name] = text
            shutil.copy(self.current, self.folder / f"found-{self.seed}-{name.replace(' ', '-')}.pickle")
            (self.folder / f"found-{self.seed}-{name.replace(' ', '-')}.txt").write_text(text)

    def trying(self, what: bytes | Files) -> None:
        """Notes the input before it is tried."""
        self.current.write_bytes(pickle.dumps(what))

    def archive(self) -> None:
        """Packed bytes with damage, and good ones with damaged names."""
        files, pack = dict(RECORDING), KINDS[self.chance.choice(list(KINDS))]
        if self.chance.random() < 0.3:
            pack = pack_tar  # the only one that takes any name
            files[mutate_bytes(b"payloads/77.json", self.chance).decode(errors="replace")[:80]] = b"x"
        data = mutate_bytes(pack(files), self.chance)
        self.trying(data)
        path = self.scratch / "archive"
        path.write_bytes(data)
        with open_bundles(path, self.scratch, LIMITS) as bundles:
            for bundle in bundles:
                reduce_lenient(bundle)

    def manifest(self) -> None:
        """A manifest with damage."""
        data = self.damaged(RECORDING["manifest.json"])
        self.trying(data)
        read_manifest(data)

    def line(self) -> None:
        """One line of a log with damage."""
        lines = (self.chance.choice(self.recordings) / "trace.jsonl").read_bytes().splitlines()
        data = self.damaged(self.chance.choice(lines))
        self.trying(data)
        glimpse(data)
        payload_refs(decode_event(data).payload)

    def damaged(self, data: bytes) -> bytes:
        return self.chance.choice((mutate_bytes, mutate_json))(data, self.chance)

    def bundle(self) -> None:
        """A recording with damage, reduced in both ways."""
        bundle = self.mutated()
        lenient, stopped = reduce_lenient(bundle)
        lenient.state()
        if stopped is None:
            assert reduce_strict(bundle).state() == lenient.state()

    def mutated(self) -> Bundle:
        """A recording with damage in its log, or in some payloads, or in both."""
        files = read_files(self.chance.choice(self.recordings))
        files = {name: data for name, data in files.items() if not name.startswith("expected/")}
        if sum(map(len, files.values())) > LARGEST:
            files = dict(RECORDING)
        if self.chance.random() < 0.6:
            files["trace.jsonl"] = mutate_lines(files["trace.jsonl"], self.chance)
        for name in self.chance.sample(sorted(files), min(len(files), self.chance.choice((0, 1, 1, 3)))):
            if name.startswith("payloads/"):
                files[name] = self.damaged(files[name])
        self.trying(files)
        return Bundle(written(files, self.scratch / "bundle"), limits=LIMITS)

    def rows(self) -> None:
        """A recording with damage, in rows, and some pages of it."""
        try:
            rollout = ingest_bundle(self.mutated()).rollout
            self.look(rollout.get_absolute_url())
        finally:
            Rollout.objects.all().delete()

    def look(self, address: str) -> None:
        """The page and what it leads to; an exception in a view comes out here."""
        pages = sorted(set(LINK.findall(self.page(address))))
        for link in self.chance.sample(pages, min(PAGES, len(pages))):
            self.page(link.replace("&amp;", "&"))

    def page(self, address: str) -> str:
        answer = self.visitor.get(address)
        assert answer.status_code < 500, address
        return b"".join(answer).decode(errors="replace")


def written(files: Files, folder: Path) -> Path:
    """A bundle on disk."""
    shutil.rmtree(folder, ignore_errors=True)
    for name, data in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(data)
    return folder


def resident() -> int:
    """Memory of this process, in bytes."""
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * resource.getpagesize()


def main() -> int:
    """Prints one line of JSON: what was tried, and what was found."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seed", type=int, required=True)
    parser.add_argument("--seconds", type=float, required=True)
    parser.add_argument("--rounds", type=int, default=10**9)
    parser.add_argument("--folder", type=Path, required=True)
    given = parser.parse_args()
    resource.setrlimit(resource.RLIMIT_AS, (ADDRESS_SPACE, ADDRESS_SPACE))
    setup_test_environment()
    call_command("migrate", verbosity=0)
    worker = Worker(given.seed, given.folder)
    worker.scratch.mkdir(parents=True)
    worker.run(given.seconds, given.rounds)
    shutil.rmtree(worker.scratch)
    print(json.dumps({"rounds": worker.rounds, "found": worker.finds}))
    return 1 if worker.finds else 0


if __name__ == "__main__":
    code = main()
    sys.stdout.flush()
    os._exit(code)
