"""Argo CD on the bed is the real one: it syncs from a Git repository, heals what a person changes, keeps a history."""

import json
from collections.abc import Iterator
from typing import Any

import pytest

from tests.cluster.argocd import NAMESPACE
from tests.cluster.bed import Bed
from tests.cluster.git import GitRepository
from tests.cluster.namespace import Namespace

DEPLOYMENT = """
apiVersion: apps/v1
kind: Deployment
metadata: {{name: web}}
spec:
  replicas: {replicas}
  selector:
    matchLabels: {{app: web}}
  template:
    metadata:
      labels: {{app: web}}
    spec:
      containers:
        - name: web
          image: registry.example/web:{tag}
"""


def application(name: str, repository: GitRepository, namespace: Namespace) -> str:
    return json.dumps(
        {
            "apiVersion": "argoproj.io/v1alpha1",
            "kind": "Application",
            "metadata": {"name": name, "namespace": NAMESPACE},
            "spec": {
                "project": "default",
                "source": {"repoURL": repository.url, "path": "shop", "targetRevision": "main"},
                "destination": {"server": "https://kubernetes.default.svc", "namespace": namespace.name},
                "syncPolicy": {"automated": {"prune": True, "selfHeal": True}},
            },
        }
    )


@pytest.fixture
def shop(bed: Bed, namespace: Namespace, repository: GitRepository) -> Iterator[str]:
    """The name of an Application that keeps the namespace as the repository says."""
    bed.start("argocd")
    repository.commit({"shop/web.yaml": DEPLOYMENT.format(replicas=1, tag="v1")}, "web v1")
    bed.apply(application(namespace.name, repository, namespace))
    yield namespace.name
    bed.kubectl("delete", "application", namespace.name, f"--namespace={NAMESPACE}", "--wait=false")


def test_argocd_syncs_heals_and_remembers(bed: Bed, namespace: Namespace, repository: GitRepository, shop: str) -> None:
    def status() -> dict[str, Any]:
        found: dict[str, Any] = bed.get("application", shop, NAMESPACE).get("status", {})
        return found

    def settled(revision: str) -> bool:
        now = status()
        states = [now.get(name, {}).get("status") for name in ("sync", "health")]
        return states == ["Synced", "Healthy"] and now["sync"]["revision"] == revision

    def healed() -> bool:
        web = namespace.get("deployment", "web")
        return web["metadata"]["generation"] == 3 and web["spec"]["replicas"] == 1  # created, changed, changed back

    first = repository.log()[0].sha
    namespace.until(lambda: settled(first), "the first commit is synced and healthy", seconds=120)

    namespace.kubectl("scale", "deployment", "web", "--replicas=3")
    namespace.until(healed, "what a person changed is taken back", seconds=60)

    second = repository.commit({"shop/web.yaml": DEPLOYMENT.format(replicas=1, tag="v2")}, "web v2")
    namespace.until(lambda: settled(second), "the second commit is synced and healthy", seconds=120)
    web = namespace.get("deployment", "web")
    assert web["spec"]["template"]["spec"]["containers"][0]["image"] == "registry.example/web:v2"

    assert [entry["revision"] for entry in status()["history"]] == [first, second]
