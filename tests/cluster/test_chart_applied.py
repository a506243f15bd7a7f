"""All that the chart renders, shown to the real API server."""

import json
from functools import cache
from pathlib import Path

import pytest

from tests.cluster.bed import Bed
from tests.cluster.control_plane import definitions
from tests.cluster.process import CommandError
from tests.cluster.rendering import NAMESPACE, one, render, rendered
from tests.deploy.chart import EXAMPLES, documents

example = pytest.mark.parametrize("file", EXAMPLES, ids=lambda file: file.stem)


@pytest.fixture
def cluster(bed: Bed, request: pytest.FixtureRequest) -> Bed:
    """With the definitions and namespaces that the examples name; pods in `canary` are held to `restricted`."""
    request.getfixturevalue("together")
    _prepare()
    return bed


@cache
def _prepare() -> None:
    bed = Bed.attach()
    for program in ("argo-rollouts", "prometheus"):
        folder = definitions(bed.programs, program)
        bed.kubectl("apply", "--server-side", "--force-conflicts", f"--filename={folder}")
        bed.kubectl("wait", "--for=condition=Established", f"--filename={folder}", "--timeout=60s")
    for name in (NAMESPACE, "shop", "payments", "staging", "argocd"):
        labels = {"pod-security.kubernetes.io/enforce": "restricted"} if name == NAMESPACE else {}
        bed.apply(json.dumps({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name, "labels": labels}}))


@example
def test_the_api_server_takes_every_object(cluster: Bed, file: Path) -> None:
    text = render(4, f"--values={file}")
    said = cluster.kubectl("apply", "--dry-run=server", "--validate=strict", "--filename=-", stdin=text)
    assert len(said.splitlines()) == len(documents(text))


@example
def test_the_pods_are_restricted(cluster: Bed, file: Path) -> None:
    """The API server refuses a pod that is not, where a Deployment is only warned about."""
    objects = rendered(4, f"--values={file}")
    template = one(objects, "Deployment")["spec"]["template"]
    pod = {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": "web", **template["metadata"]},
        "spec": template["spec"],
    }
    for each in (pod, one(objects, "Pod")):
        each["spec"].pop("serviceAccountName", None)  # is not there in a dry run
        each["metadata"]["namespace"] = NAMESPACE
        cluster.kubectl("create", "--dry-run=server", "--filename=-", stdin=json.dumps(each))
        root = {**each, "spec": {**each["spec"], "securityContext": {"runAsUser": 0}}}
        with pytest.raises(CommandError, match="violates PodSecurity"):
            cluster.kubectl("create", "--dry-run=server", "--filename=-", stdin=json.dumps(root))
