"""Recordings of every version flow in, the reference's `state.json` flows out, also through the command line."""

import os
import shutil
import subprocess
import sys
import tarfile
from collections.abc import Callable
from pathlib import Path

import pytest

from traces.bundle.reader import Bundle
from traces.reducer import ReductionError, reduce_lenient, reduce_strict
from traces.reducer.__main__ import main
from traces.tests.fixtures.recordings import BUNDLES, recording_folder

RECORDINGS = sorted(str(path.parent.parent.relative_to(BUNDLES)) for path in BUNDLES.glob("*/*/expected/state.json"))
REFUSED = sorted(path.parent.parent for path in (BUNDLES.parent / "bundles_refused").glob("*/*/expected/error.txt"))
PROJECT = Path(__file__).resolve().parents[3]
COMMANDS = ([sys.executable, "-m", "traces.reducer"], [sys.executable, "manage.py", "reduce"])

Zipped = Callable[[str], Path]


def expected(name: str) -> bytes:
    return (recording_folder(name) / "expected" / "state.json").read_bytes()


def run(command: list[str], *words: str | Path) -> subprocess.CompletedProcess[bytes]:
    quiet = {name: value for name, value in os.environ.items() if name != "DJANGO_SETTINGS_MODULE"}
    return subprocess.run([*command, *words], cwd=PROJECT, env=quiet, capture_output=True, check=False)


def copy_of(tmp_path: Path, name: str, lines: Callable[[list[bytes]], list[bytes]]) -> Path:
    """A copy of a recording with another log."""
    folder = tmp_path / "copy"
    shutil.copytree(recording_folder(name), folder, ignore=shutil.ignore_patterns("expected"))
    log = folder / "trace.jsonl"
    log.write_bytes(b"".join(lines(log.read_bytes().splitlines(keepends=True))))
    return folder


# --- every recording --------------------------------------------------------------------------------------------------


def test_there_are_recordings_of_every_version() -> None:
    assert len(RECORDINGS) >= 80
    assert {name.partition("/")[0] for name in RECORDINGS} >= {"0.125.0", "0.145.0", "0.160.0", "0.164.0", "0.166.0"}


@pytest.mark.parametrize("name", RECORDINGS)
def test_state_is_the_references_byte_for_byte(name: str) -> None:
    assert reduce_strict(Bundle(recording_folder(name))).state() == expected(name)


@pytest.mark.parametrize("name", RECORDINGS)
def test_a_sound_recording_is_not_stopped(name: str) -> None:
    reducer, stopped = reduce_lenient(Bundle(recording_folder(name)))
    assert (stopped, reducer.state()) == (None, expected(name))


@pytest.mark.parametrize("folder", REFUSED, ids=lambda path: f"{path.parent.name}/{path.name}")
def test_what_the_reference_refuses_is_refused(folder: Path) -> None:
    with pytest.raises(ReductionError) as caught:
        reduce_strict(Bundle(folder))
    assert caught.value.seq == caught.value.line > 0
    reducer, stopped = reduce_lenient(Bundle(folder))
    assert stopped is not None
    assert (stopped.what, stopped.seq, stopped.line) == (caught.value.what, caught.value.seq, caught.value.line)
    assert reducer.last_seq == caught.value.line - 1


# --- the command ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("command", COMMANDS, ids=["module", "manage.py"])
def test_the_command_writes_to_a_file(command: list[str], tmp_path: Path) -> None:
    out = tmp_path / "state.json"
    done = run(command, recording_folder("0.169.0/story"), "--out", out)
    assert (done.returncode, done.stdout, done.stderr) == (0, b"", b"")
    assert out.read_bytes() == expected("0.169.0/story")


@pytest.mark.parametrize("command", COMMANDS, ids=["module", "manage.py"])
def test_the_command_writes_to_standard_output(command: list[str]) -> None:
    done = run(command, recording_folder("0.128.0/agents"))
    assert (done.returncode, done.stdout, done.stderr) == (0, expected("0.128.0/agents"), b"")


