"""Containers that are real processes: what a pod gives them, and what becomes of them, on a real control plane."""

import json
import os
from pathlib import Path
from typing import Any

from tests.cluster.bed import Bed
from tests.cluster.kubelet.process import first_of
from tests.cluster.namespace import Namespace
from tests.users import is_mapped

Json = dict[str, Any]
ACCOUNT = "/var/run/secrets/kubernetes.io/serviceaccount"
USER = 10001


def pod(
    script: str,
    *,
    name: str = "real",
    volumes: Json | None = None,
    policy: str = "Never",
    **container: Any,  # noqa: ANN401 -- JSON
) -> str:
    """A pod that runs a script; `volumes` are by name, mounted at `/` and that name."""
    mounts = [{"name": one, "mountPath": f"/{one}"} for one in volumes or {}]
    given = {"image": "registry.example/sh:1", "command": ["bash", "-ec"], "args": [script], "volumeMounts": mounts}
    spec = {
        "restartPolicy": policy,
        "terminationGracePeriodSeconds": 2,
        "containers": [{"name": "sh", **given, **container}],
        "volumes": [{"name": one, **source} for one, source in (volumes or {}).items()],
    }
    return json.dumps({"apiVersion": "v1", "kind": "Pod", "metadata": {"name": name}, "spec": spec})


def state(namespace: Namespace, name: str = "real") -> Json:
    statuses = namespace.get("pod", name)["status"].get("containerStatuses") or [{"state": {}}]
    return dict(statuses[0]["state"])


def ended(namespace: Namespace, name: str = "real") -> int:
    """The exit code."""
    namespace.until(lambda: "terminated" in state(namespace, name), f"the end of {name}")
    return int(state(namespace, name)["terminated"]["exitCode"])


def said(namespace: Namespace, name: str = "real") -> str:
    file = namespace.bed.folder / "kubelet" / f"{namespace.name}_{name}_sh.log"
    return file.read_text() if file.exists() else ""


def number(namespace: Namespace, name: str = "real") -> int:
    """Of its first process."""
    file = namespace.bed.folder / "kubelet" / f"{namespace.name}_{name}_sh.pid"
    found = first_of(int(file.read_text()))
    assert found is not None
    return found


def test_it_has_its_account_and_variables(namespace: Namespace) -> None:
    namespace.kubectl("create", "configmap", "plain", "--from-literal=greeting=hi")
    namespace.kubectl("create", "secret", "generic", "secret", "--from-literal=word=w")
    script = f"""
    test "$(cat {ACCOUNT}/namespace)" = "$NAMESPACE" || exit 11
    grep -q BEGIN {ACCOUNT}/ca.crt || exit 12
    kubectl --server=https://$KUBERNETES_SERVICE_HOST:$KUBERNETES_SERVICE_PORT \
      --certificate-authority={ACCOUNT}/ca.crt --token=$(cat {ACCOUNT}/token) auth whoami \
      -o jsonpath='{{.status.userInfo.username}}' \
      | grep -q "system:serviceaccount:$NAMESPACE:default" || exit 13
    echo "$BOTH $X_greeting $MEMORY [$NONE]"
    helm version --template '{{{{.Version}}}}'
    """
    env = [
        {"name": "NAMESPACE", "valueFrom": {"fieldRef": {"fieldPath": "metadata.namespace"}}},
        {"name": "WORD", "valueFrom": {"secretKeyRef": {"name": "secret", "key": "word"}}},
        {"name": "BOTH", "value": "$(WORD)/$(X_greeting)"},
        {"name": "MEMORY", "valueFrom": {"resourceFieldRef": {"resource": "limits.memory", "divisor": "1Mi"}}},
        {"name": "NONE", "valueFrom": {"configMapKeyRef": {"name": "plain", "key": "no", "optional": True}}},
        {"name": "KUBECONFIG", "value": "/dev/null"},
    ]
    source = [{"prefix": "X_", "configMapRef": {"name": "plain"}}]
    limits = {"limits": {"memory": "64Mi"}}
    image = "registry.example/sh:1-helm3"
    namespace.apply(pod(script, image=image, env=env, envFrom=source, resources=limits))
    assert ended(namespace) == 0, said(namespace)
    assert said(namespace).startswith("w/hi hi 64 []\nv3.")
    assert namespace.get("pod", "real")["status"]["phase"] == "Succeeded"


def test_what_is_missing_is_waited_for_and_named(namespace: Namespace) -> None:
    env = [{"name": "WORD", "valueFrom": {"secretKeyRef": {"name": "late", "key": "word"}}}]
    volumes = {"files": {"configMap": {"name": "later"}}}
    namespace.apply(pod("test -f /files/a", env=env, volumes=volumes))
    namespace.until(lambda: "later" in state(namespace).get("waiting", {}).get("message", ""), "the ConfigMap's name")
    namespace.kubectl("create", "configmap", "later", "--from-literal=a=b")
    namespace.until(
        lambda: state(namespace).get("waiting", {}).get("reason") == "CreateContainerConfigError", "the reason"
    )
    assert "late" in state(namespace)["waiting"]["message"]
    namespace.kubectl("create", "secret", "generic", "late", "--from-literal=word=w")
    assert ended(namespace) == 0


