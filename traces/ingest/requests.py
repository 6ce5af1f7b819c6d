"""The items of one request after the other flow in, what each keeps of the one before and adds to it flows out."""

from dataclasses import dataclass

from traces.reducer.items import ItemIds

# A request's list is rebuilt from at most so many differences, which one query brings.
LONGEST_RUN = 128


@dataclass(slots=True, frozen=True)
class Difference:
    """A request as it is stored: the first `kept` items of `base`, then `items`."""

    inference_id: str
    base: str | None
    kept: int
    items: list[str]
    run: int
    step: int


class Requests:
    """The last request of every thread."""

    def __init__(self) -> None:
        self.last: dict[str, tuple[Difference, ItemIds]] = {}

    def take(self, thread_id: str, inference_id: str, number: int, ids: ItemIds) -> Difference:
        """Stores a request as a difference; `number` is the call's, so that no two runs are called alike."""
        known = self.last.get(thread_id)
        if known is None or known[0].step + 1 >= LONGEST_RUN:
            difference = Difference(inference_id, None, 0, ids.to_list(), number, 0)
        else:
            before, kept = known[0], common(known[1], ids)
            added = ids.shared[kept : ids.length]
            difference = Difference(inference_id, before.inference_id, kept, added, before.run, before.step + 1)
        self.last[thread_id] = difference, ids
        return difference


def common(before: ItemIds, ids: ItemIds) -> int:
    """How many items both begin with."""
    shortest = min(len(before), len(ids))
    if before.shared is ids.shared:
        return shortest
    pairs = enumerate(zip(before, ids, strict=False))
    return next((index for index, (old, new) in pairs if old != new), shortest)
