"""A deployment: revisions side by side or one after the other, the way back, and what Prometheus is told."""

import asyncio
import json
from pathlib import Path
from typing import Any

import pytest

from analyzer.demo import fleet as fleet_module
from analyzer.demo.behaviour import ERRORS, GOOD, Behaviour, Crashes, Latency
from analyzer.demo.fleet import Fleet
from analyzer.demo.load import Load
from analyzer.errors import DemoError
from tests.demo.patience import until

pytestmark = pytest.mark.anyio

BROKEN = Behaviour(base_error_rate=1)


def told(fleet: Fleet) -> list[dict[str, Any]]:
    return json.loads(fleet.targets.read_text())


def files_in(folder: Path) -> list[str]:
    return [file.name for file in folder.iterdir()]


async def test_prometheus_is_told_where_the_pods_are(tmp_path: Path) -> None:
    async with Fleet(tmp_path, labels={"namespace": "shop"}) as fleet:
        assert told(fleet) == []
        [pod] = await fleet.deploy("1", GOOD, replicas=1)
        assert told(fleet) == [
            {
                "targets": [pod.instance.address],
                "labels": {"app": "web", "pod": pod.name, "version": "1", "namespace": "shop"},
            }
        ]
        assert pod.name.startswith("web-1-")
        await fleet.deploy("2", ERRORS, replicas=2)
        assert [target["labels"]["version"] for target in told(fleet)] == ["1", "2", "2"]
        assert files_in(tmp_path) == ["targets.json"]
    assert told(fleet) == []


async def test_names_and_luck_come_from_the_seed(tmp_path: Path) -> None:
    async def names(seed: int) -> list[str]:
        async with Fleet(tmp_path, seed=seed) as fleet:
            return [pod.name for pod in await fleet.deploy("1", GOOD, replicas=3)]

    assert await names(1) == await names(1) != await names(2)


async def test_a_revision_serves_beside_the_one_before_and_is_taken_back(tmp_path: Path) -> None:
    async with Fleet(tmp_path) as fleet:
        old = await fleet.deploy("1", Behaviour(base_error_rate=0))
        async with Load(fleet.endpoints, rate=200) as load:
            new = await fleet.deploy("2", BROKEN)
            assert set(fleet.endpoints()) == {pod.instance.url for pod in (*old, *new)}
            await until(lambda: fleet.served("2").total >= 20)
            assert (await fleet.take_back()).name == "1"
            assert fleet.endpoints() == fleet.endpoints("1") == [pod.instance.url for pod in old]
            bad = load.total().bad
            await until(lambda: load.total().sent >= 150)
            assert load.total().bad == bad  # no request was lost on the way back, and none went to the bad revision
        assert fleet.pods == old
        assert [target["labels"]["version"] for target in told(fleet)] == ["1", "1"]
        assert load.total(fleet.urls("2")).sent == fleet.served("2").total
        assert load.total(fleet.urls("2")).bad == fleet.served("2").bad == load.total().bad
        assert load.total(fleet.urls("1")).sent == fleet.served("1").total


async def test_a_revision_can_replace_the_one_before_without_a_lost_request(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(fleet_module, "_DRAIN", 1.0)  # a machine that stands still for longer would lose some
    never_bad = Behaviour(base_error_rate=0, latency=Latency(median=0.05))
    async with Fleet(tmp_path) as fleet:
        old = await fleet.deploy("1", never_bad)
        async with Load(fleet.endpoints, rate=200) as load:
            await until(lambda: load.total().sent >= 20)
            await fleet.deploy("2", never_bad, replicas=3, beside=False)
            assert {pod.revision for pod in fleet.pods} == {"2"}
            await fleet.take_back()
            assert [pod.revision for pod in fleet.pods] == ["1", "1"]
            assert not {pod.name for pod in old} & {pod.name for pod in fleet.pods}
            await until(lambda: load.total().sent >= 150)
        assert load.total().bad == 0
        assert load.total().sent == fleet.served("1").total + fleet.served("2").total


async def test_without_a_revision_before_there_is_no_way_back(tmp_path: Path) -> None:
    async with Fleet(tmp_path) as fleet:
        with pytest.raises(DemoError, match="no revision to go back to"):
            await fleet.take_back()
        await fleet.deploy("1", GOOD, replicas=1)
        with pytest.raises(DemoError, match="no revision to go back to"):
            await fleet.take_back()
        assert len(fleet.endpoints()) == 1


async def test_a_revision_is_deployed_once(tmp_path: Path) -> None:
    async with Fleet(tmp_path) as fleet:
        await fleet.deploy("1", GOOD, replicas=1)
        with pytest.raises(DemoError, match="revision 1 is deployed already"):
            await fleet.deploy("1", ERRORS)


async def test_a_dead_pod_stays_a_target_and_loses_its_requests_a_little_later(tmp_path: Path) -> None:
    async with Fleet(tmp_path, readiness_lag=0.2) as fleet:
        [pod] = await fleet.deploy("1", GOOD, replicas=1)
        await pod.instance.die()
        assert fleet.endpoints() == [pod.instance.url]
        assert len(told(fleet)) == 1
        await until(lambda: fleet.endpoints() == [])
        await pod.instance.rise()
        assert fleet.endpoints() == [pod.instance.url]


async def test_crashing_pods_come_back_and_give_bad_requests(tmp_path: Path) -> None:
    crashing = Behaviour(base_error_rate=0, crashes=Crashes(after=0.3, back_off=0.3))
    async with Fleet(tmp_path, readiness_lag=0.1) as fleet:
        [pod] = await fleet.deploy("1", crashing, replicas=1)
        async with Load(fleet.endpoints, rate=100) as load:
            await until(lambda: pod.instance.restarts >= 2 and load.total([pod.instance.url]).bad > 0)
        assert load.total([pod.instance.url]).ok <= fleet.served("1").total


async def test_all_pods_end_on_the_way_out(tmp_path: Path) -> None:
    before = asyncio.all_tasks()
    async with Fleet(tmp_path) as fleet:
        pods = await fleet.deploy("1", GOOD) + await fleet.deploy("2", ERRORS)
    assert not any(pod.instance.alive for pod in pods)
    assert asyncio.all_tasks() == before
