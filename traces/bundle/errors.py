"""What is wrong with somebody's bundle flows in, one sentence for people flows out."""

from __future__ import annotations


class BundleError(Exception):
    """The only exception that leaves this room.

    `what` is wrong, `where` (a file's name, never a path of the server), and a `hint` what to do about it.
    """

    def __init__(self, what: str, *, where: str = "", hint: str = "") -> None:
        super().__init__(what)
        self.what = what
        self.where = where
        self.hint = hint

    def __str__(self) -> str:
        place = f"{self.where}: " if self.where else ""
        advice = f"; {self.hint}" if self.hint else ""
        return f"{place}{self.what}{advice}"


def wrong_json(error: Exception) -> str:
    """What a JSON library says of a document, without the words that only its own programmers know."""
    if isinstance(error, UnicodeDecodeError):
        return f"byte {error.start:,} is not UTF-8 text"
    return str(error)


def reason(error: OSError) -> str:
    """What the system says of an error, without the path, which is none of a visitor's business."""
    return error.strerror.lower() if error.strerror else type(error).__name__
