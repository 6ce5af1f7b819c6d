"""Nothing flows in; rollouts to ring for, and a Redis where one answers, flow out."""

import os
import socket
from collections.abc import Iterator
from urllib.parse import urlsplit

import pytest
from channels.layers import channel_layers
from django.test import override_settings
from django.utils import timezone

from traces.models import Rollout
from tracesite.settings import channel_layer

NO_REDIS = "No Redis answers at {}: start one, or name another one in REDIS_URL."


def make_rollout(trace_id: str, revision: int = 1) -> Rollout:
    """A rollout without a recording."""
    return Rollout.objects.create(
        trace_id=trace_id,
        rollout_id=trace_id,
        root_thread_id="",
        schema_version=2,
        started_at=timezone.now(),
        revision=revision,
    )


@pytest.fixture
def rollout(transactional_db: None) -> Rollout:
    return make_rollout("one")


@pytest.fixture
def redis_url() -> str:
    """A Redis that answers; in CI there has to be one."""
    url = os.environ.get("REDIS_URL") or "redis://127.0.0.1:6379/15"
    place = urlsplit(url)
    try:
        socket.create_connection((place.hostname or "127.0.0.1", place.port or 6379), timeout=1).close()
    except OSError:
        if os.environ.get("CI"):
            raise
        pytest.skip(NO_REDIS.format(url))
    return url


@pytest.fixture
def redis_layer(redis_url: str) -> Iterator[str]:
    """The site's channel layer is that Redis."""
    layers = {"default": channel_layer(redis_url)}
    with override_settings(CHANNEL_LAYERS=layers):
        channel_layers.backends.clear()
        yield redis_url
    channel_layers.backends.clear()
