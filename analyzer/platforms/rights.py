"""The rights that a rollback needs: which they are, which of them are missing, and the Role that grants them."""

import asyncio
import json
import re
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Literal

from analyzer.concurrency import together
from analyzer.errors import NoWayBack
from analyzer.platforms.cluster import Cluster
from analyzer.platforms.discovery import Kind, Place, Resource, discover, places
from analyzer.platforms.verdicts import name_of

Storage = Literal["secrets", "configmaps", ""]
"""Where Helm keeps its revisions: HELM_DRIVER. Empty: not in the cluster (sql)."""

_AT_ONCE = 10  # reviews
_REVIEWS = "/apis/authorization.k8s.io/v1/selfsubjectaccessreviews"
_RBAC = "rbac.authorization.k8s.io"
_WORD = re.compile(r"[a-z][-a-z0-9.]*")
_NO_WORDS = frozenset({"y", "n", "yes", "no", "on", "off", "true", "false", "null"})
_VERBS = ("get", "list", "watch", "create", "patch", "update", "delete")
_CHANGING = ("get", "create", "patch", "delete")
_WATCHING = ("list", "watch")
_WATCHES_ALL = 4  # the first major version that watches whatever it waits for
_PODS_OF = {
    "Deployment": "replicasets",
    "Rollout": "replicasets",
    "StatefulSet": "controllerrevisions",
    "DaemonSet": "controllerrevisions",
}
"""Where the pods of a workload's revisions are told apart."""
_ROLLOUT = ("argoproj.io", "Rollout")


@dataclass(frozen=True, order=True)
class Right:
    """One verb on one resource. Without a namespace: in the whole cluster; without a name: on all of them."""

    group: str
    resource: str
    verb: str
    namespace: str
    name: str = ""


@dataclass(frozen=True)
class Release:
    """Whose rights are asked for. `helm` is the major version; without a name, those on all ConfigMaps are meant."""

    namespace: str
    storage: Storage
    name: str = ""
    helm: int = 4

    @property
    def verdicts(self) -> str:
        """The name of the ConfigMap with the verdicts; empty: any."""
        return name_of(self.name) if self.name else ""


@dataclass(frozen=True)
class Needs:
    """What a release needs: to look at it, to keep its verdicts, to roll it back.

    `unknown` are the kinds of its manifests that the API server does not know.
    """

    looking: tuple[Right, ...]
    verdicts: tuple[Right, ...]
    rollback: tuple[Right, ...]
    unknown: tuple[Kind, ...] = ()


async def needed(
    cluster: Cluster,
    manifests: Sequence[str],
    namespace: str,
    storage: Storage,
    *,
    helm: int = 4,
    own: bool = True,
) -> tuple[Right, ...]:
    """The rights to roll back a release with these manifests (hooks among them).

    `helm` is its major version: 3 watches only hooks. With `own`, what the analyzer itself reads and keeps is among
    them; no rollback fails without that.

    Raises:
        NoWayBack: the API server does not know a kind, so that no rollback can succeed.
        PlatformError: it cannot be asked.
    """
    needs = await survey(cluster, manifests, Release(namespace, storage, helm=helm))
    if needs.unknown:
        kinds = ", ".join(map(str, needs.unknown))
        raise NoWayBack(
            f"the cluster does not know {kinds}, which the release has: is a CustomResourceDefinition missing, or has "
            "this version of the API been removed? Helm cannot go back to such a revision"
        )
    return tuple(sorted({*needs.rollback, *(needs.looking if own else ()), *(needs.verdicts if own else ())}))


async def survey(cluster: Cluster, manifests: Sequence[str], release: Release) -> Needs:
    """Every right that has to do with a release with these manifests, hooks among them.

    Raises:
        PlatformError: the API server cannot be asked, or a manifest cannot be parsed.
    """
    found = await asyncio.to_thread(places, manifests)  # parsing large manifests takes seconds
    known = await discover(cluster, {place.kind for place in found})
    placed = [(place, known[place.kind]) for place in found if place.kind in known]
    return Needs(
        looking=tuple(sorted({*_looking(placed, release)})),
        verdicts=tuple(sorted({*_verdicts(release), *_notes(placed, release)})),
        rollback=tuple(sorted({*_rollback(placed, release)})),
        unknown=tuple(sorted({place.kind for place in found} - known.keys())),
    )


