"""Which rights a release needs, which are missing, and the Role that grants them."""

from collections.abc import Iterable, Iterator
from pathlib import Path

import pytest
from fake_api import REVIEWS, FakeApi, ask, running
from ruamel.yaml import YAML

from analyzer.errors import PlatformError, PlatformUnavailable
from analyzer.platforms.discovery import Kind, Place, Resource, discover, places
from analyzer.platforms.rights import Needs, Release, Right, Storage, missing, needed, role, sentence, survey

MANIFEST = """\
apiVersion: v1
kind: ConfigMap
metadata: {name: web}
---
apiVersion: apps/v1
kind: Deployment
metadata: {name: web}
---
apiVersion: scheduling.k8s.io/v1
kind: PriorityClass
metadata: {name: web}
---
apiVersion: v1
kind: Service
metadata: {name: web, namespace: edge}
"""
HOOK = """\
apiVersion: batch/v1
kind: Job
metadata: {name: hook, annotations: {helm.sh/hook: pre-rollback}}
"""
KINDS = {
    "/api/v1": [("configmaps", "ConfigMap", True), ("services", "Service", True), ("services/status", "Service", True)],
    "/apis/apps/v1": [("deployments", "Deployment", True), ("deployments/scale", "Scale", True)],
    "/apis/argoproj.io/v1alpha1": [("rollouts", "Rollout", True)],
    "/apis/batch/v1": [("jobs", "Job", True)],
    "/apis/scheduling.k8s.io/v1": [("priorityclasses", "PriorityClass", False)],
}


@pytest.fixture
def api(tmp_path: Path) -> Iterator[FakeApi]:
    with running(tmp_path) as fake:
        for where, kinds in KINDS.items():
            resources = [{"name": name, "kind": kind, "namespaced": namespaced} for name, kind, namespaced in kinds]
            fake.objects[where] = {"kind": "APIResourceList", "resources": resources}
        yield fake


def surveyed(api: FakeApi, *manifests: str, storage: Storage = "secrets", helm: int = 4, name: str = "web") -> Needs:
    return ask(api, lambda cluster: survey(cluster, manifests, Release("shop", storage, name, helm)))


def verbs(rights: tuple[Right, ...], resource: str, namespace: str = "shop") -> str:
    return " ".join(
        sorted(right.verb for right in rights if (right.resource, right.namespace) == (resource, namespace))
    )


# Kinds


def test_every_kind_is_found_once_in_each_namespace() -> None:
    found = places([MANIFEST, MANIFEST, HOOK])
    assert found == (
        Place(Kind("apps/v1", "Deployment")),
        Place(Kind("batch/v1", "Job"), hook=True),
        Place(Kind("scheduling.k8s.io/v1", "PriorityClass")),
        Place(Kind("v1", "ConfigMap")),
        Place(Kind("v1", "Service"), "edge"),
    )


def test_what_cannot_be_parsed_is_told() -> None:
    with pytest.raises(PlatformError, match="cannot be parsed"):
        places(["a: [b"])


def test_kinds_are_told_as_the_api_server_calls_them(api: FakeApi) -> None:
    kinds = [Kind("apps/v1", "Deployment"), Kind("v1", "Service"), Kind("apps/v1", "Nonsense"), Kind("no/v1", "Thing")]
    assert ask(api, lambda cluster: discover(cluster, kinds)) == {
        Kind("apps/v1", "Deployment"): Resource("apps", "deployments", namespaced=True),
        Kind("v1", "Service"): Resource("", "services", namespaced=True),
    }


# Rights


def test_a_rollback_needs_to_change_every_kind_where_it_lives(api: FakeApi) -> None:
    rollback = surveyed(api, MANIFEST).rollback
    assert verbs(rollback, "deployments") == "create delete get list patch watch"
    assert verbs(rollback, "services", "edge") == "create delete get list patch watch"
    assert verbs(rollback, "services") == ""
    assert verbs(rollback, "priorityclasses", "") == "create delete get list patch watch"
    assert verbs(rollback, "secrets") == "create delete get list update"
    assert verbs(rollback, "replicasets") == "list"
    assert verbs(rollback, "pods") == "list"


