"""How the API server calls the kinds of a manifest, and whether they live in a namespace."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ruamel.yaml.error import YAMLError

from analyzer.concurrency import together
from analyzer.errors import PlatformError
from analyzer.platforms.cluster import Cluster
from analyzer.platforms.helm_manifest import objects
from analyzer.platforms.parts import mapping

_HOOK = "helm.sh/hook"


@dataclass(frozen=True, order=True)
class Kind:
    """A kind as a manifest writes it: `Kind("apps/v1", "Deployment")`."""

    api_version: str
    kind: str

    @property
    def group(self) -> str:
        return self.api_version.rpartition("/")[0]

    def __str__(self) -> str:
        return f"{self.kind} ({self.api_version})"


@dataclass(frozen=True, order=True)
class Place:
    """A kind in one namespace; empty: as the manifest leaves it open. `hook` is set where it runs as a hook of Helm."""

    kind: Kind
    namespace: str = ""
    hook: bool = False


@dataclass(frozen=True)
class Resource:
    """A kind as the API server calls it, such as `deployments`."""

    group: str
    name: str
    namespaced: bool


def places(manifests: Sequence[str]) -> tuple[Place, ...]:
    """Every kind in the manifests with each namespace that it is written for, sorted.

    Raises:
        PlatformError: a manifest cannot be parsed.
    """
    try:
        return tuple(sorted({_place(each) for manifest in manifests for each in objects(manifest)}))
    except YAMLError as error:
        raise PlatformError(f"a manifest of the release cannot be parsed: {' '.join(str(error).split())}") from error


async def discover(cluster: Cluster, kinds: Iterable[Kind]) -> Mapping[Kind, Resource]:
    """The resource of each kind, without those that the API server does not know.

    Raises:
        PlatformError: it cannot be asked.
    """
    wanted = sorted(set(kinds))
    versions = sorted({kind.api_version for kind in wanted})
    answers = await together(*(_resources(cluster, version) for version in versions))
    known = {kind: resource for answer in answers for kind, resource in answer.items()}
    return {kind: known[kind] for kind in wanted if kind in known}


async def _resources(cluster: Cluster, api_version: str) -> dict[Kind, Resource]:
    root = "apis" if "/" in api_version else "api"
    answer = await cluster.get(f"/{root}/{api_version}") or {}
    group = api_version.rpartition("/")[0]
    return {
        Kind(api_version, str(each.get("kind"))): Resource(group, str(each.get("name")), bool(each.get("namespaced")))
        for each in answer.get("resources") or []
        if "/" not in str(each.get("name"))  # parts such as deployments/scale
    }


def _place(found: Mapping[str, Any]) -> Place:
    metadata = mapping(found, "metadata")
    kind = Kind(str(found.get("apiVersion")), str(found.get("kind")))
    return Place(kind, str(metadata.get("namespace") or ""), hook=_HOOK in mapping(metadata, "annotations"))
