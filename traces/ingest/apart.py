"""A bundle flows in, batches of rows flow out, built by a process of their own while this one writes those before.

A large recording takes seconds of computing, which would hold up every page of the site; and should it take more memory
than there is, the site is not what ends.
"""

import gc
import logging
import pickle
import signal
import subprocess
import sys
from collections.abc import Generator, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from multiprocessing import Pipe
from multiprocessing.connection import Connection
from multiprocessing.reduction import recv_handle, send_handle

from django.conf import settings

from traces.bundle.errors import BundleError
from traces.bundle.limits import Limits
from traces.bundle.reader import Bundle
from traces.bundle.unpacked import Index, Unpacked
from traces.ingest.batch import Batch, Stored
from traces.ingest.building import batches
from traces.ingest.pipe import Build

log = logging.getLogger(__name__)
COMMAND = "build"
ELSEWHERE = b""
PATIENCE = 5  # seconds for a process to end once nobody listens to it


@dataclass(slots=True)
class Job:
    """What has to be built; the file with the bundle's bytes is handed over beside it."""

    name: str
    limits: Limits
    index: Index
    root: str
    stored: Stored


@dataclass(slots=True)
class Refused:
    """A bundle that cannot be read."""

    what: str
    where: str
    hint: str


Said = Batch | Refused | None
"""What a building process says: a batch, why there are no more, or that it was the last."""


@contextmanager
def builder(size: int) -> Iterator[Build]:
    """How to build what an archive of so many bytes holds; a process needs its time to start: ask before unpacking."""
    if size < settings.TRACESITE_APART_BYTES:
        yield batches
        return
    with Apart() as apart:
        yield apart.batches


class Apart:
    """A process that builds one bundle; for the next ones there will be another."""

    def __init__(self) -> None:
        self.started: list[Process] = [Process()]

    def __enter__(self) -> "Apart":
        return self

    def __exit__(self, *_: object) -> None:
        while self.started:
            self.started.pop().end()

    def batches(self, bundle: Bundle, stored: Stored) -> Generator[Batch]:
        """The same that would be built here."""
        place = bundle.place
        if not isinstance(place, Unpacked):
            yield from batches(bundle, stored)
            return
        process = self.started.pop() if self.started else Process()
        try:
            process.give(Job(bundle.name, bundle.limits, place.index, place.root, stored), place.file)
            for batch in process.batches():
                _fill(batch, bundle)
                yield batch
        finally:
            process.end()


class Process:
    """A running `manage.py build`."""

    def __init__(self) -> None:
        self.pipe, theirs = Pipe()
        end = theirs.fileno()
        command = [sys.executable, str(settings.BASE_DIR / "manage.py"), COMMAND, str(end)]
        self.process = subprocess.Popen(command, pass_fds=[end], stdin=subprocess.DEVNULL)
        theirs.close()

    def give(self, job: Job, file: int) -> None:
        """What it has to do."""
        with self._alive():
            self.pipe.send_bytes(pickle.dumps(job))
            send_handle(self.pipe, file, self.process.pid)

    def batches(self) -> Iterator[Batch]:
        """What it makes of it."""
        while (said := self._said()) is not None:
            if isinstance(said, Refused):
                raise BundleError(said.what, where=said.where, hint=said.hint)
            yield said

    def _said(self) -> Said:
        with self._alive():
            said: Said = pickle.loads(self.pipe.recv_bytes())
        return said

    @contextmanager
    def _alive(self) -> Iterator[None]:
        try:
            yield
        except (EOFError, ConnectionError) as error:
            raise BundleError(self._how_it_ended(), hint="try it again") from error

    def _how_it_ended(self) -> str:
        try:
            code = self.process.wait(PATIENCE)
        except subprocess.TimeoutExpired:
            code = 0
        log.error("the process that reduces a bundle ended with %s", code)
        if code == -signal.SIGKILL:
            return "the process that reduced it was killed, perhaps because it took more memory than there is"
        return "the process that reduced it ended before its time"

    def end(self) -> None:
        """Whether it is done or not."""
        self.pipe.close()
        self.process.kill()
        self.process.wait()


def build(pipe: Connection) -> None:
    """What the other process does: it takes one job, says what comes of it, and ends when nobody listens."""
    job: Job = pickle.loads(pipe.recv_bytes())
    place = Unpacked(recv_handle(pipe), job.index, job.root)
    bundle = Bundle(place, job.name, job.limits)
    # A graph only grows: looking for garbage would find none.
    gc.disable()
    try:
        for batch in batches(bundle, job.stored):
            _empty(batch)
            _say(pipe, batch)
        _say(pipe, None)
    except BundleError as error:
        _say(pipe, Refused(error.what, error.where, error.hint))


def _say(pipe: Connection, said: Said) -> None:
    pipe.send_bytes(pickle.dumps(said, pickle.HIGHEST_PROTOCOL))


def _empty(batch: Batch) -> None:
    """Payloads are read here and there: reading them again is quicker than sending them."""
    for named in batch.payloads:
        if named.body.content is not None:
            named.body = replace(named.body, content=ELSEWHERE)


def _fill(batch: Batch, bundle: Bundle) -> None:
    for named in batch.payloads:
        if named.body.content is not None:
            named.body = replace(named.body, content=bundle.payload(named.body.ref.path))
