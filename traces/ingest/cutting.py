"""A payload's bytes flow in, where it can be cut flows out: at the elements of its arrays, which others may repeat.

Requests repeat all earlier items byte for byte: what a payload has in common with one before is found by comparing
memory, and only the rest is looked into.
"""

from bisect import bisect_left
from contextlib import suppress
from dataclasses import dataclass, field

import msgspec

SMALLEST = 4096
SMALLEST_ELEMENT = 48
CHAINS = 4  # payloads that are remembered: one for each agent that is at work
ENDS = (b"}", b"]", b'"')
IN_ARRAY = b'{"":[0'
_fields = msgspec.json.Decoder(dict[str, msgspec.Raw])
_elements = msgspec.json.Decoder(list[msgspec.Raw])


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
        with suppress(msgspec.DecodeError, ValueError, RecursionError):
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
    at = elements[-1].end if elements else 0
    # What follows an element is the rest of its array and of the object around it: with a start of our own it is whole.
    start = IN_ARRAY + body[at:] if elements else body
    at -= len(IN_ARRAY) if elements else 0
    inside = 0
    for value in _fields.decode(start).values():
        text = bytes(value)
        inside = start.index(text, inside)
        if text.startswith(b"["):
            _add(text, at + inside, elements)
        inside += len(text)


def _add(array: bytes, start: int, elements: list[Element]) -> None:
    """The elements of one array."""
    end, gap = 0, 1
    for index, raw in enumerate(_elements.decode(array)):
        text = bytes(raw)
        # What stands between two elements is nearly always the same, and comparing is quicker than searching.
        at = end + gap if array.startswith(text, end + gap) else array.index(text, end)
        gap, end = at - end, at + len(text)
        # Of a number nobody could tell whether it ends here.
        if len(text) >= SMALLEST_ELEMENT and text[-1:] in ENDS:
            elements.append(Element(start + at, start + end, index == 0))
