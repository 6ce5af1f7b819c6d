"""A text flows in; the same text flows out with the controls that turn its direction around shown by their names."""

import re

# Embeddings, overrides, isolates and their ends reorder what stands around them. Plain marks only move themselves.
CONTROLS = re.compile("[\u202a-\u202e\u2066-\u2069]")


def shown(text: str) -> str:
    """Each control as its number in brackets: nothing on a page can pretend to stand elsewhere."""
    return CONTROLS.sub(lambda control: f"⟦U+{ord(control[0]):04X}⟧", text)
