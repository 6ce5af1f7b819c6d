"""Items of a request or response flow in, what a conversation item says flows out, before it gets an identity.

Follows the schema-1 source of May 2026; what 0.164.0 and 0.169.0 do differently was asked of them: messages between
agents are items of their own, and 0.169.0 gives a part that it keeps by reference the digest of its content.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import msgspec

from traces.reducer.errors import ReductionError
from traces.reducer.graph import AgentMessage, Part, TokenUsage
from traces.reducer.items import MatchKey
from traces.reducer.serde import Number, content_sha256, decode, get, summary, text_of


class Normalized(msgspec.Struct):
    """An item as one payload shows it."""

    role: str
    channel: str | None
    kind: str
    parts: list[Part]
    call_id: str | None = None
    agent_message: AgentMessage | None = None
    responses_id: str | None = None
    key: MatchKey = ()


class Source(msgspec.Struct, frozen=True):
    """Where items come from: the payload, and the schema whose rules apply."""

    raw_payload_id: str
    schema: int


ROLES = frozenset({"system", "developer", "user", "assistant", "tool"})
CHANNELS = {"commentary": "commentary", "final_answer": "final", "summary": "summary"}
TEXT_TYPES = frozenset({"input_text", "output_text", "text"})


def normalize(item: Any, source: Source) -> Normalized | None:
    """What an item says, None if it is no part of the conversation; raises ReductionError where the reference does."""
    item_type = text_of(item, "type")
    if item_type == "additional_tools":
        return None
    if item_type is None:
        raise ReductionError(f"an item of payload {source.raw_payload_id} has no type")
    rule = RULES.get(item_type)
    if rule is None:
        raise ReductionError(f"payload {source.raw_payload_id} holds an item of unknown type {item_type}")
    found = rule(item, source)
    if source.schema >= 2:
        found.responses_id = text_of(item, "id")
    found.key = match_key(found)
    return found


def match_key(found: Normalized) -> MatchKey:
    """What makes two sightings the same item.

    A reasoning item is known by its sealed content where it has one: later requests may show less of its text.
    """
    if found.kind == "reasoning":
        sealed = next((part["value"] for part in found.parts if part["type"] == "encoded"), None)
        if sealed is not None:
            return (found.kind, sealed)
    parts = tuple(_part_key(part) for part in found.parts)
    return (found.role, found.channel, found.kind, found.call_id, found.agent_message, parts)


def _part_key(part: Part) -> tuple[str, ...]:
    if part["type"] == "json":
        return ("json", part["summary"])
    if "content_sha256" in part:
        return ("payload_ref", part["label"], part["content_sha256"])
    return tuple(part.values())


# --- messages ---------------------------------------------------------------------------------------------------------


def _message(item: Any, source: Source) -> Normalized:
    role = text_of(item, "role")
    if role not in ROLES:
        raise ReductionError(f"a message of payload {source.raw_payload_id} has no role that is known: {role}")
    channel = CHANNELS.get(text_of(item, "phase") or "")
    return Normalized(role, channel, "message", content_parts(get(item, "content"), source))


def _agent_message(item: Any, source: Source) -> Normalized:
    author, recipient, content = text_of(item, "author"), text_of(item, "recipient"), get(item, "content")
    if author is None or recipient is None or not isinstance(content, list):
        raise ReductionError(
            f"a message between agents in payload {source.raw_payload_id} lacks author, recipient or content"
        )
    parts = [_agent_part(part, source) for part in content]
    if not parts:
        raise ReductionError(f"a message between agents in payload {source.raw_payload_id} is empty")
    about = AgentMessage(author, recipient)
    return Normalized("assistant", "analysis", "message", parts, agent_message=about)


def _agent_part(part: Any, source: Source) -> Part:
    part_type = text_of(part, "type")
    text, sealed = text_of(part, "text"), text_of(part, "encrypted_content")
    if part_type == "input_text" and text is not None:
        return {"type": "text", "text": text}
    if part_type == "encrypted_content" and sealed is not None:
        return {"type": "encoded", "label": "encrypted_content", "value": sealed}
    raise ReductionError(
        f"a message between agents in payload {source.raw_payload_id} has a part that is not known: {part_type}"
    )


def content_parts(content: Any, source: Source) -> list[Part]:
    """The parts of a message or of a tool's output."""
    if not isinstance(content, list):
        return [_reference("content", source)]
    parts = [found for part in content if (found := _content_part(part, source)) is not None]
    if not parts and source.schema == 1:
        return [_reference("empty_content", source)]
    return parts


def _content_part(part: Any, source: Source) -> Part | None:
    part_type = text_of(part, "type")
    if part_type in TEXT_TYPES:
        text = text_of(part, "text")
        return None if text is None else {"type": "text", "text": text}
    return _reference(part_type if part_type is not None else "content", source, part)


