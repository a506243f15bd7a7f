"""The analyzer's rights in scenarios: those of the roles that its chart renders, and no others."""

import json
from collections.abc import Collection
from functools import cache
from typing import Any, Final

from tests.cluster.namespace import Namespace
from tests.cluster.rendering import NAMESPACE, RELEASE, rendered

Json = dict[str, Any]

_TARGETS: Final = "shop"
_APPLICATIONS: Final = "argocd"
_ALL: Final = (
    "--set=prometheus.url=http://prometheus:9090",
    f"--set=observe.namespaces={{{_TARGETS}}}",
    f"--set=watch.namespaces={{{_TARGETS}}}",
    "--set=watch.annotate=true",
    "--set=enforce.enabled=true",
    "--set=rollouts.enabled=true",
    "--set=flagger.enabled=true",
    "--set=flux.enabled=true",
    f"--set=argocd.enabled=true,argocd.act=true,argocd.namespace={_APPLICATIONS}",
    "--set=settings.access.service_accounts.enabled=true",
)
_OF_ONE_NAMESPACE: Final = ("--set=rbac.clusterRoles=false", "--set=settings.access.service_accounts.enabled=false")
CHECK: Final = ("observe", "enforce", "rollouts-observe", "rollouts-enforce")
"""What `canary check` of a release or a Rollout is granted."""
APPLICATIONS: Final = tuple(f"applications-{which}" for which in ("observe", "pods", "verdicts", "enforce"))


def named(name: str) -> str:
    """A Role of a namespace, or its binding, as the chart names it."""
    return f"{RELEASE}-serve-{name}"


def grant(namespace: Namespace, names: Collection[str]) -> None:
    """Roles of this namespace, by their names in `named`, for its ServiceAccount `canary-analyzer`."""
    wanted = {named(name) for name in names}
    found = [each for each in _rights(*_ALL, *_OF_ONE_NAMESPACE) if each["metadata"]["name"] in wanted]
    assert {each["metadata"]["name"] for each in found} == wanted, "the chart has no such roles"
    _apply(namespace, found, RELEASE)


def grant_across(namespace: Namespace, account: str, names: Collection[str]) -> None:
    """All ClusterRoles, named `account` and what comes after `canary-analyzer`, for this ServiceAccount.

    Those of `names` are bound in this namespace, and `callers` in the cluster.
    """
    wanted = {named(name) for name in names}
    found = [each for each in _rights(*_ALL) if each["kind"] != "RoleBinding" or each["metadata"]["name"] in wanted]
    assert wanted <= {each["metadata"]["name"] for each in found}, "the chart has no such roles"
    _apply(namespace, found, account)


@cache
def _rights(*flags: str) -> list[Json]:
    return [each for each in rendered(4, *flags) if each["kind"].endswith(("Role", "RoleBinding"))]


def _apply(namespace: Namespace, objects: list[Json], account: str) -> None:
    text = json.dumps({"apiVersion": "v1", "kind": "List", "items": objects}).replace(f'"{RELEASE}', f'"{account}')
    for each in (_TARGETS, _APPLICATIONS, NAMESPACE):
        text = text.replace(f'"namespace": "{each}"', f'"namespace": "{namespace.name}"')
    namespace.bed.apply(text)
