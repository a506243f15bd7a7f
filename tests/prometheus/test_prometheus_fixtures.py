"""The fixtures that give other rooms a real Prometheus."""

import httpx
import pytest

from analyzer.demo.prometheus import Settings
from tests.prometheus.fixtures import Launch


def test_a_test_that_is_not_asynchronous_gets_a_prometheus(prometheus_url: str) -> None:
    answer = httpx.get(f"{prometheus_url}/api/v1/query", params={"query": "vector(1)"}, trust_env=False)
    assert answer.json()["status"] == "success"


def test_the_marker_is_put_on_by_the_fixture(request: pytest.FixtureRequest, prometheus_url: str) -> None:
    assert prometheus_url.startswith("http://127.0.0.1:")
    assert request.node.get_closest_marker("prometheus") is not None


def test_the_marker_is_not_put_on_without_it(request: pytest.FixtureRequest) -> None:
    assert request.node.get_closest_marker("prometheus") is None


@pytest.mark.anyio
async def test_a_test_gets_as_many_as_it_wants(launch_prometheus: Launch) -> None:
    one, other = await launch_prometheus(Settings()), await launch_prometheus(Settings())
    assert one.url != other.url
    assert await one.ask.ready()
    assert await other.ask.ready()
