"""The chart of deploy/chart, as Helm 3 and 4 render it."""

from collections.abc import Sequence
from functools import cache
from pathlib import Path
from typing import Any

from tests.cluster.bed import Bed
from tests.cluster.process import run
from tests.deploy.chart import CHART, documents

Json = dict[str, Any]

RELEASE = "canary-analyzer"
NAMESPACE = "canary"
GOOD = ("--set=prometheus.url=http://prometheus:9090", "--set=watch.namespaces={shop}")
"""The least that is of use."""


@cache
def render(helm: int, *arguments: str | Path, notes: bool = False) -> str:
    """What this Helm makes of the chart for a release `canary-analyzer` in `canary`. CommandError if it refuses."""
    program = Bed.attach().programs[f"helm{helm}"]
    where = f"--namespace={NAMESPACE}"
    if notes:
        return run([program, "install", RELEASE, CHART, where, "--dry-run=client", *arguments]).partition("NOTES:")[2]
    return run([program, "template", RELEASE, CHART, where, *arguments])


def rendered(helm: int, *arguments: str | Path) -> list[Json]:
    return documents(render(helm, *arguments))


def one(objects: Sequence[Json], kind: str, name: str = "") -> Json:
    """The object of this kind; by its name if there are several."""
    (found,) = [each for each in objects if each["kind"] == kind and name in {"", each["metadata"]["name"]}]
    return found
