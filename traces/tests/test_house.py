"""The project's own files and the real server flow in; they are as docs/architecture.md and docs/operating.md say."""

import ast
import http.client
import os
import signal
import socket
import stat
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
from asgiref.testing import ApplicationCommunicator
from django.conf import settings
from django.test import Client
from playwright.sync_api import Page

from traces.tests.fixtures.site import LiveSite
from tracesite.csp import POLICY
from tracesite.guard import guarded
from tracesite.settings import database, secret_key

ROOT = Path(__file__).resolve().parents[2]
LONGEST_FILE = 400
Refused = Callable[..., "subprocess.CompletedProcess[str]"]


def own_files() -> Iterator[Path]:
    """Every Python file of the project but those that Django writes."""
    for folder in ("tracesite", "traces", "bench", "bin"):
        yield from (path for path in (ROOT / folder).rglob("*.py") if "migrations" not in path.parts)
    yield from ROOT.glob("*.py")


# Files


def test_files_are_short() -> None:
    long = {str(path): length for path in own_files() if (length := len(path.read_text().splitlines())) > LONGEST_FILE}
    assert long == {}


def test_every_module_says_what_flows_through_it() -> None:
    silent = [str(path) for path in own_files() if path.read_text().strip() and not docstring(path)]
    assert silent == []


def docstring(path: Path) -> str | None:
    return ast.get_docstring(ast.parse(path.read_text()))


def test_the_package_of_the_rooms_is_empty() -> None:
    assert (ROOT / "traces" / "__init__.py").read_text() == ""


def test_every_requirement_is_pinned_and_has_a_reason() -> None:
    for line in (ROOT / "requirements.txt").read_text().splitlines():
        requirement, _, reason = line.partition("#")
        assert reason.strip(), line
        assert not requirement or "==" in requirement, line


# Settings


def test_the_secret_key_is_made_once_and_for_the_owner_alone(tmp_path: Path) -> None:
    path = tmp_path / "secret_key"
    key = secret_key(path)
    assert len(key) > 50
    assert secret_key(path) == key
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert list(tmp_path.iterdir()) == [path]


def test_the_database_is_sqlite_unless_a_url_names_another(tmp_path: Path) -> None:
    assert database("", tmp_path)["NAME"].parent == tmp_path
    postgresql = database("postgresql://someone@db.example:5433/traces", tmp_path)
    assert postgresql["ENGINE"] == "django.db.backends.postgresql"
    assert (postgresql["HOST"], postgresql["PORT"], postgresql["NAME"]) == ("db.example", 5433, "traces")


def test_sqlite_writes_ahead(live_site: LiveSite) -> None:
    assert urlsplit(live_site.url).port
    if not live_site.env["DATABASE_URL"]:
        code = "from django.db import connection as c; print(c.cursor().execute('pragma journal_mode').fetchone()[0])"
        assert live_site.manage("shell", "--no-imports", "-c", code).strip() == "wal"


def test_the_policy_allows_nothing_unsafe(client: Client) -> None:
    assert "unsafe" not in POLICY
    headers = client.get("/there-is-no-such-page/").headers
    assert headers["Content-Security-Policy"] == POLICY
    assert headers["X-Content-Type-Options"] == "nosniff"
    assert headers["X-Frame-Options"] == "DENY"
    assert headers["Referrer-Policy"] == "same-origin"
    assert headers["Cross-Origin-Resource-Policy"] == "same-origin"


# The guard


def request(site: LiveSite, path: str, headers: dict[str, str], method: str = "GET") -> tuple[int, str]:
    """One request with exactly these headers."""
    connection = http.client.HTTPConnection(urlsplit(site.url).netloc, timeout=10)
    connection.putrequest(method, path, skip_host=True)
    for name, value in headers.items():
        connection.putheader(name, value)
    connection.endheaders()
    answer = connection.getresponse()
    return answer.status, answer.read().decode()