def _reference(label: str, source: Source, *content: Any) -> Part:
    part = {"type": "payload_ref", "label": label, "raw_payload_id": source.raw_payload_id}
    if content and source.schema >= 2:
        part["content_sha256"] = content_sha256(content[0])
    return part


# --- reasoning --------------------------------------------------------------------------------------------------------


def _reasoning(item: Any, source: Source) -> Normalized:
    content, sealed = get(item, "content"), get(item, "encrypted_content")
    parts = _reasoning_parts(content, ("reasoning_text", "text"), "text", source) if content is not None else []
    if "summary" in item:
        parts += _reasoning_parts(item["summary"], ("summary_text",), "summary", source)
    if sealed is not None and not isinstance(sealed, str):
        raise ReductionError(f"reasoning in payload {source.raw_payload_id} has encrypted_content that is no text")
    if sealed is not None:
        parts.append({"type": "encoded", "label": "encrypted_content", "value": sealed})
    if not parts:
        raise ReductionError(
            f"reasoning in payload {source.raw_payload_id} has no content, summary or encrypted_content"
        )
    return Normalized("assistant", "analysis", "reasoning", parts)


def _reasoning_parts(entries: Any, types: tuple[str, ...], becomes: str, source: Source) -> list[Part]:
    if not isinstance(entries, list):
        raise ReductionError(f"reasoning in payload {source.raw_payload_id} has text that is no list")
    parts: list[Part] = []
    for entry in entries:
        text = text_of(entry, "text")
        if text_of(entry, "type") not in types or text is None:
            raise ReductionError(f"reasoning in payload {source.raw_payload_id} has a part that is not known")
        parts.append({"type": becomes, "text": text})
    return parts


# --- calls and their outputs ------------------------------------------------------------------------------------------


def _json(value: Any, source: Source) -> list[Part]:
    return [{"type": "json", "summary": summary(value), "raw_payload_id": source.raw_payload_id}]


def _arguments(item: Any, source: Source) -> list[Part]:
    if "arguments" not in item:
        return [_reference("payload", source)]
    arguments = item["arguments"]
    if not isinstance(arguments, str):
        return _json(arguments, source)
    try:
        return _json(decode(arguments.encode()), source)
    except ValueError:
        return [{"type": "text", "text": arguments}]


def _custom_input(item: Any, source: Source) -> list[Part]:
    text = text_of(item, "input")
    if text is None:
        return _json(item, source)
    if text_of(item, "name") == "exec":
        return [{"type": "code", "language": "javascript", "source": text}]
    return [{"type": "text", "text": text}]


def _output(item: Any, source: Source) -> list[Part]:
    if "output" not in item:
        return [_reference("tool_output", source)]
    output = item["output"]
    if isinstance(output, str):
        return [{"type": "text", "text": output}]
    return content_parts(output, source) if isinstance(output, list) else _json(output, source)


Rule = Callable[[Any, Source], Normalized]


def _called(role: str, kind: str, parts: Callable[[Any, Source], list[Part]]) -> Rule:
    def rule(item: Any, source: Source) -> Normalized:
        return Normalized(role, "commentary", kind, parts(item, source), text_of(item, "call_id"))

    return rule


def _compaction(item: Any, source: Source) -> Normalized:
    sealed = text_of(item, "encrypted_content")
    if sealed is None:
        raise ReductionError(f"a compaction in payload {source.raw_payload_id} has no encrypted_content")
    return Normalized(
        "assistant", "summary", "message", [{"type": "encoded", "label": "encrypted_content", "value": sealed}]
    )


RULES: dict[str, Rule] = {
    "message": _message,
    "agent_message": _agent_message,
    "reasoning": _reasoning,
    "function_call": _called("assistant", "function_call", _arguments),
    "function_call_output": _called("tool", "function_call_output", _output),
    "custom_tool_call": _called("assistant", "custom_tool_call", _custom_input),
    "custom_tool_call_output": _called("tool", "custom_tool_call_output", _output),
    **dict.fromkeys(
        ("tool_search_call", "web_search_call", "image_generation_call", "local_shell_call"),
        _called("assistant", "function_call", _json),
    ),
    **dict.fromkeys(
        ("tool_search_output", "mcp_tool_call_output"),
        _called("tool", "function_call_output", _json),
    ),
    **dict.fromkeys(("compaction", "compaction_summary", "context_compaction"), _compaction),
}


def token_usage(value: Any) -> TokenUsage | None:
    """The provider's counts; None where one of them is missing. Negative counts are zero."""
    counts = [_count(value, field) for field in TokenUsage.__struct_fields__]
    counts[2] = counts[2] or 0
    if None in counts:
        return None
    return TokenUsage(*(count for count in counts if count is not None))


def _count(value: Any, field: str) -> int | None:
    count = get(value, field)
    if isinstance(count, bool) or not isinstance(count, int) or isinstance(count, Number) or count >= 2**63:
        return None
    return max(count, 0) if count >= -(2**63) else None
