"""Going back to a ReplicaSet that a Rollout has kept: its template without what the controller has put into it.

What that is stands in the source of Argo Rollouts (`utils/replicaset`, v1.10): the hash label, the metadata of canary
and stable pods, and anti-affinity against the stable ReplicaSet.
"""

import copy
import json
from collections.abc import Mapping
from typing import Any

from analyzer.platforms.cluster import Object
from analyzer.platforms.parts import items, mapping
from analyzer.platforms.rollout_state import HASH

_EPHEMERAL = "rollout.argoproj.io/ephemeral-metadata"
_TERMS = {
    "preferredDuringSchedulingIgnoredDuringExecution": ("podAffinityTerm",),
}
"""Under which keys the term is in each of a list; of the others it is the item itself."""


def template_of(kept: Object) -> Object:
    """The pod template that a ReplicaSet was made of. Pure."""
    template: Object = copy.deepcopy(dict(mapping(kept, "spec", "template")))
    metadata = dict(mapping(template, "metadata"))
    injected = _injected(kept)
    for part in ("labels", "annotations"):
        left = {name: value for name, value in mapping(metadata, part).items() if name not in injected.get(part, ())}
        left.pop(HASH, None)
        metadata = {name: value for name, value in metadata.items() if name != part} | ({part: left} if left else {})
    metadata.pop("creationTimestamp", None)
    return {**template, "metadata": metadata, "spec": _without_anti_affinity(template)}


def undo_of(version: str, template: Object) -> list[Object]:
    """The patch: only of the Rollout that was looked at. Pure."""
    return [
        {"op": "test", "path": "/metadata/resourceVersion", "value": version},
        {"op": "replace", "path": "/spec/template", "value": template},
    ]


def _injected(kept: Object) -> dict[str, Any]:
    """Names of the labels and annotations that pods have while they are the canary's, or the stable revision's."""
    try:
        told = json.loads(str(mapping(kept, "metadata", "annotations").get(_EPHEMERAL) or "{}"))
    except ValueError:
        return {}
    return told if isinstance(told, dict) else {}


def _without_anti_affinity(template: Object) -> Object:
    """What says nothing but that goes with it: an empty affinity would be another template."""
    spec: Object = dict(mapping(template, "spec"))
    affinity = dict(mapping(spec, "affinity"))
    rules = dict(mapping(affinity, "podAntiAffinity"))
    left = {kind: _left(items(terms), *_TERMS.get(kind, ())) for kind, terms in rules.items()}
    if left == rules:
        return spec
    affinity["podAntiAffinity"] = {kind: terms for kind, terms in left.items() if terms}
    spec["affinity"] = {kind: rule for kind, rule in affinity.items() if rule}
    return {name: value for name, value in spec.items() if name != "affinity" or value}


def _left(terms: list[Object], *keys: str) -> list[Object]:
    return [term for term in terms if not _is_injected(mapping(term, *keys))]


def _is_injected(term: Mapping[str, Any]) -> bool:
    return any(each.get("key") == HASH for each in items(mapping(term, "labelSelector").get("matchExpressions")))
