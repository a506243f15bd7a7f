"""Classic or native: found out by asking, and settled as soon as both sides were seen."""

import math
import socket
from collections.abc import Iterator
from typing import Any

import pytest

from analyzer.model.plan import Query, SideMatchers
from analyzer.model.reading import Absence, Buckets, Cursor, Missing, Reading, Window
from analyzer.model.ruleset import Comparison, HistogramMetric
from analyzer.sources.prometheus.client import PrometheusAccess
from analyzer.sources.prometheus.source import PrometheusSource
from tests.sources.misbehaving import Misbehaving, Request, http, misbehaving

pytestmark = pytest.mark.anyio

SIDES = SideMatchers(canary='v="2"', baseline='v="1"', comparison=Comparison.SIDE_BY_SIDE)
INF = math.inf


class Server:
    """Answers with the series it has: classic ones by version and bound, native ones by version."""

    def __init__(self) -> None:
        self.classic: dict[str, dict[str, list[tuple[float, str]]]] = {}
        self.native: dict[str, list[tuple[float, dict[str, Any]]]] = {}
        self.floats: dict[str, list[tuple[float, str]]] = {}
        self.asked: list[str] = []

    def answer(self, request: Request, connection: socket.socket) -> None:
        query = request.parameters["query"]
        self.asked.append(query)
        result: list[dict[str, Any]] = []
        if query.startswith("took_bucket"):
            result = [
                {"metric": {"v": version, "le": le}, "values": samples}
                for version, buckets in self.classic.items()
                for le, samples in buckets.items()
            ]
        elif query.startswith("took{"):
            result = [{"metric": {"v": version}, "histograms": samples} for version, samples in self.native.items()]
            result += [{"metric": {"v": version}, "values": samples} for version, samples in self.floats.items()]
        connection.sendall(http(200, {"status": "success", "data": {"resultType": "matrix", "result": result}}))


def native(one: int, two: int) -> dict[str, Any]:
    buckets = [[0, "0.5", "1", str(one)], [0, "1", "2", str(two)]]
    return {"count": str(one + two), "sum": "1", "buckets": buckets}


@pytest.fixture
def server() -> Iterator[tuple[Server, Misbehaving]]:
    content = Server()
    with misbehaving(content.answer) as running:
        yield content, running


async def read(running: Misbehaving, *windows: Window) -> list[Reading]:
    readings, cursor = [], None
    async with PrometheusSource(PrometheusAccess.of(url=running.url)) as source:
        query: Query = source.query("m", HistogramMetric(histogram="took"), SIDES)
        for window in windows:
            reading, cursor = await source.read(query, window, cursor)
            cursor = Cursor.model_validate_json(cursor.model_dump_json())
            readings.append(reading)
    return readings


FIRST, SECOND = Window(start=1000, end=1020), Window(start=1020, end=1040)
CLASSIC = {"1": [(995.0, "1"), (1010.0, "3"), (1030.0, "4")], "+Inf": [(995.0, "2"), (1010.0, "7"), (1030.0, "9")]}
NATIVE = [(995.0, native(1, 1)), (1010.0, native(3, 4)), (1030.0, native(4, 5))]
AS_CLASSIC = Buckets(bounds=(1, INF), counts=(2, 3))
AS_NATIVE = Buckets(bounds=(0.5, 1, 2, INF), counts=(0, 2, 3, 0), scale=0)


async def test_classic_where_there_are_only_classic_ones(server: tuple[Server, Misbehaving]) -> None:
    content, running = server
    content.classic = {"1": CLASSIC, "2": CLASSIC}
    first, second = await read(running, FIRST, SECOND)
    assert first.canary == first.baseline == AS_CLASSIC
    assert second.canary == Buckets(bounds=(1, INF), counts=(1, 1))
    assert not any(query.startswith("took{") for query in content.asked[2:])  # settled


async def test_native_where_both_sides_have_them(server: tuple[Server, Misbehaving]) -> None:
    content, running = server
    content.native = {"1": NATIVE, "2": NATIVE}
    content.classic = {"1": CLASSIC, "2": CLASSIC}
    first, second = await read(running, FIRST, SECOND)
    assert first.canary == first.baseline == AS_NATIVE
    assert second.canary == Buckets(bounds=(0.5, 1, 2, INF), counts=(0, 1, 1, 0), scale=0)
    assert not any(query.startswith("took_bucket") for query in content.asked[2:])


async def test_classic_where_only_one_side_has_native_ones(server: tuple[Server, Misbehaving]) -> None:
    content, running = server
    content.native = {"2": NATIVE}
    content.classic = {"1": CLASSIC, "2": CLASSIC}
    (reading,) = await read(running, FIRST)
    assert reading.canary == reading.baseline == AS_CLASSIC


async def test_while_a_side_was_never_seen_both_are_asked_for(server: tuple[Server, Misbehaving]) -> None:
    content, running = server
    content.native = {"1": NATIVE}
    first, second = await read(running, FIRST, SECOND)
    assert (first.baseline, isinstance(first.canary, Missing)) == (AS_NATIVE, True)
    assert isinstance(second.baseline, Buckets)
    assert sum(query.startswith("took_bucket") for query in content.asked) == 2


async def test_plain_numbers_are_no_histogram(server: tuple[Server, Misbehaving]) -> None:
    content, running = server
    content.floats = {"1": [(1010.0, "3")], "2": [(1010.0, "3")]}
    (reading,) = await read(running, FIRST)
    assert isinstance(reading.canary, Missing)
    assert reading.canary.why == Absence.NO_SERIES


async def test_sides_of_different_schemas_have_their_own(server: tuple[Server, Misbehaving]) -> None:
    content, running = server
    fine = {"count": "4", "buckets": [[0, "1", repr(2**0.5), "4"]]}
    finer = {"count": "9", "buckets": [[0, "1", repr(2**0.5), "8"], [0, repr(2**0.5), "2", "1"]]}
    content.native = {"1": NATIVE, "2": [(995.0, fine), (1010.0, finer)]}
    (reading,) = await read(running, FIRST)
    assert reading.baseline == AS_NATIVE
    assert isinstance(reading.canary, Buckets)
    assert reading.canary.scale == 1
    assert reading.canary.bounds == pytest.approx((1, 2**0.5, 2, INF))
    assert reading.canary.counts == (0, 4, 1, 0)
