"""What a site keeps flows in and out as rows: rollouts, the objects of their graphs, their raw events, and uploads."""

from traces.models.graph import ConversationItem, InteractionEdge, Node, RequestItems, TerminalSession
from traces.models.log import Event, Payload
from traces.models.rollouts import Rollout
from traces.models.uploads import Upload

__all__ = [
    "ConversationItem",
    "Event",
    "InteractionEdge",
    "Node",
    "Payload",
    "RequestItems",
    "Rollout",
    "TerminalSession",
    "Upload",
]
