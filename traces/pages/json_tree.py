"""The bytes of a JSON document and a place in it flow in, one level of its tree flows out; nothing below is parsed.

A document may be hundreds of megabytes, so it never becomes Python objects: values are skipped by regular expressions,
which also keeps what a parser would drop, such as the first of two equal keys.
"""

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from itertools import islice
from typing import Literal

import msgspec

LENIENT = 8_000_000  # bytes: up to here documents are shown as a tree that only a lenient parser takes
COUNTED = 2_000_000  # bytes: how many values a larger container holds is not counted
REACHED = 1_000_000  # no window begins after so many values: getting there would take too long

SPACE = rb"[ \t\r\n]*+"
STRING = rb'"[^"\\]*+(?:\\.[^"\\]*+)*+"'
FLAT = rb'[^"\[\]{}]++|' + STRING


def _nested(levels: int) -> bytes:
    """What may stand inside of a container whose own containers are at most so deep."""
    inside = FLAT
    for _ in range(levels):
        inside = FLAT + rb"|\{(?:" + inside + rb")*+\}|\[(?:" + inside + rb")*+\]"
    return inside


HEAD = re.compile(SPACE + rb"(?:(" + STRING + rb")" + SPACE + rb":" + SPACE + rb")?", re.DOTALL)
COMMA = re.compile(SPACE + rb"(,)?")
SCALAR = re.compile(STRING + rb'|[^,\]}\s"]++', re.DOTALL)
BRACKET = re.compile(rb"(?:" + _nested(4) + rb")*+([\[\]{}])", re.DOTALL)
HIGH = re.compile(rb"[dD][89abAB]")  # how the first half of a surrogate pair begins
OPENING = b"[{"
CLOSING = b"]}"
Kind = Literal["object", "array", "string", "value"]


class NoSuchPlaceError(LookupError):
    """The document has nothing there."""


@dataclass(frozen=True)
class Place:
    """One value of a document: where it begins, its key, and its ordinals from the top."""

    body: bytes
    start: int
    path: tuple[int, ...] = ()
    key: str | None = None

    @cached_property
    def end(self) -> int:
        """One past its last byte."""
        return _end(self.body, self.start)

    @property
    def size(self) -> int:
        """Its length in bytes."""
        return self.end - self.start

    @property
    def kind(self) -> Kind:
        """Told by its first byte."""
        kinds: dict[bytes, Kind] = {b"{": "object", b"[": "array", b'"': "string"}
        return kinds.get(self.body[self.start : self.start + 1], "value")

    @property
    def opens(self) -> bool:
        """Whether it holds others."""
        return self.body[self.start : self.start + 1] in (b"{", b"[")

    @property
    def at(self) -> str:
        """Its path as an address has it."""
        return ".".join(map(str, self.path))

    def children(self) -> Iterator["Place"]:
        """What it holds, in order; a value is only skipped when the next one is asked for."""
        position, ordinal = self.start + 1, 0
        while True:
            head = HEAD.match(self.body, position)
            start = head.end() if head else position
            if not head or self.body[start : start + 1] in (b"", b"]", b"}"):
                return
            child = Place(self.body, start, (*self.path, ordinal), literal(head[1]) if head[1] else None)
            yield child
            comma = COMMA.match(self.body, child.end)
            if not comma or not comma[1]:
                return
            position, ordinal = comma.end(), ordinal + 1

    def child(self, ordinal: int) -> "Place":
        """The child with this number, from 0."""
        found = next(islice(self.children(), ordinal, None), None) if self.opens and ordinal < REACHED else None
        if found is None:
            raise NoSuchPlaceError(self.at)
        return found

    def count(self) -> int | None:
        """How many values it holds; nothing where counting would take too long."""
        return sum(1 for _ in self.children()) if self.opens and self.size <= COUNTED else None


def _end(body: bytes, start: int) -> int:
    if body[start] not in OPENING:
        scalar = SCALAR.match(body, start)
        return scalar.end() if scalar else start + 1
    depth, position = 1, start + 1
    while depth:
        bracket = BRACKET.match(body, position)
        if bracket is None:
            return len(body)
        depth += -1 if body[bracket.start(1)] in CLOSING else 1
        position = bracket.end()
    return position


def root(body: bytes) -> Place | None:
    """The whole document; nothing where it is none."""
    if not _is_json(body):
        return None
    head = re.match(SPACE, body)
    return Place(body, head.end() if head else 0)


def _is_json(body: bytes) -> bool:
    try:
        msgspec.json.decode(body, type=msgspec.Raw)  # checks the whole without building any of it
    except (msgspec.DecodeError, RecursionError):
        return len(body) <= LENIENT and _is_nearly_json(body)
    return True


def _is_nearly_json(body: bytes) -> bool:
    """With NaN, or halves of surrogate pairs."""
    try:
        json.loads(body)
    except (ValueError, RecursionError):
        return False
    return True


def place(body: bytes, path: tuple[int, ...]) -> Place:
    """The value at this path."""
    return trail(body, path)[-1]


def trail(body: bytes, path: tuple[int, ...]) -> list[Place]:
    """The values on the way to this path, the whole document first."""
    top = root(body)
    if top is None:
        raise NoSuchPlaceError("")
    places = [top]
    for ordinal in path:
        places.append(places[-1].child(ordinal))
    return places


def literal(source: bytes) -> str:
    """What a string's source says; as it stands where it says nothing a page could show."""
    for decode in (msgspec.json.decode, json.loads):
        try:
            # Half of a surrogate pair has no place in a page: its number stands for it.
            return str(decode(source)).encode("utf-8", "backslashreplace").decode()
        except (ValueError, RecursionError):
            continue
    return source[1:-1].decode("utf-8", "replace")


@dataclass(frozen=True)
class Text:
    """A window of a string."""

    text: str
    start: int  # bytes of its source before it
    stop: int | None  # where the next window begins


def text(string: Place, start: int, size: int) -> Text:
    """The window of a string that begins this many bytes into its source."""
    first, last = string.start + 1, string.end - 1
    begin = min(first + start, last)
    stop = safe_cut(string.body, begin, begin + size) if begin + size < last else last
    said = literal(b'"' + string.body[begin:stop] + b'"')
    return Text(said, begin - first, stop - first if stop < last else None)


def safe_cut(body: bytes, begin: int, cut: int) -> int:
    """At or a little before the cut, where neither an escape nor a character is torn."""
    for at in range(cut, max(begin, cut - 24), -1):
        if body[at] & 0xC0 != 0x80 and not _inside_escape(body, begin, at):
            return at
    return cut


def _inside_escape(body: bytes, begin: int, cut: int) -> bool:
    """Whether one of the last escapes before the cut goes on after it; a surrogate pair has twelve characters."""
    slash = body.rfind(b"\\", max(begin, cut - 11), cut)
    if slash < 0:
        return False
    run = slash
    while run > begin and body[run - 1 : run] == b"\\":
        run -= 1
    if (slash - run) % 2:
        return False  # the last one is itself escaped
    if body[slash + 1 : slash + 2] != b"u":
        return slash + 2 > cut
    pair = HIGH.match(body, slash + 2) is not None
    return slash + (12 if pair else 6) > cut
