"""What an Argo Rollout and its ReplicaSets say: which revision is on its way, which is stable. Pure.

The facts about its status are in the API types of Argo Rollouts (`argoproj.io/v1alpha1`, v1.8 to v1.10).
"""

from collections.abc import Sequence
from dataclasses import dataclass

from analyzer.model.target import Revision, Stage
from analyzer.platforms.cluster import Object, selector
from analyzer.platforms.parts import mapping, seconds
from analyzer.platforms.workloads import owned

HASH = "rollouts-pod-template-hash"
BROUGHT_BACK = "canary-analyzer.io/brought-back"
"""The annotation with the number of the revision that an undo of ours has made."""
_EXPERIMENT = "experiment.argoproj.io/name"
_REVISION = "rollout.argoproj.io/revision"


@dataclass(frozen=True)
class Generation:
    """One ReplicaSet of the Rollout."""

    hash: str
    number: int
    created_at: float | None
    kept: Object  # the ReplicaSet itself

    @property
    def is_of_experiment(self) -> bool:
        """Whether an Experiment has made it."""
        return bool(mapping(self.kept, "metadata", "annotations").get(_EXPERIMENT))


@dataclass(frozen=True)
class State:
    """A Rollout as it is now, with the generations that it keeps, oldest first."""

    live: Object
    generations: tuple[Generation, ...]

    @classmethod
    def of(cls, live: Object, sets: Sequence[Object]) -> "State":
        """From the Rollout and ReplicaSets, those of other owners among them."""
        return cls(live, tuple(sorted(map(_generation, owned(sets, live)), key=lambda each: each.number)))

    @property
    def current(self) -> str:
        """The hash of the newest revision."""
        return str(mapping(self.live, "status").get("currentPodHash") or "")

    @property
    def stable(self) -> str:
        """The hash of the revision that an abort goes back to; empty before there is one."""
        return str(mapping(self.live, "status").get("stableRS") or "")

    @property
    def namespace(self) -> str:
        """Where it is."""
        return str(mapping(self.live, "metadata").get("namespace") or "")

    @property
    def version(self) -> str:
        """The resourceVersion that was read."""
        return str(mapping(self.live, "metadata").get("resourceVersion"))

    @property
    def refers(self) -> bool:
        """Whether its pods' template is another workload's (`workloadRef`)."""
        return bool(mapping(self.live, "spec").get("workloadRef"))

    @property
    def is_in_flight(self) -> bool:
        """Whether the newest revision is on its way: an abort takes it back. Once fully promoted, none does."""
        return bool(self.stable) and self.stable != self.current

    @property
    def is_aborted(self) -> bool:
        """Whether the newest revision is being taken back, or has been."""
        return self.is_in_flight and mapping(self.live, "status").get("abort") is True

    @property
    def is_promoted_fully(self) -> bool:
        """Whether the newest revision is told to skip all that is left."""
        return mapping(self.live, "status").get("promoteFull") is True

    @property
    def phase(self) -> str:
        """The controller's word: Progressing, Paused, Healthy, Degraded."""
        return str(mapping(self.live, "status").get("phase") or "")

    @property
    def message(self) -> str:
        """What the controller says of the phase."""
        return str(mapping(self.live, "status").get("message") or "")

    @property
    def replicas(self) -> int:
        """How many pods are wanted."""
        told = mapping(self.live, "spec").get("replicas")
        return 1 if told is None else int(told)

    @property
    def shifts_traffic(self) -> bool:
        """Whether traffic is switched, and not moved with the pods: then pods of the canary may outlive an abort."""
        strategy = mapping(self.live, "spec", "strategy")
        return "blueGreen" in strategy or bool(mapping(strategy, "canary").get("trafficRouting"))

    @property
    def has_moved(self) -> bool:
        """Whether the active Service (BlueGreen) has all traffic at the newest revision, and the stable one is kept."""
        return self.is_in_flight and mapping(self.live, "status", "blueGreen").get("activeSelector") == self.current

    @property
    def is_brought_back(self) -> bool:
        """Whether the newest revision is the result of an undo of ours, and not a new upgrade."""
        told = mapping(self.live, "metadata", "annotations").get(BROUGHT_BACK)
        return told is not None and str(told) == str(number_of(self.live))

    @property
    def stage(self) -> Stage | None:
        """How far the newest revision has come; None when it is not on its way."""
        if not self.is_in_flight:
            return None
        steps = mapping(self.live, "spec", "strategy", "canary").get("steps") or []
        index = mapping(self.live, "status").get("currentStepIndex")
        return Stage(
            step=index + 1 if isinstance(index, int) and index < len(steps) else None,
            steps=len(steps),
            canary=self._share("canary"),
            stable=self._share("stable"),
        )

    def _share(self, side: str) -> float | None:
        """Of traffic; only a router has one."""
        weight = mapping(self.live, "status", "canary", "weights", side).get("weight")
        most = mapping(self.live, "spec", "strategy", "canary", "trafficRouting").get("maxTrafficWeight") or 100
        return weight / most if isinstance(weight, int) else None

    @property
    def abort_is_seen(self) -> bool:
        """Whether the controller has seen the abort: only it says since when."""
        return self.is_aborted and self.phase == "Degraded" and bool(mapping(self.live, "status").get("abortedAt"))

    @property
    def is_paused(self) -> bool:
        """Whether a person has paused it as a whole: then the controller moves no pod, for an abort neither."""
        return mapping(self.live, "spec").get("paused") is True

    @property
    def helm_release(self) -> str:
        """The Helm release that the Rollout belongs to; empty if none."""
        return str(mapping(self.live, "metadata", "annotations").get("meta.helm.sh/release-name") or "")

    @property
    def clears_aborts(self) -> bool:
        """Whether the controller takes the newest revision for a rollback inside `spec.rollbackWindow`, and clears any
        abort of it: it is older than the stable one, and fewer than so many ReplicaSets lie between."""
        newest, stable = self.generation(self.current), self.generation(self.stable)
        window = mapping(self.live, "spec", "rollbackWindow").get("revisions") or 0
        if newest is None or stable is None or newest.created_at is None or stable.created_at is None:
            return False
        between = [
            each
            for each in self.generations
            if each.created_at is not None
            and newest.created_at < each.created_at < stable.created_at
            and not each.is_of_experiment
        ]
        return newest.created_at < stable.created_at and len(between) < int(window)

    def generation(self, hash_: str) -> Generation | None:
        """That of this hash, None where its ReplicaSet is gone."""
        return next((each for each in self.generations if each.hash == hash_), None)

    def revision(self, hash_: str, since: float | None = None) -> Revision:
        """A revision by its hash. `since` (Unix seconds) is when it was brought out, if better known."""
        found = self.generation(hash_)
        number = found.number if found else 0
        if hash_ == self.current:
            number = number_of(self.live) or number
        status = "stable" if hash_ == self.stable else "canary" if hash_ == self.current else ""
        return Revision(
            number=str(number) if number else hash_,
            status=status,
            deployed_at=since if since is not None else found.created_at if found else None,
            digest=hash_,
        )


def sets_of(live: Object) -> dict[str, str]:
    """What to ask for the ReplicaSets of a Rollout, and those of others that bear the same labels."""
    chosen = mapping(live, "spec", "selector")
    return {"labelSelector": selector(chosen.get("matchLabels"), chosen.get("matchExpressions"))}


def _generation(each: Object) -> Generation:
    labels = mapping(each, "metadata", "labels")
    return Generation(
        hash=str(labels.get(HASH) or ""),
        number=number_of(each),
        created_at=seconds(mapping(each, "metadata").get("creationTimestamp")),
        kept=each,
    )


def number_of(each: Object) -> int:
    """The number of the revision, of a Rollout or of a ReplicaSet; 0 where its controller has not written one."""
    told = str(mapping(each, "metadata", "annotations").get(_REVISION) or "")
    return int(told) if told.isdecimal() and told.isascii() and len(told) < 10 else 0  # noqa: PLR2004 -- of a revision
