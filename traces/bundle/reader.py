"""A folder or an unpacked archive flows in, the manifest, the lines of the log and the payloads flow out."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from functools import cached_property
from pathlib import Path
from typing import BinaryIO, NamedTuple, NoReturn

from traces.bundle.depth import nests_deeper
from traces.bundle.errors import BundleError, reason
from traces.bundle.limits import DEFAULT_LIMITS, REFERENCE_DEPTH, Limits
from traces.bundle.manifest import LOG_NAME, MANIFEST_NAME, PAYLOADS_NAME, Manifest, read_manifest
from traces.bundle.places import Folder, Place

# What the client's language calls white space; Python's own list has four separators more.
_SPACE = "\t\n\v\f\r \x85\xa0\u1680\u2028\u2029\u202f\u205f\u3000" + "".join(map(chr, range(0x2000, 0x200B)))


class Line(NamedTuple):
    """One line of the log: its number from 1, its bytes without the line end, and whether a line end was there.

    `gap` is what stands between it and the line before: a line end, and whatever lines were empty.
    """

    number: int
    data: bytes
    complete: bool
    gap: bytes = b""


class Bundle:
    """A recording. Nothing is read before it is asked for, and nothing from outside the place where it lies ever."""

    def __init__(self, place: Place | Path | str, name: str = "", limits: Limits = DEFAULT_LIMITS) -> None:
        self.place: Place = Folder(Path(place)) if isinstance(place, str | Path) else place
        self.limits = limits
        self.name = name or self.place.name

    @cached_property
    def manifest(self) -> Manifest:
        """What `manifest.json` says."""
        try:
            return read_manifest(self.place.read(MANIFEST_NAME, self.limits, "manifest_bytes"))
        except BundleError as error:
            raise self._here(error) from error

    def manifest_body(self) -> bytes:
        """`manifest.json`, byte for byte."""
        return self.place.read(MANIFEST_NAME, self.limits, "manifest_bytes")

    @contextmanager
    def log(self) -> Iterator[BinaryIO]:
        """`trace.jsonl`, byte for byte."""
        with self.place.open(LOG_NAME, self.limits) as log:
            yield log

    def log_size(self) -> int:
        """How many bytes the log has by now."""
        return self.place.size(LOG_NAME, self.limits)

    def lines(self) -> Iterator[Line]:
        """The lines of the log that are not empty, one by one; numbers count the empty ones too."""
        with self.open_lines() as lines:
            yield from lines

    @contextmanager
    def open_lines(self, position: int = 0, line: int = 0) -> Iterator[Lines]:
        """The lines of the log, and in the end what follows the last of them.

        `position` is where line number `line` ends, without its line end: the lines after it are read.
        """
        try:
            with self.log() as log:
                if position:
                    log.seek(position)
                yield Lines(log, self.limits, max(line - 1, 0))
        except OSError as error:
            raise BundleError(f"{LOG_NAME} cannot be read: {reason(error)}", where=self.name) from error
        except BundleError as error:
            raise self._here(error) from error

    def payload(self, path: str) -> bytes:
        """The bytes of a payload, by the path that an event names."""
        try:
            data = self.place.read(path, self.limits, "payload_bytes")
            self._check_depth(path, data)
        except BundleError as error:
            raise self._here(error) from error
        return data

    def payload_files(self) -> Iterator[str]:
        """The paths of all files in the folder of payloads, whether an event names them or not."""
        return self.place.files(PAYLOADS_NAME)

    def _check_depth(self, path: str, data: bytes) -> None:
        """Counting takes its time, and the reducer has the reference's limit anyway: only for a lower one."""
        most = self.limits.json_depth
        if most < REFERENCE_DEPTH and nests_deeper(data, most):
            raise self.limits.refusal("json_depth", f"{path} nests deeper than {most} levels")

    def payload_size(self, path: str) -> int:
        """How many bytes a payload has."""
        try:
            return self.place.size(path, self.limits)
        except BundleError as error:
            raise self._here(error) from error

    def _here(self, error: BundleError) -> BundleError:
        place = f"{self.name}/{error.where}" if error.where else self.name
        return BundleError(error.what, where=place, hint=error.hint)


class Lines:
    """The lines of a log that are not empty: split at line feeds only, one carriage return dropped before each.

    The client splits like that. When all are read, `rest` is what follows the last one.
    """

    def __init__(self, log: BinaryIO, limits: Limits = DEFAULT_LIMITS, number: int = 0) -> None:
        self.log = log
        self.limits = limits
        # Of the line before the first that is read here.
        self.number = number
        self.rest = b""

    def __iter__(self) -> Iterator[Line]:
        number, gap = self.number, bytearray()
        most = self.limits.line_bytes
        while raw := self.log.readline(most + 1):
            number += 1
            if len(raw) > most:
                self._refuse(f"line {number} of {LOG_NAME} is longer")
            complete = raw.endswith(b"\n")
            data = raw[:-1].removesuffix(b"\r") if complete else raw
            if _is_blank(data):
                gap += raw
                if len(gap) > most:
                    self._refuse(f"the empty lines up to line {number} of {LOG_NAME} are longer")
            else:
                yield Line(number, data, complete, bytes(gap))
                gap[:] = raw[len(data) :]
        self.rest = bytes(gap)

    def _refuse(self, what: str) -> NoReturn:
        raise self.limits.refusal("line_bytes", f"{what} than {self.limits.line_bytes:,} bytes")


def _is_blank(data: bytes) -> bool:
    if data.startswith(b"{"):
        return False
    return not data.decode(errors="replace").strip(_SPACE)
