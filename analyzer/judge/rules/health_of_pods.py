"""`health: pods`: what Kubernetes says of the canary's pods, while the baseline's do not show the same."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Self

from analyzer.judge.rules.health import RESTARTS
from analyzer.judge.rules.rule import Terms
from analyzer.judge.rules.sentences import often
from analyzer.model.judgement import Evidence, SideEvidence, Standing
from analyzer.model.reading import History, Missing, Pods, PodTrouble, Reading
from analyzer.model.ruleset import HealthRule

PATIENCE = 60.0
"""Seconds that a pod may be without a node (an autoscaler brings one), or unready again after all had been ready."""
CRASH_LOOP, OOM_KILLED, UNSCHEDULABLE = "CrashLoopBackOff", "OOMKilled", "Unschedulable"
FATAL = frozenset({
    CRASH_LOOP,
    "CreateContainerConfigError",
    "CreateContainerError",
    "ErrImageNeverPull",
    "ImageInspectError",
    "ImagePullBackOff",
    "InvalidImageName",
    "PostStartHookError",
    "RunContainerError",
    "StartError",
})  # fmt: skip
"""Reasons of a pod that does not come up by itself."""
_SAME = {"ErrImagePull": "ImagePullBackOff", "RegistryUnavailable": "ImagePullBackOff", "Error": CRASH_LOOP}
"""What the kubelet says in turns with a reason of another name."""


@dataclass(frozen=True)
class HealthOfPods:
    """The state of the rule: what the newest look said, and how long the canary has been in trouble.

    `at` is the end of the newest window and `seen_at` when the pods were seen (Unix seconds). `looks` are those with a
    fatal trouble since all pods were ready: a crash loop runs between two crashes. The baseline's restarts and OOM
    kills are the most that were seen, for its pods vanish while an upgrade rolls. `whole` is how many pods were ready
    when all were, and `whole_at` (Unix seconds) when so many were ready last.
    """

    terms: Terms
    rule: HealthRule
    windows: int = 0
    pods: Pods | None = None
    at: float = 0.0
    seen_at: float = 0.0
    own: tuple[PodTrouble, ...] = ()
    shared: tuple[str, ...] = ()
    looks: int = 0
    restarts: int = 0
    baseline_restarts: int = 0
    baseline_oom_kills: int = 0
    whole: int = 0
    whole_at: float | None = None
    failed: str = ""
    last_missing: Missing | None = None

    @property
    def log_e(self) -> float:
        """Takes no part in the combined e-value."""
        return 0.0

    @property
    def standing(self) -> Standing:
        """FAIL once shown; PASS while all pods that are wanted are ready."""
        if self.failed:
            return Standing.FAIL
        if self.pods is None:
            return Standing.NO_DATA
        return Standing.PASS if self._is_whole(self.pods) else Standing.PENDING

    @property
    def passes_at_deadline(self) -> bool:
        """Whether all pods are ready."""
        return self.standing == Standing.PASS

    @property
    def is_waiting(self) -> bool:
        """Whether pods are wanted that are not ready yet."""
        return self.pods is not None and self.pods.wanted > 0 and not self._stands(self.pods)

    def _is_whole(self, pods: Pods) -> bool:
        blocked = any(trouble.reason in FATAL or trouble.reason == UNSCHEDULABLE for trouble in self.own)
        return 0 < pods.wanted <= pods.ready and not blocked

    def _stands(self, pods: Pods) -> bool:
        """Whether all are ready, or were, and as many still are: an autoscaler may want more of them later."""
        return pods.ready >= (min(pods.wanted, self.whole) if self.whole else pods.wanted)

    def learn(self, history: History) -> Self:  # noqa: ARG002 -- health has no past
        """Nothing: health has no past."""
        return self

    def advance(self, reading: Reading) -> Self:
        """Take in one look."""
        canary = reading.canary
        if not isinstance(canary, Pods):
            return replace(self, last_missing=canary if isinstance(canary, Missing) else None)
        baseline = reading.baseline if isinstance(reading.baseline, Pods) else None
        heard = self._hear(canary, baseline, reading.window.end)
        return replace(heard, failed=self.failed or heard._verdict())

    def _hear(self, canary: Pods, baseline: Pods | None, at: float) -> Self:
        shared = frozenset(trouble.reason for trouble in canary.troubles if _is_shared(trouble, canary, baseline))
        own = tuple(trouble for trouble in canary.troubles if trouble.reason not in shared)
        heard = replace(self, windows=self.windows + 1, pods=canary, at=at, own=own, last_missing=None)
        seen_at = at if canary.seen_at is None else canary.seen_at
        is_whole = heard._is_whole(canary)
        is_new = seen_at > self.seen_at  # several windows may share one look
        in_trouble = is_new and any(trouble.reason in FATAL for trouble in own)
        stands = is_whole or (heard.whole > 0 and heard._stands(canary))
        return replace(
            heard,
            shared=tuple(sorted(shared)),
            seen_at=seen_at,
            looks=0 if is_whole else self.looks + in_trouble,
            restarts=canary.restarts,
            baseline_restarts=max(self.baseline_restarts, baseline.restarts if baseline else 0),
            baseline_oom_kills=max(self.baseline_oom_kills, baseline.oom_kills if baseline else 0),
            whole=canary.wanted if is_whole else self.whole,
            whole_at=seen_at if stands else self.whole_at,
        )

    def _verdict(self) -> str:
        """Why the newest look fails the canary; empty if it does not."""
        assert self.pods is not None
        if self.pods.oom_kills and not self.baseline_oom_kills:
            killed = [trouble for trouble in self.own if trouble.reason == OOM_KILLED]
            told = _told(killed) or f"containers OOMKilled {often(self.pods.oom_kills)}"
            return self._beside(f"{told}, none of the baseline's")
        if self.looks >= self.rule.in_a_row and (fatal := self._worst()):
            return self._beside(_told(fatal))
        if homeless := self._homeless():
            return self._beside(f"{_told(homeless)} for more than {PATIENCE:.0f} s")
        if self.pods.overdue and not self._is_incident:
            told = _told(self._worst() or self.own)
            return self._beside(f"{self.pods.overdue.rstrip('.')}{f'; {told}' if told else ''}")
        if self.restarts >= self._restarts_allowed:
            baseline = often(self.baseline_restarts)
            return self._beside(f"the canary's containers restarted {often(self.restarts)}, the baseline's {baseline}")
        return ""

    @property
    def _restarts_allowed(self) -> int:
        return RESTARTS + 2 * self.baseline_restarts

    @property
    def _is_incident(self) -> bool:
        """Whether all that is wrong is wrong with the baseline as well."""
        return bool(self.shared) and not self.own

    def _worst(self) -> tuple[PodTrouble, ...]:
        """The pods with the first fatal reason."""
        first = next((trouble.reason for trouble in self.own if trouble.reason in FATAL), None)
        return tuple(trouble for trouble in self.own if trouble.reason == first)

    def _homeless(self) -> tuple[PodTrouble, ...]:
        waiting = [trouble for trouble in self.own if trouble.reason == UNSCHEDULABLE and trouble.since is not None]
        return tuple(trouble for trouble in waiting if self.seen_at - (trouble.since or 0.0) >= PATIENCE)

    def at_deadline(self, deadline_at: float) -> Self:
        """After the deadline (Unix seconds): pods that are wanted and not ready then have failed.

        Not if nobody looked, if the baseline is in the same trouble, or if all had been ready until a moment ago.
        """
        pods = self.pods
        if self.failed or pods is None or self.at < deadline_at or not self.is_waiting or self._is_incident:
            return self
        if self.whole_at is not None and self.seen_at - self.whole_at < PATIENCE:
            return self
        told = _told(self._worst() or self.own)
        unready = f"{pods.wanted - pods.ready} of {_pods(pods.wanted)} of the canary not ready by the deadline"
        return replace(self, failed=f"{unready}{f': {told}' if told else ''}")

    def sentence(self, standing: Standing) -> str:  # noqa: ARG002 -- the state says it all
        """What is wrong with which pod, and how many are ready."""
        if self.failed:
            return self.failed
        if self.pods is None:
            detail = f": {self.last_missing.detail}" if self.last_missing else ""
            return f"the canary's pods have not been looked at{detail}"
        if not self.pods.wanted:
            return "the canary is scaled to 0: there are no pods to look at"
        return self._beside(_told(self._worst() or self.own), *self._remarks())

    def _remarks(self) -> list[str]:
        if not self.shared:
            return []
        reasons = " and ".join(self.shared)
        return [f"{reasons} of the baseline's pods too: that is an incident, and not this release"]

    def _beside(self, told: str, *remarks: str) -> str:
        """What is told, and how many pods are ready."""
        assert self.pods is not None
        ready = f"{min(self.pods.ready, self.pods.wanted)} of {_pods(self.pods.wanted)} ready"
        restarts = f", restarted {often(self.restarts)}" if self.restarts and not told else ""
        return "; ".join(part for part in (told, *remarks, f"{ready}{restarts}") if part)

    def evidence(self, standing: Standing) -> Evidence:  # noqa: ARG002 -- the state says it all
        """Pods that are not ready among those wanted, as counts."""
        if self.pods is None:
            return Evidence(windows=self.windows)
        towards = max(self.looks / self.rule.in_a_row, self.restarts / self._restarts_allowed)
        return Evidence(
            canary=SideEvidence(total=self.pods.wanted, bad=max(0, self.pods.wanted - self.pods.ready)),
            towards_fail=1.0 if self.failed else min(towards, 1.0),
            windows=self.windows,
        )

    def acceptable(self, reading: Reading) -> bool | None:
        """All pods that are wanted are ready and out of trouble, and none beside them is left unready."""
        canary = reading.canary
        if not isinstance(canary, Pods) or not canary.wanted:
            return None
        others = reading.baseline if isinstance(reading.baseline, Pods) else None
        is_calm = not canary.overdue and not any(trouble.reason in FATAL for trouble in canary.troubles)
        return is_calm and canary.ready >= canary.wanted and (others is None or others.ready >= others.total)


def _is_shared(trouble: PodTrouble, canary: Pods, baseline: Pods | None) -> bool:
    """Whether the baseline's pods show it too, side by side: then a node or a registry is to blame.

    Crash loops must be about as common there: one old pod that crashes for weeks excuses no release. Pods that have
    their image and their node are not asked for them again, so that of the others any one tells.
    """
    if baseline is None:
        return False
    reason = _same(trouble)
    theirs = _affected(baseline, reason)
    if reason not in {CRASH_LOOP, OOM_KILLED}:
        return theirs > 0
    return theirs * max(1, canary.total) * 2 >= _affected(canary, reason) * max(1, baseline.total)


def _same(trouble: PodTrouble) -> str:
    return _SAME.get(trouble.reason, trouble.reason)


def _affected(pods: Pods, reason: str) -> int:
    return len({trouble.pod for trouble in pods.troubles if _same(trouble) == reason})


def _told(troubles: Sequence[PodTrouble]) -> str:
    """The first pod with its trouble, and how many more there are."""
    if not troubles:
        return ""
    first = troubles[0]
    more = len({trouble.pod for trouble in troubles} - {first.pod})
    names = f"pod {first.pod}" + (f" and {more} more" if more else "")
    return f"{names}: {first.reason}" + (f" ({first.detail})" if first.detail else "")


def _pods(count: int) -> str:
    return f"{count} {'pod' if count == 1 else 'pods'}"
