"""Bytes of a rollout-trace bundle flow in, a manifest, typed events and payload bytes flow out; and the way back."""

import importlib
import sys
from types import ModuleType
from typing import cast


def _load(name: str, *, without: str) -> None:
    """Loads a module as if another one, which it can do without, were not installed."""
    loaded = cast(dict[str, ModuleType | None], sys.modules)
    if name in loaded or without in loaded:
        return
    loaded[without] = None  # the documented way to make an import fail
    try:
        importlib.import_module(name)
    finally:
        del loaded[without]


# msgspec asks typing_extensions for names that Python has had itself since 3.11. Where it is installed, loading it, and
# `inspect` with it, takes a tenth of the time in which a session of fifty inferences is reduced.
_load("msgspec", without="typing_extensions")
