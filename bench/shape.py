"""Words of a command line flow in, the shape of a session flows out, and the other way round."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from dataclasses import dataclass, fields
from pathlib import Path


@dataclass(frozen=True)
class Shape:
    """What a session is like; two sessions of one shape are the same to the byte."""

    inferences: int
    mean: int = 1000  # bytes of an item, on average
    compact_above: int = 0  # items in the live history; 0 is never
    schema: int = 2
    seed: int = 1

    @property
    def name(self) -> str:
        """A folder's name, another one for each shape."""
        compacted = f"-compacted-{self.compact_above}" if self.compact_above else ""
        return f"session-{self.inferences}-mean-{self.mean}{compacted}-schema-{self.schema}-seed-{self.seed}"

    def arguments(self) -> list[str]:
        """The words that `parse` reads."""
        return [f"--{field.name.replace('_', '-')}={getattr(self, field.name)}" for field in fields(self)]


def parse(words: Sequence[str] | None = None) -> tuple[Path, Shape]:
    """The folder to write and the session to write there."""
    parser = argparse.ArgumentParser(description="Writes a long session as a bundle.")
    parser.add_argument("folder", type=Path)
    parser.add_argument("--inferences", type=int, required=True)
    parser.add_argument("--mean", type=int, default=Shape.mean, help="bytes of an item, on average")
    parser.add_argument("--compact-above", type=int, default=0, help="items in the history; 0 is never")
    parser.add_argument("--schema", type=int, choices=(1, 2), default=Shape.schema)
    parser.add_argument("--seed", type=int, default=Shape.seed)
    given = vars(parser.parse_args(words))
    return given.pop("folder"), Shape(**given)
