"""The bed is what it says: real controllers, real Helm, real RBAC, real Argo Rollouts, a real Prometheus."""

import asyncio
import json
import os
import signal
import time
from pathlib import Path

import pytest

from analyzer.demo.history import Series, write_blocks
from tests.cluster.bed import Bed
from tests.cluster.namespace import Namespace
from tests.cluster.process import CommandError, run
from tests.cluster.supervisor import StartError

POD_SPEC = """
    metadata:
      labels: {app: web, team: shop}
    spec:
      containers:
        - name: web
          image: registry.example/web:good
          ports: [{name: http, containerPort: 8080}]
"""
DEPLOYMENT = f"""
apiVersion: apps/v1
kind: Deployment
metadata: {{name: web}}
spec:
  replicas: 2
  selector:
    matchLabels: {{app: web}}
  template:
{POD_SPEC}
"""
ROLLOUT = f"""
apiVersion: argoproj.io/v1alpha1
kind: Rollout
metadata: {{name: web}}
spec:
  replicas: 2
  selector:
    matchLabels: {{app: web}}
  strategy:
    canary:
      steps: [{{setWeight: 50}}, {{pause: {{}}}}]
  template:
{POD_SPEC}
"""
CHART = {
    "Chart.yaml": "apiVersion: v2\nname: shop\nversion: 0.1.0\n",
    "values.yaml": "greeting: hello\n",
    "templates/config.yaml": """\
apiVersion: v1
kind: ConfigMap
metadata:
  name: {{ .Release.Name }}
data:
  greeting: {{ .Values.greeting }}
""",
}


@pytest.fixture
def chart(tmp_path: Path) -> Path:
    for name, text in CHART.items():
        file = tmp_path / "shop" / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)
    return tmp_path / "shop"


def running(namespace: Namespace, selector: str = "app=web") -> list[str]:
    pods = namespace.list("pods", selector)
    return [pod["metadata"]["name"] for pod in pods if pod["status"]["phase"] == "Running"]


def test_a_deployment_gets_a_replica_set_and_ready_pods(namespace: Namespace) -> None:
    namespace.apply(DEPLOYMENT)
    namespace.until(lambda: len(namespace.list("pods", "app=web")) == 2, "two pods")
    (replica_set,) = namespace.list("replicasets", "app=web")
    (pod, _) = namespace.list("pods", "app=web")
    assert pod["metadata"]["ownerReferences"][0]["uid"] == replica_set["metadata"]["uid"]
    namespace.kubectl("rollout", "status", "deployment/web", "--timeout=60s")
    assert namespace.get("deployment", "web")["status"]["readyReplicas"] == 2


def test_deleting_the_owner_deletes_what_it_owns(namespace: Namespace) -> None:
    namespace.apply(DEPLOYMENT)
    namespace.until(lambda: namespace.list("pods"), "pods")
    namespace.kubectl("delete", "deployment", "web")
    namespace.until(lambda: not namespace.list("replicasets") and not namespace.list("pods"), "nothing left")


@pytest.mark.usefixtures("together")
def test_a_namespace_goes_with_all_that_is_in_it(bed: Bed) -> None:
    with bed.namespace() as short:
        short.apply(DEPLOYMENT)
        short.until(lambda: short.list("pods"), "pods")
    short.until(lambda: not bed.kubectl("get", "namespace", short.name, "--ignore-not-found"), "the namespace is gone")


def test_helm_installs_upgrades_and_rolls_back(namespace: Namespace, chart: Path, helm: int) -> None:
    namespace.helm(helm, "install", "shop", chart)
    namespace.helm(helm, "upgrade", "shop", chart, "--set", "greeting=hi")
    assert namespace.get("configmap", "shop")["data"] == {"greeting": "hi"}
    namespace.helm(helm, "rollback", "shop", "1")
    assert namespace.get("configmap", "shop")["data"] == {"greeting": "hello"}
    history = json.loads(namespace.helm(helm, "history", "shop", "--output=json"))
    assert [one["status"] for one in history] == ["superseded", "superseded", "deployed"]


def test_the_helm_on_path_is_the_one_asked_for(namespace: Namespace, helm: int) -> None:
    version = run(["helm", "version", "--template={{.Version}}"], env=namespace.environment(helm))
    assert version.startswith(f"v{helm}.")


def test_a_service_account_may_do_what_its_role_says_and_no_more(bed: Bed, namespace: Namespace) -> None:
    kubeconfig = namespace.service_account("reader", '[{apiGroups: [""], resources: [configmaps], verbs: [list]}]')
    as_reader: list[str | Path] = [bed.programs["kubectl"], f"--kubeconfig={kubeconfig}"]
    assert "kube-root-ca.crt" in run([*as_reader, "get", "configmaps"])
    with pytest.raises(CommandError, match=f"system:serviceaccount:{namespace.name}:reader.*cannot list.*secrets"):
        run([*as_reader, "get", "secrets"])
    with pytest.raises(CommandError, match="cannot list"):
        run([*as_reader, "get", "configmaps", "--namespace=default"])


