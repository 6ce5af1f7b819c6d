"""Recordings of the tests flow in, the samples that ship with the site flow out: run it after recording them anew."""

import io
import tarfile
from pathlib import Path

import zstandard

ROOT = Path(__file__).resolve().parent.parent
RECORDINGS = ROOT / "traces" / "tests" / "bundles"
SAMPLES = ROOT / "traces" / "samples"
# In the order in which they are best read: the whole story, then one subject each.
CHOSEN = (
    "0.169.0/story",
    "0.169.0/retried",
    "0.125.0/interactive",
    "0.128.0/cancelled_late",
    "0.169.0/agents_namespaced",
    "0.169.0/code_mode",
    "0.152.0/compacted",
    "0.169.0/terminal",
    "0.169.0/killed",
    "0.169.0/two_turns.1",
    "0.169.0/two_turns.2",
)


def pack(folder: Path) -> bytes:
    """A tar of the bundle without the reference's answer; the same bundle gives the same bytes."""
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w", format=tarfile.USTAR_FORMAT) as archive:
        for path in sorted(folder.rglob("*")):
            inside = path.relative_to(folder)
            if path.is_file() and inside.parts[0] != "expected":
                add(archive, f"{folder.name}/{inside.as_posix()}", path.read_bytes())
    return zstandard.ZstdCompressor(level=19, write_checksum=True).compress(packed.getvalue())


def add(archive: tarfile.TarFile, name: str, content: bytes) -> None:
    """One file, without anything of this machine."""
    member = tarfile.TarInfo(name)
    member.size = len(content)
    archive.addfile(member, io.BytesIO(content))


def main() -> None:
    """Replaces every sample."""
    SAMPLES.mkdir(exist_ok=True)
    for old in SAMPLES.glob("*.tar.zst"):
        old.unlink()
    for place, name in enumerate(CHOSEN, start=1):
        target = SAMPLES / f"{place:02d}-{name.partition('/')[2]}.tar.zst"
        target.write_bytes(pack(RECORDINGS / name))


if __name__ == "__main__":
    main()
