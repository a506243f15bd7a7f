"""Recordings: what is kept, and what is not one."""

import asyncio
import json
import os
from math import inf
from pathlib import Path

import pytest

from analyzer.errors import RecordError, UsageError
from analyzer.model.event import Ended, Event, Held, WindowRead
from analyzer.model.reading import Absence, Buckets, Missing, Reading, Window
from analyzer.model.report import Guard
from analyzer.store.recording import FORMAT, RecordingFile, read_recording

EVENTS: list[Event] = [
    WindowRead(
        at=1.25,
        reading=Reading(
            metric="latency",
            window=Window(start=0.1, end=0.3),
            canary=Buckets(bounds=(0.1, inf), counts=(1.0, 2.0)),
            baseline=Missing(why=Absence.NO_SERIES, detail="none ü"),
        ),
    ),
    Held(at=1.5, guard=Guard.STOPPED, reason="off"),
    Ended(at=0.1 + 0.2, cause="SIGTERM"),
]


def refuse(complaint: str) -> None:
    raise AssertionError(complaint)


def write(path: Path) -> None:
    async def go() -> None:
        with RecordingFile(path, "test 1", refuse) as file:
            for event in EVENTS:
                await file.append(event)

    asyncio.run(go())


def test_what_was_kept_is_read_back(tmp_path: Path) -> None:
    write(tmp_path / "a.jsonl")
    assert list(read_recording(tmp_path / "a.jsonl")) == EVENTS
    assert json.loads((tmp_path / "a.jsonl").read_text().splitlines()[0]) == {"format": FORMAT, "made_by": "test 1"}


def test_an_event_is_in_the_file_before_append_returns(tmp_path: Path) -> None:
    async def go() -> None:
        with RecordingFile(tmp_path / "a.jsonl", "test 1", refuse) as file:
            await file.append(EVENTS[0])
            assert len(read_recording(tmp_path / "a.jsonl")) == 1

    asyncio.run(go())


def test_a_last_line_cut_off_by_a_crash_is_left_out(tmp_path: Path) -> None:
    path = tmp_path / "a.jsonl"
    write(path)
    path.write_text(path.read_text()[:-10])
    assert list(read_recording(path)) == EVENTS[:-1]


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"", "empty"),
        (b"\n", "empty"),
        (b"\xff\xfe\x00", "not UTF-8"),
        (b"hello\n", "not JSON"),
        (b"[]\n", "not a recording"),
        (b'{"format": "something else"}\n', "not a recording"),
        (b'{"format": "canary-analyzer-recording/2"}\n', "use a newer canary analyzer"),
        (b'{"format": "canary-analyzer-recording/1"}\n{"type": "party"}\n', ":2: not an event"),
        (b'{"format": "canary-analyzer-recording/1"}\n{"type": "ended"}\n', ":2: not an event"),
        (b'{"format": "canary-analyzer-recording/1"}\nrubbish\n', ":2: not JSON"),
        (b"[" * 100_000 + b"\n", "not JSON"),
        (b'{"format": "canary-analyzer-recording/1"}\n' + b"[" * 100_000 + b"\n", ":2: not JSON"),
        (
            b'{"format": "canary-analyzer-recording/1"}\n{"type": "ended", "at": 1, "cause": "\\ud83d"}\n',
            ":2: not JSON",
        ),
        (b'{"format": "canary-analyzer-recording/1"}\n{"type": "ended", "at": NaN}\n', ":2: not an event.* finite"),
        (
            b'{"format": "canary-analyzer-recording/1"}\n{"type": "ended", "at": "Infinity"}\n',
            ":2: not an event.* finite",
        ),
    ],
)
def test_what_is_no_recording_is_said_in_a_sentence(tmp_path: Path, content: bytes, words: str) -> None:
    path = tmp_path / "a.jsonl"
    path.write_bytes(content)
    with pytest.raises(RecordError, match=words):
        read_recording(path)


def test_files_that_are_none(tmp_path: Path) -> None:
    with pytest.raises(RecordError, match="no such file"):
        read_recording(tmp_path / "missing")
    with pytest.raises(RecordError, match="not a regular file"):
        read_recording(tmp_path)
    with pytest.raises(UsageError, match="cannot be written"):
        RecordingFile(tmp_path / "no" / "folder", "test", refuse)


def test_a_full_disk_at_the_start_is_a_usage_error() -> None:
    with pytest.raises(UsageError, match="--record /dev/full: cannot be written: No space left on device"):
        RecordingFile(Path("/dev/full"), "test", refuse)


def test_a_pipe_that_nobody_reads_is_not_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(UsageError, match="nobody reads this pipe"):
        RecordingFile(tmp_path / "pipe", "test", refuse)


def test_a_disk_that_fills_up_is_told_once_and_stops_nobody(tmp_path: Path) -> None:
    """The reader of a pipe that leaves is the disk that fills up: the next write fails."""
    os.mkfifo(tmp_path / "pipe")
    reading = os.open(tmp_path / "pipe", os.O_RDONLY | os.O_NONBLOCK)
    complaints: list[str] = []

    async def go() -> None:
        with RecordingFile(tmp_path / "pipe", "test", complaints.append) as file:
            await file.append(EVENTS[0])
            os.close(reading)
            await file.append(EVENTS[1])
            await file.append(EVENTS[2])

    asyncio.run(go())
    assert len(complaints) == 1
    assert complaints[0].endswith("the recording is cut off, and the analysis goes on: Broken pipe")


def test_a_pipe_that_is_read_gets_everything(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    reading = os.open(tmp_path / "pipe", os.O_RDONLY | os.O_NONBLOCK)
    write(tmp_path / "pipe")
    assert os.read(reading, 2**16).count(b"\n") == 1 + len(EVENTS)
    os.close(reading)
