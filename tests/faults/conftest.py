"""Faults, done to real processes. `make test` runs a short form; `pytest tests/faults --faults-full` the long one.

A failed test shows its seed (`--faults-seed` repeats it) and the folder with the logs of its servers.
"""

import random
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.faults.world import World, world
from tests.store.postgresql import FIXTURES, own_postgresql, postgresql

__all__ = ["own_postgresql", "postgresql"]

SEED = 20_261_121


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--faults-full", action="store_true", help="200 kills, and outages in their full length")
    parser.addoption("--faults-seed", type=int, default=SEED, help="of all that is left to chance")


@dataclass(frozen=True)
class Length:
    """How long the faults are: `full` as promised, or short."""

    full: bool

    def of(self, short: float, full: float) -> float:
        return full if self.full else short


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if FIXTURES.intersection(getattr(item, "fixturenames", ())):
            item.add_marker(pytest.mark.postgresql)


@pytest.fixture(scope="session")
def length(pytestconfig: pytest.Config) -> Length:
    return Length(bool(pytestconfig.getoption("--faults-full", default=False)))


@pytest.fixture
def luck(request: pytest.FixtureRequest, tmp_path: Path) -> random.Random:
    seed = request.config.getoption("--faults-seed", default=SEED)
    print(f"seed {seed}; logs in {tmp_path}")  # noqa: T201 -- shown where the test fails
    return random.Random(f"{seed}/{request.node.name}")


@pytest.fixture(scope="module")
async def lived_in(tmp_path_factory: pytest.TempPathFactory, anyio_backend: str) -> AsyncIterator[World]:
    """The world of a module's tests."""
    assert anyio_backend == "asyncio"
    async with world(tmp_path_factory.mktemp("world")) as made:
        yield made
