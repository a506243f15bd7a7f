"""Who else has a say in a release: a GitOps tool that would bring it out again, a person who holds it."""

import asyncio
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache

from analyzer.concurrency import together
from analyzer.errors import PlatformForbidden
from analyzer.model.guard import Guard, Obstacle
from analyzer.platforms.cluster import Cluster, Object, path
from analyzer.platforms.helm_manifest import objects
from analyzer.platforms.workloads import Workload, workloads

HOLD = "canary-analyzer.io/hold"

_TRACKING = "argocd.argoproj.io/tracking-id"
_INSTANCE = "argocd.argoproj.io/instance"
_HELM_INSTANCE = "app.kubernetes.io/instance"  # every chart sets it: it proves nothing alone
_FLUX = {"helm.toolkit.fluxcd.io": "HelmRelease", "kustomize.toolkit.fluxcd.io": "Kustomization"}
_ARGO_NAMESPACES = ("argocd", "openshift-gitops")  # where Applications live, unless told otherwise
_NO_HOLD = frozenset({"", "false", "no", "off", "0"})


@dataclass(frozen=True)
class Owner:
    """What brings the release out; `namespace` is empty where it is not known, `seen` the object that told."""

    kind: str  # Application, HelmRelease, Kustomization
    namespace: str
    name: str
    seen: str

    @property
    def tool(self) -> str:
        return "Argo CD" if self.kind == "Application" else "Flux"

    def __str__(self) -> str:
        return f"{self.tool} {self.kind} {f'{self.namespace}/' if self.namespace else ''}{self.name}"

    @property
    def reason(self) -> str:
        """Why that holds a rollback, and what a person should do instead."""
        return (
            f"{self.seen} belongs to the {self}, which would bring the revision out again after a rollback; revert the "
            f"change in Git; if that takes too long, suspend it ({self._suspend}) and roll back by hand"
        )

    @property
    def _suspend(self) -> str:
        where = f" -n {self.namespace}" if self.namespace else ""
        match self.kind:
            case "Application":
                return f"argocd app set {self.name} --sync-policy none"
            case "HelmRelease":
                return f"flux suspend helmrelease {self.name}{where}"
        return f"flux suspend kustomization {self.name}{where}"


def owner(found: Sequence[Object]) -> Owner | None:
    """The owner of these objects by their labels and annotations; None where they bear no mark of one."""
    return next((marked for each in found for marked in _marks(each)), None)


def _marks(each: Object) -> Iterator[Owner]:
    labels, annotations = _of(each, "labels"), _of(each, "annotations")
    seen = f"{each.get('kind')} {_name(each)}"
    for domain, kind in _FLUX.items():
        if name := labels.get(f"{domain}/name"):
            yield Owner(kind, labels.get(f"{domain}/namespace", ""), name, seen)
    application = _tracked(each, annotations.get(_TRACKING, "")) or labels.get(_INSTANCE) or annotations.get(_INSTANCE)
    if application:
        namespace, _, name = application.rpartition("_")  # as Argo CD names one outside its own namespace
        yield Owner("Application", namespace, name, seen)


def _tracked(each: Object, mark: str) -> str:
    """The Application in a tracking id; none if the id is another object's, from which it was copied."""
    application, _, rest = mark.partition(":")
    of_kind, _, place = rest.partition(":")
    group = str(each.get("apiVersion")).rpartition("/")[0]
    namespace, _, name = place.partition("/")
    own = (f"{group}/{each.get('kind')}", name) == (of_kind, _name(each))
    return application if own and namespace in {"", _of_namespace(each)} else ""


def hold(found: Sequence[Object]) -> str:
    """Why a person holds these objects: a sentence, or "". A value that is not understood holds."""
    for each in found:
        said = _of(each, "annotations").get(HOLD, "").strip()
        if said.lower() not in _NO_HOLD:
            kind, name, namespace = each.get("kind"), _name(each), _of_namespace(each)
            why = f": {said}" if said.lower() != "true" else ""
            within = f" -n {namespace}" if namespace else ""
            return (
                f"{kind} {name} is held by hand (annotation {HOLD}){why}; to release it: kubectl annotate "
                f"{str(kind).lower()} {name}{within} {HOLD}-"
            )
    return ""


