"""JSON bytes flow in, whether they nest deeper than somebody wants to read flows out."""

from __future__ import annotations

import re

_STRINGS = re.compile(rb'"[^"\\]*+(?:\\.[^"\\]*+)*+"', re.DOTALL)
_NOT_OF_INTEREST = bytes(set(range(256)) - set(b'[]{}"\\'))


def nests_deeper(data: bytes, most: int) -> bool:
    """Whether arrays and objects nest more than so many levels."""
    if data.count(b"[") + data.count(b"{") <= most:
        return False
    # Text away first: an escaped character may be a bracket, but what is left between quotes still ends at a quote.
    depth = 0
    for bracket in _STRINGS.sub(b"", data).translate(None, _NOT_OF_INTEREST):
        depth += 1 if bracket in b"[{" else -1
        if depth > most:
            return True
    return False
