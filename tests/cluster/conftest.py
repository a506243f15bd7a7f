"""Fixtures of the test bed: the real control plane that `make e2e` starts around these tests."""

import fcntl
import os
from collections.abc import Generator, Iterator
from pathlib import Path

import pytest

from tests.cluster.bed import ENVIRONMENT, Bed
from tests.cluster.git import GitRepository
from tests.cluster.namespace import Namespace
from tests.cluster.process import CommandError

HERE = Path(__file__).parent
_REPORT = pytest.StashKey[pytest.TestReport]()


def pytest_ignore_collect(collection_path: Path, config: pytest.Config) -> bool | None:
    """Leave these tests out of `make test`; whoever names them gets to hear that they need a bed."""
    if ENVIRONMENT in os.environ or not collection_path.is_relative_to(HERE):
        return None
    named = [(config.invocation_params.dir / argument.split("::")[0]).resolve() for argument in config.args]
    return None if any(path.is_relative_to(HERE) for path in named) else True


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_runtest_makereport(item: pytest.Item) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    report = yield
    if report.when == "call":
        item.stash[_REPORT] = report
    return report


@pytest.fixture(scope="session")
def bed() -> Bed:
    if ENVIRONMENT not in os.environ:
        pytest.fail("needs the test bed around it: make e2e")
    return Bed.attach()


@pytest.fixture
def alone(bed: Bed) -> Iterator[None]:
    """No other test that uses the bed runs meanwhile: for those that stop a program of the control plane."""
    with (bed.folder / "gate.lock").open("w") as gate, (bed.folder / "turn.lock").open("w") as turn:
        fcntl.flock(gate, fcntl.LOCK_EX)  # from here on nobody begins
        fcntl.flock(turn, fcntl.LOCK_EX)  # and all who had begun have ended
        yield


@pytest.fixture
def together(bed: Bed, request: pytest.FixtureRequest) -> Iterator[None]:
    """Other tests may run meanwhile, unless this one is `alone`."""
    if "alone" in request.fixturenames:
        request.getfixturevalue("alone")
        yield
        return
    with (bed.folder / "gate.lock").open("w") as gate, (bed.folder / "turn.lock").open("w") as turn:
        fcntl.flock(gate, fcntl.LOCK_SH)
        fcntl.flock(turn, fcntl.LOCK_SH)
        fcntl.flock(gate, fcntl.LOCK_UN)
        yield


@pytest.fixture
def namespace(bed: Bed, request: pytest.FixtureRequest) -> Iterator[Namespace]:
    request.getfixturevalue("together")
    with bed.namespace() as fresh:
        yield fresh
        report = request.node.stash.get(_REPORT, None)
        if report is not None and report.failed:
            _keep_state(bed, fresh)


def _keep_state(bed: Bed, namespace: Namespace) -> None:
    """What was in the namespace of a failed test, beside the logs."""
    kinds = "pods,replicasets,deployments,statefulsets,daemonsets,jobs,services,endpointslices,configmaps,events"
    try:
        state = namespace.kubectl("get", kinds, "--output=yaml")
    except CommandError as error:
        state = str(error)
    (bed.folder / "logs" / f"{namespace.name}.yaml").write_text(state)


@pytest.fixture
def repository(tmp_path: Path) -> GitRepository:
    """An empty Git repository, which Argo CD can read as well (`repository.url`)."""
    return GitRepository.create(tmp_path / "repository")


@pytest.fixture(params=[3, 4], ids=["helm3", "helm4"])
def helm(request: pytest.FixtureRequest) -> int:
    """The version of Helm; a test that asks for it runs with both."""
    version: int = request.param
    return version


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """How long customers felt the bad release of each scenario (see scenarios/conftest.py)."""
    reports = [one for some in terminalreporter.stats.values() for one in some if isinstance(one, pytest.TestReport)]
    told = [(report.nodeid, value) for report in reports for name, value in report.user_properties if name == "felt"]
    if told:
        terminalreporter.section("bad answers, as the load generator got them")
    for test, sentence in dict(told).items():
        terminalreporter.line(f"{test.rpartition('::')[2]}: {sentence}")
