"""Sockets flow in, each becomes an open page that is told of new revisions until it leaves."""

import io
from typing import Any

from asgiref.typing import ASGIReceiveCallable, ASGISendCallable, WebSocketScope
from channels.db import database_sync_to_async
from django.core.handlers.asgi import ASGIRequest
from django.http import Http404, HttpRequest
from django.urls import path

from traces.live.pages import EVERY, Audience, Page, audience, sum_of
from traces.sharing import rollout_for, rollouts_for


async def doorbell(scope: Any, receive: ASGIReceiveCallable, send: ASGISendCallable) -> None:
    """One open page, from its coming to its leaving. What it says is not listened to."""
    topic = scope["url_route"]["kwargs"].get("public_id", EVERY)
    await receive()
    await send({"type": "websocket.accept", "subprotocol": None, "headers": []})
    page, pages = Page(topic, send), audience()
    pages.join(page)
    try:
        await pages.ready()  # first, so that nothing is missed between the look at the rows and the subscription
        await _greet(page, pages, request_of(scope))
        while (await receive())["type"] != "websocket.disconnect":
            pass
    finally:
        pages.leave(page)


async def _greet(page: Page, pages: Audience, request: HttpRequest) -> None:
    """Whoever comes back learns by this what it missed."""
    try:
        revision = await database_sync_to_async(current)(request, page.topic)
    except Http404:
        page.refuse()
    else:
        pages.known.setdefault(page.topic, revision)
        page.tell(page.topic, revision)


def current(request: HttpRequest, topic: str) -> int:
    """The revision of what this request may see."""
    return rollout_for(request, topic).revision if topic else sum_of(rollouts_for(request))


def request_of(scope: WebSocketScope) -> HttpRequest:
    """The socket's handshake, as the request that it is: one check of who may see what, for pages and sockets."""
    return ASGIRequest({**scope, "type": "http", "method": "GET"}, io.BytesIO())


# Django's paths lead to views, Channels' router takes them for sockets.
sockets = [
    path("ws/rollouts/", doorbell),  # type: ignore[arg-type]
    path("ws/rollouts/<slug:public_id>/", doorbell),  # type: ignore[arg-type]
]
