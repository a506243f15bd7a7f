"""The chart of deploy/chart, as Helm 3 and 4 render it."""

import shutil
import tempfile
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
def render(helm: int, *arguments: str | Path, chart: Path = CHART) -> str:
    """What this Helm makes of the chart for a release `canary-analyzer` in `canary`. CommandError if it refuses."""
    program = Bed.attach().programs[f"helm{helm}"]
    where = f"--namespace={NAMESPACE}"
    return run([program, "template", RELEASE, chart, where, *arguments])


def notes(helm: int, *arguments: str | Path) -> str:
    """What the notes say. Helm tells them to who installs, which takes a cluster: here they are an object's text."""
    (found,) = [each for each in documents(render(helm, *arguments, chart=_with_notes())) if each["kind"] == "Notes"]
    return str(found["text"])


@cache
def _with_notes() -> Path:
    """A copy of the chart whose notes are rendered as a template."""
    folder = Path(tempfile.mkdtemp(dir=Bed.attach().folder, prefix="chart-")) / "canary-analyzer"
    shutil.copytree(CHART, folder)
    text = (folder / "templates" / "NOTES.txt").read_text()
    (folder / "templates" / "_notes.tpl").write_text(f'{{{{- define "notes" }}}}{text}{{{{ end -}}}}')
    (folder / "templates" / "notes.yaml").write_text('kind: Notes\ntext: {{ include "notes" . | toJson }}\n')
    return folder


def rendered(helm: int, *arguments: str | Path) -> list[Json]:
    return documents(render(helm, *arguments))


def one(objects: Sequence[Json], kind: str, name: str = "") -> Json:
    """The object of this kind; by its name if there are several."""
    (found,) = [each for each in objects if each["kind"] == kind and name in {"", each["metadata"]["name"]}]
    return found
