"""A folder on disk flows in, the manifest, the lines of the log and the payloads of a bundle flow out."""

from __future__ import annotations

import os
from collections.abc import Iterator
from functools import cached_property
from pathlib import Path
from typing import BinaryIO, NamedTuple

from traces.bundle.depth import nests_deeper
from traces.bundle.errors import BundleError, reason
from traces.bundle.limits import DEFAULT_LIMITS, REFERENCE_DEPTH, Limits
from traces.bundle.manifest import LOG_NAME, MANIFEST_NAME, Manifest, read_manifest
from traces.bundle.paths import open_inside, read_inside, size_inside

# What the client's language calls white space; Python's own list has four separators more.
_SPACE = "\t\n\v\f\r \x85\xa0\u1680\u2028\u2029\u202f\u205f\u3000" + "".join(map(chr, range(0x2000, 0x200B)))


class Line(NamedTuple):
    """One line of the log: its number from 1, its bytes without the line end, and whether a line end was there."""

    number: int
    data: bytes
    complete: bool


class Bundle:
    """A recording in a folder. Nothing is read before it is asked for, and no file outside the folder ever."""

    def __init__(self, path: Path | str, name: str = "", limits: Limits = DEFAULT_LIMITS) -> None:
        self.path = Path(path)
        self.limits = limits
        self.name = name or self.path.name or str(self.path)

    @cached_property
    def manifest(self) -> Manifest:
        """What `manifest.json` says."""
        try:
            return read_manifest(read_inside(self.path, MANIFEST_NAME, self.limits, "manifest_bytes"))
        except BundleError as error:
            raise self._here(error) from error

    def lines(self) -> Iterator[Line]:
        """The lines of the log that are not empty, one by one; numbers count the empty ones too."""
        try:
            with open_inside(self.path, LOG_NAME, self.limits) as file, os.fdopen(file, "rb", closefd=False) as log:
                yield from read_lines(log, self.limits)
        except OSError as error:
            raise BundleError(f"{LOG_NAME} cannot be read: {reason(error)}", where=self.name) from error
        except BundleError as error:
            raise self._here(error) from error

    def payload(self, path: str) -> bytes:
        """The bytes of a payload, by the path that an event names."""
        try:
            data = read_inside(self.path, path, self.limits, "payload_bytes")
            self._check_depth(path, data)
        except BundleError as error:
            raise self._here(error) from error
        return data

    def _check_depth(self, path: str, data: bytes) -> None:
        """Counting takes its time, and the reducer has the reference's limit anyway: only for a lower one."""
        most = self.limits.json_depth
        if most < REFERENCE_DEPTH and nests_deeper(data, most):
            raise self.limits.refusal("json_depth", f"{path} nests deeper than {most} levels")

    def payload_size(self, path: str) -> int:
        """How many bytes a payload has."""
        try:
            return size_inside(self.path, path, self.limits)
        except BundleError as error:
            raise self._here(error) from error

    def _here(self, error: BundleError) -> BundleError:
        place = f"{self.name}/{error.where}" if error.where else self.name
        return BundleError(error.what, where=place, hint=error.hint)


def read_lines(log: BinaryIO, limits: Limits = DEFAULT_LIMITS) -> Iterator[Line]:
    """Splits at line feeds only and drops one carriage return before each, as the client does."""
    number = 0
    while raw := log.readline(limits.line_bytes + 1):
        number += 1
        if len(raw) > limits.line_bytes:
            raise limits.refusal(
                "line_bytes", f"line {number} of {LOG_NAME} is longer than {limits.line_bytes:,} bytes"
            )
        complete = raw.endswith(b"\n")
        data = raw[:-1].removesuffix(b"\r") if complete else raw
        if not _is_blank(data):
            yield Line(number, data, complete)


def _is_blank(data: bytes) -> bool:
    if data.startswith(b"{"):
        return False
    return not data.decode(errors="replace").strip(_SPACE)


def find_bundles(folder: Path) -> list[Path]:
    """The folder itself, when it is a bundle, or else the bundles one folder down, by name."""
    try:
        if is_bundle(folder):
            return [folder]
        with os.scandir(folder) as entries:
            inner = sorted(entry.name for entry in entries if entry.is_dir(follow_symlinks=False))
    except OSError as error:
        raise BundleError(f"the folder cannot be read: {reason(error)}", where=folder.name) from error
    return [folder / name for name in inner if is_bundle(folder / name)]


def is_bundle(folder: Path) -> bool:
    """Whether a manifest and a log lie here; what is in them does not matter yet."""
    return all(os.path.isfile(folder / name) for name in (MANIFEST_NAME, LOG_NAME))
