"""Bodies of tool payloads flow in, the few fields the reduction needs flow out, typed.

Each struct is what the published clients read of such a body (0.164.0 and 0.169.0 alike); a body that does not fit is
refused by them, and so by us.
"""

import json
import re
from typing import Annotated, Any, Literal, TypeVar

import msgspec

from traces.bundle.shapes import Mcp
from traces.reducer.errors import ReductionError
from traces.reducer.serde import Number

I32 = Annotated[int, msgspec.Meta(ge=-(2**31), le=2**31 - 1)]
I64 = Annotated[int, msgspec.Meta(ge=-(2**63), le=2**63 - 1)]
U64 = Annotated[int, msgspec.Meta(ge=0)]
Shape = TypeVar("Shape")


class ThreadMetadata(msgspec.Struct):
    """What a thread's `session_metadata` payload says of it."""

    agent_path: str | None = None
    task_name: str | None = None
    nickname: str | None = None
    agent_role: str | None = None
    model: str | None = None
    session_source: Any = None


class McpInvocation(msgspec.Struct):
    """Which tool of which MCP server is called."""

    server: str
    tool: str

    def kind(self) -> Mcp:
        """The kind of such a call."""
        return Mcp(self.server, self.tool)


class ExecBegin(msgspec.Struct, kw_only=True):
    """A command begins."""

    process_id: str | None = None
    command: list[str]
    cwd: str
    interaction_input: str | None = None


class ExecEnd(msgspec.Struct):
    """A command ended."""

    exit_code: I32
    process_id: str | None = None
    aggregated_output: str = ""


class DispatchedCall(msgspec.Struct):
    """The call inside an invocation."""

    type: str
    arguments: str | None = None


class DispatchedRequest(msgspec.Struct):
    """What was asked of a tool."""

    tool_name: str
    payload: DispatchedCall
    tool_namespace: str | None = None


class WriteStdinArgs(msgspec.Struct):
    """The arguments of `write_stdin`."""

    session_id: Any
    chars: str = ""
    yield_time_ms: U64 | None = None
    max_output_tokens: U64 | None = None


class DirectResponse(msgspec.Struct, tag_field="type", tag="direct_response"):
    """The item that went back to the model."""

    response_item: Any


class CodeModeResponse(msgspec.Struct, tag_field="type", tag="code_mode_response"):
    """The value that went back to the model's code."""

    value: Any


class ErrorResponse(msgspec.Struct, tag_field="type", tag="error"):
    """The tool failed."""

    error: str


DispatchedResponse = DirectResponse | CodeModeResponse | ErrorResponse


class CodeModeExecResult(msgspec.Struct):
    """What a command gives back to the model's code."""

    output: str
    chunk_id: str | None = None
    exit_code: I32 | None = None
    original_token_count: U64 | None = None


NonEmpty = Annotated[str, msgspec.Meta(min_length=1)]
AgentStatus = Literal["pending_init", "running", "interrupted", "shutdown", "not_found"] | dict[str, str | None]


# Compiled when the first agent turns up: most rollouts have none, and compiling costs as much as a hundred lines do.
UUID = r"(?i)(urn:uuid:)?({)?([0-9a-f]{32}|[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12})(?(2)})"
AGENT_PATH = r"/morpheus|/root(/(?!root(/|\Z))[a-z0-9_]+)*"
PATH_FIELDS = ("agent_path", "author", "recipient")


class AgentShape(msgspec.Struct):
    """A body about agents: its thread ids are UUIDs, its paths those of agents."""

    def __post_init__(self) -> None:
        """Refuses what is neither; msgspec turns the ValueError into its own."""
        for field in self.__struct_fields__:
            value = getattr(self, field)
            if field.endswith("thread_id") and value is not None and not re.fullmatch(UUID, value):
                raise ValueError(f"{field} is no UUID")
            if field in PATH_FIELDS and not re.fullmatch(AGENT_PATH, value):
                raise ValueError(f"{field} is no path of an agent")


def thread_id_of(uuid: str) -> str:
    """A thread's id as the client writes it: lower case with hyphens."""
    digits = re.sub(r"[^0-9a-f]", "", uuid.lower().removeprefix("urn:uuid:"))
    return f"{digits[:8]}-{digits[8:12]}-{digits[12:16]}-{digits[16:20]}-{digits[20:]}"


