"""A process of its own makes the very rows that would be made here; when it dies, that is one sentence."""

import os
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from pytest_django import Settings

from traces.bundle.archives import open_bundles
from traces.bundle.errors import BundleError
from traces.bundle.limits import DEFAULT_LIMITS, Limits
from traces.bundle.reader import Bundle
from traces.ingest import ingest_bundle, state_of
from traces.ingest.apart import Apart, builder
from traces.ingest.batch import Stored
from traces.ingest.building import batches
from traces.models import Rollout
from traces.tests.bundle.packing import Files, files_of, pack_tar
from traces.tests.fixtures.recordings import recording_folder
from traces.tests.ingest.dumps import dump
from traces.tests.ingest.recordings import Copy, expected

pytestmark = pytest.mark.django_db
NAMES = ["0.169.0/story", "0.169.0/code_mode", "0.128.0/agents", "0.152.0/compacted_inline", "0.169.0/killed"]


@contextmanager
def packed(folder: Path, files: Files, limits: Limits = DEFAULT_LIMITS) -> Iterator[Bundle]:
    """These files, unpacked from an archive."""
    archive = folder / "bundle.tar"
    archive.write_bytes(pack_tar(files))
    with open_bundles(archive, folder, limits) as (bundle,):
        yield bundle


@pytest.mark.parametrize("name", NAMES)
def test_the_same_rows_are_made(name: str, tmp_path: Path) -> None:
    files = files_of(Bundle(recording_folder(name)))
    with packed(tmp_path, files) as bundle:
        here = dump(ingest_bundle(bundle).rollout)
        Rollout.objects.all().delete()
        with Apart() as apart:
            rollout = ingest_bundle(bundle, build=apart.batches).rollout
    assert dump(rollout) == here
    assert state_of(rollout) == expected(name)


def test_a_recording_that_grows(tmp_path: Path) -> None:
    copy = Copy("0.169.0/story", tmp_path)
    copy.cut(60)
    with Apart() as apart:
        for count, verdict in ((60, "new"), (100, "continued"), (len(copy.lines), "continued"), (100, "same")):
            with packed(tmp_path, files_of(copy.cut(count))) as bundle:
                assert ingest_bundle(bundle, build=apart.batches).verdict == verdict
    assert state_of(Rollout.objects.get()) == expected("0.169.0/story")


def test_a_log_that_cannot_be_read_is_the_same_sentence(tmp_path: Path) -> None:
    files = files_of(Bundle(recording_folder("0.169.0/story")))
    limits = Limits(line_bytes=500)
    with packed(tmp_path, files, limits) as bundle, Apart() as apart:
        sentences = []
        for build in (batches, apart.batches):
            with pytest.raises(BundleError) as caught:
                list(build(bundle, Stored()))
            sentences.append(str(caught.value))
    assert sentences[0] == sentences[1]
    assert "TRACESITE_MAX_LINE_BYTES" in sentences[0]


def test_a_process_that_is_killed_is_a_sentence(tmp_path: Path) -> None:
    with packed(tmp_path, files_of(Bundle(recording_folder("0.169.0/story")))) as bundle, Apart() as apart:
        os.kill(apart.started[0].process.pid, signal.SIGKILL)
        apart.started[0].process.wait()
        with pytest.raises(BundleError, match=r"was killed, perhaps because it took more memory .*; try it again"):
            ingest_bundle(bundle, build=apart.batches)
        assert not Rollout.objects.exists()
        assert ingest_bundle(bundle, build=apart.batches).verdict == "new"


def test_no_process_stays_behind(tmp_path: Path) -> None:
    with packed(tmp_path, files_of(Bundle(recording_folder("0.169.0/story")))) as bundle:
        with Apart() as apart:
            unused = apart.started[0].process
        with Apart() as apart:
            used = apart.started[0].process
            built = apart.batches(bundle, Stored())
            next(built)
            built.close()
    assert (unused.poll(), used.poll()) == (-signal.SIGKILL, -signal.SIGKILL)


def test_only_large_archives_need_one(settings: Settings) -> None:
    settings.TRACESITE_APART_BYTES = 1000
    with builder(999) as build:
        assert build is batches
    with builder(1000) as build:
        assert build is not batches