def _looking(placed: Sequence[tuple[Place, Resource]], release: Release) -> Iterable[Right]:
    namespace = release.namespace
    if release.storage:
        yield from _all("", release.storage, ("get", "list"), namespace)
    yield from _all("", "configmaps", ("get",), namespace)  # verdicts; and those that pods use: drift
    yield from _all("", "namespaces", ("get",), namespace, namespace)  # its annotations: a hold, a GitOps owner
    for place, resource in placed:
        if beside := _PODS_OF.get(place.kind.kind):
            within = place.namespace or namespace
            yield from _all(resource.group, resource.name, ("get",), within)
            yield from _all("apps", beside, ("list",), within)
            yield from _all("", "pods", ("list",), within)


def _verdicts(release: Release) -> Iterable[Right]:
    """`create` knows no names, and `list` sees the failures of other releases: a storm."""
    yield from _all("", "configmaps", ("create", "list"), release.namespace)
    yield from _all("", "configmaps", ("get", "update"), release.namespace, release.verdicts)


def _notes(placed: Sequence[tuple[Place, Resource]], release: Release) -> Iterable[Right]:
    """Why a Rollout was aborted stands among its Events."""
    for place, resource in placed:
        if (resource.group, place.kind.kind) == _ROLLOUT:
            yield Right("", "events", "create", place.namespace or release.namespace)


def _rollback(placed: Sequence[tuple[Place, Resource]], release: Release) -> Iterable[Right]:
    """What Helm asks of the API server, as seen on the way of `helm rollback --wait`, never forced."""
    if release.storage:
        yield from _all("", release.storage, ("get", "list", "create", "update", "delete"), release.namespace)
    for place, resource in placed:
        within = (place.namespace or release.namespace) if resource.namespaced else ""
        watched = place.hook or release.helm >= _WATCHES_ALL
        yield from _all(resource.group, resource.name, _CHANGING, within)
        yield from _all(resource.group, resource.name, _WATCHING if watched else (), within)
        if (resource.group, place.kind.kind) == _ROLLOUT:  # what is on its way is aborted first
            yield from _all(resource.group, f"{resource.name}/status", ("patch",), within)
        if place.kind.kind == "Deployment":
            yield from _all("apps", "replicasets", ("list",), within)
        if place.kind.kind in _PODS_OF and release.helm >= _WATCHES_ALL:
            yield from _all("", "pods", ("list",), within)


def _all(group: str, resource: str, verbs: Iterable[str], namespace: str, name: str = "") -> Iterable[Right]:
    return (Right(group, resource, verb, namespace, name) for verb in verbs)


async def missing(cluster: Cluster, rights: Sequence[Right]) -> tuple[Right, ...]:
    """Those of the rights that we have not.

    Raises:
        PlatformError: the API server cannot be asked.
    """
    turn = asyncio.Semaphore(_AT_ONCE)

    async def allowed(right: Right) -> bool:
        async with turn:
            answer = await cluster.create(_REVIEWS, _review(right))
            return bool((answer.get("status") or {}).get("allowed"))

    answers = await together(*(allowed(right) for right in rights))
    return tuple(right for right, answer in zip(rights, answers, strict=True) if not answer)


def _review(right: Right) -> dict[str, object]:
    asked = {"group": right.group, "resource": right.resource, "verb": right.verb}
    asked |= {"namespace": right.namespace} if right.namespace else {}
    asked |= {"name": right.name} if right.name else {}
    return {
        "apiVersion": "authorization.k8s.io/v1",
        "kind": "SelfSubjectAccessReview",
        "spec": {"resourceAttributes": asked},
    }


