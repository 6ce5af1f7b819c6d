"""Every request and socket flows in, only those of this machine's own pages flow on.

There are no accounts yet: whoever can reach the site can read every trace. Listening on loopback keeps other machines
out, and this guard keeps other web sites in the same browser out: a page that points its own name at 127.0.0.1
(DNS rebinding) sends a foreign Host, a page that fetches or posts across sites sends a foreign Origin.
It wraps the whole ASGI application, so it answers before a body is read and covers static files and sockets alike.
"""

import json

from asgiref.typing import ASGI3Application, ASGIReceiveCallable, ASGISendCallable, HTTPScope, Scope, WebSocketScope
from django.conf import settings
from django.http.request import split_domain_port, validate_host

FOREIGN_HOST = "This site answers only at its own address on this machine: 127.0.0.1 or localhost."
FOREIGN_ORIGIN = "This site answers only to its own pages; this request came from another one."


def values(scope: HTTPScope | WebSocketScope, name: bytes) -> list[str]:
    """Every value the header was sent with."""
    return [value.decode("latin-1") for key, value in scope["headers"] if key == name]


def own_host(hosts: list[str]) -> bool:
    """Exactly one Host, and it is one of ours."""
    if len(hosts) != 1:
        return False
    domain, _ = split_domain_port(hosts[0])
    return bool(domain) and validate_host(domain, settings.ALLOWED_HOSTS)


def refusal(scope: HTTPScope | WebSocketScope) -> tuple[int, str] | None:
    """The status and the sentence to refuse with, or None: welcome."""
    hosts = values(scope, b"host")
    if not own_host(hosts):
        return 400, FOREIGN_HOST
    scheme = "https" if scope["scheme"] in ("https", "wss") else "http"
    if any(origin != f"{scheme}://{hosts[0]}" for origin in values(scope, b"origin")):
        return 403, FOREIGN_ORIGIN
    return None


async def refuse(send: ASGISendCallable, status: int, sentence: str, path: str) -> None:
    """Answers a request in plain text, or, as everything below /api/, in JSON."""
    api = path.startswith("/api/")
    body = json.dumps({"error": sentence, "status": status}) if api else f"{sentence}\n"
    kind = b"application/json" if api else b"text/plain; charset=utf-8"
    headers = [(b"content-type", kind), (b"connection", b"close")]
    await send({"type": "http.response.start", "status": status, "headers": headers, "trailers": False})
    await send({"type": "http.response.body", "body": body.encode(), "more_body": False})


def guarded(application: ASGI3Application) -> ASGI3Application:
    """The application behind the guard."""

    async def guard(scope: Scope, receive: ASGIReceiveCallable, send: ASGISendCallable) -> None:
        if scope["type"] == "lifespan":
            return await application(scope, receive, send)
        refused = refusal(scope)
        if refused is None:
            return await application(scope, receive, send)
        if scope["type"] == "http":
            return await refuse(send, *refused, scope["path"])
        # A socket closed before it was accepted is answered 403 by the server.
        return await send({"type": "websocket.close", "code": 1000, "reason": refused[1]})

    return guard
