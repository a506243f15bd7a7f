"""The rights that the chart grants: the rules that are shipped, bound where they are needed."""

from pathlib import Path
from typing import Any

import pytest

from tests.cluster.rendering import GOOD, NAMESPACE, RELEASE, one, render, rendered
from tests.deploy.chart import CHART, COPIES, DEPLOY, EXAMPLES, VALUES, documents, merged, read, roles

Json = dict[str, Any]

_IN_A_NAMESPACE = {"Role", "RoleBinding"}

example = pytest.mark.parametrize("file", EXAMPLES, ids=lambda file: file.stem)


def _granted(objects: list[Json]) -> dict[str, list[str]]:
    """Where each role is bound, by what comes after `canary-analyzer-`; each binding is checked."""
    found: dict[str, list[str]] = {}
    account = one(objects, "Deployment")["spec"]["template"]["spec"]["serviceAccountName"]
    for each in objects:
        if each["kind"] in {"RoleBinding", "ClusterRoleBinding"}:
            assert each["subjects"] == [{"kind": "ServiceAccount", "name": account, "namespace": NAMESPACE}]
            role, name = each["roleRef"]["name"], each["metadata"]["name"]
            assert role in {name, name.replace("-serve-", "-", 1)}
            where = each["metadata"].get("namespace", "*")
            assert (each["kind"] == "ClusterRoleBinding") == (where == "*")
            found.setdefault(role.replace("-serve-", "-", 1), []).append(where)
    return found


def _shipped() -> dict[str, list[Json]]:
    return {
        name: rules
        for file in COPIES.values()
        if file.name == "rbac.yaml"
        for name, rules in roles(file.read_text()).items()
    }


@example
def test_the_rules_are_those_that_are_shipped_and_no_others(helm: int, file: Path) -> None:
    values, objects = merged(VALUES, read(file)), rendered(helm, f"--values={file}")
    shipped = _shipped() | {"canary-analyzer-enforce-extra": values["enforce"]["extraRules"]}
    found = roles(render(helm, f"--values={file}"))
    full = one(objects, "Deployment")["metadata"]["name"]
    prefix = full if full == RELEASE else f"{NAMESPACE}-{full}" if NAMESPACE != "canary" else full
    for name, rules in found.items():
        assert rules == shipped[name.replace(prefix, "canary-analyzer", 1).replace("-serve-", "-", 1)], name
    assert {name.replace("-serve-", "-", 1) for name in found} == set(_granted(objects))


ON_EXAMPLE: dict[str, dict[str, list[str]]] = {
    "observe": {"observe": ["shop"], "watch": ["shop"]},
    "enforce": {
        "observe": ["payments", "shop", "staging"],
        "watch": ["payments", "shop"],
        "annotate": ["payments", "shop"],
        "enforce": ["shop"],
        "enforce-extra": ["shop"],
        "rollouts-observe": ["payments", "shop", "staging"],
        "rollouts-enforce": ["shop"],
        "flagger-observe": ["payments", "shop", "staging"],
        "helmreleases": ["shop"],
        "applications-observe": ["argocd"],
        "applications-pods": ["payments", "shop", "staging"],
        "applications-verdicts": ["argocd"],
        "applications-enforce": ["argocd"],
    },
    "postgresql": {"callers": ["*"], "observe": ["shop"], "watch": ["shop"], "enforce": ["shop"]},
    "everywhere": {
        "observe": ["*"],
        "watch": ["*"],
        "enforce": ["shop"],
        "rollouts-observe": ["*"],
        "rollouts-enforce": ["shop"],
    },
    "all-secrets": {"observe": ["*"], "watch": ["*"], "enforce": ["*"]},
    "own-objects": {"observe": ["shop"], "watch": ["shop"], "enforce": ["shop"]},
}


@example
def test_each_role_is_bound_where_it_is_needed_and_nowhere_else(helm: int, file: Path) -> None:
    objects = rendered(helm, f"--values={file}")
    full = one(objects, "Deployment")["metadata"]["name"]
    assert _granted(objects) == {f"{full}-{name}": where for name, where in ON_EXAMPLE[file.stem].items()}


def test_without_cluster_roles_there_are_none(helm: int) -> None:
    kinds = {each["kind"] for each in rendered(helm, f"--values={CHART / 'ci' / 'own-objects.yaml'}")}
    assert "Role" in kinds
    assert not {kind for kind in kinds if kind.startswith("Cluster")}


def test_without_rbac_there_are_no_rights(helm: int) -> None:
    assert not {each["kind"] for each in rendered(helm, *GOOD, "--set=rbac.create=false") if "Role" in each["kind"]}


def test_two_installations_do_not_share_the_roles_of_the_cluster(helm: int) -> None:
    mine = roles(render(helm, *GOOD))
    theirs = roles(render(helm, *GOOD, "--namespace=tools"))
    assert mine
    assert not set(mine) & set(theirs)


PIPELINES = ["rbac.yaml", "argo/rbac.yaml", "argocd/rbac.yaml", "flux/rbac.yaml"]


@pytest.mark.parametrize("name", ["enforce", "own-objects"])
def test_the_rights_of_a_pipeline_may_be_in_the_same_namespace(helm: int, name: str) -> None:
    objects = rendered(helm, f"--values={CHART / 'ci' / name}.yaml")
    theirs = {each["metadata"]["name"] for path in PIPELINES for each in documents((DEPLOY / path).read_text())}
    ours = {each["metadata"]["name"] for each in objects if each["kind"] in _IN_A_NAMESPACE}
    assert ours
    assert not ours & theirs
