"""Archives flow in, reduced rollouts flow out: bytes to disk first, then one after the other, also after a restart."""

import logging
import os
import threading
import time
from collections.abc import Callable, Iterable
from pathlib import Path

from django.conf import settings
from django.core.files.storage import default_storage
from django.db import DatabaseError, OperationalError, close_old_connections, transaction

from traces.bundle.archives import open_bundles
from traces.bundle.errors import BundleError, reason
from traces.bundle.leftovers import sweep
from traces.bundle.reader import Bundle
from traces.ingest import Ingested, ingest_bundle
from traces.ingest.apart import builder
from traces.ingest.pipe import Build
from traces.models import Pack, Rollout, Upload
from traces.models.fields import plain
from traces.models.pieces import lock_store
from traces.reducer import ReductionError

log = logging.getLogger(__name__)
LOOK_EVERY = 5.0  # seconds; another process may have received an upload
ASK_EVERY = 0.1  # seconds; whether another process has finished it
TELL_EVERY = 0.25  # seconds between two notes of progress
REFUSALS = (BundleError, ReductionError)
UNEXPECTED = "Something went wrong on our side while reading it; the file is kept."


def folder(name: str) -> Path:
    """A folder below the data folder, made when it is missing."""
    path = Path(settings.TRACESITE_DATA) / name
    path.mkdir(mode=0o700, parents=True, exist_ok=True)
    return path


def receive(name: str, chunks: Iterable[bytes], size: int = 0) -> Upload:
    """Writes an upload to disk, and only then has it looked at. What breaks off half-way leaves nothing behind."""
    upload = Upload.objects.create(name=plain(name), size=size)
    part = folder("uploads") / f"{upload.public_id}.part"
    try:
        received = _write(part, chunks)
        part.rename(upload.path)
    except BaseException:
        part.unlink(missing_ok=True)
        upload.delete()
        raise
    upload.size = upload.received = received
    upload.state = Upload.State.WAITING
    upload.save()
    wake()
    return upload


def _write(path: Path, chunks: Iterable[bytes]) -> int:
    with path.open("wb") as file:
        for chunk in chunks:
            file.write(chunk)
        file.flush()
        os.fsync(file.fileno())
        return file.tell()


def reduce_upload(upload: Upload) -> None:
    """Brings an upload into rows, or says in a sentence why that cannot be."""
    upload.verdicts, upload.error = [], ""
    try:
        limits = settings.TRACESITE_LIMITS
        with (
            builder(upload.path.stat().st_size) as build,
            open_bundles(upload.path, folder("scratch"), limits, upload.name) as bundles,
        ):
            _reduce_all(upload, bundles, build)
    except REFUSALS as error:
        upload.error = f"{error}."
    except OSError as error:
        upload.error = f"{upload.name} cannot be read: {reason(error)}."
    upload.state = Upload.State.DONE if upload.verdicts else Upload.State.FAILED
    upload.save()
    if upload.state == Upload.State.DONE:
        # A failed one keeps its bytes: it can be tried again, until somebody deletes it.
        upload.path.unlink(missing_ok=True)


def _reduce_all(upload: Upload, bundles: list[Bundle], build: Build) -> None:
    """One after the other; one that cannot be read is no reason to leave out the next."""
    counts = [count_events(bundle) for bundle in bundles]
    upload.events_done, upload.events_total = 0, sum(counts)
    upload.save()
    sentences: list[str] = []
    for index, bundle in enumerate(bundles):
        before = sum(counts[:index])
        try:
            if not counts[index]:
                check_log(bundle)
            upload.verdicts.append(verdict(ingest_bundle(bundle, upload, Teller(upload, before), build)))
        except REFUSALS as error:
            sentences.append(f"{error}.")
    upload.events_done, upload.error = upload.events_total, " ".join(sentences)


