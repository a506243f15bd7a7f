"""The workloads of a release: what its manifests say, and which pods belong to which revision. Pure.

A Deployment's (and a Rollout's) pods bear the name of their ReplicaSet, so that a pattern names all of a revision's
pods, those of the past included. Pods of a DaemonSet tell their revision by a label alone, and a StatefulSet gives the
same names to the pods of every revision.
"""

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal, InvalidOperation
from typing import Any

from analyzer.platforms.cluster import Object
from analyzer.platforms.helm_manifest import objects
from analyzer.platforms.parts import mapping

RESOURCES = {
    ("apps", "Deployment"): "deployments",
    ("apps", "StatefulSet"): "statefulsets",
    ("apps", "DaemonSet"): "daemonsets",
    ("argoproj.io", "Rollout"): "rollouts",
}
"""The kinds whose pods are analysed, by API group, and how the API calls them."""
BY_NAME = frozenset({"Deployment", "Rollout"})
"""Kinds whose pods' names tell their revision."""

_HASH, _REVISION_HASH = "pod-template-hash", "controller-revision-hash"
_ROLLOUT_HASH = "rollouts-pod-template-hash"
_REVISION = "deployment.kubernetes.io/revision"
_LONGEST_BASE = 58  # of a generated name; what is longer is cut off, as the API server does
_SUFFIX = "[a-z0-9]{5}"
_ANY_HASH = "[4-9bcdf]{5,10}"  # a number of 32 bits, as Kubernetes spells digits
_SUFFIXES = {
    "m": Decimal("0.001"),
    **{unit: Decimal(10 ** (3 * power)) for power, unit in enumerate(("k", "M", "G", "T", "P"), 1)},
    **{unit: Decimal(2 ** (10 * power)) for power, unit in enumerate(("Ki", "Mi", "Gi", "Ti", "Pi"), 1)},
}
_QUANTITY = re.compile(r"(-?\d+(?:\.\d*)?)([a-zA-Z]*)")


@dataclass(frozen=True)
class Workload:
    """A workload as a manifest describes it."""

    kind: str
    api_version: str
    namespace: str
    name: str
    template: Mapping[str, Any]

    @property
    def key(self) -> tuple[str, str, str]:
        return self.kind, self.namespace, self.name

    @property
    def resource(self) -> str:
        """How the API calls its kind."""
        return RESOURCES[self.api_version.rpartition("/")[0], self.kind]

    def __str__(self) -> str:
        return f"{self.kind} {self.name}"


def workloads(manifest: str, namespace: str) -> tuple[Workload, ...]:
    """The workloads of a manifest; those without a namespace of their own are in the release's.

    Raises:
        YAMLError: it cannot be parsed.
    """
    found = []
    for each in objects(manifest):
        api_version, kind = str(each.get("apiVersion")), str(each.get("kind"))
        template = (each.get("spec") or {}).get("template") if isinstance(each.get("spec"), dict) else None
        if (api_version.rpartition("/")[0], kind) in RESOURCES and isinstance(template, dict):
            metadata = mapping(each, "metadata")
            where = str(metadata.get("namespace") or namespace)
            found.append(Workload(kind, api_version, where, str(metadata.get("name")), template))
    return tuple(found)


def covers(live: object, written: object) -> bool:
    """Whether a live object is what was written: the API server adds defaults, and writes quantities its own way."""
    match written:
        case None:
            return True
        case Mapping():
            mine = live if isinstance(live, Mapping) else {}
            return all(covers(mine.get(key), value) for key, value in written.items())
        case list():
            theirs = live if isinstance(live, list) else []
            return len(theirs) == len(written) and all(map(covers, theirs, written))
    if live is None:
        return not written
    return str(live) == str(written) or _quantity(live) == _quantity(written) != None  # noqa: E711 -- chained


def _quantity(value: object) -> Decimal | None:
    match = _QUANTITY.fullmatch(str(value))
    if not match or (match[2] and match[2] not in _SUFFIXES):
        return None
    try:
        return Decimal(match[1]) * _SUFFIXES.get(match[2], Decimal(1))
    except InvalidOperation:
        return None


