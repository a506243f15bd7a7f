"""Standard output and error that are closed, full, read by nobody, or know no Unicode."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

CANARY = [sys.executable, "-m", "analyzer.cli"]


def closed_pipe() -> int:
    """A pipe whose reader has gone."""
    reading, writing = os.pipe()
    os.close(reading)
    return writing


def test_a_full_disk_is_told() -> None:
    with Path("/dev/full").open("w") as full:
        done = subprocess.run([*CANARY, "version"], stdout=full, stderr=subprocess.PIPE, text=True, check=False)
    assert done.stderr == "canary: nothing could be printed: No space left on device\n"
    assert done.returncode == 4


def test_a_reader_that_has_gone() -> None:
    writing = closed_pipe()
    done = subprocess.run([*CANARY, "schema"], stdout=writing, stderr=subprocess.PIPE, text=True, check=False)
    os.close(writing)
    assert "Traceback" not in done.stderr
    assert "Exception ignored" not in done.stderr
    assert done.returncode == 4


def test_a_complaint_that_nobody_reads_has_its_exit_code() -> None:
    writing = closed_pipe()
    done = subprocess.run([*CANARY, "lint", "/no/such/file"], stdout=writing, stderr=writing, check=False)
    os.close(writing)
    assert done.returncode == 2


@pytest.mark.parametrize("closed", [">&-", "2>&-", "<&- >&- 2>&-"])
def test_closed_streams(closed: str, tmp_path: Path) -> None:
    """The first file that is opened gets the number of a closed stream, and must not get what is printed."""
    (tmp_path / "bad.yaml").write_text("- - -")
    command = f'"{sys.executable}" -m analyzer.cli lint bad.yaml {closed}'
    done = subprocess.run(command, shell=True, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 2, done.stderr
    assert "Traceback" not in done.stderr
    assert (tmp_path / "bad.yaml").read_text() == "- - -"


def test_a_stream_without_unicode(tmp_path: Path) -> None:
    file = tmp_path / "ü.yaml"
    file.write_text("- - -")
    environment = {**os.environ, "PYTHONIOENCODING": "ascii", "PYTHONUTF8": "0"}
    done = subprocess.run([*CANARY, "lint", str(file)], capture_output=True, env=environment, check=False)
    assert done.returncode == 2
    assert b"\\u00fc" in done.stdout + done.stderr
    schema = subprocess.run([*CANARY, "schema"], capture_output=True, env=environment, check=False)
    assert json.loads(schema.stdout)["$schema"]
