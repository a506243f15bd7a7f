"""What is deployed: targets, their revisions, and the way back."""

import math
import re
from collections.abc import Callable
from enum import StrEnum

from analyzer.model.base import Model
from analyzer.model.guard import Obstacle
from analyzer.model.units import show_share

_NAME = re.compile(r"[A-Za-z0-9]([A-Za-z0-9._-]*[A-Za-z0-9])?")
_LONGEST_NAME = 253  # signs, as of a DNS name

Confirm = Callable[[], float]
"""Asked right before an act: before which moment of `time.monotonic()` it may be begun. LeaseLost: not at all."""


def at_any_time() -> float:
    """The `Confirm` of who need not share the right to act."""
    return math.inf


class PlatformKind(StrEnum):
    """Where a target lives, as written before the slash of `helm/web`."""

    HELM = "helm"
    COMMAND = "command"
    ROLLOUT = "rollout"
    FLAGGER = "flagger"
    APPLICATION = "application"


class Target(Model):
    """A release or another deployed thing. `namespace` is empty where the platform has none."""

    kind: PlatformKind
    name: str
    namespace: str = ""

    def __str__(self) -> str:
        return f"{self.kind}/{self.name}"

    @classmethod
    def parse(cls, text: str, namespace: str = "") -> "Target":
        """As it is written: `helm/web`.

        Raises:
            ValueError: it is none; the words say what is wrong with it.
        """
        kind, _, name = text.partition("/")
        if not name or kind not in set(PlatformKind):
            raise ValueError(f"is not a target: write {' or '.join(f'{each.value}/NAME' for each in PlatformKind)}")
        if len(name) > _LONGEST_NAME or not _NAME.fullmatch(name):
            raise ValueError("is not a target: a name consists of letters, digits, '-', '_' and '.'")
        return cls(kind=PlatformKind(kind), name=name, namespace=namespace)


class Revision(Model):
    """One revision of a target, as the platform's history tells it. Times are Unix seconds."""

    number: str
    status: str = ""  # the platform's own word: deployed, superseded, failed, pending-upgrade, …
    deployed_at: float | None = None
    chart: str = ""
    app_version: str = ""
    description: str = ""
    digest: str = ""  # of the manifest: "sha256:…"; empty where the platform has no manifest


class PodSides(Model):
    """Which pods are whose, as anchored regular expressions of their names (RE2); empty: none.

    `canary` are the pods of the current revision, `baseline` those of the wanted one that serve beside them now,
    `past` those that served it before the upgrade, `whole` any pod of these workloads. `alone_since` (Unix seconds) is
    since when no pod of the baseline serves any more; None while one does. `shares_names` is set where names alone do
    not tell the revisions apart (StatefulSet, DaemonSet): these patterns hold from now on, and not for the time before.
    `foreign` says which pods are not what the revision says, for something else has changed them; empty if none.
    """

    namespace: str
    canary: str
    baseline: str = ""
    past: str = ""
    whole: str = ""
    alone_since: float | None = None
    shares_names: bool = False
    foreign: str = ""


class Stage(Model):
    """How far a revision that is brought out in steps has come. Only while it is on its way.

    `step` of `steps` is the one that is under way, counted from 1; None where there are none, and when all are done.
    `canary` and `stable` are the shares of traffic as fractions, None where traffic goes with the pods.
    """

    step: int | None = None
    steps: int = 0
    canary: float | None = None
    stable: float | None = None

    def __str__(self) -> str:
        parts = [f"step {self.step} of {self.steps}"] if self.step is not None else []
        if self.canary is not None and self.stable is not None:
            parts.append(f"traffic {show_share(self.canary)} canary, {show_share(self.stable)} stable")
        return ", ".join(parts)


class Deployment(Model):
    """What the platform says now.

    `wanted` is the revision to go back to (the last known good one), None with `no_way_back` saying why.
    `in_progress` is the platform's word for an operation under way, empty when there is none.
    `is_way_back` is set when the current revision is itself the result of a rollback. `taken_back` says that the
    current revision is on its way back already, or has been taken back, by whomever; empty: it is not.
    `unchanged` is set when the current revision changes no pod template of the wanted one.
    `labels` maps each label that the platform can fill to (value for the canary, value for the baseline).
    `pods` are the pods of both sides, None where the platform knows none (`no_pods`: why). `served_until` (Unix
    seconds) is when the wanted revision was replaced, None if the current one replaced it.
    `stage` is how far the current revision is brought out in steps, None when it is not on its way in any.
    `claimed_by` is another's analysis that has begun to take the current revision back, and not long ago.
    `obstacles` hold a way back, the weightiest first; `cautions` are sentences that are told and hold nothing.
    """

    target: Target
    current: Revision
    wanted: Revision | None = None
    no_way_back: str = ""
    history: tuple[Revision, ...] = ()  # oldest first
    in_progress: str = ""
    is_way_back: bool = False
    taken_back: str = ""
    unchanged: bool = False
    labels: dict[str, tuple[str, str]] = {}
    pods: PodSides | None = None
    no_pods: str = ""
    served_until: float | None = None
    stage: Stage | None = None
    claimed_by: str = ""
    obstacles: tuple[Obstacle, ...] = ()
    cautions: tuple[str, ...] = ()


class ActionKind(StrEnum):
    """What can be done to a target after a verdict."""

    ROLLBACK = "rollback"
    ABORT = "abort"
    PAUSE = "pause"
    PROMOTE = "promote"
    NONE = "none"


TAKES_BACK = frozenset({ActionKind.ROLLBACK, ActionKind.ABORT})
"""What goes to another revision: after it the service must recover. The others leave the pods as they are going."""


class Intent(Model):
    """An act that is about to be done; stored before it, so that a crash cannot do it twice."""

    kind: ActionKind
    analysis: str = ""
    target: Target
    from_revision: Revision
    to_revision: Revision | None
    reason: str


class Receipt(Model):
    """What came of an act. `detail` is one sentence; `output` the bounded tail of what the program printed."""

    ok: bool
    detail: str
    command: tuple[str, ...] = ()
    output: str = ""
