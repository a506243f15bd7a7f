"""What a Helm release's manifest tells. Pure."""

import hashlib
import json
import re
from collections.abc import Iterator
from typing import Any

from ruamel.yaml import YAML
from ruamel.yaml.constructor import SafeConstructor
from ruamel.yaml.error import YAMLError
from ruamel.yaml.nodes import MappingNode

MOST_VALUES = 1_000_000
"""Of one document, each counted as often as it is referred to: a few lines of aliases could mean billions."""
_TOO_MUCH = f"it means more than {MOST_VALUES} values by its aliases"
_SEPARATOR = re.compile(r"^---(?:[ \t].*)?$", re.MULTILINE)


def digest(manifest: str) -> str:
    """`sha256:…` of the manifest, whatever newline its end was printed with."""
    return f"sha256:{hashlib.sha256(manifest.strip().encode()).hexdigest()}"


def same_pods(one: str, other: str) -> bool:
    """Whether two manifests have the same workloads with the same pod templates, so that no pod was replaced.

    False also if a manifest cannot be parsed: then nothing is known to be the same.
    """
    one_documents, other_documents = set(documents(one)), set(documents(other))
    try:
        # Only documents that differ need parsing: a manifest of a megabyte takes seconds.
        return _templates(one_documents - other_documents) == _templates(other_documents - one_documents)
    except YAMLError:
        return False


def documents(manifest: str) -> list[str]:
    """The text of every document of a manifest that is not empty."""
    return [document.strip() for document in _SEPARATOR.split(manifest) if document.strip()]


def objects(manifest: str) -> Iterator[dict[str, Any]]:
    """Every object of a manifest, the items of lists among them.

    Raises:
        YAMLError: it cannot be parsed.
    """
    for document in _SEPARATOR.split(manifest):
        if document.strip():
            yield from _objects(document)


def _templates(documents: set[str]) -> dict[tuple[str, ...], str]:
    """The pod template of each workload, as canonical JSON, by its apiVersion's group, kind, namespace and name."""
    templates: dict[tuple[str, ...], str] = {}
    for document in documents:
        for item in _objects(document):
            spec = item.get("spec")
            template = spec.get("template") if isinstance(spec, dict) else None
            # Any kind with a pod template serves: Deployment, StatefulSet, DaemonSet, Rollout, and those to come.
            if isinstance(template, dict) and "spec" in template and item.get("kind") != "Job":
                metadata = item.get("metadata") or {}
                group = str(item.get("apiVersion")).rpartition("/")[0]
                key = (group, str(item.get("kind")), str(metadata.get("namespace")), str(metadata.get("name")))
                templates[key] = json.dumps(template, sort_keys=True, default=str)
    return templates


class _Bounded(SafeConstructor):
    """Merges (`<<`) no more than `MOST_VALUES`: whoever may write a release's Secret may write them nested."""

    merged = 0

    def flatten_mapping(self, node: MappingNode) -> None:
        """See the base class."""
        super().flatten_mapping(node)
        self.merged += len(getattr(node, "merge", None) or ())
        if self.merged > MOST_VALUES:
            raise YAMLError(_TOO_MUCH)


def _objects(document: str) -> Iterator[dict[str, Any]]:
    yaml = YAML(typ="safe")
    yaml.Constructor = _Bounded
    yaml.allow_duplicate_keys = True  # as Helm itself
    for loaded in yaml.load_all(document):
        if "*" in document and _size(loaded, {}) > MOST_VALUES:
            raise YAMLError(_TOO_MUCH)
        if isinstance(loaded, dict):
            items = loaded.get("items")
            yield from (item for item in items if isinstance(item, dict)) if isinstance(items, list) else [loaded]


def _size(value: object, known: dict[int, int]) -> int:
    """How many values there are, of those in `known` as well; too many where it is within itself."""
    if not isinstance(value, dict | list):
        return 1
    if id(value) not in known:
        known[id(value)] = MOST_VALUES + 1  # until it is counted
        inner = value.values() if isinstance(value, dict) else value
        known[id(value)] = 1 + sum(_size(each, known) for each in inner)
    return known[id(value)]
