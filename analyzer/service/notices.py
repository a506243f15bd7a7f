"""What is told of an analysis in the cluster, as its events and its end have it. Pure."""

from analyzer.model.event import Acted, Decided, Event, Held, Planned, Verified
from analyzer.model.order import Ordered
from analyzer.model.plan import Plan
from analyzer.model.report import Verdict
from analyzer.model.target import TAKES_BACK, ActionKind, PlatformKind
from analyzer.platforms.telling import Notice
from analyzer.store.entry import Entry, Summary

NOT_ANALYSED = "CanaryNotAnalysed"
_VERDICTS = {
    Verdict.PASS: "CanaryPassed",
    Verdict.FAIL: "CanaryFailed",
    Verdict.INCONCLUSIVE: "CanaryInconclusive",
    Verdict.ERROR: NOT_ANALYSED,
}
_DONE = {
    ActionKind.ROLLBACK: "CanaryRolledBack",
    ActionKind.ABORT: "CanaryAborted",
    ActionKind.PAUSE: "CanaryPaused",
    ActionKind.PROMOTE: "CanaryPromoted",
}
WORDS = (
    "CanaryStarted",
    *_VERDICTS.values(),
    "CanaryHeld",
    *_DONE.values(),
    "CanaryActionFailed",
    "CanaryRecovered",
    "CanaryNotRecovered",
)
"""Every reason of an Event."""


class Notices:
    """Follows the events of one analysis, and says which Event each of them is worth."""

    def __init__(self, entry: Entry, ordered: Ordered) -> None:
        self._entry = entry
        self._ordered = ordered
        self._plan: Plan | None = None
        self._decided: Decided | None = None

    @property
    def subject(self) -> str:
        """What is analysed: `web.v7` of a release, the pods' hash of a Rollout; the name alone while nobody knows."""
        if self._plan is None:
            return self._entry.name
        revision = self._plan.deployment.current
        if self._plan.deployment.target.kind == PlatformKind.ROLLOUT:
            return revision.digest or revision.number
        return f"{self._entry.name}.v{revision.number}"

    def notice(self, event: Event) -> Notice | None:
        """The Event that is told, if any."""
        match event:
            case Planned():
                self._plan = event.plan
                return self._told(event, "CanaryStarted", self._beginning(event.plan))
            case Decided():
                self._decided = event
                message = "; ".join(filter(None, (event.reason, self.instead)))
                return self._told(
                    event, _VERDICTS.get(event.verdict, NOT_ANALYSED), message, is_warning=event.verdict != Verdict.PASS
                )
            case Held() if self._action != ActionKind.NONE:
                return self._told(event, "CanaryHeld", f"no {self._action.value}: {event.reason}", is_warning=True)
            case Acted():
                word = _DONE.get(self._action, "CanaryRolledBack") if event.receipt.ok else "CanaryActionFailed"
                is_warning = word != _DONE[ActionKind.PROMOTE]
                return self._told(event, word, event.receipt.detail, is_warning=is_warning)
            case Verified() if self._action in TAKES_BACK:
                word = "CanaryRecovered" if event.recovered else "CanaryNotRecovered"
                return self._told(event, word, event.reason, is_warning=not event.recovered)
        return None

    def ending(self, summary: Summary, at: float) -> Notice | None:
        """The Event of an analysis that ends without a verdict of its own: nobody else says why."""
        if self._decided is not None:
            return None
        word = _VERDICTS.get(Verdict(summary.verdict), NOT_ANALYSED)
        return Notice(word, self._sentence(summary.reason), at, is_warning=True)

    @property
    def instead(self) -> str:
        """What would have been done, where nothing is."""
        if self._plan is None or self._plan.acting or self._action == ActionKind.NONE:
            return ""
        wanted = self._plan.deployment.wanted if self._action in TAKES_BACK else None
        back = f" to revision {wanted.number}" if wanted else ""
        return f"{self._mode}: it would have been: {self._action.value}{back}"

    @property
    def _action(self) -> ActionKind:
        return self._decided.action if self._decided else ActionKind.NONE

    @property
    def _mode(self) -> str:
        return "observe mode" if self._ordered.order.dry_run else "dry run"

    def _beginning(self, plan: Plan) -> str:
        wanted = plan.deployment.wanted
        compared = f"is compared with revision {wanted.number}" if wanted else "is looked at"
        leads = (
            f"a failure leads to {plan.rule_set.spec.on_fail.value}"
            if plan.acting
            else f"{self._mode}: nothing is done"
        )
        return (
            f"revision {plan.deployment.current.number} {compared} by the rule set {self._ordered.order.rules} "
            f"({self._ordered.why or 'ordered'}); {leads}"
        )

    def _told(self, event: Event, word: str, message: str, *, is_warning: bool = False) -> Notice:
        return Notice(word, self._sentence(message), event.at, is_warning)

    def _sentence(self, message: str) -> str:
        return f"{self.subject}: {message} (analysis {self._entry.id})"