def test_a_service_account_without_rules_may_do_nothing(bed: Bed, namespace: Namespace) -> None:
    kubeconfig = namespace.service_account("stranger")
    with pytest.raises(CommandError, match="cannot list"):
        run([bed.programs["kubectl"], f"--kubeconfig={kubeconfig}", "get", "pods"])


def test_helm_says_what_is_forbidden(namespace: Namespace, chart: Path, helm: int) -> None:
    namespace.helm(helm, "install", "shop", chart)
    kubeconfig = namespace.service_account("stranger")
    with pytest.raises(CommandError, match="forbidden"):
        namespace.helm(helm, "history", "shop", kubeconfig=kubeconfig)


@pytest.mark.usefixtures("alone")
def test_the_api_server_comes_back_with_its_data(bed: Bed, namespace: Namespace) -> None:
    namespace.kubectl("create", "configmap", "kept", "--from-literal=a=b")
    bed.stop("kube-apiserver")
    try:
        with pytest.raises(CommandError, match="refused"):
            namespace.get("configmap", "kept")
    finally:
        bed.start("kube-apiserver")
    assert namespace.get("configmap", "kept")["data"] == {"a": "b"}
    # The controllers have found it again.
    namespace.apply(DEPLOYMENT)
    namespace.until(lambda: len(namespace.list("pods")) == 2, "two pods")


@pytest.mark.usefixtures("alone")
def test_a_program_that_is_killed_is_started_again(bed: Bed, namespace: Namespace) -> None:
    killed = pid_of(bed.programs["kube-controller-manager"])
    os.kill(killed, signal.SIGKILL)
    namespace.until(
        lambda: pid_of(bed.programs["kube-controller-manager"]) not in {0, killed}, "another controller manager"
    )
    bed.start("kube-controller-manager")
    namespace.apply(DEPLOYMENT)
    namespace.until(lambda: len(namespace.list("pods")) == 2, "two pods")


def test_the_supervisor_knows_its_programs(bed: Bed) -> None:
    with pytest.raises(StartError, match="there are etcd, kube-apiserver"):
        bed.stop("nothing")


def pid_of(program: Path) -> int:
    for process in Path("/proc").iterdir():
        if process.name.isdigit() and (process / "cmdline").read_bytes().startswith(bytes(program)):
            return int(process.name)
    return 0


def test_prometheus_finds_pods_and_keeps_its_data(namespace: Namespace) -> None:
    namespace.apply(DEPLOYMENT)
    namespace.until(lambda: len(running(namespace)) == 2, "two running pods")
    with namespace.prometheus(scrape=0.5) as prometheus:
        namespace.until(lambda: len(prometheus.query("up == 1")) == 2, "two targets up")
        labels = prometheus.query("up")[0]["metric"]
        assert labels["namespace"] == namespace.name
        assert labels["app"] == "web"
        assert labels["team"] == "shop"
        assert labels["pod"] in running(namespace)
        assert labels["pod_template_hash"]
        prometheus.stop()
        before = time.time()
        prometheus.start()
        assert len(prometheus.query("up == 1", at=before)) == 2


def test_prometheus_leaves_other_pods_alone(namespace: Namespace) -> None:
    namespace.apply(DEPLOYMENT.replace("name: http", "name: other").replace("name: web}", "name: unnamed}"))
    annotated = "metadata:\n      annotations: {prometheus.io/scrape: 'true'}\n      labels: {app: web"
    namespace.apply(
        DEPLOYMENT.replace("metadata:\n      labels: {app: web", annotated)
        .replace("name: http", "name: other")
        .replace("app: web", "app: annotated")
        .replace("metadata: {name: web}", "metadata: {name: annotated}")
    )
    namespace.until(lambda: len(running(namespace, "")) == 4, "four running pods")
    with namespace.prometheus(scrape=0.5) as prometheus:
        namespace.until(lambda: len(prometheus.query("up == 1")) == 2, "two targets up")
        assert {one["labels"]["app"] for one in prometheus.targets()} == {"annotated"}


def test_prometheus_starts_with_a_past(namespace: Namespace, tmp_path: Path) -> None:
    now = time.time()
    past = Series("orders_total", {"pod": "web-1"}, [(now - 7200, 3.0), (now - 7190, 5.0)])
    asyncio.run(write_blocks([past], tmp_path / "data"))
    with namespace.prometheus(data=tmp_path / "data") as prometheus:
        (found,) = prometheus.query("orders_total", at=now - 7180)
    assert found["value"][1] == "5"


def test_argo_rollouts_reconciles_a_rollout(bed: Bed, namespace: Namespace) -> None:
    bed.start("argo-rollouts")
    namespace.apply(ROLLOUT)
    namespace.until(lambda: len(namespace.list("pods", "app=web")) == 2, "two pods")
    namespace.until(lambda: namespace.get("rollout", "web")["status"].get("phase") == "Healthy", "a healthy Rollout")
    namespace.apply(ROLLOUT.replace("web:good", "web:good-b"))
    namespace.until(lambda: namespace.get("rollout", "web")["status"].get("phase") == "Paused", "the pause at 50 %")
    run(["kubectl", "argo", "rollouts", "abort", "web", f"--namespace={namespace.name}"], env=namespace.environment())
    namespace.until(lambda: namespace.get("rollout", "web")["status"].get("phase") == "Degraded", "the abort")