def test_its_volumes_are_folders_of_its_own(bed: Bed, namespace: Namespace) -> None:
    namespace.kubectl("create", "configmap", "settings", "--from-literal=a=1", "--from-literal=b=2")
    claim = {
        "apiVersion": "v1",
        "kind": "PersistentVolumeClaim",
        "metadata": {"name": "kept"},
        "spec": {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "1Gi"}}},
    }
    namespace.apply(json.dumps(claim))
    volumes = {
        "settings": {"configMap": {"name": "settings"}},
        "one": {"configMap": {"name": "settings", "items": [{"key": "b", "path": "deep/c"}]}},
        "kept": {"persistentVolumeClaim": {"claimName": "kept"}},
        "tmp": {"emptyDir": {}},
        "who": {"downwardAPI": {"items": [{"path": "name", "fieldRef": {"fieldPath": "metadata.name"}}]}},
    }
    script = """
    cat /settings/a /one/deep/c /who/name; echo
    echo kept >> /kept/file; echo gone > /tmp/file
    ! echo x > /settings/x; ! echo x > /usr/x; ! echo x > /x
    until test "$(cat /settings/a)" = 3; do sleep 0.1; done
    test ! -e /settings/b && cat /kept/file
    """
    sealed = {"readOnlyRootFilesystem": True}
    namespace.apply(pod(script, volumes=volumes, securityContext=sealed))
    namespace.until(lambda: "12real" in said(namespace), "its start")
    changed = {"data": {"a": "3", "b": None}}
    namespace.kubectl("patch", "configmap", "settings", "--patch", json.dumps(changed))
    assert ended(namespace) == 0, said(namespace)
    assert said(namespace).count("Read-only file system") == 3, said(namespace)
    assert namespace.get("pvc", "kept")["status"]["phase"] == "Bound"
    namespace.kubectl("delete", "pod", "real", "--wait=true")
    namespace.apply(pod("cat /kept/file", name="again", volumes={"kept": volumes["kept"]}))
    assert (ended(namespace, "again"), said(namespace, "again")) == (0, "kept\n")
    assert not list((bed.folder / "kubelet").glob(f"{namespace.name}_real_sh.*root"))


def test_who_may_not_be_root_is_not(namespace: Namespace) -> None:
    volumes = {"tmp": {"emptyDir": {}}, "settings": {"secret": {"secretName": "settings", "defaultMode": 0o400}}}
    namespace.kubectl("create", "secret", "generic", "settings", "--from-literal=a=1")
    script = 'cat /settings/a; echo x > /tmp/x; stat -c "%u %g" /tmp/x; ! touch /usr/x; grep CapEff /proc/self/status'
    context = {"runAsNonRoot": True}
    namespace.apply(pod(script, name="root", volumes=volumes, securityContext=context))
    namespace.until(lambda: "runAsNonRoot" in state(namespace, "root").get("waiting", {}).get("message", ""), "no root")
    who = {"runAsUser": USER, "runAsGroup": USER, "fsGroup": USER}
    manifest = json.loads(pod(script, volumes=volumes, securityContext=context))
    manifest["spec"]["securityContext"] = who
    namespace.apply(json.dumps(manifest))
    assert ended(namespace) == 0, said(namespace)
    if is_mapped(USER):
        assert f"{USER} {USER}" in said(namespace)
        assert "CapEff:\t0000000000000000" in said(namespace)


def test_probes_decide_whether_it_is_ready_and_whether_it_lives(namespace: Namespace) -> None:
    serve = "cd /tmp; touch healthy ready; exec python -m http.server --bind $HOST 9000"
    env = [{"name": "HOST", "valueFrom": {"fieldRef": {"fieldPath": "status.podIP"}}}]

    def asks(path: str, **more: int) -> Json:
        return {"httpGet": {"path": path, "port": "web"}, "periodSeconds": 1, "failureThreshold": 1, **more}

    probes = {
        "startupProbe": asks("/healthy", failureThreshold=60),
        "readinessProbe": asks("/ready"),
        "livenessProbe": asks("/healthy"),
    }
    ports = [{"name": "web", "containerPort": 9000}]
    volumes = {"tmp": {"emptyDir": {}}}
    namespace.apply(pod(serve, policy="Always", env=env, ports=ports, volumes=volumes, **probes))

    def status() -> Json:
        return dict((namespace.get("pod", "real")["status"].get("containerStatuses") or [{}])[0])

    namespace.until(lambda: status().get("ready"), "ready")
    uid = namespace.get("pod", "real")["metadata"]["uid"]
    folder = namespace.bed.folder / "kubelet" / f"{uid}.volumes" / "tmp"
    (folder / "ready").unlink()
    namespace.until(lambda: not status()["ready"], "not ready")
    assert status()["restartCount"] == 0
    (folder / "healthy").unlink()
    namespace.until(lambda: status()["restartCount"] == 1 and status()["ready"], "another life")


def test_it_ends_as_it_is_told(namespace: Namespace) -> None:
    obeys = "trap 'echo told; exit 0' TERM; echo up; while true; do sleep 0.05; done"
    namespace.apply(pod(obeys, policy="Always"))
    namespace.until(lambda: "running" in state(namespace) and "up" in said(namespace), "it runs")
    os.kill(number(namespace), 9)
    namespace.until(
        lambda: namespace.get("pod", "real")["status"]["containerStatuses"][0]["restartCount"] == 1, "again"
    )
    status = namespace.get("pod", "real")["status"]["containerStatuses"][0]
    assert status["lastState"]["terminated"]["exitCode"] == 137
    namespace.until(lambda: said(namespace).count("up") == 2, "it runs again")
    namespace.kubectl("delete", "pod", "real", "--timeout=20s")
    assert said(namespace).count("told") == 1
    deaf = "trap '' TERM; echo up; while true; do sleep 0.05; done"
    namespace.apply(pod(deaf, name="deaf", policy="Always"))
    namespace.until(lambda: "running" in state(namespace, "deaf") and "up" in said(namespace, "deaf"), "it runs")
    first = Path(f"/proc/{number(namespace, 'deaf')}")
    namespace.kubectl("delete", "pod", "deaf", "--grace-period=1", "--timeout=20s")
    assert not first.exists()
