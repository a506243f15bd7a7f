"""The Role that `canary rbac` writes: it is enough for Helm 3 and 4, and there is nothing in it that could go."""

import json
import sys
from pathlib import Path

import pytest
from ruamel.yaml import YAML

from tests.cluster.kubeconfig import write_kubeconfig
from tests.cluster.namespace import Namespace
from tests.cluster.process import CommandError, run

TEMPLATES = """\
apiVersion: v1
kind: ConfigMap
metadata: {name: web}
data: {greeting: {{ .Values.greeting }}}
---
{{- if .Values.added }}
apiVersion: v1
kind: ServiceAccount
metadata: {name: added}
---
{{- else }}
apiVersion: policy/v1
kind: PodDisruptionBudget
metadata: {name: gone}
spec: {minAvailable: 0, selector: {matchLabels: {app: web}}}
---
{{- end }}
apiVersion: v1
kind: Service
metadata: {name: web, labels: {tag: {{ .Values.tag }}}}
spec: {selector: {app: web}, ports: [{port: 80}]}
---
apiVersion: scheduling.k8s.io/v1
kind: PriorityClass
metadata: {name: {{ .Release.Namespace }}, labels: {tag: {{ .Values.tag }}}}
value: 10
---
{{- range $kind := list "Deployment" "StatefulSet" "DaemonSet" }}
apiVersion: apps/v1
kind: {{ $kind }}
metadata: {name: {{ lower $kind }}}
spec:
  selector: {matchLabels: {app: {{ lower $kind }}}}
  {{- if eq $kind "StatefulSet" }}
  serviceName: web
  {{- end }}
  template:
    metadata: {labels: {app: {{ lower $kind }}}}
    spec: {containers: [{name: web, image: "registry.example/shop:{{ $.Values.tag }}", ports: [{containerPort: 8080}]}]}
---
{{- end }}
apiVersion: batch/v1
kind: Job
metadata:
  name: hook
  annotations: {helm.sh/hook: "pre-rollback,post-rollback"}
spec: {template: {spec: {restartPolicy: Never, containers: [{name: web, image: "registry.example/shop:good"}]}}}
"""
CHART = {
    "Chart.yaml": "apiVersion: v2\nname: web\nversion: 0.1.0\n",
    "values.yaml": "tag: good\ngreeting: hello\nadded: false\n",
    "templates/all.yaml": TEMPLATES,
}
WAIT = ("--wait", "--timeout=60s")


class Release:
    """A release with many kinds, whose second revision adds one and removes one."""

    def __init__(self, namespace: Namespace, helm: int) -> None:
        self.namespace, self.version = namespace, helm
        self.chart = namespace.folder / "web"
        for name, text in CHART.items():
            (self.chart / name).parent.mkdir(parents=True, exist_ok=True)
            (self.chart / name).write_text(text)
        namespace.helm(helm, "install", "web", self.chart, *WAIT)
        self.upgrade()

    def upgrade(self) -> None:
        changed = "--set=tag=good-b,greeting=hi,added=true"
        self.namespace.helm(self.version, "upgrade", "web", self.chart, changed, *WAIT)

    def roll_back(self, kubeconfig: Path) -> None:
        self.namespace.helm(self.version, "rollback", "web", *WAIT, "--history-max=3", kubeconfig=kubeconfig)

    def canary(self, *words: str, kubeconfig: Path | None = None) -> str:
        command = [sys.executable, "-m", "analyzer.cli", *words, f"--namespace={self.namespace.name}"]
        return run(command, env=self.namespace.environment(self.version, kubeconfig))

    def account(self) -> Path:
        """A kubeconfig of the ServiceAccount that the Role is for."""
        self.namespace.kubectl("create", "serviceaccount", "canary-analyzer")
        token = self.namespace.kubectl("create", "token", "canary-analyzer", "--duration=12h").strip()
        bed = self.namespace.bed
        return write_kubeconfig(
            self.namespace.folder / "canary-analyzer.kubeconfig",
            server=bed.server,
            authority=bed.authority,
            user="canary-analyzer",
            token=token,
            namespace=self.namespace.name,
        )


@pytest.fixture
def release(namespace: Namespace, helm: int) -> Release:
    return Release(namespace, helm)


def test_the_role_is_enough_to_roll_back(release: Release) -> None:
    release.namespace.apply(release.canary("rbac", "web"))
    kubeconfig = release.account()
    for _ in range(3):  # so that revisions are pruned, too
        release.roll_back(kubeconfig)
        release.upgrade()
    assert json.loads(release.canary("history", "web", "--output=json", kubeconfig=kubeconfig))["warnings"] == []


def test_who_observes_sees_all_and_changes_nothing(release: Release) -> None:
    release.namespace.apply(release.canary("rbac", "web", "--mode=observe"))
    kubeconfig = release.account()
    history = json.loads(release.canary("history", "web", "--output=json", kubeconfig=kubeconfig))
    assert history["warnings"] == []
    assert [line["revision"]["number"] for line in history["revisions"]] == ["1", "2"]
    with pytest.raises(CommandError, match="forbidden"):
        release.roll_back(kubeconfig)


@pytest.mark.parametrize(("resource", "verb"), [("services", "patch"), ("poddisruptionbudgets", "create")])
def test_one_verb_less_is_not_enough(release: Release, resource: str, verb: str) -> None:
    role = release.canary("rbac", "web")
    release.namespace.apply(without(role, resource, verb))
    with pytest.raises(CommandError, match=f"cannot {verb} resource|forbidden"):
        release.roll_back(release.account())


def without(role: str, resource: str, verb: str) -> str:
    """The same Role, where `resource` is granted in a rule of its own that lacks the verb."""
    documents = list(YAML(typ="safe").load_all(role))
    for document in documents:
        for rule in list(document.get("rules") or []):
            if resource in rule["resources"]:
                rule["resources"].remove(resource)
                verbs = [each for each in rule["verbs"] if each != verb]
                document["rules"].append({**rule, "resources": [resource], "verbs": verbs})
        if "rules" in document:
            document["rules"] = [rule for rule in document["rules"] if rule["resources"] and rule["verbs"]]
    return json.dumps({"apiVersion": "v1", "kind": "List", "items": documents})


def test_the_role_is_what_kubernetes_understands(release: Release) -> None:
    documents = list(YAML(typ="safe").load_all(release.canary("rbac", "web", "--service-account=ops/canary")))
    assert [each["kind"] for each in documents] == ["ClusterRole", "ClusterRoleBinding", "Role", "RoleBinding"]
    for binding in documents[1::2]:
        assert binding["subjects"] == [{"kind": "ServiceAccount", "name": "canary", "namespace": "ops"}]
