"""Server-sent events, taken apart: bytes in, messages out. Without I/O."""

import re
from dataclasses import dataclass

from analyzer.errors import CanaryError

LONGEST = 1024 * 1024
"""Bytes of one message, at most."""

_LINE_END = re.compile(rb"\r\n|\r|\n")


class StreamGarbled(CanaryError):  # noqa: N818 -- named after what happened, as the others
    """What came is no stream of events, or one without bounds."""


@dataclass(frozen=True)
class Message:
    """One message: its kind (`message` unless it says another), its data, and where a stream goes on after it."""

    event: str
    data: str
    id: str


class EventStream:
    """Takes the bytes of one stream as they come, cut anywhere."""

    def __init__(self) -> None:
        self._rest = bytearray()  # of a line that has not ended
        self._after_return = False  # whether a line feed that comes now belongs to a carriage return before
        self._is_first = True
        self._event = ""
        self._data: list[str] = []
        self._size = 0
        self._id = ""

    def feed(self, data: bytes) -> list[Message]:
        """The messages that these bytes complete.

        Raises:
            StreamGarbled: a message is longer than is bearable, or is not UTF-8.
        """
        messages = []
        for line in self._lines(data):
            self._size += len(line)
            self._check()
            message = self._take(_text(line))
            if message is not None:
                messages.append(message)
        self._check()
        return messages

    def _check(self) -> None:
        if self._size + len(self._rest) > LONGEST:
            raise StreamGarbled(f"a message of the stream is longer than {LONGEST // 1024} KiB")

    def _lines(self, data: bytes) -> list[bytes]:
        if self._after_return and data:
            data = data.removeprefix(b"\n")
            self._after_return = False
        first, *others = _LINE_END.split(data)
        self._after_return = data.endswith(b"\r")
        self._rest += first
        if not others:
            return []
        lines = [bytes(self._rest), *others[:-1]]
        self._rest = bytearray(others[-1])
        if self._is_first:
            lines[0] = lines[0].removeprefix(b"\xef\xbb\xbf")
            self._is_first = False
        return lines

    def _take(self, line: str) -> Message | None:
        if not line:
            return self._dispatch()
        name, _, value = line.partition(":")
        value = value.removeprefix(" ")
        if name == "data":
            self._data.append(value)
        elif name == "event":
            self._event = value
        elif name == "id" and "\0" not in value:
            self._id = value
        return None

    def _dispatch(self) -> Message | None:
        message = Message(self._event or "message", "\n".join(self._data), self._id) if self._data else None
        self._event, self._data, self._size = "", [], 0
        return message


def _text(line: bytes) -> str:
    try:
        return line.decode()
    except UnicodeDecodeError:
        raise StreamGarbled("the stream is not UTF-8") from None
