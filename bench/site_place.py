"""The name of a database flows in, a site of its own flows out: a data folder, a database, a server at some port."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

import psycopg
from psycopg import sql

from bench.measure import ROOT, RunFailed

SQLITE, POSTGRESQL = "SQLite", "PostgreSQL"
DEFAULT_SERVER = "postgresql://postgres@127.0.0.1:5432/postgres"
ADDRESS = re.compile(r"http://127\.0\.0\.1:\d+")
PATIENCE = 30  # seconds until a server that says nothing counts as broken


@dataclass(frozen=True)
class Place:
    """Where one site keeps everything; `url` is empty for SQLite."""

    data: Path
    url: str

    def env(self) -> dict[str, str]:
        """What `manage.py` is told."""
        return {**os.environ, "TRACESITE_DATA": str(self.data), "DATABASE_URL": self.url, "PYTHONUNBUFFERED": "1"}

    def run(self, *words: str | Path) -> str:
        """A Python program on this place's rows, to its end; what it printed."""
        command = [sys.executable, *words]
        done = subprocess.run(command, cwd=ROOT, env=self.env(), capture_output=True, text=True, check=False)
        if done.returncode:
            raise RunFailed(f"{' '.join(map(str, words))[:80]}: {done.stderr.strip()[-300:]}")
        return done.stdout

    def manage(self, *words: str | Path) -> str:
        """A command of `manage.py`."""
        return self.run("manage.py", *words)


@contextmanager
def place(kind: str, scratch: Path) -> Iterator[Place]:
    """An empty, migrated database and a data folder; gone afterwards."""
    name = f"tracesite_bench_{uuid.uuid4().hex}"
    data = scratch / name
    data.mkdir(parents=True)
    url = "" if kind == SQLITE else urlsplit(server())._replace(path=f"/{name}").geturl()
    if url:
        administer(sql.SQL("create database {}").format(sql.Identifier(name)))
    try:
        made = Place(data, url)
        made.manage("migrate", "--verbosity", "0")
        yield made
    finally:
        shutil.rmtree(data)
        if url:
            administer(sql.SQL("drop database if exists {} with (force)").format(sql.Identifier(name)))


def kinds() -> list[str]:
    """SQLite, and PostgreSQL where one answers and lets us in."""
    try:
        administer(sql.SQL("select 1").format())
    except psycopg.Error:
        return [SQLITE]
    return [SQLITE, POSTGRESQL]


def server() -> str:
    """The PostgreSQL that scratch databases are made on."""
    named = os.environ.get("DATABASE_URL", "")
    return named if named.startswith("postgres") else DEFAULT_SERVER


def administer(statement: sql.Composed) -> None:
    """Says something to the server itself."""
    url = urlsplit(server())._replace(path="/postgres").geturl()
    with psycopg.connect(url, autocommit=True, connect_timeout=3) as connection:
        connection.execute(statement)


@dataclass(frozen=True)
class Served:
    """A running site."""

    url: str
    pid: int

    @property
    def address(self) -> tuple[str, int]:
        """Host and port."""
        parts = urlsplit(self.url)
        return str(parts.hostname), int(parts.port or 80)

    def resident(self) -> int:
        """The memory it holds now, in bytes."""
        lines = Path(f"/proc/{self.pid}/status").read_text().splitlines()
        return next(int(line.split()[1]) * 1024 for line in lines if line.startswith("VmRSS"))

    def processor(self) -> float:
        """The processor time it has used so far, in seconds."""
        fields = Path(f"/proc/{self.pid}/stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


@contextmanager
def serving(where: Place, *words: str | Path) -> Iterator[Served]:
    """Started as a user starts it, with these words too."""
    log = where.data / "serve.log"
    command = [sys.executable, "manage.py", "serve", "--port", "0", *words]
    with log.open("w") as output:
        process = subprocess.Popen(command, cwd=ROOT, env=where.env(), stdout=output, stderr=subprocess.STDOUT)
    try:
        yield Served(_address(process, log), process.pid)
    finally:
        process.terminate()
        try:
            process.wait(timeout=PATIENCE)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def _address(process: subprocess.Popen[bytes], log: Path) -> str:
    deadline = time.monotonic() + PATIENCE
    while time.monotonic() < deadline and process.poll() is None:
        if found := ADDRESS.search(log.read_text()):
            return found.group()
        time.sleep(0.02)
    raise RunFailed(f"the site did not start: {log.read_text()[-300:]}")
