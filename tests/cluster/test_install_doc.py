"""docs/install.md: every helm command in it is one that Helm and the chart take."""

import re
import shlex
from pathlib import Path

import pytest

from tests.cluster.rendering import GOOD, render
from tests.deploy.chart import CHART, ROOT

TEXT = (ROOT / "docs" / "install.md").read_text()
BLOCKS = re.findall(r"^ *```(?:sh|console)\n(.*?)^ *```", TEXT, flags=re.MULTILINE | re.DOTALL)
LINES = [line.strip() for block in BLOCKS for line in block.replace("\\\n", " ").splitlines()]
COMMANDS = [line for line in LINES if line.startswith("helm ") and " deploy/chart " in line]
FILES = re.findall(r"^```yaml\n(.*?)^```", TEXT, flags=re.MULTILINE | re.DOTALL)
OF_UPGRADES = {"--reuse-values", "--reset-then-reuse-values", "--create-namespace"}


def test_the_commands_are_found() -> None:
    assert len(COMMANDS) == 7


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_renders(helm: int, command: str, tmp_path: Path) -> None:
    (tmp_path / "worker.yaml").write_text("kind: RuleSet")
    words = shlex.split(command.replace("=worker.yaml", f"={tmp_path / 'worker.yaml'}"))
    assert words[1] in {"install", "upgrade"}
    assert words[2:4] == ["canary-analyzer", "deploy/chart"]
    given = GOOD if words[1] == "upgrade" else ()
    assert "kind: Deployment" in render(helm, *given, *(word for word in words[4:] if word not in OF_UPGRADES))


@pytest.mark.parametrize("text", FILES)
def test_every_example_of_values_renders(helm: int, text: str, tmp_path: Path) -> None:
    file = tmp_path / "values.yaml"
    file.write_text(text)
    named = GOOD[1:] if "prometheus:" in text else GOOD[:1]
    assert "kind: Deployment" in render(helm, *named, f"--values={file}")


def test_the_chart_is_where_the_document_says() -> None:
    assert ROOT / "deploy" / "chart" == CHART
