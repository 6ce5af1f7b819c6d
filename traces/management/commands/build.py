"""A bundle flows in through a pipe, batches of rows flow out: the site starts this itself for large recordings."""

from argparse import ArgumentParser
from contextlib import suppress
from multiprocessing.connection import Connection
from typing import Any

from django.core.management.base import BaseCommand

from traces.ingest.apart import build


class Command(BaseCommand):
    """`manage.py build FD`."""

    help = "Builds the rows of one bundle for the site, which starts this itself."
    requires_system_checks = ()

    def add_arguments(self, parser: ArgumentParser) -> None:
        """The inherited end of a pipe."""
        parser.add_argument("pipe", type=int)

    def handle(self, *args: Any, **options: Any) -> None:
        """To the end of the bundle, or until nobody listens any more."""
        with Connection(options["pipe"]) as pipe, suppress(BrokenPipeError, ConnectionError, EOFError):
            build(pipe)