def sentence(missing: Sequence[Right], release: str = "RELEASE", grant: str = "") -> str:
    """What may not be done, and how to grant it (`grant`: a command); empty if nothing is missing."""
    if not missing:
        return ""
    scopes = defaultdict(list)
    for right in missing:
        scopes[right.namespace].append(right)
    told = "; ".join(f"{_told(rights)} {_scope(namespace)}" for namespace, rights in sorted(scopes.items()))
    within = next((f" -n {namespace}" for namespace in sorted(scopes) if namespace), "")
    return f"this user may not {told}; grant it: {grant or f'canary rbac {release}{within} | kubectl apply -f -'}"


def _told(rights: Sequence[Right]) -> str:
    return ", ".join(
        f"{', '.join(verbs)} {' and '.join(_called(group, resource) for resource in resources)}"
        + (f" {' and '.join(names)}" if names else "")
        for group, resources, verbs, names in _grouped(rights)
    )


def _called(group: str, resource: str) -> str:
    return f"{resource} ({group})" if group else resource


def _scope(namespace: str) -> str:
    return f'in namespace "{namespace}"' if namespace else "in the whole cluster"


def role(rights: Sequence[Right], name: str, subject: str) -> str:
    """Role and RoleBinding for each namespace, ClusterRole and its binding for the whole cluster, as YAML.

    `subject` is a ServiceAccount: `NAMESPACE/NAME`.
    """
    scopes = defaultdict(list)
    for right in rights:
        scopes[right.namespace].append(right)
    documents = [
        document
        for namespace, within in sorted(scopes.items())
        for document in (_rules(within, name, namespace), _binding(name, namespace, subject))
    ]
    return "---\n".join(documents)


def _rules(rights: Sequence[Right], name: str, namespace: str) -> str:
    return _head("Role", name, namespace) + "rules:\n" + "".join(map(_rule, _grouped(rights)))


def _rule(rule: "_Rule") -> str:
    group, resources, verbs, names = rule
    limited = f", resourceNames: {_flow(names)}" if names else ""
    return f"  - {{apiGroups: {_flow([group])}, resources: {_flow(resources)}, verbs: {_flow(verbs)}{limited}}}\n"


def _binding(name: str, namespace: str, subject: str) -> str:
    kind = "Role" if namespace else "ClusterRole"
    home, _, account = subject.rpartition("/")
    return (
        _head("RoleBinding", name, namespace)
        + f"roleRef: {{apiGroup: {_RBAC}, kind: {kind}, name: {_plain(name)}}}\n"
        + f"subjects:\n  - {{kind: ServiceAccount, name: {_plain(account)}, namespace: {_plain(home)}}}\n"
    )


def _head(kind: str, name: str, namespace: str) -> str:
    kind, where = (kind, f", namespace: {_plain(namespace)}") if namespace else (f"Cluster{kind}", "")
    return f"apiVersion: {_RBAC}/v1\nkind: {kind}\nmetadata: {{name: {_plain(name)}{where}}}\n"


def _flow(words: Sequence[str]) -> str:
    return f"[{', '.join(map(_plain, words))}]"


def _plain(word: str) -> str:
    """A word as YAML; in quotes where it could be read as something else, such as a number."""
    return word if _WORD.fullmatch(word) and word not in _NO_WORDS else json.dumps(word)


_Rule = tuple[str, tuple[str, ...], tuple[str, ...], tuple[str, ...]]
"""API group, resources, verbs, names; no names: all."""


def _grouped(rights: Sequence[Right]) -> list[_Rule]:
    """The rights in as few rules as say the same."""
    verbs: dict[tuple[str, str, str], set[str]] = defaultdict(set)
    for right in rights:
        verbs[right.group, right.resource, right.name].add(right.verb)
    rules: dict[tuple[str, str, tuple[str, ...]], list[str]] = defaultdict(list)
    for (group, resource, name), allowed in sorted(verbs.items()):
        if here := allowed - (verbs.get((group, resource, ""), set()) if name else set()):
            rules[group, name, tuple(sorted(here, key=_order))].append(resource)
    return [
        (group, tuple(resources), verbs, (name,) if name else ()) for (group, name, verbs), resources in rules.items()
    ]


def _order(verb: str) -> tuple[int, str]:
    return (_VERBS.index(verb) if verb in _VERBS else len(_VERBS)), verb
