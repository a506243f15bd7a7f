"""The lives of a container, with payloads that end when the test wants it."""

import asyncio

import pytest

from tests.cluster.kubelet.container import Container, Readiness
from tests.cluster.kubelet.plan import CRASHED, Exit, plan_of
from tests.cluster.kubelet.service import Payload
from tests.demo.patience import until

pytestmark = pytest.mark.anyio

SPEC = {"name": "web", "image": "shop:1"}


def ending(*exits: Exit) -> Payload:
    """Ends as told, life after life, then runs until it is stopped."""
    left = list(exits)

    async def payload(stop: asyncio.Event) -> Exit:
        if left:
            return left.pop(0)
        await stop.wait()
        return Exit()

    return payload


def waiting(container: Container) -> str | None:
    reason: str | None = container.status()["state"].get("waiting", {}).get("reason")
    return reason


async def test_a_good_one_runs_and_is_ready_until_it_is_stopped() -> None:
    container = Container(SPEC, plan_of("x:good"), ending())
    assert waiting(container) == "ContainerCreating"
    async with asyncio.TaskGroup() as tasks:
        tasks.create_task(container.run())
        await until(lambda: container.ready)
        status = container.status()
        assert "running" in status["state"]
        assert status["started"]
        assert status["containerID"].startswith("containerd://")
        container.stop.set()
    assert container.exit == Exit()
    assert not container.ready
    assert container.status()["state"]["terminated"]["reason"] == "Completed"


async def test_the_first_crash_is_followed_by_a_restart_and_the_second_by_a_back_off() -> None:
    container = Container(SPEC, plan_of("x:good"), ending(CRASHED, CRASHED), back_off=0.05)
    seen = []
    async with asyncio.TaskGroup() as tasks:
        running = tasks.create_task(container.run())
        while container.restarts < 2 or not container.running:
            await asyncio.sleep(0.005)
            assert not running.done()
            seen.append((container.restarts, waiting(container)))
        last = container.status()["lastState"]["terminated"]
        container.stop.set()
    assert (0, "CrashLoopBackOff") not in seen
    assert (1, "CrashLoopBackOff") in seen
    assert (last["exitCode"], last["reason"]) == (1, "Error")


@pytest.mark.parametrize(
    ("policy", "exits", "restarts", "code"),
    [("Never", [CRASHED], 0, 1), ("Never", [Exit()], 0, 0), ("OnFailure", [CRASHED, Exit()], 1, 0)],
)
async def test_the_restart_policy_is_obeyed(policy: str, exits: list[Exit], restarts: int, code: int) -> None:
    container = Container(SPEC, plan_of("x:good"), ending(*exits), policy=policy)
    async with asyncio.timeout(10):
        await container.run()
    assert container.exit is not None
    assert (container.restarts, container.exit.code) == (restarts, code)


async def test_an_image_that_is_not_there_is_pulled_again_and_again() -> None:
    container = Container(SPEC, plan_of("x:image-pull"), ending(), back_off=0.05)
    async with asyncio.TaskGroup() as tasks:
        tasks.create_task(container.run())
        await until(lambda: waiting(container) == "ErrImagePull")
        await until(lambda: waiting(container) == "ImagePullBackOff")
        await until(lambda: waiting(container) == "ErrImagePull")
        container.stop.set()
    assert not container.ran


async def test_one_that_is_never_ready_runs() -> None:
    container = Container(SPEC, plan_of("x:never-ready"), ending())
    async with asyncio.TaskGroup() as tasks:
        tasks.create_task(container.run())
        await until(lambda: container.running)
        await asyncio.sleep(0.05)
        assert not container.ready
        container.stop.set()


@pytest.mark.parametrize(
    ("delay", "period", "serves_after", "ready"),
    [(0, 10, 0, 0), (3, 10, 0, 3), (3, 10, 3, 3), (3, 10, 4, 13), (0, 1, 20, 20)],
)
async def test_the_first_probe_that_succeeds(delay: float, period: float, serves_after: float, ready: float) -> None:
    assert Readiness(delay, period).first_success(serves_after) == ready


async def test_a_probe_has_the_defaults_of_kubernetes() -> None:
    assert Readiness.of({"readinessProbe": {"httpGet": {}}}) == Readiness(0, 10)
    assert Readiness.of({}) is None
