"""What many answers at once may take: connections and memory, on real sockets."""

import asyncio
import socket
import threading

import pytest

from analyzer.errors import SourceUnavailable
from analyzer.sources.prometheus.access import MEBIBYTE, PrometheusAccess
from analyzer.sources.prometheus.client import PrometheusClient
from analyzer.sources.prometheus.room import Room
from analyzer.sources.prometheus.sharing import SharedClient
from tests.sources.misbehaving import Request, http, misbehaving, vector


def test_parts_are_taken_and_given_back() -> None:
    room = Room(10)
    with room.part() as first:
        assert first(6)
        with room.part() as second:
            assert not second(5)
            assert second(4)
            assert room.taken == 10
        assert room.taken == 6
    assert room.taken == 0


def test_a_part_is_given_back_when_reading_fails() -> None:
    def fails(room: Room) -> None:
        with room.part() as take:
            assert take(10)
            raise ConnectionResetError

    room = Room(10)
    with pytest.raises(ConnectionResetError):
        fails(room)
    assert room.taken == 0


def test_large_answers_at_once_are_bounded_together() -> None:
    whole = http(200, vector("1"))
    head, _, body = whole.partition(b"\r\n\r\n")
    padding = b" " * (3 * MEBIBYTE // 2)
    head = head.replace(f"Content-Length: {len(body)}".encode(), f"Content-Length: {len(body) + len(padding)}".encode())
    released = threading.Event()

    def slowly(_: Request, connection: socket.socket) -> None:
        connection.sendall(head + b"\r\n\r\n" + padding)
        released.wait(10)
        connection.sendall(body)

    async def asking(url: str) -> None:
        async with PrometheusClient(PrometheusAccess.of(url=url, max_answer=2 * MEBIBYTE)) as client:
            asked = [asyncio.create_task(client.instant(f"q{number}", 1)) for number in range(3)]
            done, others = await asyncio.wait(asked, timeout=10, return_when=asyncio.FIRST_COMPLETED)
            (failed,) = done
            with pytest.raises(SourceUnavailable, match="larger than 4 MiB together: this one is asked for again"):
                failed.result()
            released.set()
            assert [answer.kind for answer in await asyncio.gather(*others)] == ["vector"] * 2
            assert client._room.taken == 0
            assert (await client.instant("again", 1)).kind == "vector"

    with misbehaving(slowly) as server:
        try:
            asyncio.run(asking(server.url))
        finally:
            released.set()


def test_as_many_connections_as_questions_at_once() -> None:
    together = threading.Barrier(12)

    def meets(_: Request, connection: socket.socket) -> None:
        together.wait(10)
        connection.sendall(http(200, vector("1")))

    async def asking(url: str) -> None:
        async with SharedClient(PrometheusAccess.of(url=url), at_once=12) as shared:
            await asyncio.gather(*(shared.view("a").instant(f"q{number}", 1) for number in range(12)))

    with misbehaving(meets) as server:
        asyncio.run(asking(server.url))
    assert not together.broken
