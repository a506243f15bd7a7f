"""A Helm release with Flux's marks. Flux itself is not on the bed: what is proven is what we write, and that it stays
when the HelmRelease is applied again as its Kustomization would, by the real API server."""

import json

import pytest

from tests.cluster.namespace import Namespace
from tests.cluster.scenarios.argo import BAD
from tests.cluster.scenarios.rights import grant
from tests.cluster.scenarios.shop import RELEASE, Shop

KIND = "helmreleases.helm.toolkit.fluxcd.io"
DEFINITION = {
    "apiVersion": "apiextensions.k8s.io/v1",
    "kind": "CustomResourceDefinition",
    "metadata": {"name": KIND},
    "spec": {
        "group": "helm.toolkit.fluxcd.io",
        "names": {"kind": "HelmRelease", "plural": "helmreleases", "singular": "helmrelease", "shortNames": ["hr"]},
        "scope": "Namespaced",
        "versions": [
            {
                "name": "v2",
                "served": True,
                "storage": True,
                "subresources": {"status": {}},
                "schema": {
                    "openAPIV3Schema": {
                        "type": "object",
                        "properties": {"spec": {"type": "object", "x-kubernetes-preserve-unknown-fields": True}},
                    }
                },
            }
        ],
    },
}


@pytest.fixture
def owner(shop: Shop) -> str:
    """The shop belongs to a HelmRelease, which a Kustomization applies: this is what it says."""
    namespace = shop.namespace
    namespace.bed.apply(json.dumps(DEFINITION))
    namespace.bed.kubectl("wait", "--for=condition=Established", f"crd/{KIND}", "--timeout=30s")
    metadata = {"name": RELEASE, "namespace": namespace.name}
    spec = {"interval": "5m", "chart": {"spec": {"chart": RELEASE}}}
    release = {"apiVersion": "helm.toolkit.fluxcd.io/v2", "kind": "HelmRelease", "metadata": metadata, "spec": spec}
    applied = json.dumps(release)
    reconcile(namespace, applied)
    marks = [f"helm.toolkit.fluxcd.io/name={RELEASE}", f"helm.toolkit.fluxcd.io/namespace={namespace.name}"]
    namespace.kubectl("label", "deployment", RELEASE, *marks)
    grant(namespace, ["helmreleases"])
    return applied


def reconcile(namespace: Namespace, applied: str) -> None:
    """What the controller of Kustomizations does every few minutes."""
    words = ["apply", "--server-side", "--force-conflicts", "--field-manager=kustomize-controller", "--filename=-"]
    namespace.kubectl(*words, stdin=applied)


@pytest.mark.parametrize("helm", [4], indirect=True)
def test_it_is_suspended_and_rolled_back(shop: Shop, owner: str) -> None:
    shop.upgrade(BAD)
    checked = shop.check("--gitops=suspend")
    assert checked.summary == (10, "fail", "rollback", "done", None), checked
    assert f"flux resume helmrelease {RELEASE} -n {shop.namespace.name}" in str(checked.report), checked
    reconcile(shop.namespace, owner)
    found = shop.namespace.get(KIND, RELEASE)
    assert found["spec"]["suspend"] is True
    assert checked.report["analysis"] in found["metadata"]["annotations"]["canary-analyzer.io/taken-back"]
    shop.serves("good", "good")
