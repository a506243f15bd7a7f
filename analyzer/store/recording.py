"""Every event of one analysis in a file: a header, then one line of JSON an event, in the order in which it happened.

The header carries the format's version; a later format is refused with a sentence, an earlier one will be read. No
credential is ever in an event, and so none is in a recording.
"""

import errno
import json
import os
from collections.abc import Callable, Sequence
from pathlib import Path
from types import TracebackType
from typing import Self

from pydantic import ValidationError

from analyzer.errors import RecordError, UsageError
from analyzer.model.event import EVENT, Event

FORMAT = "canary-analyzer-recording/1"
LARGEST = 1024**3


def heading(made_by: str) -> str:
    """The first line of a recording; after it comes the JSON of one event in each line."""
    return json.dumps({"format": FORMAT, "made_by": made_by})


class NoRecording:
    """The `Record` port for an analysis that nobody wants to keep."""

    async def append(self, event: Event) -> None:
        """Forget it."""


class RecordingFile:
    """The `Record` port on a file; a context manager. Each event is in the file before `append` returns.

    When the disk is full, what is recorded ends there, `complain` is told once, and the analysis goes on: a recording
    is for later, and a bad release is to be taken back now.

    Raises:
        UsageError: the file cannot be written.
    """

    def __init__(self, path: Path, made_by: str, complain: Callable[[str], None]) -> None:
        self._path = path
        self._complain = complain
        self._is_writable = True
        try:
            # Without waiting for somebody who reads, if it is a pipe. Without a buffer: nothing is left to be written.
            number = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NONBLOCK | os.O_CLOEXEC, 0o666)
            os.set_blocking(number, True)
            self._file = os.fdopen(number, "wb", buffering=0)
        except OSError as error:
            why = "nobody reads this pipe" if error.errno == errno.ENXIO else error.strerror
            raise UsageError(f"--record {path}: cannot be written: {why}") from error
        try:
            self._write(heading(made_by))
        except OSError as error:
            self._file.close()
            raise UsageError(f"--record {path}: cannot be written: {error.strerror}") from error

    def _write(self, line: str) -> None:
        rest = memoryview(f"{line}\n".encode())
        while rest:
            rest = rest[self._file.write(rest) :]

    async def append(self, event: Event) -> None:
        """Keep one event."""
        if not self._is_writable:
            return
        try:
            self._write(event.model_dump_json())
        except OSError as error:
            self._give_up(error)

    def _give_up(self, error: OSError) -> None:
        self._is_writable = False
        self._complain(f"--record {self._path}: the recording is cut off, and the analysis goes on: {error.strerror}")

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            os.fsync(self._file.fileno())
        except OSError as trouble:
            if self._is_writable and trouble.errno not in {errno.EINVAL, errno.ENOTSUP}:  # a pipe or a terminal
                self._give_up(trouble)
        self._file.close()


def read_recording(path: Path) -> Sequence[Event]:
    """The events of a recording. A last line that was cut off by a crash is left out.

    Raises:
        RecordError: no recording, a later format, or a line that is not an event.
    """
    lines = _lines(path)
    header = _header(path, lines[0])
    made = header.get("format") if isinstance(header, dict) else None
    if not isinstance(made, str) or not made.startswith("canary-analyzer-recording/"):
        raise RecordError(f"{path}: not a recording of the canary analyzer: write one with canary check --record FILE")
    if made != FORMAT:
        raise RecordError(f"{path}: its format is {made}, and this version reads {FORMAT}: use a newer canary analyzer")
    events: list[Event] = []
    for number, line in enumerate(lines[1:], start=2):
        try:
            events.append(EVENT.validate_json(line))
        except ValidationError as error:
            first = error.errors()[0]
            if first["type"] == "json_invalid":  # half a sign among others: no event is written with one
                raise _no_json(path, number) from error
            place = ".".join(str(part) for part in first["loc"])
            raise RecordError(f"{path}:{number}: not an event of an analysis: {place}: {first['msg']}") from error
    return events


def _lines(path: Path) -> list[str]:
    try:
        if not path.is_file():
            raise RecordError(f"{path}: no such file" if not path.exists() else f"{path}: not a regular file")
        if path.stat().st_size > LARGEST:
            raise RecordError(f"{path}: larger than 1 GiB: not a recording of one analysis")
        text = path.read_text(encoding="utf-8")
    except UnicodeDecodeError as error:
        raise RecordError(f"{path}: not UTF-8 text, so not a recording of the canary analyzer") from error
    except OSError as error:
        raise RecordError(f"{path}: cannot be read: {error.strerror}") from error
    whole, _, cut_off = text.rpartition("\n")
    lines = whole.split("\n") if whole else [cut_off]
    if not any(lines):
        raise RecordError(f"{path}: empty: not a recording of the canary analyzer")
    return lines


def _header(path: Path, line: str) -> object:
    try:
        return json.loads(line)
    except (ValueError, RecursionError) as error:
        raise _no_json(path, 1) from error


def _no_json(path: Path, number: int) -> RecordError:
    return RecordError(f"{path}:{number}: not JSON: not a recording of the canary analyzer, or damaged")