def test_a_rollout_is_aborted_before_helm_rolls_back(api: FakeApi) -> None:
    needs = surveyed(api, "{apiVersion: argoproj.io/v1alpha1, kind: Rollout, metadata: {name: web}}")
    assert verbs(needs.rollback, "rollouts/status") == "patch"
    assert verbs(needs.verdicts, "events") == "create"
    assert verbs(surveyed(api, MANIFEST).rollback, "rollouts/status") == ""


def test_helm_3_watches_hooks_alone(api: FakeApi) -> None:
    rollback = surveyed(api, MANIFEST, HOOK, helm=3).rollback
    assert verbs(rollback, "deployments") == "create delete get patch"
    assert verbs(rollback, "jobs") == "create delete get list patch watch"
    assert verbs(rollback, "pods") == ""


@pytest.mark.parametrize(
    ("storage", "secrets", "configmaps"),
    [
        ("secrets", "create delete get list update", ""),
        ("configmaps", "", "create delete get list update"),
        ("", "", ""),
    ],
)
def test_the_storage_of_helm(api: FakeApi, storage: Storage, secrets: str, configmaps: str) -> None:
    rollback = surveyed(api, HOOK, storage=storage).rollback
    assert verbs(rollback, "secrets") == secrets
    assert verbs(rollback, "configmaps") == configmaps


def test_who_looks_only_reads(api: FakeApi) -> None:
    assert {right.verb for right in surveyed(api, MANIFEST, HOOK).looking} == {"get", "list"}


def test_verdicts_are_written_into_one_configmap(api: FakeApi) -> None:
    rights = surveyed(api, MANIFEST).verdicts
    assert {right.name for right in rights if right.verb == "update"} == {"canary-analyzer.helm.web"}
    assert {right.name for right in surveyed(api, MANIFEST, name="").verdicts} == {""}


def test_an_unknown_kind_is_told(api: FakeApi) -> None:
    gone = "apiVersion: policy/v1beta1\nkind: PodDisruptionBudget\nmetadata: {name: web}\n"
    assert surveyed(api, MANIFEST, gone).unknown == (Kind("policy/v1beta1", "PodDisruptionBudget"),)
    with pytest.raises(PlatformError, match=r"does not know PodDisruptionBudget \(policy/v1beta1\)"):
        ask(api, lambda cluster: needed(cluster, [gone], "shop", "secrets"))


def test_needed_with_and_without_our_own(api: FakeApi) -> None:
    both = ask(api, lambda cluster: needed(cluster, [MANIFEST], "shop", "secrets"))
    helms = ask(api, lambda cluster: needed(cluster, [MANIFEST], "shop", "secrets", own=False))
    assert set(helms) < set(both)
    assert verbs(both, "namespaces") == "get"
    assert verbs(helms, "namespaces") == ""


def test_an_api_server_that_is_away_is_no_unknown_kind(api: FakeApi) -> None:
    api.refusals["GET", "/apis/apps/v1"] = (503, "aggregated API is away")
    with pytest.raises(PlatformUnavailable, match="aggregated API is away"):
        surveyed(api, MANIFEST)


# Missing


def test_those_that_are_missing_are_found(api: FakeApi) -> None:
    rights = surveyed(api, MANIFEST).rollback
    api.may = lambda asked: (asked["verb"], asked["resource"]) != ("patch", "deployments")
    assert ask(api, lambda cluster: missing(cluster, rights)) == (Right("apps", "deployments", "patch", "shop"),)
    assert sum(path == REVIEWS for _, path in api.requests) == len(rights)


def test_a_review_names_only_what_is_meant(api: FakeApi) -> None:
    asked: list[dict[str, str]] = []
    api.may = lambda attributes: not asked.append(attributes)
    ask(
        api, lambda cluster: missing(cluster, [Right("", "nodes", "get", ""), Right("", "configmaps", "get", "a", "b")])
    )
    assert sorted(asked, key=len) == [
        {"group": "", "resource": "nodes", "verb": "get"},
        {"group": "", "resource": "configmaps", "verb": "get", "namespace": "a", "name": "b"},
    ]


