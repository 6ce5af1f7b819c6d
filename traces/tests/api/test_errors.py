"""Requests that cannot be answered flow in, JSON with a sentence and a status flows out."""

import json
from collections.abc import Callable
from typing import Any

import pytest
from asgiref.testing import ApplicationCommunicator
from django.db import DatabaseError
from django.http import HttpRequest, HttpResponse
from django.test import Client, RequestFactory

from traces.models import Rollout
from traces.pages.api.answers import endpoint
from traces.tests.api.conftest import ROLLOUTS
from tracesite.guard import guarded

pytestmark = pytest.mark.django_db
Ask = Callable[..., Any]


@pytest.mark.parametrize("path", ["", "v1/nothing/", "v1/rollouts", "v2/rollouts/", "v1/rollouts/a/b/c"])
def test_unknown_addresses(ask: Ask, path: str) -> None:
    wrong = ask(f"/api/{path}", status=404)
    assert wrong["status"] == 404
    assert "nothing at this address" in wrong["error"]


def test_unknown_things(ask: Ask) -> None:
    assert ask(f"{ROLLOUTS}nobody/", status=404)["error"] == "There is no rollout with this key."
    assert ask("/api/v1/uploads/nobody/", status=404)["error"] == "There is no upload with this id."


def test_wrong_verbs_say_which_are_right(client: Client) -> None:
    for address, allowed in (
        (ROLLOUTS, "GET, POST"),
        (f"{ROLLOUTS}x/", "DELETE, GET"),
        (f"{ROLLOUTS}x/state.json", "GET"),
    ):
        answer = client.put(address, b"{}", content_type="application/json")
        assert (answer.status_code, answer["Allow"], answer.json()["status"]) == (405, allowed, 405)
        assert allowed in answer.json()["error"]


def test_what_goes_wrong_on_our_side_is_json_too(rf: RequestFactory, caplog: pytest.LogCaptureFixture) -> None:
    def broken(_: HttpRequest) -> HttpResponse:
        raise DatabaseError("the table is on fire")

    answer = endpoint(get=broken)(rf.get("/api/v1/broken/"))
    assert isinstance(answer, HttpResponse)
    assert answer.status_code == 500
    said = json.loads(answer.content)
    assert said["status"] == 500
    assert "fire" not in said["error"]
    assert "the table is on fire" in caplog.text


async def test_foreign_pages_are_refused_before_the_api() -> None:
    async def never(*_: Any) -> None:
        raise AssertionError

    headers = [(b"host", b"127.0.0.1"), (b"origin", b"https://example.com")]
    scope = {"type": "http", "scheme": "http", "method": "DELETE", "path": f"{ROLLOUTS}x/", "headers": headers}
    communicator = ApplicationCommunicator(guarded(never), scope)
    start, body = await communicator.receive_output(), await communicator.receive_output()
    assert start["status"] == 403
    assert (b"content-type", b"application/json") in start["headers"]
    assert json.loads(body["body"]) == {"error": json.loads(body["body"])["error"], "status": 403}
    assert not await Rollout.objects.aexists()
