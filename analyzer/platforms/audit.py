"""What in a release makes upgrades and rollbacks go wrong, read off its history, its manifest and its pods. Pure."""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from statistics import median

from analyzer.model.base import Model
from analyzer.model.units import show_duration
from analyzer.platforms.cluster import Object
from analyzer.platforms.helm_history import IN_PROGRESS, Entry, no_way_back, once_deployed
from analyzer.platforms.migration_words import is_fixed
from analyzer.platforms.parts import items, mapping, number
from analyzer.platforms.starting import container_start, start_of, statuses

_HELM_TIMEOUT = 300.0  # seconds: --timeout of helm upgrade and helm rollback, unless said otherwise
_HELM_KEEPS = 10  # revisions, unless --history-max says otherwise
_PROGRESS_DEADLINE = 600.0  # seconds, of a Deployment that says nothing
_SERVING = frozenset({"Deployment", "StatefulSet", "DaemonSet", "Rollout"})
_MANY_FAILED = 3
_PROBES = {"startupProbe": "startup", "livenessProbe": "liveness", "readinessProbe": "readiness"}


class Finding(Model):
    """One thing worth knowing. `about` is of a few words: `history`, `timeout`, `probe`, `image`, `way back`."""

    about: str
    sentence: str


@dataclass(frozen=True)
class Workload:
    """What serves: an object of the manifest, and its pods as the cluster has them now."""

    spec: Object
    pods: Sequence[Object] = ()

    def __str__(self) -> str:
        return f"{str(self.spec.get('kind')).lower()} {mapping(self.spec, 'metadata').get('name')}"

    @property
    def containers(self) -> list[Object]:
        return items(mapping(self.spec, "spec", "template", "spec").get("containers"))

    @property
    def init_containers(self) -> list[Object]:
        return items(mapping(self.spec, "spec", "template", "spec").get("initContainers"))


def serving(objects: Sequence[Object]) -> list[Object]:
    """The workloads among the objects of a manifest whose pods are meant to stay."""
    return [found for found in objects if found.get("kind") in _SERVING]


def audit(entries: Sequence[Entry], release: str, workloads: Sequence[Workload] = ()) -> tuple[Finding, ...]:
    """Every finding, the most serious kind first. `entries` are Helm's history, oldest first."""
    found = [*_history(entries, release)]
    for workload in workloads:
        told = (*_timeouts(workload), *_probes(workload), *_images(workload))
        found += [each.model_copy(update={"sentence": f"{workload}: {each.sentence}"}) for each in told]
    return tuple(found)


def _history(entries: Sequence[Entry], release: str) -> Iterator[Finding]:
    current = entries[-1]
    if current.status in IN_PROGRESS:
        yield Finding(
            about="history",
            sentence=f"revision {current.revision} is {current.status}: an operation is in progress, or the "
            f"program that began it was killed; then helm rollback {release} ends that state",
        )
    if why := no_way_back(entries, release):
        yield Finding(about="way back", sentence=why)
    never = [str(entry.revision) for entry in entries if _never_came_out(entry, last=entry is current)]
    if len(never) >= _MANY_FAILED:
        yield Finding(
            about="history",
            sentence=f"{len(never)} of the {len(entries)} revisions that Helm keeps never came out whole "
            f"({_few(never)}): deploys of this release often fail",
        )
    if len(entries) > _HELM_KEEPS:
        yield Finding(
            about="history",
            sentence=f"Helm keeps {len(entries)} revisions, more than its usual {_HELM_KEEPS}: somebody upgrades with "
            "a high --history-max, or with 0, which is no limit; each is a Secret of up to a megabyte",
        )


def _never_came_out(entry: Entry, *, last: bool) -> bool:
    if entry.status in IN_PROGRESS:
        return not last  # killed on the way
    return entry.status == "failed" or (entry.status == "superseded" and not once_deployed(entry))


def _timeouts(workload: Workload) -> Iterator[Finding]:
    starts = [start for pod in workload.pods if (start := start_of(pod)) is not None]
    if not starts:
        return
    start, kind = median(starts), workload.spec.get("kind")
    spec = mapping(workload.spec, "spec")
    deadline = number(spec.get("progressDeadlineSeconds"), _PROGRESS_DEADLINE)
    took = f"its pods take {show_duration(round(start))} from creation to ready"
    if kind in {"Deployment", "Rollout"} and max(starts) > deadline:
        yield Finding(
            about="timeout",
            sentence=f"{took} (the slowest {show_duration(round(max(starts)))}), longer than its progress deadline of "
            f"{show_duration(deadline)}: a good rollout counts as failed; raise progressDeadlineSeconds",
        )
    turns = _turns(workload)
    if start * turns > _HELM_TIMEOUT:
        each = f", and a rollout replaces them in {turns} turns" if turns > 1 else ""
        yield Finding(
            about="timeout",
            sentence=f"{took}{each}: about {show_duration(round(start * turns))}, longer than helm's usual --timeout "
            "of 5m; helm upgrade --wait (--rollback-on-failure, --atomic) needs a longer one",
        )


