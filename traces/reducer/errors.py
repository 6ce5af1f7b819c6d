"""A reason flows in, the one exception of this room flows out."""

from __future__ import annotations


class ReductionError(Exception):
    """An event could not be applied; `seq` and `line` say which (None and 0 until they are known)."""

    def __init__(self, what: str, seq: int | None = None, line: int = 0) -> None:
        super().__init__(what)
        self.what = what
        self.seq = seq
        self.line = line

    def __str__(self) -> str:
        """One line: what, seq, line."""
        places = [f"seq {self.seq}"] if self.seq is not None else []
        places += [f"line {self.line}"] if self.line else []
        what = " ".join(self.what.split())
        return f"{what} ({', '.join(places)})" if places else what