@pytest.mark.parametrize(
    ("rights", "told"),
    [
        ([], ""),
        (
            [Right("apps", "deployments", "delete", "shop"), Right("apps", "deployments", "patch", "shop")],
            'this user may not patch, delete deployments (apps) in namespace "shop"',
        ),
        (
            [Right("", "services", "get", "shop"), Right("", "pods", "get", "shop"), Right("", "nodes", "list", "")],
            'this user may not list nodes in the whole cluster; get pods and services in namespace "shop"',
        ),
        (
            [Right("", "configmaps", "update", "shop", "c")],
            'this user may not update configmaps c in namespace "shop"',
        ),
    ],
)
def test_what_is_missing_in_one_sentence(rights: list[Right], told: str) -> None:
    grant = "; grant it: canary rbac web -n shop | kubectl apply -f -" if told else ""
    assert sentence(rights, "web") == told + grant


# Role


def granted(text: str) -> set[Right]:
    """Every right that the roles of a YAML text grant."""
    return {
        Right(group, resource, verb, document["metadata"].get("namespace", ""), name)
        for document in filter(None, YAML(typ="safe").load_all(text))
        for rule in document.get("rules") or []
        for group in rule["apiGroups"]
        for resource in rule["resources"]
        for verb in rule["verbs"]
        for name in rule.get("resourceNames", [""])
    }


def test_a_role_grants_what_is_needed_and_nothing_else(api: FakeApi) -> None:
    rights = ask(api, lambda cluster: needed(cluster, [MANIFEST, HOOK], "shop", "secrets"))
    assert granted(role(rights, "canary", "shop/canary-analyzer")) == set(rights)


def test_a_role_is_short_and_sorted() -> None:
    every = ("delete", "get", "watch", "list")
    rights = [Right("apps", kind, verb, "shop") for kind in ("deployments", "daemonsets") for verb in every]
    rights += [Right("", "configmaps", "get", "shop"), Right("", "configmaps", "get", "shop", "mine")]
    assert role(rights, "canary", "ops/007") == (
        "apiVersion: rbac.authorization.k8s.io/v1\n"
        "kind: Role\n"
        "metadata: {name: canary, namespace: shop}\n"
        "rules:\n"
        '  - {apiGroups: [""], resources: [configmaps], verbs: [get]}\n'
        "  - {apiGroups: [apps], resources: [daemonsets, deployments], verbs: [get, list, watch, delete]}\n"
        "---\n"
        "apiVersion: rbac.authorization.k8s.io/v1\n"
        "kind: RoleBinding\n"
        "metadata: {name: canary, namespace: shop}\n"
        "roleRef: {apiGroup: rbac.authorization.k8s.io, kind: Role, name: canary}\n"
        "subjects:\n"
        '  - {kind: ServiceAccount, name: "007", namespace: ops}\n'
    )


def test_what_is_in_no_namespace_is_in_a_cluster_role() -> None:
    documents = list(YAML(typ="safe").load_all(role([Right("", "nodes", "get", "")], "canary", "ops/canary")))
    assert [each["kind"] for each in documents] == ["ClusterRole", "ClusterRoleBinding"]
    assert documents[1]["roleRef"]["kind"] == "ClusterRole"
    assert all("namespace" not in each["metadata"] for each in documents)


@pytest.mark.parametrize("helm", [3, 4])
def test_the_role_to_apply_as_it_is_has_what_the_usual_kinds_need(api: FakeApi, helm: int) -> None:
    text = (Path(__file__).parents[2] / "deploy" / "rbac.yaml").read_text()
    observing, _, _ = text.partition("# To enforce")
    usual = MANIFEST.replace("edge", "shop").replace("scheduling.k8s.io", "apps").replace("PriorityClass", "Deployment")
    needs = surveyed(api, usual, HOOK, helm=helm)

    def unnamed(rights: Iterable[Right]) -> set[Right]:
        return {Right(right.group, right.resource, right.verb, "") for right in rights}

    observe, both = unnamed(granted(observing)), unnamed(granted(text))
    assert unnamed(needs.looking) - observe == set()
    assert {right.verb for right in observe} == {"get", "list"}
    assert unnamed((*needs.verdicts, *needs.rollback)) - both == set()
