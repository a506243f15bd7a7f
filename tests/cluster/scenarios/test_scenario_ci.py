"""What `deploy/ci` and `deploy/helm-plugin` ship, run by who is to run it: Helm 3 and 4, Argo CD."""

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.cluster.namespace import Namespace
from tests.cluster.process import CommandError
from tests.cluster.scenarios.argo import BAD
from tests.cluster.scenarios.conftest import Opening
from tests.cluster.scenarios.shop import CHART, RELEASE, RULES, Shop

ROOT = Path(__file__).parents[3]
HOOK = ROOT / "deploy" / "ci" / "helm" / "canary.yaml"
ATOMIC = {3: "--atomic", 4: "--rollback-on-failure"}


@pytest.fixture
def program(tmp_path: Path) -> Path:
    """A folder with a `canary` of this checkout, as a machine or an image would have one installed."""
    folder = tmp_path / "bin"
    folder.mkdir()
    script = folder / "canary"
    script.write_text(f'#!/bin/sh\nPYTHONPATH={ROOT} exec {sys.executable} -m analyzer.cli "$@"\n')
    script.chmod(0o755)
    return folder


def values(shop: Shop, program: Path, **more: Any) -> str:  # noqa: ANN401 -- YAML
    """The file with the hook's values, for the simulated node: its containers have the machine's programs."""
    path = os.pathsep.join([str(program), str(shop.namespace.bed.tools(shop.helm)), os.environ["PATH"]])
    canary = {
        "image": "registry.example/canary-analyzer:0.1.0",
        "flags": [f"--rules={RULES}", f"--prometheus={shop.prometheus.url}"],
        "withoutVerdict": "keep",
        "env": [{"name": "PATH", "value": path}],
        **more,
    }
    file = shop.namespace.folder / "canary-values.yaml"
    file.write_text(json.dumps({"canary": canary}))
    return str(file)


@pytest.fixture
def chart(tmp_path: Path) -> Path:
    """The shop's chart with the hook among its templates."""
    folder = tmp_path / "chart"
    shutil.copytree(CHART, folder)
    shutil.copy(HOOK, folder / "templates")
    return folder


def upgrade(shop: Shop, chart: Path, file: str, tag: str) -> str:
    shop.note_pods()
    words = ("upgrade", RELEASE, chart, "--set", f"image.tag={tag}", f"--values={file}", "--timeout=150s")
    return shop.namespace.helm(shop.helm, *words, ATOMIC[shop.helm])


def said(shop: Shop) -> str:
    """What the hook's container has printed."""
    folder = shop.namespace.bed.folder / "kubelet"
    return "".join(file.read_text() for file in sorted(folder.glob(f"{shop.namespace.name}_{RELEASE}-canary-*.log")))


def test_a_hook_keeps_a_good_upgrade_and_has_helm_take_a_bad_one_back(shop: Shop, chart: Path, program: Path) -> None:
    upgrade(shop, chart, values(shop, program), "good-b")
    assert shop.history()[-1] == (2, "deployed")
    assert "hook: passed" in said(shop), said(shop)
    with pytest.raises(CommandError, match=r"has been rolled back.*post-upgrade hooks failed"):
        upgrade(shop, chart, values(shop, program), BAD)
    assert shop.history()[-2:] == [(3, "failed"), (4, "deployed")]
    shop.serves("good-b", "good-b")