def test_only_our_own_pages_are_answered(live_site: LiveSite) -> None:
    host = urlsplit(live_site.url).netloc
    port = host.rpartition(":")[2]
    icon = "/static/traces/icon.svg"
    for own in (host, f"localhost:{port}", f"[::1]:{port}"):
        assert request(live_site, icon, {"Host": own})[0] == 200
        assert request(live_site, icon, {"Host": own, "Origin": f"http://{own}"})[0] == 200
    for foreign in ("evil.example", f"evil.example:{port}", f"127.0.0.1.evil.example:{port}", ""):
        status, said = request(live_site, icon, {"Host": foreign})
        assert (status, "only at its own address" in said) == (400, True), foreign
    for foreign in ("http://evil.example", "null", "http://127.0.0.1:1", f"https://{host}", f"http://localhost:{port}"):
        for method in ("GET", "POST", "HEAD"):
            assert request(live_site, "/", {"Host": host, "Origin": foreign}, method)[0] == 403, foreign


async def never(*_: object) -> None:
    """What stands behind the guard."""
    raise AssertionError("the guard let somebody through")


def socket_scope(host: str, origin: str) -> dict[str, Any]:
    headers = [(b"host", host.encode()), (b"origin", origin.encode())]
    return {"type": "websocket", "scheme": "ws", "path": "/", "query_string": b"", "headers": headers}


@pytest.mark.parametrize("host", ["evil.example", "localhost:8000"])
async def test_a_foreign_page_gets_no_socket(host: str) -> None:
    # The rebinding page's own Host and Origin agree with each other; the other one's Host is ours.
    asked = ApplicationCommunicator(guarded(never), socket_scope(host, "http://evil.example"))
    await asked.send_input({"type": "websocket.connect"})
    answer = await asked.receive_output()
    assert answer["type"] == "websocket.close"
    assert "answers only" in answer["reason"]


async def test_two_hosts_are_no_host() -> None:
    scope = {**socket_scope("localhost", "http://localhost"), "type": "http", "scheme": "http", "method": "GET"}
    scope["headers"].append((b"host", b"evil.example"))
    asked = ApplicationCommunicator(guarded(never), scope)
    assert (await asked.receive_output())["status"] == 400


# The server


def test_static_files_are_served_protected_and_asked_for_again(live_site: LiveSite) -> None:
    connection = http.client.HTTPConnection(urlsplit(live_site.url).netloc, timeout=10)
    connection.request("GET", "/static/traces/icon.svg")
    first = connection.getresponse()
    assert first.read().startswith(b"<svg")
    assert first.headers["Content-Type"] == "image/svg+xml"
    assert first.headers["Content-Security-Policy"] == POLICY
    assert first.headers["Cache-Control"] == "no-cache"
    connection.request("GET", "/static/traces/icon.svg", headers={"If-Modified-Since": first.headers["Last-Modified"]})
    assert connection.getresponse().status == 304


def test_everything_written_lies_in_the_data_folder(live_site: LiveSite) -> None:
    written = {path.name for path in live_site.data.iterdir()}
    assert {"secret_key", "tmp"} <= written
    assert stat.S_IMODE((live_site.data / "secret_key").stat().st_mode) == 0o600


@pytest.mark.parametrize("host", ["0.0.0.0", "192.0.2.1", "::", "example.org"])
def test_another_address_is_refused(start_site: Refused, host: str) -> None:
    refused = start_site("--host", host)
    assert refused.returncode == 2
    assert "listens on this machine only" in refused.stderr
    assert len(refused.stderr.splitlines()) == 1


def test_a_port_in_use_is_told_in_one_sentence(start_site: Refused) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        refused = start_site("--port", str(port))
    assert refused.returncode == 1
    assert refused.stderr == f"Port {port} is in use already: stop what runs there or choose another with --port.\n"


def test_ctrl_c_ends_the_site_quietly(live_site: LiveSite) -> None:
    command = [sys.executable, "manage.py", "serve", "--port", "0"]
    server = subprocess.Popen(
        command, cwd=ROOT, env=live_site.env, text=True, stdout=subprocess.PIPE, stderr=subprocess.PIPE
    )
    assert server.stdout is not None
    assert "http://127.0.0.1:" in server.stdout.readline()
    server.send_signal(signal.SIGINT)
    _, errors = server.communicate(timeout=20)
    assert (server.returncode, errors) == (0, "")