@dataclass(frozen=True)
class Generations:
    """The generations of one workload: the hash of the current pods and of the wanted revision's, and what names them.

    `sets` are the names of the ReplicaSets by hash; empty for kinds whose pods' names do not tell their revision.
    """

    workload: Workload
    current: str
    wanted: str
    sets: Mapping[str, str]

    @property
    def changed(self) -> bool:
        """Whether the current pods are others than the wanted revision's."""
        return self.current != self.wanted

    def hash_of(self, pod: Object) -> str:
        """The hash of the generation that a pod belongs to."""
        labels = (pod.get("metadata") or {}).get("labels") or {}
        return str(labels.get(_ROLLOUT_HASH) or labels.get(_HASH) or labels.get(_REVISION_HASH) or "")

    @property
    def by_name(self) -> bool:
        """Whether pods' names tell the two generations apart: the hash in them may have been cut off."""
        return self.workload.kind in BY_NAME and self.pattern(self.current) != self.pattern(self.wanted)

    @property
    def past(self) -> str:
        """A pattern of all names that pods of the wanted generation may have had, from before the current one.

        Where its ReplicaSet has been pruned: any of the workload's.
        """
        return (
            self.whole if self.workload.kind in BY_NAME and self.wanted not in self.sets else self.pattern(self.wanted)
        )

    @property
    def whole(self) -> str:
        """A pattern of all names that pods of this workload may bear, of whatever generation."""
        if self.workload.kind in BY_NAME:
            return f"{_base(self.workload.name)}{_ANY_HASH}-{_SUFFIX}"
        return self.pattern(self.wanted)

    def pattern(self, hash_: str) -> str:
        """A pattern (RE2) of all names that pods of this generation have had; empty for a generation of no name."""
        if not self.sets:
            name = re.escape(self.workload.name).replace("\\-", "-")
            return f"{name}-[0-9]+" if self.workload.kind == "StatefulSet" else f"{_base(self.workload.name)}{_SUFFIX}"
        return f"{_base(self.sets[hash_])}{_SUFFIX}" if hash_ in self.sets else ""


def _base(owner: str) -> str:
    return re.escape(f"{owner}-"[:_LONGEST_BASE]).replace("\\-", "-")


def of_replica_sets(workload: Workload, live: Object, sets: Sequence[Object], wanted: Workload | None) -> Generations:
    """The generations of a Deployment or Rollout, from its ReplicaSets.

    The wanted one is that whose template is what the wanted revision's manifest says; if none is (somebody has
    changed it since), the newest beside the current one.
    """
    label = _ROLLOUT_HASH if workload.kind == "Rollout" else _HASH
    ordered = sorted(owned(sets, live), key=_age)
    hashes = {_labels(each).get(label, ""): _name(each) for each in ordered}
    current = _current_hash(workload, live, ordered, label)
    templates = [(_labels(each).get(label, ""), (each.get("spec") or {}).get("template")) for each in ordered]
    return Generations(workload, current, _wanted_hash(templates, current, workload, wanted), hashes)


def _wanted_hash(
    templates: Sequence[tuple[str, object]], current: str, workload: Workload, wanted: Workload | None
) -> str:
    """Which of these generations, oldest first, is what the wanted revision's manifest says.

    A generation may cover the manifest and say more: what an upgrade has only added to is covered by what it has made
    of it. So the one that says least is chosen, and the current one only if nothing else fits or nothing has changed.
    """
    if wanted is None:
        return ""
    fitting = {hash_: template for hash_, template in templates if covers(template, wanted.template)}
    others = [hash_ for hash_, _ in templates if hash_ != current]
    alike = covers(workload.template, wanted.template) and covers(wanted.template, workload.template)
    chosen = [] if alike and current in fitting else [hash_ for hash_ in others if hash_ in fitting]
    if not chosen:
        return current if current in fitting else ["", *others][-1]
    return min(reversed(chosen), key=lambda hash_: _size(fitting[hash_]))


def _size(template: object) -> int:
    """How much it says."""
    match template:
        case Mapping():
            return sum(map(_size, template.values()))
        case list():
            return sum(map(_size, template))
    return 1


