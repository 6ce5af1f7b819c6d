"""Terminal events and turn ends flow in, how we know that an inference call ended flows out.

Evidence never enters `state.json`: the graph says how a call ended, this says which event shows it.
"""

from __future__ import annotations

from typing import Literal

import msgspec


class Evidence(msgspec.Struct):
    """How the end of one inference call is known.

    `observed`: its own terminal event, with the error or reason in `text`. `turn_end`: it was still running when its
    turn ended; `late_*` tell of a terminal event that came afterwards. `none`: nothing ended it.
    """

    kind: Literal["observed", "turn_end", "none"] = "none"
    seq: int | None = None
    event: str | None = None
    text: str = ""
    late_seq: int | None = None
    late_event: str | None = None
    late_text: str = ""
    late_items: int = 0

    def observe(self, seq: int, event: str, text: str) -> None:
        """The call's own terminal event ended it."""
        self.kind, self.seq, self.event, self.text = "observed", seq, event, text

    def close(self, seq: int) -> None:
        """The end of its turn ended it."""
        self.kind, self.seq, self.event = "turn_end", seq, "codex_turn_ended"

    def add_late(self, seq: int, event: str, text: str, items: int) -> None:
        """A terminal event came after the call had ended."""
        self.late_seq, self.late_event, self.late_text, self.late_items = seq, event, text, items
