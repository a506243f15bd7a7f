"""The chart, installed by Helm 3 and 4: what its ServiceAccount may do, and what stays when it is gone."""

import json

from tests.cluster.bed import Bed
from tests.cluster.namespace import Namespace
from tests.cluster.process import CommandError
from tests.cluster.rendering import RELEASE
from tests.deploy.chart import CHART

# Verb and kind, and whether: where nothing is watched, where it observes, where it enforces.
RIGHTS = {
    ("list", "secrets"): (False, True, True),
    ("watch", "secrets"): (False, True, True),
    ("get", "deployments.apps"): (False, True, True),
    ("create", "events"): (False, True, True),
    ("patch", "deployments.apps"): (False, False, True),
    ("create", "secrets"): (False, False, True),
    ("delete", "secrets"): (False, False, True),
    ("patch", "resourcequotas"): (False, False, True),
    ("create", "pods"): (False, False, False),
    ("create", "pods/exec"): (False, False, False),
    ("create", "roles.rbac.authorization.k8s.io"): (False, False, False),
    ("impersonate", "users"): (False, False, False),
    ("escalate", "clusterroles.rbac.authorization.k8s.io"): (False, False, False),
    ("create", "serviceaccounts/token"): (False, False, False),
    ("list", "nodes"): (False, False, False),
}


def _may(bed: Bed, account: str, verb: str, kind: str, namespace: str) -> bool:
    kind, _, part = kind.partition("/")
    who = (f"--as={account}", f"--namespace={namespace}", f"--subresource={part}")
    try:
        said = bed.kubectl("auth", "can-i", verb, kind, *who)
    except CommandError as error:  # exit code 1: no
        said = error.stdout
    return {"yes": True, "no": False}[said.strip().splitlines()[-1].partition(" ")[0]]


def _watching(*namespaces: str) -> str:
    return f"--set-json=watch.namespaces={json.dumps(namespaces)}"


def test_its_service_account_may_do_what_it_should_and_nothing_else(bed: Bed, namespace: Namespace, helm: int) -> None:
    rule = {"apiGroups": [""], "resources": ["resourcequotas"], "verbs": ["patch"]}
    with bed.namespace("observed") as observed, bed.namespace("enforced") as enforced:
        namespace.helm(
            helm,
            "install",
            RELEASE,
            CHART,
            "--set=prometheus.url=http://127.0.0.1:9,enforce.enabled=true",
            _watching(observed.name, enforced.name),
            f"--set=enforce.namespaces={{{enforced.name}}}",
            f"--set-json=enforce.extraRules=[{json.dumps(rule)}]",
        )
        account = f"system:serviceaccount:{namespace.name}:{RELEASE}"
        where = (namespace.name, observed.name, enforced.name)
        found = {right: tuple(_may(bed, account, *right, each) for each in where) for right in RIGHTS}
        namespace.helm(helm, "uninstall", RELEASE)
        assert found == RIGHTS
        assert not _may(bed, account, "list", "secrets", enforced.name)


def test_an_upgrade_changes_rights_and_an_end_leaves_the_database_alone(namespace: Namespace, helm: int) -> None:
    given = ("--set=prometheus.url=http://127.0.0.1:9", _watching(namespace.name))
    namespace.helm(helm, "install", RELEASE, CHART, *given, "--set=enforce.enabled=true")
    bindings = {each["metadata"]["name"] for each in namespace.list("rolebindings")}
    namespace.helm(helm, "upgrade", RELEASE, CHART, *given)
    left = {each["metadata"]["name"] for each in namespace.list("rolebindings")}
    assert {name.removeprefix(f"{namespace.name}-{RELEASE}-serve-") for name in bindings - left} == {"enforce"}
    namespace.helm(helm, "uninstall", RELEASE)
    assert [each["metadata"]["name"] for each in namespace.list("persistentvolumeclaims")] == [RELEASE]
    namespace.helm(helm, "install", RELEASE, CHART, *given)  # and finds it again
    namespace.helm(helm, "uninstall", RELEASE)


def test_two_installations_in_one_cluster(bed: Bed, namespace: Namespace) -> None:
    with bed.namespace("tools") as theirs:
        for each in (namespace, theirs):
            each.helm(
                4, "install", RELEASE, CHART, "--set=prometheus.url=http://127.0.0.1:9", _watching(namespace.name)
            )
        assert len([one for one in namespace.list("rolebindings") if one["metadata"]["name"].endswith("-observe")]) == 2
        for each in (namespace, theirs):
            each.helm(4, "uninstall", RELEASE)
