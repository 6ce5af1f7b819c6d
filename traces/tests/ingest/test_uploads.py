"""The way of an upload: bytes on disk, then a place in the queue, then rows and a sentence."""

import shutil
import tarfile
import zipfile
from collections.abc import Callable, Iterator
from datetime import timedelta
from pathlib import Path

import pytest
from django.conf import settings
from django.utils import timezone

from traces import uploads
from traces.ingest import state_of
from traces.models import Rollout, Upload
from traces.tests.ingest.recordings import Copy, expected, recording_folder

pytestmark = pytest.mark.django_db
Zipped = Callable[[str], Path]


@pytest.fixture(autouse=True)
def _own_folder(tmp_path: Path, settings: object) -> None:
    settings.TRACESITE_DATA = tmp_path / "data"  # type: ignore[attr-defined]


def received(archive: Path, name: str = "") -> Upload:
    """An archive that somebody sent, and the queue after it has worked."""
    content = archive.read_bytes()
    upload = uploads.receive(name or archive.name, [content[:1000], content[1000:]], len(content))
    assert (upload.state, upload.path.read_bytes()) == ("waiting", content)
    uploads.queue.work()
    upload.refresh_from_db()
    return upload


def left_over() -> list[str]:
    """Files that lie in the data folder."""
    return [path.name for path in Path(settings.TRACESITE_DATA).rglob("*") if path.is_file()]


def test_an_archive_becomes_a_rollout(zipped: Zipped) -> None:
    upload = received(zipped("0.169.0/story"))
    rollout = Rollout.objects.get()
    assert (upload.state, upload.error, upload.events_done, upload.events_total) == ("done", "", 156, 156)
    assert list(upload.rollouts.all()) == [rollout]
    assert upload.verdicts[0]["rollout"] == rollout.public_id
    assert (upload.verdicts[0]["verdict"], upload.verdicts[0]["sentence"]) == ("new", "A new rollout with 156 events.")
    assert state_of(rollout) == expected("0.169.0/story")
    assert left_over() == []


def test_several_bundles_in_one_archive_are_several_rollouts(tmp_path: Path) -> None:
    archive = tmp_path / "both.tar.gz"
    with tarfile.open(archive, "w:gz") as packed:
        for name in ("0.169.0/retried", "0.125.0/interactive"):
            packed.add(recording_folder(name), name.replace("/", "-"))
    upload = received(archive)
    assert [each["verdict"] for each in upload.verdicts] == ["new", "new"]
    assert {rollout.schema_version for rollout in upload.rollouts.all()} == {1, 2}
    assert upload.events_done == upload.events_total


def test_the_same_archive_again(zipped: Zipped) -> None:
    first, second = received(zipped("0.169.0/killed")), received(zipped("0.169.0/killed"))
    assert [first.verdicts[0]["verdict"], second.verdicts[0]["verdict"]] == ["new", "same"]
    assert list(second.rollouts.all()) == list(first.rollouts.all())


def test_what_is_no_archive_says_so(tmp_path: Path) -> None:
    file = tmp_path / "notes.txt"
    file.write_text("just text")
    upload = received(file)
    assert upload.state == "failed"
    assert upload.error.startswith("notes.txt: ")
    assert "archive" in upload.error
    assert str(tmp_path) not in upload.error
    assert left_over() == [upload.public_id], "it can be tried again"
    upload.discard()
    assert left_over() == []


def test_an_archive_without_a_bundle_says_so(tmp_path: Path) -> None:
    archive = tmp_path / "photos.zip"
    with zipfile.ZipFile(archive, "w") as packed:
        packed.writestr("photo.txt", "no bundle")
    assert "No bundle" in received(archive).error


def test_a_schema_of_the_future_says_which_are_known(tmp_path: Path) -> None:
    copy = Copy("0.169.0/completed", tmp_path)
    manifest = copy.folder / "manifest.json"
    manifest.write_bytes(manifest.read_bytes().replace(b'"schema_version": 2', b'"schema_version": 3'))
    upload = received(Path(shutil.make_archive(str(tmp_path / "future"), "zip", copy.folder)))
    assert upload.state == "failed"
    assert "schema 3" in upload.error
    assert "1 and 2" in upload.error
    assert not Rollout.objects.exists()


def test_one_broken_bundle_does_not_lose_the_other(tmp_path: Path) -> None:
    good, bad = Copy("0.169.0/retried", tmp_path / "in"), Copy("0.169.0/completed", tmp_path / "in")
    (bad.folder / "manifest.json").write_text("{}")
    upload = received(Path(shutil.make_archive(str(tmp_path / "both"), "zip", good.folder.parent)))
    assert upload.state == "done"
    assert [each["verdict"] for each in upload.verdicts] == ["new"]
    assert "manifest" in upload.error


def test_a_sender_who_hangs_up_leaves_nothing_behind() -> None:
    def chunks() -> Iterator[bytes]:
        yield b"half an archive"
        raise ConnectionResetError

    with pytest.raises(ConnectionResetError):
        uploads.receive("half.zip", chunks())
    assert not Upload.objects.exists()
    assert left_over() == []


def test_after_a_restart_interrupted_uploads_go_on(zipped: Zipped) -> None:
    content = zipped("0.169.0/completed").read_bytes()
    upload = uploads.receive("completed.zip", [content])
    taken = Upload.objects.take()
    assert taken == upload
    assert Upload.objects.take() is None, "nobody else may take it"
    half = Upload.objects.create(name="half.zip")
    (uploads.folder("uploads") / f"{half.public_id}.part").write_bytes(b"half")
    uploads.tidy()
    assert not Upload.objects.filter(pk=half.pk).exists()
    uploads.queue.work()
    upload.refresh_from_db()
    assert upload.state == "done"
    assert left_over() == []


def test_a_file_that_vanished_says_so(zipped: Zipped) -> None:
    upload = uploads.receive("gone.zip", [zipped("0.169.0/completed").read_bytes()])
    upload.path.unlink()
    uploads.queue.work()
    upload.refresh_from_db()
    assert upload.state == "failed"
    assert upload.error


def test_a_failed_upload_is_tried_again(zipped: Zipped, tmp_path: Path) -> None:
    file = tmp_path / "notes.txt"
    file.write_text("just text")
    upload = received(file)
    upload.path.write_bytes(zipped("0.169.0/completed").read_bytes())
    assert upload.retry()
    uploads.queue.work()
    upload.refresh_from_db()
    assert (upload.state, upload.error) == ("done", "")
    assert not upload.retry(), "there is nothing to try again"
    assert left_over() == []


def test_a_deleted_rollout_that_is_uploaded_again_is_back(zipped: Zipped) -> None:
    rollout = received(zipped("0.169.0/completed")).rollouts.get()
    Rollout.objects.update(deleted_at=timezone.now())
    again = received(zipped("0.169.0/completed"))
    assert again.rollouts.get() == rollout == Rollout.objects.visible().get()


def test_what_was_deleted_a_minute_ago_is_gone(zipped: Zipped) -> None:
    received(zipped("0.169.0/completed"))
    Rollout.objects.update(deleted_at=timezone.now() - timedelta(seconds=30))
    uploads.queue.work()
    assert Rollout.objects.exists()
    Rollout.objects.update(deleted_at=timezone.now() - timedelta(seconds=90))
    uploads.queue.work()
    assert not Rollout.objects.exists()
    assert not Upload.objects.get().rollouts.exists()
