"""A port flows in, the running site flows out, on this machine's loopback address only."""

import argparse
import errno
import socket
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, NoReturn

import uvicorn
from django.conf import settings
from django.core.management.base import BaseCommand

LOOPBACK = ("127.0.0.1", "localhost", "::1")


class Command(BaseCommand):
    help = "Serves the site on this machine."

    def add_arguments(self, parser: argparse.ArgumentParser) -> None:
        parser.add_argument("--port", type=port_number, default=8000, help="0 takes any free port (default: 8000)")
        parser.add_argument("--host", default="127.0.0.1", help="a loopback address (default: 127.0.0.1)")

        parser.add_argument(
            "--watch",
            metavar="DIR",
            nargs="+",
            type=Path,
            help="folders whose recordings are followed while they are written (default: $CODEX_ROLLOUT_TRACE_ROOT)",
        )

    def handle(self, *args: Any, **options: Any) -> None:
        if options["watch"]:
            settings.TRACESITE_WATCH = options["watch"]
        host, port = options["host"], options["port"]
        if host not in LOOPBACK:
            self.refuse(
                f"The site has no accounts yet, so it listens on this machine only: "
                f"--host {host} is refused, use {', '.join(LOOPBACK[:-1])} or {LOOPBACK[-1]}.",
                code=2,
            )
        listener = self.listen(host, port)
        self.check_migrations()
        shown = f"[{host}]" if ":" in host else host
        url = f"http://{shown}:{listener.getsockname()[1]}/"
        run(listener, lambda: print(f"The trace viewer is at {url} (Ctrl-C stops it)", file=self.stdout, flush=True))

    def listen(self, host: str, port: int) -> socket.socket:
        """A socket that listens there; one sentence when that cannot be."""
        family = socket.AF_INET6 if ":" in host else socket.AF_INET
        try:
            listener = socket.create_server((host, port), family=family, backlog=128)
        except OSError as error:
            if error.errno == errno.EADDRINUSE:
                self.refuse(f"Port {port} is in use already: stop what runs there or choose another with --port.")
            self.refuse(f"The site cannot listen on {host} port {port}: {error.strerror}.")
        # Connections inherit it. Without it the body of an answer waits 40 ms for the receipt of its headers.
        listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        return listener

    def refuse(self, sentence: str, code: int = 1) -> NoReturn:
        self.stderr.write(sentence)
        sys.exit(code)


def port_number(text: str) -> int:
    """The port, or argparse's own complaint."""
    if not text.isdecimal() or int(text) > 65535:
        raise argparse.ArgumentTypeError(f"{text!r} is not a port number (0 to 65535)")
    return int(text)


class Server(uvicorn.Server):
    """Tells when the site can be opened, and not before."""

    def __init__(self, config: uvicorn.Config, ready: Callable[[], None]) -> None:
        super().__init__(config)
        self.ready = ready

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets=sockets)
        self.ready()


def run(listener: socket.socket, ready: Callable[[], None]) -> None:
    """Serves until Ctrl-C, which is the ordinary end and no error."""
    config = uvicorn.Config(
        "tracesite.asgi:application",
        lifespan="on",
        log_level="warning",
        access_log=False,
        server_header=False,
        # Frames are tiny, and the compressor of each socket takes 37 KB.
        ws_per_message_deflate=False,
        # Nothing stands in front of the site: forwarded addresses and schemes would be anybody's claim.
        proxy_headers=False,
        timeout_graceful_shutdown=3,
    )
    try:
        Server(config, ready).run(sockets=[listener])
    except KeyboardInterrupt:
        return
