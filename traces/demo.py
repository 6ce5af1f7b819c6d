"""A recording that ships with the site flows in; the same session flows out anew, event by event, at times of now.

Nothing is made up. The recorded text is kept, in the log and in every payload, and what belongs to the one recording is
replaced in it: ids, each always by the same other one, and moments, each by the moment at which it happens this time.
"""

from __future__ import annotations

import logging
import re
import secrets
import shutil
import threading
import time
import uuid
from bisect import bisect_right
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from functools import cache
from itertools import pairwise
from pathlib import Path
from typing import NamedTuple

import msgspec
from django.conf import settings

from traces.bundle import events
from traces.bundle.archives import open_bundles
from traces.bundle.errors import BundleError
from traces.bundle.events import Event, EventPayload, decode_event, payload_refs
from traces.bundle.manifest import LOG_NAME, Manifest, read_manifest
from traces.bundle.writer import BundleWriter

log = logging.getLogger(__name__)
STORY = Path(__file__).resolve().parent / "samples" / "01-story.tar.zst"
AT_ONCE = 3  # live samples of one server
SPEED = 1.0  # of these
KEPT = 24 * 3600  # seconds a finished one stays on disk; its rollout stays in the list

# The scripted model of the recording answers within 20 ms: seconds between two events, so that people see something.
LEAST, MOST, SLOWER = 0.1, 6.0, 2.0
THINKING, WORKING = 0.6, 0.25  # at least, before an inference's end and before a tool's

ANSWERS = (events.InferenceCompleted, events.InferenceFailed, events.InferenceCancelled)
RESULTS = (events.ToolCallRuntimeEnded, events.ToolCallEnded)

# What belongs to one recording: ids of the client, ids of the model's provider, and moments in all their spellings.
OWN = re.compile(
    r"(?P<uuid>[0-9a-f]{8}-(?:[0-9a-f]{4}-){3}[0-9a-f]{12})"
    r"|\b(?P<given>(?:call|ctc|fc|msg|req|resp|rs)_\d+)\b"
    r"|\b(?P<ms>1\d{12})\b"
    r"|\b(?P<fraction>1\d{9}\.\d+)\b"
    r"|\b(?P<second>1\d{9})\b"
    r'|(?<="duration_ms": )(?P<took>\d+)'
    r"|(?P<day>\d{4}/\d\d/\d\d/rollout-\d{4}-\d\d-\d\dT\d\d-\d\d-\d\d)"
)


class Line(NamedTuple):
    """One recorded event, as text, and the payloads that it names."""

    text: str
    event: Event
    bodies: list[str]


class Recording(NamedTuple):
    """A whole recording."""

    manifest: str
    lines: list[Line]


@cache
def story() -> Recording:
    """The recording that is played."""
    with open_bundles(STORY) as bundles:
        (bundle,) = bundles
        lines = [Line(line.data.decode(), decode_event(line.data), []) for line in bundle.lines()]
        for line in lines:
            line.bodies.extend(bundle.payload(ref.path).decode() for ref in payload_refs(line.event.payload))
        return Recording(bundle.manifest_body().decode(), lines)


def gap(before: Event, after: Event) -> float:
    """How many seconds lie between two events when they are played."""
    recorded = (after.wall_time_unix_ms - before.wall_time_unix_ms) / 1000
    return min(MOST, max(least(after.payload), recorded * SLOWER))


def least(payload: EventPayload) -> float:
    """An event that ends something does not come at once."""
    if isinstance(payload, ANSWERS):
        return THINKING
    return WORKING if isinstance(payload, RESULTS) else LEAST


def offsets(recorded: Sequence[Event], speed: float) -> list[float]:
    """When each event comes, in seconds from the first."""
    when = [0.0]
    for before, after in pairwise(recorded):
        when.append(when[-1] + gap(before, after) / speed)
    return when


