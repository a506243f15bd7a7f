"""What `deploy/ci` and `deploy/helm-plugin` ship, run by who is to run it: Helm 3 and 4, Argo CD."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from ruamel.yaml import YAML

from tests.cluster.git import GitRepository
from tests.cluster.namespace import Namespace
from tests.cluster.process import CommandError
from tests.cluster.scenarios.argo import BAD
from tests.cluster.scenarios.conftest import Opening
from tests.cluster.scenarios.shop import CHART, RELEASE, RULES, Shop, rendered
from tests.cluster.scenarios.test_scenario_application import FILE, Delivered, delivered

ROOT = Path(__file__).parents[3]
HOOK = ROOT / "deploy" / "ci" / "helm" / "canary.yaml"
POST_SYNC = ROOT / "deploy" / "ci" / "argocd" / "canary.yaml"
PLUGIN = ROOT / "deploy" / "helm-plugin"
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


MOUNTED = "/rules/rules.yaml"
OF_RULES = {
    "volumes": [{"name": "rules", "configMap": {"name": "rules"}}],
    "volumeMounts": [{"name": "rules", "mountPath": "/rules"}],
}


def mount_rules(namespace: Namespace, rules: Path) -> None:
    """The ConfigMap that OF_RULES names."""
    namespace.kubectl("create", "configmap", "rules", f"--from-file=rules.yaml={rules}")


def values(shop: Shop) -> str:
    """The file with the hook's values."""
    canary = {
        "image": f"registry.example/canary-analyzer:helm{shop.helm}",
        "flags": [f"--rules={MOUNTED}", f"--prometheus={shop.prometheus.url}"],
        "withoutVerdict": "keep",
        **OF_RULES,
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


def upgrade(shop: Shop, chart: Path, tag: str) -> str:
    shop.note_pods()
    words = ("upgrade", RELEASE, chart, "--set", f"image.tag={tag}", f"--values={values(shop)}", "--timeout=150s")
    return shop.namespace.helm(shop.helm, *words, ATOMIC[shop.helm])


def said(shop: Shop) -> str:
    """What the hook's container has printed."""
    folder = shop.namespace.bed.folder / "kubelet"
    return "".join(file.read_text() for file in sorted(folder.glob(f"{shop.namespace.name}_{RELEASE}-canary-*.log")))


def test_a_hook_keeps_a_good_upgrade_and_has_helm_take_a_bad_one_back(shop: Shop, chart: Path) -> None:
    mount_rules(shop.namespace, RULES)
    upgrade(shop, chart, "good-b")
    assert shop.history()[-1] == (2, "deployed")
    assert "hook: passed" in said(shop), said(shop)
    with pytest.raises(CommandError, match=r"has been rolled back.*post-upgrade hooks failed"):
        upgrade(shop, chart, BAD)
    assert shop.history()[-2:] == [(3, "failed"), (4, "deployed")]
    shop.serves("good-b", "good-b")


@pytest.mark.parametrize("said", ["withoutVerdict=pass", "withoutVerdict=", "image="])
def test_a_hook_that_is_told_too_little_is_refused_before_anything_changes(
    namespace: Namespace, chart: Path, said: str
) -> None:
    words = ("template", RELEASE, chart, "--set=canary.image=a,canary.withoutVerdict=keep", f"--set=canary.{said}")
    with pytest.raises(CommandError, match=rf"canary\.{said.partition('=')[0]}: write "):
        namespace.helm(4, *words)


class PostSync:
    """Commits of a shop with the hook of Argo CD beside it."""

    def __init__(self, shop: Delivered) -> None:
        self._shop = shop
        mount_rules(shop.shop.namespace, shop.shop.rules({"baseline": "5m"}, rules=_without_pods()))
        job = YAML(typ="safe").load(POST_SYNC.read_text())
        pod = job["spec"]["template"]["spec"]
        (container,) = pod["containers"]
        (target, *_) = container["args"]
        scope = f'--canary=namespace="{shop.shop.namespace.name}"'
        container["args"] = [target, f"--rules={MOUNTED}", f"--prometheus={shop.shop.prometheus.url}", scope]
        container["volumeMounts"] += OF_RULES["volumeMounts"]
        pod["volumes"] += OF_RULES["volumes"]
        self._hook = json.dumps(job)

    def commit(self, tag: str, *, judged: bool = True) -> str:
        """Push this tag, with the hook or without it, and wait until its sync has ended; how it has."""
        self._shop.shop.note_pods()
        files = {FILE: rendered(self._shop.shop.namespace, 4, tag), "shop/canary.yaml": self._hook if judged else None}
        sha = self._shop.repository.commit(files, f"shop {tag}")

        ends: list[str] = []  # Argo CD may begin another sync of it at once, which heals what has changed meanwhile

        def has_ended() -> bool:
            now = self._shop.live().get("status", {}).get("operationState", {})
            if now.get("syncResult", {}).get("revision") == sha and now["phase"] not in {"Running", "Terminating"}:
                ends.append(now["phase"])
            return bool(ends)

        self._shop.shop.namespace.until(has_ended, f"the end of the sync to {sha}", seconds=240)
        return ends[0]


def _without_pods() -> list[dict[str, Any]]:
    """The rules of the shop that metrics alone can judge."""
    found = YAML(typ="safe").load(RULES)["spec"]["rules"]
    return [rule for rule in found if "metric" in rule]


def test_a_sync_whose_hook_judges_the_revision_bad_has_failed_and_serves_until_it_is_reverted(
    opened: Opening, namespace: Namespace, repository: GitRepository
) -> None:
    namespace.bed.start("argocd")
    with delivered(opened, repository) as shop:
        policy = YAML(typ="safe").load((POST_SYNC.parent / "application.yaml").read_text())["spec"]["syncPolicy"]
        patch = json.dumps({"spec": {"syncPolicy": policy}})
        namespace.kubectl("patch", "applications.argoproj.io", RELEASE, "--type=merge", f"--patch={patch}")
        syncs = PostSync(shop)
        assert syncs.commit("good-b") == "Succeeded"
        assert syncs.commit(BAD) == "Failed"
        shop.shop.serves(BAD, BAD)
        assert shop.live()["status"]["sync"]["status"] == "Synced"
        assert syncs.commit("good-b", judged=False) == "Succeeded", (
            "a revert is brought out after a sync that has failed"
        )
        shop.shop.serves("good-b", "good-b")


def test_helm_canary_is_canary_with_its_exit_codes(namespace: Namespace, helm: int, program: Path) -> None:
    environment = namespace.environment(helm)
    environment["PATH"] = os.pathsep.join([str(program), environment["PATH"]])

    def run(*words: str, **more: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            ["helm", *words], env=environment | more, capture_output=True, text=True, check=False, timeout=60
        )

    done = run("plugin", "install", str(PLUGIN))
    assert done.returncode == 0, done.stderr
    namespace.helm(helm, "install", RELEASE, CHART)
    here = (f"--namespace={namespace.name}",)

    told = run("canary", "history", RELEASE, "--output=json", *here)
    assert told.returncode == 0, told
    assert json.loads(told.stdout)["namespace"] == namespace.name, told
    first = run("canary", "check", f"helm/{RELEASE}", "--rules=http", "--prometheus=http://127.0.0.1:9", *here)
    assert (first.returncode, "has only just been installed" in first.stderr) == (4, True), first
    other = run("canary", "check", f"rollout/{RELEASE}", "--rules=http", "--prometheus=http://127.0.0.1:9", *here)
    assert (other.returncode, f"namespace {namespace.name}" in other.stderr) == (4, True), other
    assert run("canary", "check", "helm/web", "--no-such-flag").returncode == 2
    refused = run("canary", "history", RELEASE, "--kube-token=secret", *here)
    assert (refused.returncode, "HELM_KUBETOKEN" in refused.stderr, "secret" in refused.stderr) == (2, True, False)
    nobody = run("canary", "version", PATH=str(namespace.bed.tools(helm)) + ":/usr/bin:/bin")
    assert (nobody.returncode, "there is no canary on PATH" in nobody.stderr) == (4, True), nobody
    assert "check\n" in run("__complete", "canary", "").stdout
