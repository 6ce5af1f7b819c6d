"""A recording flows in, a rollout of a running site that grows part by part flows out, as if somebody followed it."""

import http.client
import io
import json
import tarfile
from pathlib import Path
from urllib.parse import urlsplit

from traces.tests.fixtures.site import LiveSite

HEARD = """
from datetime import timedelta
from django.utils import timezone
from traces.models import Rollout
heard = timezone.now() - timedelta(seconds={seconds})
Rollout.objects.filter(public_id="{key}").update(heard_at=heard, gone="{gone}")
"""
LATER = -3_600  # heard of in an hour: live for as long as a test takes


class Grown:
    """A bundle that is sent to a site in longer and longer parts; each part rings like a followed one."""

    def __init__(self, site: LiveSite, folder: Path) -> None:
        self.site, self.folder = site, folder
        self.key = ""

    def send(self, events: int | None = None) -> None:
        """So many of its events, or all there are; those that are there already stay."""
        body = packed(self.folder, events)
        connection = http.client.HTTPConnection(urlsplit(self.site.url).netloc, timeout=30)
        headers = {"Content-Type": "application/octet-stream"}
        connection.request("POST", "/api/v1/rollouts/?name=grown.tar", body, headers)
        answer = connection.getresponse()
        said = json.loads(answer.read())
        assert answer.status == 201, said
        self.key = said["key"]

    def heard(self, seconds: float = LATER, gone: str = "") -> None:
        """Its last event came so long ago."""
        code = HEARD.format(seconds=seconds, key=self.key, gone=gone)
        self.site.manage("shell", "--no-imports", "-c", code)

    @property
    def url(self) -> str:
        """Where it is read."""
        return f"{self.site.url.rstrip('/')}/rollouts/{self.key}/"


def packed(folder: Path, events: int | None) -> bytes:
    """The bundle as it was after so many events, in one archive."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as archive:
        for path in sorted(folder.rglob("*")):
            inside = path.relative_to(folder)
            if not path.is_file() or inside.parts[0] == "expected":
                continue
            body = path.read_bytes()
            if path.name == "trace.jsonl":
                body = b"".join(body.splitlines(keepends=True)[:events])
            entry = tarfile.TarInfo(f"{folder.name}/{inside}")
            entry.size = len(body)
            archive.addfile(entry, io.BytesIO(body))
    return buffer.getvalue()
