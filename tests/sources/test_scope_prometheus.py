"""Two tenants in a real Prometheus, and one of them trying to see the other."""

import json
import math
import time
from collections.abc import AsyncIterator

import pytest

from analyzer.demo.history import Series
from analyzer.demo.prometheus import Settings
from analyzer.errors import QueryRefused
from analyzer.sources.prometheus.access import PrometheusAccess
from analyzer.sources.prometheus.scope import Scoped
from analyzer.sources.prometheus.sharing import SharedClient
from analyzer.sources.promql import parse_matchers
from tests.prometheus.fixtures import Launch

pytestmark = [pytest.mark.prometheus, pytest.mark.anyio]

MINE, FOREIGN = 3.0, 4711.0
STEP, COUNT = 15, 40


@pytest.fixture(scope="module")
async def tenants(launch_shared_prometheus: Launch) -> AsyncIterator[tuple[SharedClient, int]]:
    end = math.floor(time.time()) - 30
    times = [float(end - STEP * number) for number in reversed(range(COUNT))]
    series = [
        Series(name, {"namespace": namespace, "pod": f"{namespace}-1"}, [(at, value) for at in times])
        for name in ("up", "secret_total", "target_info")
        for namespace, value in (("shop", MINE), ("foreign", FOREIGN))
    ]
    url = (await launch_shared_prometheus(Settings(history=series))).url
    async with SharedClient(PrometheusAccess.of(url=url)) as shared:
        yield shared, end * 1000


HOSTILE = [
    "up",
    "{__name__=~'.+'}",
    'up{namespace="foreign"}',
    'up{namespace=~"shop|foreign"}',
    'up{namespace!="shop"}',
    'up{namespace=""} or up',
    "up[5m]",
    "max_over_time(up[5m:15s])",
    "max_over_time((up or secret_total)[5m:15s] offset 1m)",
    "secret_total offset 2m",
    "secret_total @ end()",
    'label_replace(up{namespace="foreign"}, "namespace", "shop", "", "")',
    'label_replace(secret_total, "namespace", "foreign", "", "")',
    "sum by (namespace) (secret_total)",
    "sum(secret_total)",
    "max(secret_total)",
    'count_values("v", secret_total)',
    "topk(5, {__name__!=''})",
    "up + on () group_left (pod) max(secret_total)",
    "up and on () secret_total",
    'vector(0) unless on () secret_total{namespace="foreign"}',
    "vector(scalar(secret_total)) or vector(1)",
    "-(up) ^ 2",
    "quantile_over_time(1, secret_total[10m])",
]


@pytest.mark.parametrize("query", HOSTILE)
async def test_a_tenant_sees_nothing_of_another(tenants: tuple[SharedClient, int], query: str) -> None:
    shared, at = tenants
    scoped = Scoped(shared.view("a"), parse_matchers('namespace="shop"'))
    answers = [await scoped.instant(query, at)]
    if not query.endswith("]"):
        answers.append(await scoped.range(query, at - 300_000, at, 60_000))
    for answer in answers:
        text = json.dumps(answer.result)
        assert "4711" not in text
        assert "4714" not in text  # both together
        assert "foreign-1" not in text


async def test_without_a_scope_everything_is_seen(tenants: tuple[SharedClient, int]) -> None:
    """Or else the test above could not fail."""
    shared, at = tenants
    answer = await shared.view("a").instant("sum by (namespace) (secret_total)", at)
    assert "4711" in json.dumps(answer.result)


async def test_what_is_ones_own_is_seen(tenants: tuple[SharedClient, int]) -> None:
    shared, at = tenants
    scoped = Scoped(shared.view("a"), parse_matchers('namespace="shop"'))
    (series,) = (await scoped.instant("sum(secret_total)", at)).result
    assert float(series["value"][1]) == MINE
    with pytest.raises(QueryRefused, match="is not sent"):
        await scoped.instant("info(up)", at)
