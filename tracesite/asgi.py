"""Connections flow in from the server, guarded; pages, static files and sockets flow out, and uploads are worked on."""

import os
import tempfile

from asgiref.typing import ASGIReceiveCallable, ASGISendCallable, Scope
from channels.routing import ProtocolTypeRouter, URLRouter
from django.conf import settings
from django.contrib.staticfiles.handlers import ASGIStaticFilesHandler
from django.core.asgi import get_asgi_application
from django.http import FileResponse, HttpRequest, HttpResponse
from django.urls import re_path

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "tracesite.settings")
django_pages = get_asgi_application()

# Rows can be imported only now that Django is set up.
from traces import live, uploads, watch  # noqa: E402
from traces.bundle.leftovers import sweep  # noqa: E402
from tracesite.csp import protect  # noqa: E402
from tracesite.guard import guarded  # noqa: E402
from tracesite.intake import received  # noqa: E402
from tracesite.together import Together, is_changes  # noqa: E402

# A large upload is spooled to disk while it arrives: that too belongs into the one folder the site writes to.
sweep(settings.TRACESITE_DATA / "tmp")
spool = settings.TRACESITE_DATA / "tmp" / f"received-{os.getpid()}"
spool.mkdir(mode=0o700, parents=True, exist_ok=True)
tempfile.tempdir = str(spool)


class StaticFiles(ASGIStaticFilesHandler):
    """Serves static files straight from their folders, so there is no collecting step to forget."""

    def serve(self, request: HttpRequest) -> HttpResponse | FileResponse:
        response = super().serve(request)
        # The names carry no version: a browser asks each time and is told "not modified".
        response.headers["Cache-Control"] = "no-cache"
        protect(response)
        return response


async def no_socket(scope: Scope, receive: ASGIReceiveCallable, send: ASGISendCallable) -> None:
    """Nobody lives here: refused politely instead of failing with a traceback."""
    await receive()
    await send({"type": "websocket.close", "code": 1000, "reason": "There is no socket at this address."})


async def lifespan(scope: Scope, receive: ASGIReceiveCallable, send: ASGISendCallable) -> None:
    """Whatever server runs the site, uploads are worked on, recordings followed and pages rung from its start."""
    while True:
        message = await receive()
        if message["type"] == "lifespan.startup":
            live.register_loop()
            uploads.start()
            watch.start()
            await send({"type": "lifespan.startup.complete"})
        else:
            watch.stop()
            # Nobody who stops the site should wait for a long reduction: it is put back and begins again next time.
            return await send({"type": "lifespan.shutdown.complete"})


pages = Together(StaticFiles(django_pages), is_changes)
sockets = URLRouter([*live.sockets, re_path("", no_socket)])  # type: ignore[arg-type]
application = guarded(received(ProtocolTypeRouter({"http": pages, "websocket": sockets, "lifespan": lifespan})))
