"""An archive flows in, how long a running site takes from its last byte to the rollout's page flows out."""

from __future__ import annotations

import http.client
import json
import tarfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from backports import zstd

from bench.measure import RunFailed
from bench.site_place import Served

BOUNDARY = "bench-site-boundary"
LOOK_EVERY = 0.02
PATIENCE = 300
CHUNK = 1 << 20


@dataclass(frozen=True)
class Uploaded:
    """One upload: where its rollout is, how much is in it, and the seconds since the last byte was sent."""

    key: str
    page: str
    objects: int
    seconds: float

    @property
    def speed(self) -> float:
        """Objects per second."""
        return self.objects / self.seconds


def pack(folder: Path, archive: Path) -> Path:
    """The bundle as a .tar.zst, made once."""
    if not archive.exists():
        unfinished = archive.with_suffix(".part")
        with zstd.open(unfinished, "wb", level=3) as packed, tarfile.open(fileobj=packed, mode="w|") as tar:
            tar.add(folder, arcname=folder.name)
        unfinished.rename(archive)
    return archive


def upload(site: Served, archive: Path) -> Uploaded:
    """Sends it as a form, waits until it is reduced, and reads the rollout's page."""
    connection = http.client.HTTPConnection(*site.address, timeout=PATIENCE)
    _send(connection, archive)
    sent = time.perf_counter()
    created = _created(connection, sent)
    page = urlsplit(created["url"]).path
    status, _ = get(connection, page)
    seconds = time.perf_counter() - sent
    if status != 200:
        raise RunFailed(f"the rollout's page answered {status}")
    key = str(created["key"])
    return Uploaded(key, page, objects(connection, key), seconds)


def get(connection: http.client.HTTPConnection, path: str) -> tuple[int, bytes]:
    """A whole answer."""
    connection.request("GET", path)
    response = connection.getresponse()
    return response.status, response.read()


def objects(connection: http.client.HTTPConnection, key: str) -> int:
    """Nodes and conversation items, as the site itself counts its rows."""
    _, body = get(connection, f"/api/v1/rollouts/{key}/")
    detail = json.loads(body)
    nodes = sum(count for statuses in detail["counts"].values() for count in statuses.values())
    return int(nodes + detail["conversation_items"])


def _send(connection: http.client.HTTPConnection, archive: Path) -> None:
    disposition = f'Content-Disposition: form-data; name="file"; filename="{archive.name}"'
    head = f"--{BOUNDARY}\r\n{disposition}\r\nContent-Type: application/octet-stream\r\n\r\n".encode()
    tail = f"\r\n--{BOUNDARY}--\r\n".encode()
    connection.putrequest("POST", "/api/v1/rollouts/")
    connection.putheader("Content-Type", f"multipart/form-data; boundary={BOUNDARY}")
    connection.putheader("Content-Length", str(len(head) + archive.stat().st_size + len(tail)))
    connection.endheaders()
    connection.send(head)
    with archive.open("rb") as file:
        while piece := file.read(CHUNK):
            connection.send(piece)
    connection.send(tail)


def _created(connection: http.client.HTTPConnection, sent: float) -> dict[str, Any]:
    """The answer once it is a rollout: at once, or where the site says to look."""
    response = connection.getresponse()
    said = json.loads(response.read())
    if response.status == 201:
        return dict(said)
    if response.status != 202:
        raise RunFailed(f"the upload was answered {response.status}: {said}")
    where = urlsplit(said["url"]).path
    while said["state"] not in {"done", "failed"} and time.perf_counter() - sent < PATIENCE:
        time.sleep(LOOK_EVERY)
        said = json.loads(get(connection, where)[1])
    if not said["rollouts"]:
        raise RunFailed(f"the upload came to nothing: {said['state']} {said['error']}")
    return dict(said["rollouts"][0])
