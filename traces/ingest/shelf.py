"""Payloads flow in, recipes flow out: each piece of them is named once, whoever repeats it.

Pieces have a number of this shelf's own; which of them the database has already is found out by who writes them.
"""

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass, field

from traces.ingest.cutting import Cut, Cutter
from traces.models.recipes import NO_GLUE, differ, glue_token, piece_token

LONGEST_RUN = 64


@dataclass(slots=True)
class Recipe:
    """What a payload is made of: kept from the one before at both ends, and the tokens between."""

    run: int | None
    step: int
    head: int
    tail: int
    middle: list[int]


@dataclass(slots=True)
class Shelf:
    """The pieces of one rollout."""

    # How many runs of recipes it has.
    runs: int = 0
    cutter: Cutter = field(default_factory=Cutter)
    mine: dict[bytes, int] = field(default_factory=dict)
    fresh: list[tuple[int, bytes, bytes]] = field(default_factory=list)

    def put(self, body: bytes, sha256: bytes) -> Recipe:
        """Takes a payload."""
        cut = self.cutter.cut(body)
        if cut is None:
            return Recipe(None, 0, 0, 0, [piece_token(self._piece(body, sha256))])
        self._lay_out(cut)
        before = self._stand(cut)
        head, tail = differ(before, cut.tokens, cut.counts[cut.kept - 1] if cut.step else 0)
        cut.before = None
        return Recipe(cut.run, cut.step, head, tail, cut.tokens[head : len(cut.tokens) - tail])

    def _stand(self, cut: Cut) -> list[int]:
        """Finds its place in a run; returns the tokens of the step before."""
        before = cut.before
        if before is None or before.step + 1 >= LONGEST_RUN:
            self.runs += 1
            cut.run, cut.step = self.runs, 0
            return []
        cut.run, cut.step = before.run, before.step + 1
        return before.tokens

    def _lay_out(self, cut: Cut) -> None:
        """Its tokens: those of the payload before as far as they are the same, then the rest."""
        before, at, glue = cut.before, 0, b""
        if before is not None:
            count = before.counts[cut.kept - 1]
            cut.tokens, cut.counts, cut.glues = (
                before.tokens[:count],
                before.counts[: cut.kept],
                before.glues[: cut.kept],
            )
            at, glue = cut.elements[cut.kept - 1].end, cut.glues[-1]
        body, tokens = cut.body, cut.tokens
        for element in cut.elements[cut.kept :]:
            gap = body[at : element.start]
            if element.first:
                tokens.extend(self._text(gap, glue))
                glue = b""
            elif gap != glue:
                tokens.append(glue_token(self._piece(gap)))
                glue = gap
            tokens.append(piece_token(self._piece(body[element.start : element.end])))
            cut.counts.append(len(tokens))
            cut.glues.append(glue)
            at = element.end
        tokens.extend(self._text(body[at:], glue))

    def _text(self, text: bytes, glue: bytes) -> Iterator[int]:
        """What stands around the elements."""
        if glue:
            yield NO_GLUE
        yield piece_token(self._piece(text))

    def _piece(self, content: bytes, sha256: bytes = b"") -> int:
        sha256 = sha256 or hashlib.sha256(content).digest()
        number = self.mine.get(sha256)
        if number is None:
            number = self.mine[sha256] = len(self.mine) + 1
            self.fresh.append((number, sha256, content))
        return number

    def hand_over(self) -> list[tuple[int, bytes, bytes]]:
        """The pieces that are new since the last time."""
        fresh, self.fresh = self.fresh, []
        return fresh
