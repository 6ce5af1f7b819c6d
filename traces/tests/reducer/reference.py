"""A bundle's folder flows in, what the published client of its schema makes of it flows out, and whether we agree."""

import os
import subprocess
from pathlib import Path

from traces.bundle.errors import BundleError
from traces.bundle.reader import Bundle
from traces.reducer import ReductionError, reduce_strict

CLIENTS = {1: "0.164.0", 2: "0.169.0"}


class Reference:
    """A published client that reduces bundles."""

    def __init__(self, program: Path, scratch: Path) -> None:
        self.program = program
        self.out = scratch / "state.json"
        home = scratch / "home"
        home.mkdir(parents=True, exist_ok=True)
        self.environment = {**os.environ, "CODEX_HOME": str(home), "RUST_BACKTRACE": "0", "NO_COLOR": "1"}

    def reduce(self, folder: Path) -> tuple[bytes | None, str]:
        """The bytes of its state.json, or None and why not."""
        self.out.unlink(missing_ok=True)
        command: list[str | Path] = [self.program, "debug", "trace-reduce", folder, "-o", self.out]
        done = subprocess.run(command, env=self.environment, capture_output=True, text=True, check=False)
        errors = [line for line in done.stderr.splitlines() if not line.startswith("WARNING")]
        return (None, " ".join(errors).strip()) if done.returncode else (self.out.read_bytes(), "")

    def disagreement(self, folder: Path) -> str:
        """What is different between its answer and ours; empty where nothing is.

        Where it crashes there is no answer to agree with: then it is enough that we have one.
        """
        state, error = self.reduce(folder)
        ours, refusal = reduce_here(folder)
        if state == ours or error.startswith("thread '"):
            return ""
        if state is None:
            return f"we accept what the client refuses: {error}"
        return f"we refuse what the client accepts: {refusal}" if ours is None else first_difference(ours, state)


def reduce_here(folder: Path) -> tuple[bytes | None, str]:
    """Our own state.json, or None and why not."""
    try:
        return reduce_strict(Bundle(folder)).state(), ""
    except (BundleError, ReductionError) as error:
        return None, str(error)


def first_difference(ours: bytes, theirs: bytes) -> str:
    lines = zip(ours.splitlines(), theirs.splitlines(), strict=False)
    for number, (our, their) in enumerate(lines, 1):
        if our != their:
            return f"line {number} of state.json is {our!r}, the client writes {their!r}"
    return "one state.json is longer than the other"
