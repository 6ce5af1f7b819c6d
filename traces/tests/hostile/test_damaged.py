"""Damaged and hostile uploads flow in; a clear sentence flows out, nothing is lost, nothing is left lying around."""

import resource
from pathlib import Path

import pytest
from django.conf import settings
from django.test import Client

from traces import uploads
from traces.ingest import state_of
from traces.models import Event, Rollout, Upload
from traces.tests.hostile.damaged import CASES, LIMITS, Case
from traces.tests.ingest.recordings import expected

pytestmark = pytest.mark.django_db
JARGON = ("Traceback", "Error:", "Exception", "recursion", "/tmp/")


@pytest.fixture(autouse=True)
def _own_folder(tmp_path: Path, settings: object) -> None:
    settings.TRACESITE_DATA = tmp_path / "data"  # type: ignore[attr-defined]
    settings.TRACESITE_LIMITS = LIMITS  # type: ignore[attr-defined]


def outcome(case: Case) -> tuple[Upload, str]:
    """The upload, and all that is said of it."""
    upload = uploads.receive(case.name, [case.data])
    uploads.queue.work()
    upload.refresh_from_db()
    said = [upload.error, *(verdict["sentence"] for verdict in upload.verdicts)]
    return upload, " ".join(filter(None, said))


@pytest.mark.parametrize("name", CASES)
def test_a_clear_sentence(name: str) -> None:
    case = CASES[name]
    upload, said = outcome(case)
    assert case.sentence in said
    assert not [word for word in JARGON if word in said]
    assert said.isprintable()
    assert said.endswith((".", "."))
    assert list((Path(settings.TRACESITE_DATA) / "scratch").iterdir()) == []
    check(case, upload)


def check(case: Case, upload: Upload) -> None:
    if case.end == "refused":
        assert (upload.state, Rollout.objects.count()) == ("failed", 0)
        # Nothing is lost: it can be tried again with other limits.
        assert upload.path.read_bytes() == case.data
        return
    rollout = Rollout.objects.get()
    assert (upload.state, upload.error) == ("done", "")
    assert (rollout.stopped, rollout.events) == (case.end == "stopped", case.events)
    assert Event.objects.filter(rollout=rollout).count() == case.events
    if rollout.stopped:
        assert rollout.stopped_what in said_of(upload)


def said_of(upload: Upload) -> str:
    return str(upload.verdicts[0]["sentence"])


def test_what_nobody_damaged_is_read_within_these_limits() -> None:
    upload, _ = outcome(CASES["записи.tar.gz"])
    assert state_of(upload.rollouts.get()) == expected("0.169.0/retried")


def test_a_disk_that_fills_up_while_an_upload_is_kept(client: Client) -> None:
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (2_000_000, before[1]))
    try:
        answer = client.post("/uploads/?name=a.zip", bytes(3_000_000), content_type="application/zip")
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    assert answer.status_code == 400
    assert answer["X-Sentence"].startswith("It could not be written to the disk of this site (file too large)")
    assert not Upload.objects.exists()
    assert [path for path in Path(settings.TRACESITE_DATA).rglob("*") if path.is_file()] == []
