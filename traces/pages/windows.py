"""A start and a total flow in, a window with its earlier and later neighbours flows out."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Window:
    """Rows `start` to `stop` of `total`."""

    asked: int
    size: int
    total: int

    @property
    def start(self) -> int:
        """The first row, from 0; a start beyond the end gives the last window."""
        last = max(0, self.total - 1) // self.size * self.size
        return self.asked if self.asked < self.total else last

    @property
    def stop(self) -> int:
        """One past the last row."""
        return min(self.start + self.size, self.total)

    @property
    def whole(self) -> bool:
        """Whether everything is shown."""
        return self.stop - self.start == self.total

    @property
    def first(self) -> int:
        """The first row, from 1."""
        return self.start + 1 if self.total else 0

    @property
    def earlier(self) -> int | None:
        """Where the window before begins."""
        return max(0, self.start - self.size) if self.start else None

    @property
    def later(self) -> int | None:
        """Where the window after begins."""
        return self.stop if self.stop < self.total else None

    @property
    def earlier_count(self) -> int:
        """How many rows the link to the window before shows."""
        return min(self.start, self.size)

    @property
    def later_count(self) -> int:
        """How many rows the link to the window after shows."""
        return min(self.total - self.stop, self.size)


def asked_start(text: str | None) -> int:
    """A start from a query string; nonsense is the beginning."""
    return int(text) if text and text.isascii() and text.isdigit() and len(text) < 12 else 0
