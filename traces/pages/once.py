"""A key and its work flow in, the work's result flows out; whoever asks meanwhile or just after gets the same one."""

from collections.abc import Callable
from threading import Lock

from django.core.cache import cache

SECONDS = 2
# Few locks for all keys: two pieces of work that share one by chance wait for each other a few milliseconds.
LOCKS = [Lock() for _ in range(64)]


def once(key: str, work: Callable[[], str]) -> str:
    """The result of this work, done by the first who asks."""
    if (kept := cache.get(key)) is not None:
        return str(kept)
    with LOCKS[hash(key) % len(LOCKS)]:
        if (kept := cache.get(key)) is not None:
            return str(kept)
        result = work()
        cache.set(key, result, SECONDS)
        return result