def count_events(bundle: Bundle) -> int:
    """How many events a bundle has, for the progress bar; 0 where its log cannot be read, which is told later."""
    try:
        return sum(1 for _ in bundle.lines())
    except BundleError:
        return 0


def check_log(bundle: Bundle) -> None:
    """A log that cannot be read to its end is refused before anything of it becomes a row."""
    for _ in bundle.lines():
        pass


def verdict(ingested: Ingested) -> dict[str, str]:
    """What the page says of one bundle."""
    rollout = ingested.rollout
    return {
        "rollout": rollout.public_id,
        "title": rollout.title,
        "verdict": ingested.verdict,
        "sentence": ingested.sentence,
    }


class Teller:
    """Writes progress down, but not more often than anybody looks."""

    def __init__(self, upload: Upload, before: int) -> None:
        self.upload = upload
        self.before = before
        self.told = time.monotonic()

    def __call__(self, events: int) -> None:
        """So many events of this bundle are done."""
        self.upload.events_done = self.before + events
        if time.monotonic() - self.told > TELL_EVERY:
            self.told = time.monotonic()
            self.upload.save(update_fields=["events_done"])


class Queue:
    """One thread of this process that takes uploads from the database, until the process ends.

    It may end at any moment: what it was at waits in the database and on disk for the next start.
    """

    def __init__(self) -> None:
        self.bell = threading.Event()
        self.finished = threading.Condition()
        self.thread: threading.Thread | None = None

    def start(self) -> None:
        """Begins to work, first on whatever a restart interrupted."""
        if self.thread is None or not self.thread.is_alive():
            self.thread = threading.Thread(target=self._run, name="uploads", daemon=True)
            self.thread.start()

    def wake(self) -> None:
        """There is something to do."""
        self.bell.set()

    def _run(self) -> None:
        self._safely(tidy)
        while True:
            self.bell.clear()
            self._safely(self.work)
            self.bell.wait(LOOK_EVERY)

    def _safely(self, step: Callable[[], None]) -> None:
        close_old_connections()
        try:
            step()
        except DatabaseError:
            # The database may be busy, or away for a moment: the upload is still there, and so are we.
            log.exception("the upload queue could not reach the database")

    def work(self) -> None:
        """Takes waiting uploads until there are none; what was deleted long enough ago makes room first."""
        Rollout.objects.purge_expired()
        while (upload := Upload.objects.take()) is not None:
            self._work_on(upload)

    def _work_on(self, upload: Upload) -> None:
        try:
            reduce_upload(upload)
        except OperationalError:
            # Locked or away for a moment: the upload waits for the next round.
            log.exception("upload %s", upload.public_id)
            Upload.objects.filter(pk=upload.pk).update(state=Upload.State.WAITING)
            raise
        except Exception:
            log.exception("upload %s", upload.public_id)
            Upload.objects.filter(pk=upload.pk).update(state=Upload.State.FAILED, error=UNEXPECTED)
        finally:
            with self.finished:
                self.finished.notify_all()

    def wait_for(self, upload: Upload, seconds: float) -> None:
        """Returns when an upload is finished, or when this time is over; another process may be at it."""
        deadline = time.monotonic() + seconds
        while not upload.finished and (left := deadline - time.monotonic()) > 0:
            with self.finished:
                self.finished.wait(min(left, ASK_EVERY))
            upload.refresh_from_db()


def tidy() -> None:
    """After a restart: interrupted reductions wait again, half-received files and what was unpacked are gone."""
    Upload.objects.put_back()
    Upload.objects.filter(state=Upload.State.RECEIVING).delete()
    for part in folder("uploads").glob("*.part"):
        part.unlink(missing_ok=True)
    sweep(folder("scratch"))
    with transaction.atomic():
        # Whoever writes a pack's file holds this lock until its row is there.
        lock_store()
        for name in list(Pack.objects.orphans()):
            default_storage.delete(name)


queue = Queue()
start, wake, wait_for = queue.start, queue.wake, queue.wait_for
