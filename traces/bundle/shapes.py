"""The small things that events are made of: statuses, payload references, kinds of tools and how they are summed up."""

from typing import Annotated, Literal

import msgspec

U32 = Annotated[int, msgspec.Meta(ge=0, le=2**32 - 1)]
U64 = Annotated[int, msgspec.Meta(ge=0)]
I64 = Annotated[int, msgspec.Meta(ge=-(2**63), le=2**63 - 1)]
U64_MAX = 2**64 - 1

RolloutStatus = Literal["running", "completed", "failed", "aborted"]
ExecutionStatus = Literal["running", "completed", "failed", "cancelled", "aborted"]
CodeCellStatus = Literal["starting", "running", "yielded", "completed", "failed", "terminated"]
PayloadKindName = Literal[
    "inference_request",
    "inference_response",
    "compaction_request",
    "compaction_checkpoint",
    "compaction_response",
    "tool_invocation",
    "tool_result",
    "tool_runtime_event",
    "terminal_runtime_event",
    "protocol_event",
    "session_metadata",
    "agent_result",
]


class PayloadKind(msgspec.Struct, frozen=True, omit_defaults=True):
    """The role of a payload; written as `{"type": NAME}`."""

    type: PayloadKindName
    value: None = None


class PayloadRef(msgspec.Struct, frozen=True):
    """Where a body that is too large for an event line lies; `path` is relative to the bundle."""

    raw_payload_id: str
    kind: PayloadKind
    path: str


class Tagged(msgspec.Struct, tag_field="type"):
    """The payload of an event; its `type` field names the struct."""


# --- what a tool call says of itself ----------------------------------------------------------------------------------


class ModelRequester(Tagged, tag="model"):
    """The model asked for the tool."""


class CodeCellRequester(Tagged, tag="code_cell"):
    """Code that the model wrote asked for the tool."""

    runtime_cell_id: str


Requester = ModelRequester | CodeCellRequester


class ExecCommand(Tagged, tag="exec_command"):
    """Starts a command in a terminal."""


class WriteStdin(Tagged, tag="write_stdin"):
    """Writes to, or polls, a terminal that is open."""


class ApplyPatch(Tagged, tag="apply_patch"):
    """Edits files."""


class Mcp(Tagged, tag="mcp"):
    """A tool of an MCP server."""

    server: str
    tool: str


class Web(Tagged, tag="web"):
    """Web search."""


class ImageGeneration(Tagged, tag="image_generation"):
    """Makes a picture."""


class SpawnAgent(Tagged, tag="spawn_agent"):
    """Starts another agent."""


class AssignAgentTask(Tagged, tag="assign_agent_task"):
    """Gives an agent more to do."""


class SendMessage(Tagged, tag="send_message"):
    """Sends an agent a message."""


class WaitAgent(Tagged, tag="wait_agent"):
    """Waits for agents."""


class CloseAgent(Tagged, tag="close_agent"):
    """Closes or interrupts an agent."""


class Other(Tagged, tag="other"):
    """Any other tool."""

    name: str


ToolCallKind = (
    ExecCommand
    | WriteStdin
    | ApplyPatch
    | Mcp
    | Web
    | ImageGeneration
    | SpawnAgent
    | AssignAgentTask
    | SendMessage
    | WaitAgent
    | CloseAgent
    | Other
)


class TerminalSummary(Tagged, tag="terminal"):
    """The tool is told by its terminal operation."""

    operation_id: str


class AgentSummary(Tagged, tag="agent", kw_only=True):
    """The tool talks to an agent."""

    target_agent_path: str
    task_name: str | None = None
    message_preview: str


class WaitAgentSummary(Tagged, tag="wait_agent"):
    """The tool waits for an agent, or for any."""

    target_agent_path: str | None = None
    timeout_ms: U64 | None = None


class GenericSummary(Tagged, tag="generic"):
    """A label and two short previews."""

    label: str
    input_preview: str | None = None
    output_preview: str | None = None


ToolCallSummary = TerminalSummary | AgentSummary | WaitAgentSummary | GenericSummary
