"""A bundle flows in, how many bytes its payloads have and the site keeps flow out; and how large an install is."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import psycopg

from bench.measure import ROOT, RunFailed
from bench.site_place import Place, place

CHECKPOINT = "from django.db import connection; connection.cursor().execute('PRAGMA wal_checkpoint(TRUNCATE)')"


@dataclass(frozen=True)
class Stored:
    """One bundle in a database of its own."""

    payloads: int  # bytes in the bundle
    before: int  # bytes of the database when it was empty
    after: int

    @property
    def part(self) -> float:
        """How many times smaller it became; the empty database counts as ours."""
        return self.payloads / self.after

    @property
    def grown(self) -> float:
        """The same without what an empty database takes."""
        return self.payloads / (self.after - self.before)


def stored(kind: str, bundle: Path, scratch: Path) -> Stored:
    """Imports it and looks at the disk."""
    with place(kind, scratch) as where:
        before = _taken(where)
        where.manage("import", bundle)
        return Stored(_below(bundle / "payloads"), before, _taken(where))


def _taken(where: Place) -> int:
    """The database, indexes included, and the files beside it."""
    files = _below(where.data / "media")
    if where.url:
        with psycopg.connect(where.url, autocommit=True) as connection:
            connection.execute("checkpoint")
            row = connection.execute("select pg_database_size(current_database())").fetchone()
        return files + int(row[0] if row else 0)
    where.manage("shell", "--no-imports", "-c", CHECKPOINT)
    return files + sum(path.stat().st_size for path in where.data.glob("traces.sqlite3*"))


def _below(folder: Path) -> int:
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())


def install(scratch: Path) -> int:
    """A fresh environment with what the site needs, as `du` counts it: MiB."""
    folder = scratch / "install"
    _run(sys.executable, "-m", "venv", folder)
    _run(folder / "bin" / "python", "-m", "pip", "install", "--quiet", "-r", ROOT / "requirements.txt")
    return int(_run("du", "-sm", folder).split()[0])


def _run(*words: str | Path) -> str:
    done = subprocess.run(words, capture_output=True, text=True, check=False)
    if done.returncode:
        raise RunFailed(f"{' '.join(map(str, words))[:80]}: {done.stderr.strip()[-300:]}")
    return done.stdout
