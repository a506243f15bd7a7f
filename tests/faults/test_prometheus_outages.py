"""A Prometheus that is away, late, slow, or talks nonsense: windows are read later, and none is lost or guessed.

Each fault is done to a connection of its own, all at once, beside one that is left in peace.
"""

import asyncio
import itertools
import random
import time
from collections.abc import AsyncIterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from analyzer.model.event import Troubled
from tests.faults.conftest import Length
from tests.faults.customer import Customer, Placed
from tests.faults.serving import Server, serving, settings
from tests.faults.wire import State, Wire, wire
from tests.faults.world import World

pytestmark = [pytest.mark.anyio, pytest.mark.prometheus]


@dataclass(frozen=True)
class Fault:
    """What becomes of the wire. Times in seconds, short and in full: `delay` as the wire has it, and the connection's
    time limit."""

    state: State
    delay: tuple[float, float] = (0.0, 0.0)
    limit: tuple[float, float] = (2.0, 15.0)
    is_noticed: bool = True


FAULTS = {
    "away": Fault(State.CUT),
    "silent": Fault(State.STOPPED_UP),
    "late": Fault(State.LATE, delay=(4.0, 30.0)),
    "slow": Fault(State.LATE, delay=(1.5, 30.0), limit=(5.0, 45.0), is_noticed=False),  # it answers in time, just
    "dripping": Fault(State.DRIPPING, delay=(0.05, 0.05)),
    "noisy": Fault(State.NOISY),
}
"""By the name of the connection that it is done to."""


@asynccontextmanager
async def wires(port: int) -> AsyncIterator[Mapping[str, Wire]]:
    async with AsyncExitStack() as stack:
        yield {name: await stack.enter_async_context(wire(port)) for name in FAULTS}


def connection(line: Wire, limit: float) -> dict[str, object]:
    return {"url": f"http://127.0.0.1:{line.port}", "timeout": limit}


@asynccontextmanager
async def served(world: World, folder: Path, connections: Mapping[str, object]) -> AsyncIterator[Server]:
    """A server with these connections beside the default one."""
    wanted = settings(
        database=f"sqlite:///{folder / 'canary.db'}",
        prometheus=world.prometheus.url,
        targets=world.targets,
        rules=world.rules,
    )
    default = {"url": world.prometheus.url, "timeout": 2.0}
    async with serving(folder, ("server", wanted | {"prometheus": {"default": default, **connections}})) as (server,):
        yield server


def port_of(world: World) -> int:
    port = urlsplit(world.prometheus.url).port
    assert port is not None
    return port


async def test_faults_of_prometheus(lived_in: World, tmp_path: Path, luck: random.Random, length: Length) -> None:
    outage = length.of(6.0, 120.0)
    async with wires(port_of(lived_in)) as lines:
        connections = {name: connection(line, length.of(*FAULTS[name].limit)) for name, line in lines.items()}
        async with served(lived_in, tmp_path, connections) as server:
            customer = Customer([server])
            placed: dict[str, list[Placed]] = {}
            for name in ("default", *FAULTS):
                placed[name] = [
                    await lived_in.order(
                        customer, f"{name}-{bad}", bad_after=bad, prometheus=name, deadline=f"{outage + 60:g}s"
                    )
                    for bad in (0.0, 4.0, None)
                ]
            await asyncio.sleep(luck.uniform(0.5, 2.0))
            mended_at = time.monotonic() + outage
            for name, fault in FAULTS.items():
                lines[name].become(fault.state, length.of(*fault.delay))
            # Those in peace are not held up by those in trouble.
            await lived_in.prove(customer, placed["default"], within=30)
            await asyncio.sleep(max(0.0, mended_at - time.monotonic()))
            for line in lines.values():
                line.become(State.WHOLE)
            for name, fault in FAULTS.items():
                await lived_in.prove(customer, placed[name], within=150)
                troubled = [await troubles(lived_in, customer, each) for each in placed[name]]
                assert any(troubled) == fault.is_noticed, f"{name}: {troubled}"
            for each in itertools.chain.from_iterable(placed.values()):
                lived_in.free(each.name)


async def troubles(world: World, customer: Customer, placed: Placed) -> list[Troubled]:
    return [event for event in await world.record(customer, placed) if isinstance(event, Troubled)]


async def test_an_outage_past_the_deadline_is_no_bad_release(lived_in: World, tmp_path: Path) -> None:
    """Nor a good one: nothing is done, and the reason says why."""
    async with (
        wire(port_of(lived_in)) as line,
        served(lived_in, tmp_path, {"away": connection(line, 2.0)}) as server,
    ):
        customer = Customer([server])
        short = {"deadline": "9s", "prometheus": "away"}
        placed = [await lived_in.order(customer, f"{bad}", bad_after=bad, **short) for bad in (2.5, None)]
        await asyncio.sleep(2.0)
        line.become(State.CUT)
        ended = await customer.ended([each.id for each in placed], within=60)
        for each in placed:
            assert ended[each.id]["verdict"] in {"inconclusive", "error"}, ended[each.id]
            assert ended[each.id]["action"]["kind"] == "none", ended[each.id]
            assert not lived_in.acts.begun(each.id)
            lived_in.free(each.name)


async def test_a_prometheus_that_is_killed_and_comes_back(
    lived_in: World, tmp_path: Path, luck: random.Random, length: Length
) -> None:
    """What it did not scrape in between is counted with its first scrape afterwards."""
    outage = length.of(3.0, 120.0)
    async with served(lived_in, tmp_path, {}) as server:
        customer = Customer([server])
        # The minimum is past the outage: what is shown before it would be enough for a pass.
        schedule = {"minimum": f"{outage + 15:g}s", "deadline": f"{outage + 60:g}s"}
        placed = [
            await lived_in.order(customer, f"{number}", bad_after=bad, **schedule)
            for number, bad in enumerate((0.0, 3.0, None, None))
        ]
        await asyncio.sleep(luck.uniform(1.0, 3.0))
        await lived_in.prometheus.kill()
        await asyncio.sleep(outage)
        await lived_in.prometheus.launch()
        await lived_in.prove(customer, placed, within=150)