class Anew:
    """Says a recorded text as it would be this time; `then` and `now` are the events' times in milliseconds."""

    def __init__(self, then: Sequence[int], now: Sequence[int]) -> None:
        self.then, self.now = then, now
        self.tag = str(secrets.randbelow(9 * 10**7) + 10**7)
        self.ids: dict[str, str] = {}
        self.seconds: dict[str, str] = {}

    def say(self, text: str, place: int) -> str:
        """The text of the event in this place of the log, or of a payload that it names."""
        return OWN.sub(lambda found: self._own(found, place), text)

    def _own(self, found: re.Match[str], place: int) -> str:
        old = found.group()
        match found.lastgroup:
            case "uuid":
                return self.ids.get(old) or self.ids.setdefault(old, self._uuid(old))
            case "given":
                return old.replace("_", f"_{self.tag}")
            case "took":
                return str(self.now[place] - self.at(self.then[place] - int(old)))
            case "day":
                return f"{self._moment(place):%Y/%m/%d/rollout-%Y-%m-%dT%H-%M-%S}"
        return self._time(old, found.lastgroup or "", place)

    def _uuid(self, old: str) -> str:
        """Of the same version; one that begins with a time begins with the time it has now."""
        new = str(uuid.uuid4())
        if old[14] == "7":
            moment = f"{self.at(int(old[:8] + old[9:13], 16)):012x}"
            return f"{moment[:8]}-{moment[8:]}-7{new[15:]}"
        return new[:14] + old[14] + new[15:]

    def _time(self, old: str, spelling: str, place: int) -> str:
        if not self.then[0] - 2000 < (int(old) if spelling == "ms" else float(old) * 1000) < self.then[-1] + 2000:
            return old  # a number that only looks like a time
        if spelling == "ms":
            return str(self.at(int(old)))
        if spelling == "fraction":
            return f"{self.at(round(float(old) * 1000)) / 1000:.3f}"
        # A second is as long as many events: it is the one in which it was said first.
        return self.seconds.setdefault(old, str(self.now[place] // 1000))

    def _moment(self, place: int) -> datetime:
        return datetime.fromtimestamp(self.now[place] / 1000, UTC)

    def at(self, recorded: int) -> int:
        """The moment that stands between the same two events as the recorded one."""
        place = bisect_right(self.then, recorded) - 1
        if place < 0:
            return self.now[0] + recorded - self.then[0]
        since = recorded - self.then[place]
        if place + 1 == len(self.then):
            return self.now[place] + since
        wide = self.then[place + 1] - self.then[place]
        return self.now[place] + since * (self.now[place + 1] - self.now[place]) // wide


class Demo:
    """One session to come: `folder` is where it will lie, `seconds` how long it takes."""

    def __init__(self, into: Path, speed: float = 1.0) -> None:
        self.recording = story()
        recorded = [line.event for line in self.recording.lines]
        self.offsets = offsets(recorded, speed)
        self.begins = time.time_ns() // 1_000_000
        then = [event.wall_time_unix_ms for event in recorded]
        self.anew = Anew(then, [self.begins + round(offset * 1000) for offset in self.offsets])
        self.manifest: Manifest = read_manifest(self.anew.say(self.recording.manifest, 0).encode())
        self.folder = into / f"trace-{self.manifest.trace_id}-{self.manifest.root_thread_id}"

    @property
    def seconds(self) -> float:
        """From the first event to the last."""
        return self.offsets[-1]

    def play(self, stop: threading.Event | None = None) -> bool:
        """Writes it as it happens; False where it was stopped, which leaves what a killed client leaves."""
        stop = stop or threading.Event()
        began = time.monotonic()
        with BundleWriter(self.folder, self.manifest) as writer:
            for place, offset in enumerate(self.offsets):
                if stop.wait(max(0.0, began + offset - time.monotonic())):
                    return False
                self._write(writer, place)
        return True

    def _write(self, writer: BundleWriter, place: int) -> None:
        """One event, after its payloads."""
        line = self.recording.lines[place]
        event = decode_event(self.anew.say(line.text, place).encode())
        for ref, body in zip(payload_refs(event.payload), line.bodies, strict=True):
            writer.payload(ref.kind.type, msgspec.Raw(self.anew.say(body, place).encode()))
        writer.event(
            event.payload,
            thread_id=event.thread_id,
            codex_turn_id=event.codex_turn_id,
            wall_time_unix_ms=self.anew.now[place],
        )


def folder() -> Path:
    """Where live samples are written; the site follows this folder always."""
    path = Path(settings.TRACESITE_DATA) / "demo"
    path.mkdir(mode=0o700, parents=True, exist_ok=True)
    return path


def clean(where: Path, now: float) -> None:
    """Live samples that nobody has written to for a day go."""
    for old in old_ones(where, now - KEPT):
        shutil.rmtree(old, ignore_errors=True)


def old_ones(where: Path, before: float) -> Iterator[Path]:
    """Folders of bundles whose log ends before this time."""
    for path in where.glob("trace-*"):
        written = path / LOG_NAME
        if not path.is_symlink() and written.is_file() and written.stat().st_mtime < before:
            yield path


room = threading.BoundedSemaphore(AT_ONCE)


def start() -> Demo | None:
    """Plays one in the background; None where enough of them play already."""
    if not room.acquire(blocking=False):
        return None
    try:
        clean(folder(), time.time())
        demo = Demo(folder(), SPEED)
        # A daemon: a site that ends does not wait, and the session ends like that of a killed client.
        threading.Thread(target=_perform, args=(demo,), name="demo", daemon=True).start()
    except BaseException:
        room.release()
        raise
    return demo


def _perform(demo: Demo) -> None:
    try:
        demo.play()
    except BundleError as error:
        log.warning("The live sample broke off: %s.", error)
    finally:
        room.release()