@dataclass(frozen=True)
class Standing:
    """Who has a say besides us. `hold` is a sentence, or empty; so is `unseen`, why nobody knows of the namespace."""

    owner: Owner | None = None
    hold: str = ""
    unseen: str = ""

    @property
    def obstacles(self) -> tuple[Obstacle, ...]:
        """The same as reasons not to act, the weightiest first."""
        held = (Obstacle(guard=Guard.STOPPED, reason=self.hold),) if self.hold else ()
        owned = (Obstacle(guard=Guard.GITOPS_OWNER, reason=self.owner.reason),) if self.owner else ()
        return held + owned


async def look(cluster: Cluster, manifest: str, namespace: str) -> Standing:
    """Who has a say in a release, by its manifest, and by the metadata of its workloads and namespace as they are now.

    Raises:
        YAMLError: the manifest cannot be parsed.
        PlatformError: the cluster cannot answer.
    """
    ours, written = await asyncio.to_thread(_written, manifest, namespace)
    return await look_at(cluster, ours, written, namespace)


async def look_at(cluster: Cluster, ours: Sequence[Workload], written: Sequence[Object], namespace: str) -> Standing:
    """The same, of workloads; `written` are the objects that they are, as they were brought out.

    What may not be read, or is not there, is taken as it was written. That somebody owns the namespace says nothing:
    namespaces often belong to other people than what runs in them.

    Raises:
        PlatformError: the cluster cannot answer.
    """
    places = [*map(_where, ours)]
    (of_namespace, unseen), live = await together(
        _namespace(cluster, namespace),
        together(*(_get(cluster, place, metadata_only=True) for place in places)),
    )
    # Metadata alone do not say what they are of.
    now = [
        {"apiVersion": each.api_version, "kind": each.kind, "metadata": (found or as_written).get("metadata") or {}}
        for each, found, as_written in zip(ours, live, written, strict=True)
    ]
    around = [{"apiVersion": "v1", "kind": "Namespace", "metadata": of_namespace["metadata"]}] if of_namespace else []
    owned = owner(now) or await _application(cluster, ours, now, namespace)
    return Standing(owner=owned, hold=hold([*now, *around]), unseen=unseen)


@lru_cache(maxsize=4)  # a manifest is looked at again and again, and a large one takes seconds to parse
def _written(manifest: str, namespace: str) -> tuple[tuple[Workload, ...], tuple[Object, ...]]:
    """The workloads of a manifest, and the objects that they are."""
    by_key = {workload.key: workload for workload in workloads(manifest, namespace)}
    pairs = [
        (by_key[key], each)
        for each in objects(manifest)
        if (key := (str(each.get("kind")), _of_namespace(each) or namespace, _name(each))) in by_key
    ]
    return tuple(workload for workload, _ in pairs), tuple(each for _, each in pairs)


async def _namespace(cluster: Cluster, namespace: str) -> tuple[Object | None, str]:
    """Its metadata, or why they may not be read."""
    try:
        return await cluster.get(path("v1", "namespaces", name=namespace), metadata_only=True), ""
    except PlatformForbidden as error:
        return None, f"whether namespace {namespace} is held ({HOLD}) could not be looked at: {error}"


async def _get(cluster: Cluster, where: str, *, metadata_only: bool = False) -> Object | None:
    try:
        return await cluster.get(where, metadata_only=metadata_only)
    except PlatformForbidden:
        return None


def _where(each: Workload) -> str:
    return path(each.api_version, each.resource, each.namespace, each.name)


async def _application(
    cluster: Cluster, ours: Sequence[Workload], now: Sequence[Object], namespace: str
) -> Owner | None:
    """An Argo CD Application of the name that every chart writes on its objects, if it has one of them."""
    names = sorted({name for each in now if (name := _of(each, "labels").get(_HELM_INSTANCE))})
    for name in names:
        for where in dict.fromkeys((*_ARGO_NAMESPACES, namespace)):
            found = await _get(cluster, path("argoproj.io/v1alpha1", "applications", where, name))
            mine = [each for each in ours if found is not None and each.key in _resources(found)]
            if mine:
                return Owner("Application", where, name, str(mine[0]))
    return None


def _resources(application: Object) -> set[tuple[str, str, str]]:
    listed = (application.get("status") or {}).get("resources") or ()
    return {(str(each.get("kind")), str(each.get("namespace")), str(each.get("name"))) for each in listed}


def _of(each: Object, what: str) -> Mapping[str, str]:
    return {key: str(value) for key, value in ((each.get("metadata") or {}).get(what) or {}).items()}


def _name(each: Object) -> str:
    return str((each.get("metadata") or {}).get("name"))


def _of_namespace(each: Object) -> str:
    return str((each.get("metadata") or {}).get("namespace") or "")
