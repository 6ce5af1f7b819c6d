"""A folder of scratch folders flows in, only those of running processes stay."""

from __future__ import annotations

import os
import re
import shutil
from pathlib import Path

_OWNER = re.compile(r"[a-z]+-(\d+)(?:-|$)")


def sweep(folder: Path) -> None:
    """Call at a process's start: what lies there is named WORD-PROCESS, and a process that was killed left it."""
    if folder.is_dir():
        for found in folder.iterdir():
            if not _is_used(found.name):
                shutil.rmtree(found, ignore_errors=True)


def _is_used(name: str) -> bool:
    owner = _OWNER.match(name)
    process = int(owner[1]) if owner else 0
    # After a restart another process may have the number of the killed one: ours has nothing there yet.
    return process > 0 and process != os.getpid() and is_running(process)


def is_running(process: int) -> bool:
    """Whether a process of this machine has this number."""
    try:
        os.kill(process, 0)
    except PermissionError:
        return True
    except (ProcessLookupError, OverflowError):
        return False
    return True
