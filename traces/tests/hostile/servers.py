"""An environment flows in, a server that may be killed at any moment and a client that talks to it flow out."""

import http.client
import re
import resource
import socket
import subprocess
import sys
from pathlib import Path
from urllib.parse import quote, urlsplit

from traces.tests.fixtures.site import PATIENCE, ROOT, address

TOKEN = re.compile(r"tracesite_csrf=([^;]+)")


class Server:
    """A site as a process of its own; whoever starts it has to stop or kill it."""

    def __init__(self, env: dict[str, str], log: Path, largest_file: int = 0) -> None:
        self.log = log
        command = [sys.executable, "manage.py", "serve", "--port", "0"]
        with log.open("a") as output:
            before = output.tell()
            self.process = subprocess.Popen(command, cwd=ROOT, env=env, stdout=output, stderr=subprocess.STDOUT)
        if largest_file:
            # The system then refuses to this process what a full disk refuses: to write more into a file.
            resource.prlimit(self.process.pid, resource.RLIMIT_FSIZE, (largest_file, largest_file))
        assert before == 0, "a log for each start"
        self.url = address(self.process, log)

    def kill(self) -> None:
        """As `kill -9` does."""
        self.process.kill()
        self.process.wait()

    def stop(self) -> str:
        """As Ctrl-C does; what it printed."""
        self.process.terminate()
        self.process.wait(timeout=PATIENCE)
        return self.log.read_text()


class Visitor:
    """Somebody who uploads without a browser."""

    def __init__(self, url: str) -> None:
        self.host = urlsplit(url).netloc
        connection = self._connect()
        connection.request("GET", "/")
        found = TOKEN.search(connection.getresponse().getheader("Set-Cookie") or "")
        assert found, "the page sets no token"
        self.headers = {"X-CSRFToken": found[1], "Cookie": f"tracesite_csrf={found[1]}", "HX-Request": "true"}

    def _connect(self) -> http.client.HTTPConnection:
        return http.client.HTTPConnection(self.host, timeout=PATIENCE)

    def get(self, path: str) -> tuple[int, str]:
        """Status and text of a page."""
        connection = self._connect()
        connection.request("GET", path)
        answer = connection.getresponse()
        return answer.status, answer.read().decode()

    def upload(self, name: str, data: bytes) -> tuple[int, str, str]:
        """Status, text and the sentence for scripts."""
        connection = self._connect()
        connection.request("POST", f"/uploads/?name={quote(name)}", data, self.headers)
        answer = connection.getresponse()
        return answer.status, answer.read().decode(), answer.getheader("X-Sentence") or ""

    def break_off(self, data: bytes, claimed: int) -> None:
        """Sends a part of what was claimed and disappears."""
        head = {**self.headers, "Host": self.host, "Content-Length": str(claimed)}
        lines = "".join(f"{name}: {value}\r\n" for name, value in head.items())
        host, port = self.host.rsplit(":", 1)
        with socket.create_connection((host, int(port))) as connection:
            connection.sendall(f"POST /uploads/?name=half.zip HTTP/1.1\r\n{lines}\r\n".encode() + data)
