"""Words flow in, the items of requests and responses that say them flow out."""

from typing import Any

Item = dict[str, Any]


def message(role: str, *content: str | Item, **fields: Any) -> Item:
    """A message; a string becomes a text part."""
    text_type = "output_text" if role == "assistant" else "input_text"
    parts = [{"type": text_type, "text": part} if isinstance(part, str) else part for part in content]
    return {"type": "message", "role": role, "content": parts, **fields}


def user(*content: str | Item, **fields: Any) -> Item:
    return message("user", *content, **fields)


def assistant(*content: str | Item, **fields: Any) -> Item:
    return message("assistant", *content, **fields)


def call(call_id: str, arguments: Any = "{}", name: str = "tool", **fields: Any) -> Item:
    return {"type": "function_call", "name": name, "arguments": arguments, "call_id": call_id, **fields}


def output(call_id: str, value: Any = "ok", **fields: Any) -> Item:
    return {"type": "function_call_output", "call_id": call_id, "output": value, **fields}


def code(call_id: str, source: str = "1", name: str = "exec", **fields: Any) -> Item:
    return {"type": "custom_tool_call", "call_id": call_id, "name": name, "input": source, **fields}


def code_output(call_id: str, value: Any = "ok", **fields: Any) -> Item:
    return {"type": "custom_tool_call_output", "call_id": call_id, "output": value, **fields}


def reasoning(*summary: str, content: list[str] | None = None, sealed: str | None = None, **fields: Any) -> Item:
    item: Item = {"type": "reasoning", "summary": [{"type": "summary_text", "text": text} for text in summary]}
    if content is not None:
        item["content"] = [{"type": "reasoning_text", "text": text} for text in content]
    if sealed is not None:
        item["encrypted_content"] = sealed
    return {**item, **fields}


def agent_message(author: str, recipient: str, *content: str | Item, **fields: Any) -> Item:
    parts = [{"type": "input_text", "text": part} if isinstance(part, str) else part for part in content]
    return {"type": "agent_message", "author": author, "recipient": recipient, "content": parts, **fields}


def sealed_part(value: str) -> Item:
    return {"type": "encrypted_content", "encrypted_content": value}


def image(url: str = "data:image/png;base64,AAAA") -> Item:
    return {"type": "input_image", "image_url": url}
