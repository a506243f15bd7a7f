"""Server-sent events, cut anywhere, and what is none."""

from contextlib import suppress
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from analyzer.cli.event_stream import LONGEST, EventStream, Message, StreamGarbled

STREAM = (
    '\ufeffretry: 2000\n\n: a comment\n\nid: 1\nevent: analysis\ndata: {"a":\ndata: 1}\n\n'
    "data:no space\r\n\r\nid: 2\rdata:  two spaces\r\revent: nothing\n\nid: a\0b\ndata\n\nunknown: x\ndata: ü✓\n\n"
    "data: never ended"
).encode()
MESSAGES = [
    Message("analysis", '{"a":\n1}', "1"),
    Message("message", "no space", "1"),
    Message("message", " two spaces", "2"),
    Message("message", "", "2"),
    Message("message", "ü✓", "2"),
]


def test_as_the_standard_has_it() -> None:
    assert EventStream().feed(STREAM) == MESSAGES


@given(st.lists(st.integers(min_value=1, max_value=len(STREAM) - 1), max_size=20))
def test_wherever_it_is_cut(places: list[int]) -> None:
    stream, cuts = EventStream(), [0, *sorted(places), len(STREAM)]
    parts = [STREAM[start:end] for start, end in pairwise(cuts)]
    assert [message for part in parts for message in stream.feed(part)] == MESSAGES


def test_byte_by_byte() -> None:
    stream = EventStream()
    assert [message for byte in STREAM for message in stream.feed(bytes([byte]))] == MESSAGES


@given(st.lists(st.binary(max_size=50), max_size=20))
def test_whatever_comes(parts: list[bytes]) -> None:
    stream = EventStream()
    with suppress(StreamGarbled):
        for part in parts:
            assert all(isinstance(message, Message) for message in stream.feed(part))


@pytest.mark.parametrize("part", [b"x" * 65536, b"data: " + b"x" * 65536 + b"\n", b"\n".join([b"id"] * 30000) + b"\n"])
def test_a_message_without_end(part: bytes) -> None:
    stream = EventStream()

    def feed() -> None:
        for _ in range(2 + LONGEST // 60000):
            stream.feed(part)

    with pytest.raises(StreamGarbled, match="longer than 1024 KiB"):
        feed()


def test_many_short_messages_are_not_one_long_one() -> None:
    stream = EventStream()
    for _ in range(200):
        assert len(stream.feed(b"data: " + b"x" * 8192 + b"\n\n")) == 1
