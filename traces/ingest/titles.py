"""Objects of the graph flow in, short names for people flow out: one line, the words of whoever made the object."""

import re
from collections.abc import Iterable, Mapping
from typing import Any

from traces.bundle.shapes import AgentSummary, GenericSummary, Mcp, Other, WaitAgentSummary
from traces.models import Node
from traces.reducer.graph import ConversationItem, Graph, TerminalOperation, ToolCall

LENGTH = 200
# The client speaks to the model in the user's name, too: these are the tags around what it says.
_CONTEXT_TAGS = (
    "environment_context",
    "user_instructions",
    "instructions",
    "permissions instructions",
    "collaboration_mode",
    "model_switch",
    "personality_spec",
    "skill",
    "skills",
    "skills_instructions",
    "plugins_instructions",
    "apps_instructions",
    "recommended_plugins",
    "user_shell_command",
    "turn_aborted",
    "subagents",
    "subagent_notification",
    "agent_message_board_notification",
    "hook_prompt",
    "goal_context",
    "codex_internal_context",
    "internal_model_context",
    "external_context",
    "application_context",
    "realtime_conversation",
)
_CONTEXT = re.compile(
    rf"""\s*(?:
        <(?:{"|".join(map(re.escape, _CONTEXT_TAGS))}|external_[\w.-]+)[\s>]
        | \#\s*AGENTS\.md\s+instructions\b
        | \[client\ context\ [0-9a-f]+\]\s*$
        | Warning:\ (?:The\ maximum\ number\ of\ unified\ exec|apply_patch\ was\ requested|Your\ account\ was)
        | Another\ language\ model\ started\ to\ solve\ this\ problem
    )""",
    re.VERBOSE | re.IGNORECASE,
)
_SHELL_FLAGS = {"-c", "-lc"}
_PATCHED = re.compile(r"^\*\*\* (?:Add|Update|Delete) File: (.+)$", re.MULTILINE)


def first_line(text: str) -> str:
    """The first line that says something, at most 200 characters of it."""
    line = next((line.strip() for line in text.splitlines() if line.strip()), "")
    return line if len(line) <= LENGTH else line[: LENGTH - 1].rstrip() + "…"


def typed_text(item: ConversationItem) -> str:
    """What a user typed; nothing for what the client says in the user's name."""
    if item.role != "user" or item.kind != "message":
        return ""
    return said(part.get("text", "") for part in item.body.parts if part.get("type") == "text")


def said(texts: Iterable[str]) -> str:
    """The first of these texts that is not the client's own."""
    return next((text for text in texts if text.strip() and not _CONTEXT.match(text)), "")


def title_of(kind: str, value: Any, graph: Graph) -> str:
    """What stands behind an object's kind and number in the outline."""
    if kind == Node.Kind.THREAD:
        return first_line(value.agent_path)
    if kind in (Node.Kind.INFERENCE_CALL, Node.Kind.COMPACTION_REQUEST):
        return first_line(value.model)
    if kind == Node.Kind.TOOL_CALL:
        return first_line(_tool(value, graph))
    if kind == Node.Kind.TERMINAL_OPERATION:
        return first_line(_terminal(value))
    if kind == Node.Kind.CODE_CELL:
        return first_line(value.source_js)
    return ""


def _tool(call: ToolCall, graph: Graph) -> str:
    operation = graph.terminal_operations.get(call.terminal_operation_id or "")
    if operation is not None:
        return _terminal(operation)
    return " ".join(filter(None, (_tool_name(call), _about(call))))


def _tool_name(call: ToolCall) -> str:
    if isinstance(call.kind, Mcp):
        return f"{call.kind.server}.{call.kind.tool}"
    if isinstance(call.kind, Other):
        return call.kind.name
    return str(call.kind.__struct_config__.tag)


def _about(call: ToolCall) -> str:
    """What the tool was asked, as short as can be."""
    summary = call.summary
    if isinstance(summary, AgentSummary):
        return summary.task_name or summary.target_agent_path
    if isinstance(summary, WaitAgentSummary):
        return summary.target_agent_path or ""
    if isinstance(summary, GenericSummary) and summary.input_preview:
        patched = _PATCHED.findall(summary.input_preview)
        return ", ".join(patched) or _argument(summary.input_preview)
    return ""


def _argument(preview: str) -> str:
    """The first text among JSON arguments, which may be cut off; of anything else its first line."""
    if not preview.lstrip().startswith("{"):
        return preview
    found = re.search(r'"(?:task_name|target|cmd|command|path|query|name|message)"\s*:\s*"((?:[^"\\]|\\.)*)', preview)
    return found[1] if found else ""


def _terminal(operation: TerminalOperation) -> str:
    request: Mapping[str, Any] = operation.request
    if "stdin" in request:
        return f"stdin: {request['stdin'].strip()}" if request["stdin"].strip() else "stdin: (nothing, a look)"
    command = request.get("command") or []
    if len(command) == 3 and command[1] in _SHELL_FLAGS:
        return str(command[2])
    return str(request.get("display_command") or " ".join(command))