@pytest.mark.parametrize("command", COMMANDS, ids=["module", "manage.py"])
def test_a_damaged_bundle_is_one_line_on_standard_error(command: list[str], tmp_path: Path) -> None:
    folder = copy_of(tmp_path, "0.152.0/completed", lambda lines: [*lines[:7], b'{"torn": \n', *lines[8:]])
    done = run(command, folder, "--out", tmp_path / "state.json")
    assert (done.returncode, done.stdout, done.stderr.count(b"\n")) == (1, b"", 1)
    assert done.stderr.startswith(b"this line is not an event: ")
    assert done.stderr.endswith(b"(line 8)\n")
    assert not (tmp_path / "state.json").exists()


def test_a_refused_event_is_named_with_seq_and_line(capfd: pytest.CaptureFixture[str]) -> None:
    assert main([str(BUNDLES.parent / "bundles_refused/0.152.0/review.1")]) == 1
    out, error = capfd.readouterr()
    assert (out, error.count("\n")) == ("", 1)
    assert "the end of turn " in error
    seq = reduce_lenient(Bundle(BUNDLES.parent / "bundles_refused/0.152.0/review.1"))[0].last_seq + 1
    assert error.endswith(f", which did not start (seq {seq}, line {seq})\n")


def test_a_zip_is_reduced(zipped: Zipped, tmp_path: Path) -> None:
    out = tmp_path / "state.json"
    assert main(["--out", str(out), str(zipped("0.169.0/killed"))]) == 0
    assert out.read_bytes() == expected("0.169.0/killed")


def test_a_tar_of_several_bundles_is_refused(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    archive = tmp_path / "two.tar.gz"
    with tarfile.open(archive, "w:gz") as packed:
        for name in ("0.169.0/killed", "0.169.0/retried"):
            packed.add(recording_folder(name), name.replace("/", "-"))
    assert main([str(archive)]) == 1
    assert "two.tar.gz holds 2 bundles" in capfd.readouterr().err


@pytest.mark.parametrize("content", [None, b"", b"nothing to unpack"])
def test_what_is_no_bundle_is_one_line(
    content: bytes | None, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    if content is not None:
        (tmp_path / "thing").write_bytes(content)
    assert main([str(tmp_path / "thing")]) == 1
    assert capfd.readouterr().err.count("\n") == 1


def test_a_place_that_cannot_be_written_is_one_line(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    story = str(recording_folder("0.169.0/killed"))
    assert main([story, f"--out={tmp_path}/nowhere/state.json"]) == 1
    assert capfd.readouterr().err.count("\n") == 1


@pytest.mark.parametrize("words", [[], ["a", "b"], ["a", "--out"], ["--out", "b"], ["a", "--fast", "b"]])
def test_usage_is_told_where_it_is_wrong(words: list[str], capfd: pytest.CaptureFixture[str]) -> None:
    assert main(words) == 2
    assert capfd.readouterr().err.startswith("usage: ")


def test_usage_is_told_where_it_is_asked_for(capfd: pytest.CaptureFixture[str]) -> None:
    assert main(["--help"]) == 0
    assert capfd.readouterr().out.startswith("usage: ")


@pytest.mark.parametrize("command", COMMANDS, ids=["module", "manage.py"])
def test_wrong_usage_ends_with_2(command: list[str]) -> None:
    assert run(command).returncode == 2


def test_the_command_loads_no_django() -> None:
    script = (
        f"import sys; from traces.reducer.__main__ import main; main([{str(recording_folder('0.169.0/killed'))!r}]); "
    )
    done = run([sys.executable], "-c", script + "sys.exit('django' in sys.modules)")
    assert (done.returncode, done.stdout) == (0, expected("0.169.0/killed"))


def test_a_log_may_have_empty_lines_and_other_line_ends(tmp_path: Path) -> None:
    folder = copy_of(
        tmp_path, "0.169.0/killed", lambda lines: [b"\r\n \t\r\n" + line.rstrip() for line in lines] + [b"\n\xc2\xa0\n"]
    )
    assert reduce_strict(Bundle(folder)).state() == expected("0.169.0/killed")
