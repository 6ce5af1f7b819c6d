"""A command flows in and runs with DATABASE_URL naming a PostgreSQL: one that is there, or one started for it alone.

    python bin/with_postgresql.py COMMAND [ARGUMENT ...]

Looked for: DATABASE_URL, then 127.0.0.1:5432 as PGUSER (PGPASSWORD), as the user who asks, and as postgres. When none
lets us create databases, Debian's own binaries start one in a folder that is gone afterwards.
"""

import getpass
import os
import shutil
import socket
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import urlsplit

import psycopg

OLDEST = 140000  # the oldest server that Django 5.2 speaks to


def usable(url: str) -> bool:
    """Whether a server answers there, is new enough, and lets us create the databases of the tests."""
    question = "select rolsuper or rolcreatedb from pg_roles where rolname = current_user"
    try:
        with psycopg.connect(url, connect_timeout=3) as connection:
            row = connection.execute(question).fetchone()
            return row is not None and bool(row[0]) and connection.info.server_version >= OLDEST
    except psycopg.OperationalError:
        return False


def running() -> str | None:
    """The URL of a server that is there already."""
    users = dict.fromkeys(filter(None, [os.environ.get("PGUSER"), getpass.getuser(), "postgres"]))
    known = [os.environ.get("DATABASE_URL", "")] + [f"postgresql://{user}@127.0.0.1:5432/postgres" for user in users]
    return next((url for url in known if url.startswith("postgres") and usable(url)), None)


def binaries() -> Path | None:
    """The folder with initdb and pg_ctl: the newest of Debian's, or what the path finds."""
    debian = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"), key=lambda found: int(found.parts[-3]))
    found = debian[-1] if debian else shutil.which("initdb")
    return Path(found).parent if found else None


def install() -> None:
    """Debian's package, where we may install it; a failure shows as missing binaries."""
    if os.geteuid() == 0 and shutil.which("apt-get"):
        quiet = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
        subprocess.run(["apt-get", "update", "-qq"], env=quiet, check=False, stdout=sys.stderr)
        packages = ["apt-get", "install", "-qq", "-y", "--no-install-recommends", "postgresql"]
        subprocess.run(packages, env=quiet, check=False, stdout=sys.stderr)


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port: int = listener.getsockname()[1]
        return port


@contextmanager
def started(folder: Path, tools: Path) -> Iterator[str]:
    """A server of our own in this folder; PostgreSQL refuses to run as root, so there it runs as Debian's postgres."""
    user = "postgres" if os.geteuid() == 0 else None
    if user:
        shutil.chown(folder, user)
    port, data = free_port(), folder / "data"

    def run(*command: str) -> None:
        subprocess.run(command, user=user, cwd=folder, check=True, stdout=subprocess.DEVNULL)

    run(f"{tools}/initdb", "-D", f"{data}", "-U", "tracesite", "-A", "trust", "-E", "UTF8", "--locale=C.UTF-8")
    # The databases live for one test run: nothing has to survive a power cut.
    options = f"-p {port} -k {folder} -c listen_addresses=127.0.0.1 -c fsync=off"
    run(f"{tools}/pg_ctl", "-D", f"{data}", "-w", "-l", f"{folder}/log", "-o", options, "start")
    try:
        yield f"postgresql://tracesite@127.0.0.1:{port}/postgres"
    finally:
        run(f"{tools}/pg_ctl", "-D", f"{data}", "-m", "immediate", "stop")


def run_on(url: str, command: list[str]) -> int:
    """The command's exit code; its databases are made beside the one that is named here."""
    return subprocess.run(command, env={**os.environ, "DATABASE_URL": url}, check=False).returncode


def main(command: list[str]) -> int:
    found = running()
    if found:
        address = urlsplit(found)  # without its password, if it has one
        print(f"The tests run on the PostgreSQL at {address.hostname}:{address.port or 5432}", flush=True)
        return run_on(found, command)
    if binaries() is None:
        install()
    tools = binaries()
    if tools is None:
        print("PostgreSQL is missing: install it (on Debian: apt install postgresql), or set DATABASE_URL.")
        return 1
    with tempfile.TemporaryDirectory(prefix="tracesite-postgresql-") as folder, started(Path(folder), tools) as url:
        print("The tests run on a PostgreSQL started for them", flush=True)
        return run_on(url, command)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
