"""Folders and archives flow in from the shell, rollouts flow out: the way of an upload, with a progress bar."""

import argparse
import sys
from pathlib import Path
from typing import Any, Never

from django.conf import settings
from django.core.management.base import BaseCommand
from tqdm import tqdm

from traces.bundle.archives import open_bundles
from traces.bundle.errors import BundleError, reason
from traces.bundle.reader import Bundle
from traces.ingest import ingest_bundle
from traces.ingest.apart import builder
from traces.ingest.pipe import Build
from traces.reducer import ReductionError
from traces.uploads import count_events, folder


class Command(BaseCommand):
    help = "Imports recordings: folders or archives, each with one bundle or several."

    def add_arguments(self, parser: argparse.ArgumentParser) -> None:
        parser.add_argument(
            "paths", metavar="PATH", nargs="+", type=Path, help="a folder, .zip, .tar, .tar.gz, .tar.zst"
        )

    def handle(self, *args: Any, **options: Any) -> None:
        self.check_migrations()
        failed = sum(self.import_path(path) for path in options["paths"])
        if failed:
            self.stderr.write(f"{failed} not imported.")
            sys.exit(1)

    def import_path(self, path: Path) -> int:
        """Imports every bundle of a folder or an archive; returns how many that was not possible for."""
        try:
            size = path.stat().st_size if path.is_file() else 0
            with (
                builder(size) as build,
                open_bundles(path, folder("scratch"), settings.TRACESITE_LIMITS) as bundles,
            ):
                return sum(not self.import_bundle(bundle, build) for bundle in bundles)
        except BundleError as error:
            self.refuse(f"{error}.")
        except OSError as error:
            self.refuse(f"{path} cannot be read: {reason(error)}.")
        return 1

    def import_bundle(self, bundle: Bundle, build: Build) -> bool:
        """Imports one and says what came of it."""
        try:
            with self.bar(bundle) as bar:
                ingested = ingest_bundle(bundle, progress=lambda events: advance(bar, events), build=build)
        except (BundleError, ReductionError) as error:
            self.refuse(f"{error}.")
            return False
        except OSError as error:
            self.refuse(f"{bundle.name} cannot be read: {reason(error)}.")
            return False
        rollout = ingested.rollout
        self.stdout.write(f"{bundle.name}: {ingested.sentence} {rollout.get_absolute_url()}")
        if rollout.stopped:
            self.stdout.write(f"  Line {rollout.stopped_line} could not be applied: {rollout.stopped_what}.")
        return True

    def bar(self, bundle: Bundle) -> "tqdm[Never]":
        """Shown on a terminal only, and gone when the sentence is said."""
        return tqdm(
            total=count_events(bundle),
            desc=bundle.name[:40],
            unit=" events",
            leave=False,
            file=self.stderr,
            disable=not self.stderr.isatty(),
        )

    def refuse(self, sentence: str) -> None:
        """What could not be imported; the others still are."""
        self.stderr.write(sentence)


def advance(bar: "tqdm[Never]", events: int) -> None:
    """So many events are done."""
    bar.update(events - bar.n)