def check_status(status: AgentStatus) -> None:
    """Refuses a state of an agent that is not known."""
    if isinstance(status, dict):
        [*names] = status.items()
        unit = ("pending_init", "running", "interrupted", "shutdown", "not_found")
        known = len(names) == 1 and (
            names[0][0] == "completed"
            or (names[0][0] == "errored" and names[0][1] is not None)
            or (names[0][0] in unit and names[0][1] is None)
        )
        if not known:
            raise ReductionError(f"the state of an agent is not known: {', '.join(map(str, status))}")


class SpawnEnd(AgentShape):
    """An agent was started (up to client 0.145 or so)."""

    call_id: str
    sender_thread_id: str
    prompt: str
    model: str
    reasoning_effort: NonEmpty
    status: AgentStatus
    new_thread_id: str | None = None
    new_agent_nickname: str | None = None
    new_agent_role: str | None = None
    completed_at_ms: I64 = 0


class InteractionBegin(AgentShape):
    """Something is about to be said to an agent."""

    call_id: str
    sender_thread_id: str
    receiver_thread_id: str
    prompt: str
    started_at_ms: I64 = 0


class InteractionEnd(AgentShape):
    """Something was said to an agent."""

    call_id: str
    sender_thread_id: str
    receiver_thread_id: str
    prompt: str
    status: AgentStatus
    receiver_agent_nickname: str | None = None
    receiver_agent_role: str | None = None
    completed_at_ms: I64 = 0


class CloseBegin(AgentShape):
    """An agent is about to be closed."""

    call_id: str
    sender_thread_id: str
    receiver_thread_id: str
    started_at_ms: I64 = 0


class CloseEnd(AgentShape):
    """An agent was closed."""

    call_id: str
    sender_thread_id: str
    receiver_thread_id: str
    status: AgentStatus
    receiver_agent_nickname: str | None = None
    receiver_agent_role: str | None = None
    completed_at_ms: I64 = 0


class Activity(AgentShape):
    """What happened to an agent (later clients)."""

    event_id: str
    agent_thread_id: str
    agent_path: str
    kind: Literal["started", "interacted", "interrupted", "completed"]
    occurred_at_ms: I64 = 0
    model: str | None = None
    reasoning_effort: str | None = None


class MessageArgs(msgspec.Struct):
    """The arguments of a tool that says something to an agent."""

    message: str


class Letter(AgentShape):
    """A message between agents inside the text of an assistant's message (early clients)."""

    author: str
    recipient: str
    content: str
    trigger_turn: bool
    other_recipients: list[str] = []
    encrypted_content: str | None = None

    def __post_init__(self) -> None:
        """Other recipients are agents too."""
        super().__post_init__()
        if not all(re.fullmatch(AGENT_PATH, path) for path in self.other_recipients):
            raise ValueError("another recipient is no path of an agent")


def _keep(kind: type, value: Any) -> Any:
    if kind is Number and isinstance(value, Number):
        return value
    raise msgspec.ValidationError(f"expected `{kind.__name__}`, got `{type(value).__name__}`")


def refuse_repeated(text: str, kind: type[msgspec.Struct]) -> None:
    """Refuses an object in which one of the struct's fields stands twice; raises ValueError."""

    def once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        names = [name for name, _ in pairs if name in kind.__struct_fields__]
        if len(names) != len(set(names)):
            raise ValueError("a field stands twice")
        return dict(pairs)

    json.loads(text, object_pairs_hook=once)


def shape(value: Any, kind: type[Shape]) -> Shape:
    """The value as `kind`, given by its fields' names or, all of them, in order; raises ValueError where it is not."""
    names = getattr(kind, "__struct_fields__", ())
    if isinstance(value, list) and len(value) == len(names):
        value = dict(zip(names, value, strict=True))
    return msgspec.convert(value, kind, dec_hook=_keep)


def payload_shape(value: Any, kind: type[Shape], what: str) -> Shape:
    """The value as `kind`; raises ReductionError that says what could not be read."""
    try:
        return shape(value, kind)
    except msgspec.ValidationError as error:
        raise ReductionError(f"{what}: {error}") from error