def _current_hash(workload: Workload, live: Object, ordered: Sequence[Object], label: str) -> str:
    if workload.kind == "Rollout":
        return str((live.get("status") or {}).get("currentPodHash") or "")
    revision, template = _annotations(live).get(_REVISION), (live.get("spec") or {}).get("template")
    current = [
        each
        for each in ordered
        # Of a Deployment that is paused the annotation names the set before: it has none for its new template.
        if _annotations(each).get(_REVISION) == revision and covers((each.get("spec") or {}).get("template"), template)
    ]
    return _labels(current[-1]).get(label, "") if current else ""


def of_controller_revisions(
    workload: Workload, live: Object, revisions: Sequence[Object], wanted: Workload | None
) -> Generations:
    """The generations of a StatefulSet or DaemonSet, from its ControllerRevisions."""
    ordered = sorted(owned(revisions, live), key=lambda each: int(each.get("revision") or 0))
    # A StatefulSet's pods bear the revision's whole name, a DaemonSet's its hash alone.
    hashes = [
        _name(each) if workload.kind == "StatefulSet" else _labels(each).get(_REVISION_HASH, "") for each in ordered
    ]
    newest = hashes[-1] if hashes else ""
    current = str((live.get("status") or {}).get("updateRevision") or newest)
    templates = list(zip(hashes, map(_template_of, ordered), strict=True))
    return Generations(workload, current, _wanted_hash(templates, current, workload, wanted), {})


def _template_of(revision: Object) -> object:
    return ((revision.get("data") or {}).get("spec") or {}).get("template")


def owned(found: Iterable[Object], live: Object) -> list[Object]:
    """Those of these objects that a live object owns."""
    uid = (live.get("metadata") or {}).get("uid")
    return [
        each
        for each in found
        if any(owner.get("uid") == uid for owner in (each.get("metadata") or {}).get("ownerReferences") or [])
    ]


def owns(live: Object, generations: Generations, pod: Object) -> bool:
    """Whether a pod is this workload's: another's labels may fit the same selector."""
    return generations.hash_of(pod) in generations.sets if generations.sets else bool(owned([pod], live))


def observed(live: Object) -> bool:
    """Whether the workload's controller has seen its newest generation."""
    seen = str((live.get("status") or {}).get("observedGeneration") or 0)  # a Rollout's is a text; once it was a hash
    return not seen.isdecimal() or int(seen) >= int((live.get("metadata") or {}).get("generation") or 0)


def is_serving(pod: Object) -> bool:
    """Whether a pod may still answer: it has an address, and is not told to end."""
    status, metadata = pod.get("status") or {}, pod.get("metadata") or {}
    return bool(status.get("podIP")) and status.get("phase") == "Running" and not metadata.get("deletionTimestamp")


def ready_since(pod: Object) -> float | None:
    """When a pod became ready, in Unix seconds; None if it is not."""
    for condition in (pod.get("status") or {}).get("conditions") or []:
        if condition.get("type") == "Ready" and condition.get("status") == "True":
            return moment(condition.get("lastTransitionTime"))
    return None


def moment(text: str | None) -> float | None:
    """A time of the API in Unix seconds."""
    return datetime.fromisoformat(text).timestamp() if text else None


def name_of(pod: Object) -> str:
    """The name of an object."""
    return _name(pod)


def exactly(names: Iterable[str]) -> str:
    """A pattern of just these names."""
    return "|".join(re.escape(name).replace("\\-", "-") for name in sorted(names))


def either(patterns: Iterable[str]) -> str:
    """A pattern of all of these."""
    return "|".join(dict.fromkeys(pattern for pattern in patterns if pattern))


def _name(each: Object) -> str:
    return str((each.get("metadata") or {}).get("name") or "")


def _labels(each: Object) -> Mapping[str, str]:
    return (each.get("metadata") or {}).get("labels") or {}


def _annotations(each: Object) -> Mapping[str, str]:
    return (each.get("metadata") or {}).get("annotations") or {}


def _age(each: Object) -> tuple[int, str]:
    """ReplicaSets in the order in which they were last rolled out."""
    revision = _annotations(each).get(_REVISION) or _annotations(each).get("rollout.argoproj.io/revision") or "0"
    created = str((each.get("metadata") or {}).get("creationTimestamp") or "")
    return int(revision) if revision.isdigit() else 0, created
