"""Archives flow in through the API, as forms and as bodies; keys, verdicts and sentences flow out."""

import http.client
import json
import shutil
import subprocess
import uuid
from collections.abc import Callable
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
from django.conf import settings
from django.core.files.uploadedfile import SimpleUploadedFile
from django.test import Client

from traces import uploads
from traces.bundle.limits import Limits
from traces.models import Rollout, Upload
from traces.pages.api import uploads as api_uploads
from traces.tests.api.conftest import ROLLOUTS
from traces.tests.fixtures.recordings import recording_folder
from traces.tests.fixtures.site import LiveSite
from traces.tests.ingest.recordings import Copy

Zipped = Callable[[str], Path]
Ask = Callable[..., Any]


def send(site: LiveSite, body: bytes, kind: str, query: str = "") -> tuple[int, dict[str, str], Any]:
    """As a script does: no cookie, no token, no Origin."""
    connection = http.client.HTTPConnection(urlsplit(site.url).netloc, timeout=60)
    connection.request("POST", f"{ROLLOUTS}{query}", body, {"Content-Type": kind})
    answer = connection.getresponse()
    return answer.status, dict(answer.getheaders()), json.loads(answer.read())


def as_form(archive: Path, field: str = "file") -> tuple[bytes, str]:
    mark = uuid.uuid4().hex
    head = f'--{mark}\r\nContent-Disposition: form-data; name="{field}"; filename="{archive.name}"\r\n\r\n'
    return (
        head.encode() + archive.read_bytes() + f"\r\n--{mark}--\r\n".encode(),
        f"multipart/form-data; boundary={mark}",
    )


def fetch(address: str) -> bytes:
    parts = urlsplit(address)
    connection = http.client.HTTPConnection(parts.netloc, timeout=60)
    connection.request("GET", parts.path)
    answer = connection.getresponse()
    assert answer.status == 200, address
    return answer.read()


def test_new_same_and_other_content(live_site: LiveSite, zipped: Zipped, tmp_path: Path) -> None:
    status, headers, new = send(live_site, *as_form(zipped("0.169.0/story")))
    assert (status, new["verdict"]) == (201, "new")
    assert new["url"] == f"{live_site.url}/rollouts/{new['key']}/"
    assert headers["location"] == new["api"]
    expected = recording_folder("0.169.0/story") / "expected" / "state.json"
    assert fetch(f"{new['api']}state.json") == expected.read_bytes()

    status, _, same = send(live_site, zipped("0.169.0/story").read_bytes(), "application/zip", "?name=again.zip")
    assert (status, same["verdict"], same["key"]) == (201, "same", new["key"])
    assert same["upload"]["name"] == "again.zip"

    copy = Copy("0.169.0/story", tmp_path)
    copy.with_log(copy.lines[0], *copy.lines[1:60])
    copy.with_log(copy.lines[0].replace(b'"wall_time_unix_ms":1', b'"wall_time_unix_ms":2'), *copy.lines[1:60])
    other = Path(shutil.make_archive(str(tmp_path / "other"), "zip", copy.folder))
    status, _, changed = send(live_site, *as_form(other))
    assert (status, changed["verdict"]) == (201, "other_content")
    assert changed["key"] != new["key"]
    assert json.loads(fetch(changed["api"]))["same_trace"] == [new["key"]]


def test_what_cannot_be_read_is_refused_and_not_kept(live_site: LiveSite) -> None:
    status, _, wrong = send(live_site, b"just text", "application/octet-stream", "?name=notes.txt")
    assert (status, wrong["status"]) == (400, 400)
    assert wrong["error"].startswith("notes.txt: ")
    assert [path for path in (live_site.data / "uploads").iterdir() if path.is_file()] == []


def test_curl_sends_it(live_site: LiveSite, zipped: Zipped) -> None:
    if not shutil.which("curl"):
        pytest.skip("there is no curl")
    archive = zipped("0.169.0/killed")
    for way, verdict in ((["-F", f"file=@{archive}"], "new"), (["--data-binary", f"@{archive}"], "same")):
        command = ["curl", "-sS", *way, f"{live_site.url}{ROLLOUTS}"]
        done = subprocess.run(command, capture_output=True, text=True, check=True)
        assert json.loads(done.stdout)["verdict"] == verdict


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """No queue works in this process: it makes no sense to wait for it."""
    monkeypatch.setattr(api_uploads, "WAIT", 0.0)


@pytest.mark.django_db
def test_what_takes_longer_says_where_to_look(zipped: Zipped, client: Client, ask: Ask, impatient: None) -> None:
    archive = zipped("0.169.0/retried")
    answer = client.post(ROLLOUTS, {"file": SimpleUploadedFile(archive.name, archive.read_bytes())})
    waiting = answer.json()
    assert (answer.status_code, waiting["state"], waiting["rollouts"]) == (202, "waiting", [])
    assert answer["Location"] == waiting["url"]
    uploads.queue.work()
    done = ask(urlsplit(waiting["url"]).path)
    assert (done["state"], done["events_done"]) == ("done", done["events_total"])
    assert [row["key"] for row in done["rollouts"]] == [Rollout.objects.get().public_id]


@pytest.mark.django_db
@pytest.mark.parametrize(
    ("content", "kind"),
    [({}, None), ({"files": "x"}, None), (b"", "application/zip")],
)
def test_one_archive_is_wanted(client: Client, impatient: None, content: Any, kind: str | None) -> None:
    answer = client.post(ROLLOUTS, content, content_type=kind) if kind else client.post(ROLLOUTS, content)
    assert answer.status_code == 400
    assert "“file”" in answer.json()["error"]
    assert not Upload.objects.exists()


@pytest.mark.django_db
def test_a_broken_form_is_not_understood(client: Client) -> None:
    answer = client.post(ROLLOUTS, b"no form", content_type="multipart/form-data; boundary=")
    assert (answer.status_code, answer.json()["status"]) == (400, 400)


@pytest.mark.django_db
def test_too_large_an_archive_leaves_nothing(zipped: Zipped, client: Client, settings: Any) -> None:
    settings.TRACESITE_LIMITS = Limits(upload_bytes=1000)
    answer = client.post(ROLLOUTS, zipped("0.169.0/killed").read_bytes(), content_type="application/zip")
    assert answer.status_code == 413
    assert "1,000 bytes" in answer.json()["error"]
    assert "TRACESITE_MAX_UPLOAD_BYTES" in answer.json()["error"]
    assert not Upload.objects.exists()
    assert not Path(settings.TRACESITE_DATA).exists() or not any(Path(settings.TRACESITE_DATA).rglob("*.part"))


@pytest.mark.django_db
def test_no_token_is_needed(zipped: Zipped, impatient: None) -> None:
    strict = Client(enforce_csrf_checks=True)
    answer = strict.post(ROLLOUTS, zipped("0.169.0/killed").read_bytes(), content_type="application/zip")
    assert answer.status_code == 202
    assert str(settings.TRACESITE_DATA) not in answer.content.decode()
