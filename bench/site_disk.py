"""A bundle flows in, how many bytes its payloads have and the site keeps flow out; and how large an install is."""

from __future__ import annotations

import sqlite3
import subprocess
import sys
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psycopg

from bench.measure import ROOT, RunFailed
from bench.site_place import place

# The payload store: packs of pieces, the pieces' places in them, each payload as a list of pieces.
STORE = ("traces_pack", "traces_piece", "traces_payload")
CHECKPOINT = "PRAGMA wal_checkpoint(TRUNCATE)"
OF_STORE = "SELECT sum(pgsize) FROM dbstat JOIN sqlite_master USING (name) WHERE tbl_name IN (?, ?, ?)"


@dataclass(frozen=True)
class Stored:
    """One bundle in a database of its own: bytes of its payloads, of the payload store, of the whole database."""

    payloads: int
    store: int
    whole: int


def stored(kind: str, bundle: Path, scratch: Path) -> Stored:
    """Imports it and looks at the disk."""
    with place(kind, scratch) as where:
        where.manage("import", bundle)
        store, whole = _of_postgresql(where.url) if where.url else _of_sqlite(where.data / "traces.sqlite3")
        files = _below(where.data / "media")
        return Stored(_below(bundle / "payloads"), store + files, whole + files)


def _of_postgresql(url: str) -> tuple[int, int]:
    """The store with its indexes, and everything."""
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute("checkpoint")
        sizes = [_first(connection.execute("select pg_total_relation_size(%s::regclass)", [name])) for name in STORE]
        return sum(sizes), _first(connection.execute("select pg_database_size(current_database())"))


def _of_sqlite(file: Path) -> tuple[int, int]:
    """The store with its indexes, and everything."""
    with closing(sqlite3.connect(file)) as connection:
        connection.execute(CHECKPOINT)
        store = _first(connection.execute(OF_STORE, STORE))
    return store, sum(path.stat().st_size for path in file.parent.glob(f"{file.name}*"))


def _first(cursor: psycopg.Cursor[Any] | sqlite3.Cursor) -> int:
    row = cursor.fetchone()
    return int(row[0] if row else 0)


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
