"""A recording's name flows in, its rollout in rows and the words of its pages flow out."""

import html
import re
from collections.abc import Callable
from typing import Protocol

import pytest
from django.test import Client

from traces.tests.fixtures.ingested import ingested

__all__ = ["ingested"]  # the fixture, for every test below

HTMX = {"HX-Request": "true"}


class Answer(Protocol):
    """A response as the test client gives it."""

    content: bytes


def words(response: Answer) -> str:
    """What a page says, without its markup."""
    body = response.content.decode()
    body = re.sub(r"<(script|style|svg|template)\b.*?</\1>", "", body, flags=re.DOTALL)
    return " ".join(html.unescape(re.sub(r"<[^>]*>", " ", body)).replace("\xa0", " ").split())


def close(text: str) -> str:
    """Without the blanks that stand where markup was, so that a sentence can be found as it reads."""
    return re.sub(r" ([,.;:)”])", r"\1", re.sub(r"([(“]) ", r"\1", text))


@pytest.fixture
def read(client: Client) -> Callable[..., str]:
    """The words of the page at an address; with `pane`, of what htmx gets for that element."""

    def read_page(address: str, pane: str = "") -> str:
        headers = {**HTMX, "HX-Target": pane} if pane else {}
        response = client.get(address, headers=headers)
        assert response.status_code == 200, f"{address}: {response.status_code}"
        return close(words(response))

    return read_page
