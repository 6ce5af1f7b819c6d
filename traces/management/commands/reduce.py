"""A bundle flows in, its state.json flows out: the same command as `python -m traces.reducer`.

`manage.py` runs it without Django; this file lets `manage.py help` list it and `call_command("reduce", ...)` find it.
"""

import argparse
import sys
from typing import Any

from django.core.management.base import BaseCommand

from traces.reducer.__main__ import main


class Command(BaseCommand):
    help = "Reduces a bundle to state.json, byte for byte as the reference does."
    requires_system_checks: list[str] = []

    def add_arguments(self, parser: argparse.ArgumentParser) -> None:
        parser.add_argument("bundle", metavar="BUNDLE", help="a folder or an archive with a rollout-trace bundle")
        parser.add_argument("--out", metavar="FILE", help="write there instead of to standard output")

    def handle(self, *args: Any, **options: Any) -> None:
        out = ["--out", options["out"]] if options["out"] else []
        code = main([options["bundle"], *out])
        if code:
            sys.exit(code)
