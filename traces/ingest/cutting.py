"""A payload's bytes flow in, where it can be cut flows out: at the elements of its arrays, which others may repeat.

Requests repeat all earlier items byte for byte: what a payload has in common with one before is found by comparing
memory, and only the rest is looked into.
"""

import re
from bisect import bisect_left
from contextlib import suppress
from dataclasses import dataclass, field
from json import JSONDecoder

SMALLEST = 4096
SMALLEST_ELEMENT = 48
CHAINS = 4  # payloads that are remembered: one for each agent that is at work
_SPACE = re.compile(r"[ \t\n\r]*")
# Numbers are skipped, not read: a long one would take its time.
_decoder = JSONDecoder(strict=False, parse_int=len, parse_float=len, parse_constant=len)


@dataclass(slots=True)
class Element:
    """One element of an array; what stands between it and the one before is a separator, before the first a text."""

    start: int
    end: int
    first: bool


@dataclass(slots=True, eq=False)
class Cut:
    """A payload, where its elements lie, and how many of them are those of the payload before."""

    body: bytes
    elements: list[Element]
    before: "Cut | None" = None
    kept: int = 0
    # What it is made of, in tokens; after each element: how many tokens there are, and what stands between the next.
    tokens: list[int] = field(default_factory=list)
    counts: list[int] = field(default_factory=list)
    glues: list[bytes] = field(default_factory=list)
    # Where its recipe stands.
    run: int = 0
    step: int = 0


class Cutter:
    """Remembers the last payloads, for the next ones repeat them."""

    def __init__(self) -> None:
        self.known: list[Cut] = []

    def cut(self, body: bytes) -> Cut | None:
        """Its elements; None where it is better whole."""
        if len(body) < SMALLEST or not body.startswith(b"{"):
            return None
        cut = self._continued(body) or Cut(body, [])
        # No JSON, or cut off: the elements up to there are as good as any.
        with suppress(ValueError, IndexError, StopIteration, RecursionError):
            scan(body, cut.elements)
        if len(cut.elements) < 2:
            return None
        self.known = [cut, *(one for one in self.known if one is not cut.before)][:CHAINS]
        return cut

    def _continued(self, body: bytes) -> Cut | None:
        """With the elements of the payload that begins like this one for the longest time."""
        kept, _, before = max(
            ((common(one, body), -at, one) for at, one in enumerate(self.known)), default=(0, 0, None)
        )
        return Cut(body, before.elements[:kept], before, kept) if before is not None and kept else None


def common(before: Cut, body: bytes) -> int:
    """How many elements both begin with, and what stands around them."""
    memory, elements = memoryview(before.body), before.elements
    return bisect_left(range(len(elements)), True, key=lambda index: not body.startswith(memory[: elements[index].end]))


def scan(body: bytes, elements: list[Element]) -> None:
    """Adds the elements that follow those that are known."""
    # One character for each byte: positions stay, and JSON's own signs are the same in both.
    start = elements[-1].end if elements else 0
    text = body[start:].decode("latin-1")
    at = 0
    if elements:
        at = _array(text, 0, start, elements, first=False)
    else:
        at = _skip(text, 1)
        if text[at] == "}":
            return
        at = _field(text, at, start, elements)
    while text[at] == ",":
        at = _field(text, _skip(text, at + 1), start, elements)


def _field(text: str, at: int, start: int, elements: list[Element]) -> int:
    """One field of the object; the next sign after it."""
    if text[at] != '"':
        raise ValueError("no field")
    _, at = _decoder.raw_decode(text, at)
    at = _skip(text, _skip(text, at) + 1)
    if text[at] == "[":
        opened = _skip(text, at + 1)
        if text[opened] == "]":
            return _skip(text, opened + 1)
        return _array(text, _element(text, opened, start, elements, first=True), start, elements, first=False)
    _, at = _decoder.raw_decode(text, at)
    return _skip(text, at)


def _array(text: str, at: int, start: int, elements: list[Element], first: bool) -> int:
    """The rest of an array; the next sign after it."""
    at = _skip(text, at)
    while text[at] == ",":
        at = _skip(text, _element(text, _skip(text, at + 1), start, elements, first))
    if text[at] != "]":
        raise ValueError("no end")
    return _skip(text, at + 1)


def _element(text: str, at: int, start: int, elements: list[Element], first: bool) -> int:
    _, end = _decoder.raw_decode(text, at)
    if text[end - 1] in '}]"' and end - at >= SMALLEST_ELEMENT:
        # Of a number nobody could tell whether it ends here.
        elements.append(Element(start + at, start + end, first))
    return end


def _skip(text: str, at: int) -> int:
    """The next sign that is no white space; IndexError is a ValueError here, as is whatever JSON does not allow."""
    found = _SPACE.match(text, at)
    end = found.end() if found else at
    if end >= len(text):
        raise ValueError("cut off")
    return end
