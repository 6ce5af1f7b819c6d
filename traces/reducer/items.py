"""Lists of conversation item ids flow in, views of shared lists and what a thread last showed the model flow out.

Every request repeats all earlier items, so lists of ids would grow with the square of a session. A request that extends
the one before it shares its list and only remembers how much of it is its own.
"""

from __future__ import annotations

from collections.abc import Container, Iterable, Iterator
from itertools import islice
from typing import Any

MatchKey = tuple[Any, ...]
"""What must be equal for two sightings to be the same item."""


class ItemIds:
    """The first `length` ids of a list that others may share and append to."""

    __slots__ = ("length", "shared")

    def __init__(self, shared: list[str], length: int) -> None:
        self.shared = shared
        self.length = length

    def __len__(self) -> int:
        return self.length

    def __iter__(self) -> Iterator[str]:
        return islice(self.shared, self.length)

    def to_list(self) -> list[str]:
        """The ids as a list of their own."""
        return self.shared[: self.length]


class Snapshot:
    """The items a thread last showed the model, in order, and where each can be found again.

    `keys` and `responses_ids` tell of every item what it must equal: its content, and the provider's id where both
    sightings have one (schema 2).
    """

    __slots__ = ("first", "ids", "keys", "positions", "responses_ids")

    def __init__(self, keys: dict[str, MatchKey], responses_ids: dict[str, str]) -> None:
        self.keys = keys
        self.responses_ids = responses_ids
        self.ids: list[str] = []
        self.positions: dict[MatchKey, list[int]] = {}
        self.first: dict[str, int] = {}

    def __len__(self) -> int:
        return len(self.ids)

    def extended(self, item_ids: Iterable[str]) -> Snapshot:
        """This snapshot with `item_ids` behind it; older views keep what they see."""
        for index, item_id in enumerate(item_ids, len(self.ids)):
            self.ids.append(item_id)
            self.positions.setdefault(self.keys[item_id], []).append(index)
            self.first.setdefault(item_id, index)
        return self

    def cut(self, length: int) -> None:
        """Forgets what stands from `length` on, without touching the list that older views share."""
        for index in range(len(self.ids) - 1, length - 1, -1):
            item_id = self.ids[index]
            found = self.positions[self.keys[item_id]]
            found.pop()
            if not found:
                del self.positions[self.keys[item_id]]
            if self.first[item_id] == index:
                del self.first[item_id]
        self.ids = self.ids[:length]

    def become(self, kept: int, item_ids: list[str]) -> ItemIds:
        """Makes this the first `kept` ids followed by `item_ids`, and returns a view of the whole."""
        same = 0
        while same < len(item_ids) and kept + same < len(self.ids) and self.ids[kept + same] == item_ids[same]:
            same += 1
        if kept + same < len(self.ids):
            self.cut(kept + same)
        self.extended(item_ids[same:])
        return self.view()

    def view(self) -> ItemIds:
        """The whole snapshot as it is now."""
        return ItemIds(self.ids, len(self.ids))

    def fits(self, item_id: str, key: MatchKey, responses_id: str | None) -> bool:
        """Whether an item is the one sought."""
        return self.keys[item_id] == key and same_id(self.responses_ids.get(item_id), responses_id)

    def at(self, index: int, key: MatchKey, responses_id: str | None) -> str | None:
        """The item at a place, if it is the one sought."""
        if index < len(self.ids) and self.fits(self.ids[index], key, responses_id):
            return self.ids[index]
        return None

    def find(self, key: MatchKey, responses_id: str | None, kept: int, used: Container[str]) -> str | None:
        """The first such item that is neither among the first `kept` ids nor in `used`."""
        for position in self.positions.get(key, ()):
            item_id = self.ids[position]
            if self.first[item_id] < kept or item_id in used:
                continue
            if same_id(self.responses_ids.get(item_id), responses_id):
                return item_id
        return None


def same_id(known: str | None, seen: str | None) -> bool:
    """Whether two ids of the provider can be the same; one that is not known can be any."""
    return known is None or seen is None or known == seen
