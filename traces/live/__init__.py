"""A rollout's new revision flows in from whoever wrote it, small frames flow out to every open page it concerns.

It is a doorbell and no delivery: a frame only says which revision there is, and the page asks for what changed since
its own. So a lost frame costs a few seconds at most and never a row. Each process subscribes once, however many pages
it serves; each page costs one small object, and a task only while it is being told something.
"""

from traces.live.asking import answers
from traces.live.bell import Bell, register_loop, ring
from traces.live.pages import audience, sum_of
from traces.live.sockets import sockets

__all__ = ["Bell", "answers", "audience", "register_loop", "ring", "sockets", "sum_of"]
