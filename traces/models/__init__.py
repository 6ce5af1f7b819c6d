"""What a site keeps flows in and out as rows: rollouts, the objects of their graphs, their raw events, and uploads."""

from traces.models.graph import ConversationItem, InteractionEdge, Node, RequestItems, TerminalSession
from traces.models.log import Event, LogBlock, Payload
from traces.models.pieces import Pack, Piece
from traces.models.rollouts import Rollout
from traces.models.uploads import Upload

__all__ = [
    "ConversationItem",
    "Event",
    "InteractionEdge",
    "LogBlock",
    "Node",
    "Pack",
    "Payload",
    "Piece",
    "RequestItems",
    "Rollout",
    "TerminalSession",
    "Upload",
]
