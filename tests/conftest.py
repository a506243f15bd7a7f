"""What all rooms of tests share.

Asynchronous tests carry `@pytest.mark.anyio` (or `pytestmark = pytest.mark.anyio`) and run in asyncio. A test that uses
one of the fixtures of a real Prometheus gets `@pytest.mark.prometheus` by itself.
"""

import os
import sys
from pathlib import Path

import pytest
from hypothesis import settings
from xdist.scheduler import LoadFileScheduling

from tests.prometheus.fixtures import FIXTURES, launch_prometheus, launch_shared_prometheus, prometheus_url
from tests.schedule import Schedule, begin_with_the_long

__all__ = ["anyio_backend", "launch_prometheus", "launch_shared_prometheus", "prometheus_url"]


# Hypothesis draws the same examples each time, and a busy machine is no failure.
settings.register_profile("repeatable", derandomize=True, deadline=None)
settings.load_profile("repeatable")

# To rewrite the assertions of all tests takes ten seconds: once, and not in each process of each run.
sys.dont_write_bytecode = False
os.environ.pop("PYTHONDONTWRITEBYTECODE", None)


def pytest_configure() -> None:
    tools = Path(__file__).parent.parent / ".tools" / "bin"  # where the set-up puts programs; as `make` does
    os.environ["PATH"] = os.pathsep.join([str(tools), os.environ.get("PATH", os.defpath)])


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if FIXTURES.intersection(getattr(item, "fixturenames", ())):
            item.add_marker(pytest.mark.prometheus)
    begin_with_the_long(items)


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: object) -> LoadFileScheduling | None:
    return Schedule(config, log) if config.getvalue("dist") == "loadfile" else None


@pytest.fixture(scope="session")
def anyio_backend() -> str:
    return "asyncio"
