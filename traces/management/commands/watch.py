"""Folders flow in, the recordings that are written there flow into the site's rows, until Ctrl-C."""

import signal
from argparse import ArgumentParser
from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand

from traces.watch import Watcher


class Command(BaseCommand):
    """`manage.py watch DIR…`."""

    help = "Follows the recordings below some folders, as a process of its own."

    def add_arguments(self, parser: ArgumentParser) -> None:
        """The folders."""
        parser.add_argument("folders", metavar="DIR", nargs="+", type=Path, help="where the client records")

    def handle(self, *args: Any, **options: Any) -> None:
        """Until somebody stops it."""
        self.check_migrations()
        watcher = Watcher(options["folders"])
        for wish in (signal.SIGINT, signal.SIGTERM):
            signal.signal(wish, lambda *_: watcher.stop())
        named = ", ".join(str(folder) for folder in watcher.roots)
        print(f"Following the recordings below {named} (Ctrl-C stops it)", file=self.stdout, flush=True)
        watcher.run()
