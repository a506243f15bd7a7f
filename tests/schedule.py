"""Which process runs which tests, and what begins first.

The tests of a file stay together: what they share (a Prometheus with a history, a service under load) is made once, and
not by each process. Files that mostly wait begin first, so that what only computes fills the time beside them.
"""

import pytest
from xdist.scheduler import LoadFileScheduling

LONG = (
    "tests/cli/test_live.py",
    "tests/demo/test_demo_scenarios.py",
    "tests/sources/test_count_truth.py",
    "tests/faults/test_kills.py",
    "tests/faults/test_kills_on_postgresql.py",
    "tests/faults/test_replicas.py",
    "tests/faults/test_prometheus_outages.py",
    "tests/ci/test_ci_live.py",
    "tests/sources/test_prometheus_source.py",
    "tests/demo/test_demo_scraping.py",
    "tests/cli/test_failures.py",
    "tests/api/test_schemathesis.py",
    "tests/cli/test_serve.py",
    "tests/judge/rules/test_rolling_rule.py",
    "tests/platforms/test_upgrade_command.py",
    "tests/judge/rules/test_any_reading.py",
)
"""The longest first; it matters for nothing but the time."""
_RANKS = {file: rank for rank, file in enumerate(LONG)}


def file_of(nodeid: str) -> str:
    return nodeid.partition("::")[0]


class Schedule(LoadFileScheduling):
    """Whole files; of the faults in their full length, which take minutes each, single tests."""

    def _split_scope(self, nodeid: str) -> str:
        if self.config.getoption("--faults-full", default=False):
            return nodeid
        return file_of(nodeid)


def begin_with_the_long(items: list[pytest.Item]) -> None:
    items.sort(key=lambda item: _RANKS.get(file_of(item.nodeid), len(LONG)))