def _turns(workload: Workload) -> int:
    """In how many turns a rollout replaces the pods, as far as its strategy tells."""
    spec = mapping(workload.spec, "spec")
    replicas = int(number(spec.get("replicas"), max(1, len(workload.pods))))
    match workload.spec.get("kind"):
        case "StatefulSet":
            return max(1, replicas)
        case "DaemonSet":
            update = mapping(spec, "updateStrategy", "rollingUpdate")
            at_once = _share(update.get("maxUnavailable", 1), len(workload.pods), round_up=True)
            return math.ceil(max(1, len(workload.pods)) / max(1, at_once))
        case "Deployment" if mapping(spec, "strategy").get("type", "RollingUpdate") == "RollingUpdate":
            update = mapping(spec, "strategy", "rollingUpdate")
            surge = _share(update.get("maxSurge", "25%"), replicas, round_up=True)
            fewer = _share(update.get("maxUnavailable", "25%"), replicas, round_up=False)
            return math.ceil(max(1, replicas) / max(1, surge + fewer))
    return 1


def _share(value: object, of: int, *, round_up: bool) -> int:
    """A number, or a percentage of `of`, as Kubernetes rounds it."""
    text = str(value)
    if not text.endswith("%"):
        return int(number(value, 1))
    share = number(text[:-1], 25) * of / 100
    return math.ceil(share) if round_up else math.floor(share)


def _probes(workload: Workload) -> Iterator[Finding]:
    for container in workload.containers:
        name = f"container {container.get('name')}"
        if not container.get("readinessProbe"):
            yield Finding(
                about="probe",
                sentence=f"{name} has no readiness probe: traffic reaches it as soon as it runs, and helm --wait "
                "does not wait until it answers",
            )
        seen = [start for pod in workload.pods if (start := container_start(pod, str(container.get("name"))))]
        first = "startupProbe" if container.get("startupProbe") else "livenessProbe"
        for probe in dict.fromkeys((first, "readinessProbe")):
            yield from _early(name, container, probe, max(seen, default=0.0), _restarts(workload, container))


def _early(name: str, container: Object, probe: str, start: float, restarts: int) -> Iterator[Finding]:
    """A probe that gives up before the app has started. A startup probe holds the others back."""
    patience = _patience(container.get(probe))
    if patience is None or start <= patience or (probe == "readinessProbe" and container.get("startupProbe")):
        return
    took = (
        f"{name} takes {show_duration(round(start))} to become ready, and its {_PROBES[probe]} probe gives it "
        f"{show_duration(patience)} (initialDelaySeconds + failureThreshold × periodSeconds)"
    )
    if probe == "readinessProbe":
        yield Finding(
            about="probe", sentence=f"{took}: every start counts as unready for a while; raise initialDelaySeconds"
        )
    else:
        seen = f"; restarts so far: {restarts}" if restarts else ""
        yield Finding(
            about="probe",
            sentence=f"{took}: it can be killed before it has started{seen}; give it a startupProbe with more time",
        )


def _patience(probe: object) -> float | None:
    """Seconds until a probe gives up; None if there is none."""
    if not isinstance(probe, dict):
        return None
    period, failures = number(probe.get("periodSeconds"), 10), number(probe.get("failureThreshold"), 3)
    return number(probe.get("initialDelaySeconds"), 0) + period * failures


def _restarts(workload: Workload, container: Object) -> int:
    return sum(
        int(number(status.get("restartCount"), 0))
        for pod in workload.pods
        for status in statuses(pod)
        if status.get("name") == container.get("name")
    )


def _images(workload: Workload) -> Iterator[Finding]:
    for container in (*workload.init_containers, *workload.containers):
        image = str(container.get("image") or "")
        if image and not is_fixed(image):
            yield Finding(
                about="image",
                sentence=f"container {container.get('name')} runs {image}, which names no fixed version: a rollback "
                "may start the same bad image again; give it a tag of its own, or a digest",
            )


def _few(words: Sequence[str]) -> str:
    more = len(words) - 8
    return ", ".join(words[-8:]) + (f" and {more} earlier" if more > 0 else "")