# The browser


def test_a_blocked_script_does_not_stay_unnoticed(live_site: LiveSite, page: Page, page_problems: list[str]) -> None:
    page.goto(live_site.url)
    assert page_problems == []
    page.evaluate("document.head.append(Object.assign(document.createElement('script'), {textContent: 'slipped = 1'}))")
    assert page.evaluate("typeof slipped") == "undefined"
    assert any("CSP: script-src-elem blocked inline" in problem for problem in page_problems)
    page_problems.clear()


def test_an_error_in_a_page_does_not_stay_unnoticed(
    live_site: LiveSite, new_page: Callable[..., Page], page_problems: list[str]
) -> None:
    page = new_page(viewport={"width": 400, "height": 300})
    page.goto(live_site.url)
    page.evaluate("() => { setTimeout(() => { throw new Error('lost') }) }")
    page.wait_for_timeout(50)
    assert any("lost" in problem for problem in page_problems)
    page_problems.clear()


# The reducer beside Django


def test_manage_reduces_without_django(recording: Callable[[str], Path]) -> None:
    bundle = recording("0.169.0/story")
    command = [sys.executable, "-X", "importtime", "manage.py", "reduce", str(bundle)]
    reduced = subprocess.run(command, cwd=ROOT, capture_output=True, check=False)
    assert reduced.stdout == (bundle / "expected" / "state.json").read_bytes()
    assert b"traces.reducer" in reduced.stderr
    assert b" django" not in reduced.stderr


def test_a_bundle_that_is_none_is_refused_with_one_line(tmp_path: Path) -> None:
    command = [sys.executable, "manage.py", "reduce", str(tmp_path)]
    refused = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert (refused.returncode, len(refused.stderr.splitlines())) == (1, 1)


@pytest.mark.slow
def test_the_pure_rooms_are_a_package_of_their_own(tmp_path: Path, recording: Callable[[str], Path]) -> None:
    """`pip install .` in a new environment: the reducer works, and no Django came with it."""
    subprocess.run([sys.executable, "-m", "venv", tmp_path / "venv"], check=True)
    python = tmp_path / "venv" / "bin" / "python"
    environment = {name: value for name, value in os.environ.items() if not name.startswith("PYTHON")}

    def run(*command: str | Path) -> bytes:
        ran = subprocess.run([python, *command], cwd=tmp_path, env=environment, check=False, capture_output=True)
        assert ran.returncode == 0, ran.stderr.decode()
        return ran.stdout

    run("-m", "pip", "install", "--quiet", "--disable-pip-version-check", ROOT)
    installed = run("-m", "pip", "list", "--format=freeze").decode().lower()
    names = {line.partition("==")[0] for line in installed.splitlines()} - {"pip", "setuptools", "wheel"}
    assert names == {"rollout-traces", "msgspec", "backports.zstd"}
    bundle = recording("0.169.0/story")
    assert run("-m", "traces.reducer", bundle) == (bundle / "expected" / "state.json").read_bytes()


# The tests' own rule about clients

COMPARISON = """
def test_compared(codex_client):
    codex_client("0.0.0")
"""


@pytest.mark.parametrize(("ci", "outcome"), [("", {"skipped": 1}), ("true", {"failed": 1})])
def test_a_missing_client_is_a_skip_here_and_a_failure_in_ci(
    pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch, ci: str, outcome: dict[str, int]
) -> None:
    monkeypatch.setenv("CI", ci)
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    monkeypatch.setenv("CODEX_CLIENTS", str(pytester.path))
    pytester.makepyfile(COMPARISON)
    pytester.makeini("[pytest]\nmarkers = client")
    ran = pytester.runpytest_subprocess("-p", "traces.tests.fixtures.clients", "-p", "no:django")
    ran.assert_outcomes(**outcome)


def test_hosts_are_loopback_only() -> None:
    assert set(settings.ALLOWED_HOSTS) - {"testserver"} == {"localhost", "127.0.0.1", "[::1]"}
