"""Texts flow in, items of a conversation flow out, as a request or a response holds them."""

from __future__ import annotations

import json
from typing import Any

from bench.texts import Texts

Json = dict[str, Any]


class Items:
    """Makes one item after another; in schema 2 each has an id of its own."""

    def __init__(self, texts: Texts, schema: int) -> None:
        self._texts = texts
        self._schema = schema
        self._made = 0

    def message(self, role: str, text: str) -> Json:
        """Something that somebody said."""
        kind = "output_text" if role == "assistant" else "input_text"
        return self._item("message", "msg", role=role, content=[{"type": kind, "text": text}])

    def reasoning(self) -> Json:
        """A thought: a readable summary, and the whole for the provider alone."""
        texts = self._texts
        summary = [{"type": "summary_text", "text": texts.prose(texts.size(0.25))}]
        cipher = texts.cipher(texts.size())
        return self._item("reasoning", "rs", summary=summary, content=None, encrypted_content=cipher)

    def command(self) -> Json:
        """A call that runs a command."""
        return self._call("exec_command", {"cmd": self._words(self._texts.size(0.5)), "workdir": "/project"})

    def plan(self) -> Json:
        """A call of another tool."""
        return self._call("update_plan", {"plan": [{"step": self._words(80), "status": "pending"} for _ in range(4)]})

    def output(self, call_id: str, text: str) -> Json:
        """What a tool answered."""
        shown = f"Wall time: 0.1 seconds\nProcess exited with code 0\nOutput:\n{text}"
        return self._item("function_call_output", "fco", call_id=call_id, output=shown)

    def compaction(self) -> Json:
        """What stands for everything that was cut off."""
        return self._item("compaction", "cmp", encrypted_content=self._texts.cipher(4000))

    def _call(self, name: str, arguments: Json) -> Json:
        text = json.dumps(arguments, separators=(",", ":"), ensure_ascii=False)
        return self._item("function_call", "fc", name=name, arguments=text, call_id=f"call_{self._made + 1:08}")

    def _words(self, size: int) -> str:
        # Client 0.164.0 crashes where it cuts an argument inside a character.
        return self._texts.plain(size) if self._schema == 1 else self._texts.prose(size)

    def _item(self, kind: str, prefix: str, **fields: Any) -> Json:
        self._made += 1
        named = {"id": f"{prefix}_{self._made:08}"} if self._schema == 2 else {}
        return {"type": kind, **named, **fields}
