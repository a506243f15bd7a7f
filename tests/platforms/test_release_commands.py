"""`canary history` and `canary rbac`, with a helm that replays what the real ones printed and a small API server."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from fake_api import FakeApi, running
from fake_helm import FakeHelm
from ruamel.yaml import YAML

from analyzer.cli.__main__ import run
from analyzer.platforms.helm_manifest import digest
from analyzer.platforms.verdicts import Judged, name_of, with_verdict

WHERE = f"/api/v1/namespaces/shop/configmaps/{name_of('web')}"
LATER = 1_900_000_000.0  # than the recordings, in Unix seconds
DISCOVERY = {
    "/api/v1": {"resources": [{"name": "configmaps", "kind": "ConfigMap", "namespaced": True}]},
    "/apis/apps/v1": {"resources": [{"name": "deployments", "kind": "Deployment", "namespaced": True}]},
}


@pytest.fixture
def api(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[FakeApi]:
    for name in ("HELM_NAMESPACE", "HELM_DRIVER", "HELM_KUBECONTEXT"):
        monkeypatch.delenv(name, raising=False)
    with running(tmp_path) as fake:
        fake.objects |= DISCOVERY
        monkeypatch.setenv("KUBECONFIG", str(fake.kubeconfig))
        yield fake


def verdict(fake: FakeHelm, api: FakeApi, revision: str, verdict: str, at: float = LATER, **more: object) -> None:
    manifest = str(fake.recorded(f"manifest-{revision}")["stdout"])
    judged = Judged.model_validate(
        {
            "revision": revision,
            "digest": digest(manifest),
            "verdict": verdict,
            "at": at,
            "reason": "errors: 9 % > 1 %",
            **more,
        }
    )
    api.put(WHERE, with_verdict(api.objects.get(WHERE, {}), "web", judged))


def canary(fake: FakeHelm, *words: str) -> int:
    return run([*words, "--namespace=shop", f"--helm={fake.path}"])


# canary history


def test_verdicts_stand_beside_the_revisions(
    fake_helm: FakeHelm, api: FakeApi, capsys: pytest.CaptureFixture[str]
) -> None:
    fake_helm.says("history-rolled-back")
    verdict(fake_helm, api, "3", "pass")
    verdict(fake_helm, api, "4", "fail", action="rollback done")
    assert canary(fake_helm, "history", "web") == 0
    printed = capsys.readouterr()
    lines = printed.out.splitlines()
    assert lines[0].split() == ["REVISION", "WHEN", "STATUS", "CHART", "APP", "VERSION", "VERDICT", "REASON"]
    assert [line.split()[0] for line in lines[1:6]] == ["1", "2", "3", "4", "5"]
    assert "fail (rollback done)  errors: 9 % > 1 %" in lines[4]
    assert lines[5].endswith("Rollback to 3")
    assert printed.err == ""


def test_json_has_it_all(fake_helm: FakeHelm, api: FakeApi, capsys: pytest.CaptureFixture[str]) -> None:
    fake_helm.says("history-rolled-back")
    verdict(fake_helm, api, "4", "fail")
    assert canary(fake_helm, "history", "helm/web", "-o", "json") == 0
    told = json.loads(capsys.readouterr().out)
    assert list(told) == ["release", "namespace", "revisions", "audit", "warnings"]
    assert (told["release"], told["namespace"], told["warnings"]) == ("web", "shop", [])
    assert [line["judged"] and line["judged"]["verdict"] for line in told["revisions"]] == [
        None,
        None,
        None,
        "fail",
        None,
    ]
    assert [finding["about"] for finding in told["audit"]] == ["probe"]


def test_a_verdict_of_an_earlier_life_of_the_release_is_not_shown(
    fake_helm: FakeHelm, api: FakeApi, capsys: pytest.CaptureFixture[str]
) -> None:
    fake_helm.says("history-rolled-back")
    verdict(fake_helm, api, "4", "fail", at=1_000_000_000.0)
    assert canary(fake_helm, "history", "web") == 0
    assert "errors: 9 %" not in capsys.readouterr().out


def test_a_verdict_of_another_manifest_is_not_shown(
    fake_helm: FakeHelm, api: FakeApi, capsys: pytest.CaptureFixture[str]
) -> None:
    fake_helm.says("history-rolled-back")
    verdict(fake_helm, api, "4", "pass", reason="of this one")
    verdict(fake_helm, api, "4", "fail", at=LATER + 60, reason="of another", digest="sha256:another")
    verdict(fake_helm, api, "3", "fail", reason="of another", digest="sha256:another")
    assert canary(fake_helm, "history", "web") == 0
    printed = capsys.readouterr()
    assert "of this one" in printed.out
    assert "of another" not in printed.out
    assert printed.err == ""


def test_a_verdict_whose_manifest_cannot_be_read_is_told(
    fake_helm: FakeHelm, api: FakeApi, capsys: pytest.CaptureFixture[str]
) -> None:
    verdict(fake_helm, api, "4", "fail")
    fake_helm.answers = [answer for answer in fake_helm.answers if "--revision=4" not in answer["argv"]]  # type: ignore[operator]
    fake_helm.says("history-rolled-back")
    assert canary(fake_helm, "history", "web") == 0
    printed = capsys.readouterr()
    assert "verdicts of revision 4 cannot be shown: " in printed.err
    assert "errors: 9 %" not in printed.out


def test_pods_are_looked_at(fake_helm: FakeHelm, api: FakeApi, capsys: pytest.CaptureFixture[str]) -> None:
    fake_helm.says("history-rolled-back")
    slow = {
        "metadata": {"name": "web-1", "labels": {"app": "web"}, "creationTimestamp": "2026-01-31T12:00:00Z"},
        "status": {"conditions": [{"type": "Ready", "status": "True", "lastTransitionTime": "2026-01-31T12:20:00Z"}]},
    }
    api.put("/api/v1/namespaces/shop/pods/web-1", slow)
    api.put("/api/v1/namespaces/shop/pods/other-1", {**slow, "metadata": {"labels": {"app": "other"}}})
    assert canary(fake_helm, "history", "web") == 0
    told = capsys.readouterr().out
    assert "- timeout: deployment web: its pods take 20 min from creation to ready" in told


def test_a_terminal_is_not_written_to_by_a_reason(
    fake_helm: FakeHelm, api: FakeApi, capsys: pytest.CaptureFixture[str]
) -> None:
    fake_helm.says("history-rolled-back")
    verdict(fake_helm, api, "4", "fail", reason="\x1b[2J\nREVISION")
    assert canary(fake_helm, "history", "web") == 0
    told = capsys.readouterr().out
    assert "\x1b" not in told
    assert sum(line.startswith("REVISION") for line in told.splitlines()) == 1


def test_what_cannot_be_read_takes_nothing_from_helms_history(
    fake_helm: FakeHelm, api: FakeApi, capsys: pytest.CaptureFixture[str]
) -> None:
    fake_helm.says("history-rolled-back")
    said = 'User "ci" cannot get resource "configmaps" in API group "" in the namespace "shop"'
    api.refusals["GET", WHERE] = (403, said)
    assert canary(fake_helm, "history", "web") == 0
    printed = capsys.readouterr()
    assert "verdicts cannot be shown: user ci may not get configmaps" in printed.err
    assert "Rollback to 3" in printed.out


def test_without_a_cluster_the_history_is_still_shown(
    fake_helm: FakeHelm, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("KUBECONFIG", str(tmp_path / "missing"))
    fake_helm.says("history-rolled-back")
    assert canary(fake_helm, "history", "web", "-o", "json") == 0
    printed = capsys.readouterr()
    assert "no Kubernetes cluster is configured" in printed.err
    told = json.loads(printed.out)
    assert len(told["revisions"]) == 5
    assert told["warnings"]


@pytest.mark.parametrize(
    ("release", "code", "told"),
    [
        ("command/web", 2, "RELEASE 'command/web': write the name of a Helm release"),
        ("helm/", 2, "RELEASE 'helm/'"),
        ("UPPER", 2, "cannot be the name of a Helm release"),
    ],
)
@pytest.mark.parametrize("command", ["history", "rbac"])
def test_what_is_no_release(
    fake_helm: FakeHelm, command: str, release: str, code: int, told: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert canary(fake_helm, command, release) == code
    assert told in capsys.readouterr().err


@pytest.mark.usefixtures("api")
def test_a_release_that_helm_does_not_know(fake_helm: FakeHelm, capsys: pytest.CaptureFixture[str]) -> None:
    fake_helm.says("history-not-found")
    assert canary(fake_helm, "history", "web") == 4
    assert "there is no release web" in capsys.readouterr().err


# canary rbac


def hooks(fake: FakeHelm, *numbers: int, text: str = "") -> None:
    for number in numbers:
        fake.answer({"argv": ["get", "hooks", "web", f"--revision={number}"], "code": 0, "stdout": text, "stderr": ""})


def rbac(fake: FakeHelm, capsys: pytest.CaptureFixture[str], *words: str) -> tuple[list[dict[str, object]], str]:
    assert canary(fake, "rbac", "web", *words) == 0
    printed = capsys.readouterr()
    return list(YAML(typ="safe").load_all(printed.out)), printed.err


def verbs(documents: list[dict[str, object]], resource: str) -> set[str]:
    rules = [rule for document in documents for rule in document.get("rules", [])]  # type: ignore[attr-defined]
    return {verb for rule in rules if resource in rule["resources"] for verb in rule["verbs"]}


@pytest.mark.usefixtures("api")
def test_the_role_of_a_release(fake_helm: FakeHelm, capsys: pytest.CaptureFixture[str]) -> None:
    fake_helm.says("history-upgraded")
    hooks(fake_helm, 1, 2)
    documents, said = rbac(fake_helm, capsys)
    assert [each["kind"] for each in documents] == ["Role", "RoleBinding"]
    assert documents[0]["metadata"] == {"name": "canary-analyzer.shop.web", "namespace": "shop"}
    assert documents[1]["subjects"] == [{"kind": "ServiceAccount", "name": "canary-analyzer", "namespace": "shop"}]
    assert verbs(documents, "deployments") == {"get", "list", "watch", "create", "patch", "delete"}
    assert verbs(documents, "secrets") == {"get", "list", "create", "update", "delete"}
    assert said == ""


@pytest.mark.usefixtures("api")
def test_who_observes_only_reads(fake_helm: FakeHelm, capsys: pytest.CaptureFixture[str]) -> None:
    fake_helm.says("history-upgraded")
    hooks(fake_helm, 1, 2)
    documents, _ = rbac(fake_helm, capsys, "--mode=observe", "--service-account=ops/canary")
    assert documents[1]["subjects"] == [{"kind": "ServiceAccount", "name": "canary", "namespace": "ops"}]
    rules = documents[0]["rules"]
    assert {verb for rule in rules for verb in rule["verbs"]} == {"get", "list"}  # type: ignore[attr-defined]


@pytest.mark.usefixtures("api")
@pytest.mark.parametrize(("driver", "secrets"), [("", True), ("secret", True), ("configmap", False), ("sql", False)])
def test_helms_storage(
    fake_helm: FakeHelm,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    driver: str,
    secrets: bool,
) -> None:
    monkeypatch.setenv("HELM_DRIVER", driver)
    fake_helm.says("history-upgraded")
    hooks(fake_helm, 1, 2)
    documents, _ = rbac(fake_helm, capsys)
    assert bool(verbs(documents, "secrets")) == secrets


def test_an_unknown_storage(
    fake_helm: FakeHelm, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("HELM_DRIVER", "carrier-pigeon")
    assert canary(fake_helm, "rbac", "web") == 2
    assert "HELM_DRIVER=carrier-pigeon" in capsys.readouterr().err


def test_kinds_that_the_cluster_does_not_know_are_told(
    fake_helm: FakeHelm, api: FakeApi, capsys: pytest.CaptureFixture[str]
) -> None:
    del api.objects["/apis/apps/v1"]
    fake_helm.says("history-upgraded")
    hooks(fake_helm, 1, 2)
    documents, said = rbac(fake_helm, capsys)
    assert "the cluster does not know Deployment (apps/v1)" in said
    assert verbs(documents, "deployments") == set()
    assert verbs(documents, "secrets")


def test_a_release_with_roles_is_warned_of(
    fake_helm: FakeHelm, api: FakeApi, capsys: pytest.CaptureFixture[str]
) -> None:
    group = "rbac.authorization.k8s.io"
    api.objects[f"/apis/{group}/v1"] = {"resources": [{"name": "roles", "kind": "Role", "namespaced": True}]}
    fake_helm.says("history-upgraded")
    hooks(fake_helm, 1)
    hooks(fake_helm, 2, text=f"apiVersion: {group}/v1\nkind: Role\nmetadata: {{name: web}}\n")
    assert canary(fake_helm, "rbac", "web") == 0
    told = capsys.readouterr().out
    assert "# The release has roles. To change these" in told
    assert not {"bind", "escalate", "*"} & verbs(list(YAML(typ="safe").load_all(told)), "roles")


@pytest.mark.usefixtures("api")
def test_a_revision_that_cannot_be_read_is_left_out(fake_helm: FakeHelm, capsys: pytest.CaptureFixture[str]) -> None:
    fake_helm.says("history-upgraded")
    hooks(fake_helm, 1)  # none of 2: the fake says that this is not recorded
    documents, said = rbac(fake_helm, capsys)
    assert "revision 2 is left out" in said
    assert verbs(documents, "deployments")
