"""A folder flows in, a session that is written there as it happens flows out: something to watch without Codex."""

import argparse
import signal
import sys
import time
from pathlib import Path
from typing import Any, NoReturn

from django.core.management.base import BaseCommand

from traces.bundle.errors import BundleError, reason
from traces.demo import Demo, clean, folder

PAUSE = 3.0  # seconds between two sessions


class Command(BaseCommand):
    help = "Writes a live sample: a whole session, event by event, as Codex would write it now."
    requires_system_checks: list[str] = []

    def add_arguments(self, parser: argparse.ArgumentParser) -> None:
        parser.add_argument(
            "--into", metavar="DIR", type=Path, help="a folder (default: demo in the site's data folder)"
        )
        parser.add_argument("--speed", metavar="X", type=speed, default=1.0, help="2 plays twice as fast (default: 1)")
        parser.add_argument("--forever", action="store_true", help="one session after the other")

    def handle(self, *args: Any, **options: Any) -> None:
        # A shell that starts it in the background has it ignore Ctrl-C.
        signal.signal(signal.SIGINT, signal.default_int_handler)
        try:
            self.play(options["into"], options["speed"])
            while options["forever"]:
                time.sleep(PAUSE / options["speed"])
                self.play(options["into"], options["speed"])
        except KeyboardInterrupt:
            self.stdout.write("\nStopped. The recording breaks off here, like that of a client that was killed.")
        except BundleError as error:
            self.refuse(f"{error}.")
        except OSError as error:
            self.refuse(f"The live sample cannot be written: {reason(error)}.")

    def play(self, into: Path | None, how_fast: float) -> None:
        """One session, from its first event to its last."""
        if into is None:
            # Only here: another folder may hold recordings of somebody's own.
            clean(folder(), time.time())
        demo = Demo((into or folder()).resolve(), how_fast)
        self.stdout.write(
            f"A session of {demo.seconds:.0f} seconds is written to {demo.folder} (Ctrl-C breaks it off)."
        )
        self.stdout.write(watched(into))
        self.stdout.flush()
        demo.play()
        self.stdout.write("The session has ended.")

    def refuse(self, sentence: str) -> NoReturn:
        """Nothing can be written there."""
        self.stderr.write(sentence)
        sys.exit(1)


def watched(into: Path | None) -> str:
    """How to see it."""
    if into is None:
        return "The site follows this folder always: start it with `make run` and open its page Live."
    return f"To watch it: `python manage.py serve --watch {into}`, and the page Live."


def speed(text: str) -> float:
    """A factor, or argparse's own complaint."""
    try:
        value = float(text)
    except ValueError:
        value = 0.0
    if not 0.01 <= value <= 10_000:
        raise argparse.ArgumentTypeError(f"{text!r} is no speed (0.01 to 10000)")
    return value
