"""The source tree flows in; the order of docs/architecture.md holds, and the pure rooms load without Django."""

import subprocess
import sys
from pathlib import Path

import pytest

from traces.tests.layers import LAYERS, PURE, violations

ROOT = Path(__file__).resolve().parents[2]

WITHOUT_DJANGO = """
import importlib, pkgutil, sys

class NoDjango:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in {"django", "django_htmx", "channels", "asgiref", "psycopg", "uvicorn"}:
            raise ImportError(f"{name} is not there")

sys.meta_path.insert(0, NoDjango())
for room in sys.argv[1:]:
    package = importlib.import_module(room)
    for module in pkgutil.walk_packages(getattr(package, "__path__", []), f"{room}."):
        importlib.import_module(module.name)
        print(module.name)
"""

# One small tree per rule: a file that breaks it, and what the test must say.
BROKEN = {
    "higher": ("traces/models.py", "from traces.pages import x", "traces.models, line 1: imports traces.pages, which"),
    "wiring": ("traces/ingest.py", "import tracesite.settings", "which stands higher"),
    "neighbour": ("traces/reducer/a.py", "from traces.recorder.b import c", "another room of its own layer"),
    "function": ("traces/ingest.py", "def f():\n    import os", "line 2: imports os inside the function f"),
    "method": ("traces/ingest.py", "class A:\n    async def f(self):\n        import os", "inside the function f"),
    "impure": ("traces/bundle/a.py", "from django.conf import settings", "but its room is pure"),
    "relative": ("traces/bundle/a.py", "from ..models import Rollout", "imports traces.models, which stands higher"),
    "typing": ("traces/live.py", "if TYPE_CHECKING:\n    from traces import watch", "imports traces.watch"),
    "tests": ("traces/ingest.py", "from traces.tests import x", "which is only for tests"),
    "homeless": ("traces/utils.py", "", "traces.utils: stands in no layer"),
}


def write(root: Path, path: str, text: str) -> None:
    (root / path).parent.mkdir(parents=True, exist_ok=True)
    (root / path).write_text(text)


def test_the_house_keeps_its_order() -> None:
    assert violations(ROOT) == []


@pytest.mark.parametrize(("path", "text", "said"), BROKEN.values(), ids=BROKEN)
def test_a_broken_rule_is_found(tmp_path: Path, path: str, text: str, said: str) -> None:
    write(tmp_path, "traces/watch.py", "import os")
    write(tmp_path, path, text)
    found = violations(tmp_path)
    assert len(found) == 1, found
    assert said in found[0]


def test_a_ring_of_imports_is_found(tmp_path: Path) -> None:
    write(tmp_path, "traces/bundle/__init__.py", "")
    write(tmp_path, "traces/bundle/a.py", "from . import b")
    write(tmp_path, "traces/bundle/b.py", "import traces.bundle.c")
    write(tmp_path, "traces/bundle/c.py", "from traces.bundle.a import x")
    write(tmp_path, "traces/bundle/d.py", "from traces.bundle.a import x")
    assert violations(tmp_path) == ["import each other: traces.bundle.a, traces.bundle.b, traces.bundle.c"]


def test_what_is_allowed_is_not_complained_about(tmp_path: Path) -> None:
    write(tmp_path, "traces/bundle/events.py", "import json\nimport msgspec\nfrom traces.bundle import errors")
    write(tmp_path, "traces/bundle/errors.py", "")
    write(tmp_path, "traces/reducer/threads.py", "from traces.bundle.events import Event\nfrom backports import zstd")
    write(tmp_path, "traces/migrations/0001.py", "import traces.models")
    write(tmp_path, "traces/tests/test_a.py", "import tracesite\nfrom traces.pages import rollouts")
    assert violations(tmp_path) == []


def test_the_pure_rooms_load_without_django() -> None:
    rooms = [room for room in PURE if (ROOT / room.replace(".", "/")).is_dir()]
    command = [sys.executable, "-c", WITHOUT_DJANGO, *rooms]
    loaded = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert loaded.returncode == 0, loaded.stderr
    assert "traces.bundle.events" in loaded.stdout


def test_every_pure_room_stands_below_the_first_row() -> None:
    assert {room for rooms in LAYERS[:2] for room in rooms} == set(PURE)
