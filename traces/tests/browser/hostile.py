"""A recording flows in, the same recording with hostile text in every field that holds text or an id flows out."""

import json
import re
import zipfile
from pathlib import Path
from typing import Any

# One suffix for every string: equal ids stay equal, so the recording still reduces to the same objects.
HOSTILE = (
    "\"'></title></pre></script><script>alert(1)</script><img src=x onerror=alert(2)><svg onload=alert(3)>"
    "[m](javascript:alert(4))![i](//e.invalid/i)\x1b[31m\x1b]0;t\x07\u202elrtb\u2066&lt;{{1}}"
)
# Words of the format, and references between files: another word there would be another recording.
TOOL = re.compile(r"write_stdin")  # the reducer reads what was typed by this name
TOOL_AND_UUIDS = re.compile(r"[0-9a-f-]{36}|/root(?:/[a-z_]+)?|write_stdin")
WORDS = {"type", "status", "kind", "role", "phase", "raw_payload_id", "namespace", "raw_event_log", "payloads_dir"}


def hostile(value: Any, key: str = "", keep: re.Pattern[str] = TOOL) -> Any:
    """The same value with hostile text wherever text is free; `keep` are strings that have to stay as they are."""
    if isinstance(value, dict):
        return {name: hostile(inner, name, keep) for name, inner in value.items()}
    if isinstance(value, list):
        return [hostile(inner, key, keep) for inner in value]
    if not isinstance(value, str) or key in WORDS or value.startswith("payloads/") or keep.fullmatch(value):
        return value
    if key == "arguments" and value.startswith("{"):  # JSON in JSON
        return json.dumps(hostile(json.loads(value), key, keep), ensure_ascii=False)
    return value + HOSTILE


def hostile_zip(folder: Path, archive: Path) -> Path:
    """The recording in this folder as a hostile archive."""
    # A reducer takes no other names for started agents than clients give: UUIDs, and paths of plain letters.
    log = (folder / "trace.jsonl").read_text()
    keep = TOOL_AND_UUIDS if "spawn_agent" in log else TOOL
    with zipfile.ZipFile(archive, "w", zipfile.ZIP_DEFLATED) as packed:
        packed.writestr("bundle/manifest.json", _text(json.loads((folder / "manifest.json").read_text()), keep))
        packed.writestr(
            "bundle/trace.jsonl", "".join(_text(json.loads(line), keep) + "\n" for line in log.splitlines())
        )
        for path in sorted((folder / "payloads").iterdir()):
            content = json.loads(path.read_text())
            if isinstance(content, dict):
                content[HOSTILE] = HOSTILE
            packed.writestr(f"bundle/payloads/{path.name}", _text(content, keep))
    return archive


def _text(value: Any, keep: re.Pattern[str]) -> str:
    return json.dumps(hostile(value, keep=keep), ensure_ascii=False)
