"""Watches one analysis: from its events to metrics, to the log and to traces."""

import logging
import math
from collections.abc import Callable, Iterable

from analyzer.engine.runner import HEALTH_EVERY
from analyzer.model.event import (
    Acted,
    Commanded,
    Decided,
    Dropped,
    Ended,
    Event,
    Extended,
    Held,
    Intended,
    Planned,
    Regrouped,
    Staged,
    Troubled,
    Verified,
    WindowRead,
)
from analyzer.model.plan import PODS, Plan
from analyzer.model.report import Report
from analyzer.model.target import ActionKind
from analyzer.service.logs import logger
from analyzer.service.telemetry import Telemetry

LOG = logger(__name__)
_LEVEL = logging.getLogger(__name__)

SILENCE = 300.0
"""Seconds for which a platform that stays away is not told again: nobody hears when it is back."""


class Observing:
    """The `Observer` of one analysis. `past` are events that another process has told of already.

    `report` is dear and only asked for what happens once.
    """

    def __init__(self, telemetry: Telemetry, analysis: str, past: Iterable[Event] = ()) -> None:
        self._telemetry = telemetry
        self._analysis = analysis
        self._started_at = -math.inf
        self._due: dict[str, float] = {}  # by metric: the end of the window that is read next
        self._lengths: dict[str, float] = {}  # of the windows, by metric
        self._is_acting = False
        self._acts_at: float | None = None
        self._away: set[str] = set()  # the metrics that cannot be read
        self._platform_told_at = -math.inf
        for event in past:
            self._follow(event)

    def changed(self, report: Callable[[], Report], event: Event) -> None:
        """Count it, and tell it if it matters."""
        self._follow(event)
        self._count(report, event)
        self._tell(report, event)

    # ------------------------------------------------------------------ how far behind

    def _follow(self, event: Event) -> None:
        """When the next window is over. While an act is under way, no window is waited for."""
        match event:
            case Planned():
                self._expect(event.plan)
            case WindowRead():
                window = event.reading.window
                self._due[event.reading.metric] = window.end + self._lengths.get(event.reading.metric, window.seconds)
            case Decided() if event.action != ActionKind.NONE:
                self._is_acting = True
            case Acted():
                self._is_acting = False
                self._due = {metric: event.at + self._lengths.get(metric, 0.0) for metric in self._due}
            case Decided() | Held() | Verified() | Ended():
                self._due.clear()  # a pass that is watched goes on with its next window
        if self._due and not self._is_acting:
            self._telemetry.due(self._analysis, max(self._started_at, min(self._due.values())))
        else:
            self._telemetry.forget(self._analysis)

    def _expect(self, plan: Plan) -> None:
        interval = plan.rule_set.spec.schedule.interval
        self._started_at = plan.started_at
        self._lengths = {
            query.metric: min(interval, HEALTH_EVERY) if query.kind == PODS else interval for query in plan.queries
        }
        self._due = {metric: plan.upgraded_at + length for metric, length in self._lengths.items()}

    # ------------------------------------------------------------------ metrics

    def _count(self, report: Callable[[], Report], event: Event) -> None:
        match event:
            case Planned():
                self._telemetry.started()
            case WindowRead():
                self._telemetry.window(event.at - max(event.reading.window.end, self._started_at))
            case Troubled():
                self._telemetry.trouble("metric" if event.metric else "platform", event.why)
            case Decided():
                self._telemetry.verdict(event.verdict)
            case Held() if report().action.kind != ActionKind.NONE:
                self._telemetry.held(event.guard)
            case Verified() if event.recovered and event.seconds is not None:
                self._telemetry.recovered(event.seconds)
            case Ended():
                self._count_end(report())

    def _count_end(self, report: Report) -> None:
        self._telemetry.ended()
        if report.action.kind != ActionKind.NONE:
            self._telemetry.acted(report.action.kind, report.action.result)

    # ------------------------------------------------------------------ log and traces

    def _tell(self, report: Callable[[], Report], event: Event) -> None:
        match event:
            case WindowRead():
                self._tell_window(event)
            case Troubled():
                self._tell_trouble(event)
            case Planned() | Extended() | Regrouped() | Staged() | Commanded():
                self._tell_course(event)
            case Decided():
                LOG.info("verdict", **self._of(verdict=event.verdict, action=event.action, reason=event.reason))
            case Ended():
                self._tell_end(report(), event)
            case _:
                self._tell_act(event)

    def _tell_window(self, event: WindowRead) -> None:
        metric = event.reading.metric
        if _LEVEL.isEnabledFor(logging.DEBUG):  # thousands a second: not even the call is for nothing
            LOG.debug(
                "window", **self._of(metric=metric, end=event.reading.window.end, canary=event.reading.canary.kind)
            )
        if metric in self._away:
            self._away.discard(metric)
            if not self._away:
                LOG.info("read again", **self._of(metric=metric))

    def _tell_trouble(self, event: Troubled) -> None:
        """Once for all metrics: what one of them suffers, the others mostly suffer too."""
        is_new = not self._away if event.metric else event.at >= self._platform_told_at + SILENCE
        if event.metric:
            self._away.add(event.metric)
        elif is_new:
            self._platform_told_at = event.at
        if is_new:
            LOG.warning("trouble", **self._of(of=event.metric or "the platform", why=event.why, detail=event.detail))

    def _tell_course(self, event: Planned | Extended | Regrouped | Staged | Commanded) -> None:
        match event:
            case Planned():
                LOG.info("planned", **self._of(**_subject(event.plan)))
            case Extended():
                LOG.info("deadline moved", **self._of(deadline_at=event.deadline_at))
            case Regrouped():
                LOG.debug("pods of the sides have changed", **self._of())
            case Staged():
                LOG.info("brought out in steps", **self._of(stage=str(event.stage or "not on its way any more")))
            case Commanded():
                LOG.info("decision by hand", **self._of(command=event.command, by=event.by, why=event.why))

    def _tell_act(self, event: Event) -> None:
        match event:
            case Held():
                LOG.warning("held", **self._of(guard=event.guard, reason=event.reason))
            case Intended(intent=intent):
                self._acts_at = event.at
                to = intent.to_revision.number if intent.to_revision else ""
                LOG.info("acting", **self._of(action=intent.kind, target=str(intent.target), to_revision=to))
            case Dropped():
                LOG.warning("the act never came to be", **self._of())
            case Acted():
                self._tell_receipt(event)
            case Verified():
                say = LOG.info if event.recovered else LOG.warning
                say("recovered" if event.recovered else "not recovered", **self._of(reason=event.reason))

    def _tell_receipt(self, event: Acted) -> None:
        receipt = event.receipt
        (LOG.info if receipt.ok else LOG.error)("acted", **self._of(ok=receipt.ok, detail=receipt.detail))
        if self._acts_at is not None:
            failed = "" if receipt.ok else receipt.detail
            self._telemetry.traces.past("act", event.at - self._acts_at, failed=failed, analysis=self._analysis)

    def _tell_end(self, report: Report, event: Ended) -> None:
        action = report.action
        LOG.info(
            "ended",
            **self._of(
                verdict=report.verdict,
                action=action.kind,
                result=action.result,
                held_by=report.held_by,
                reason=report.reason,
                cause=event.cause,
            ),
        )

    def _of(self, **values: object) -> dict[str, object]:
        return {"analysis": self._analysis, **values}


def _subject(plan: Plan) -> dict[str, object]:
    deployment = plan.deployment
    return {
        "target": str(deployment.target),
        "namespace": deployment.target.namespace,
        "revision": deployment.current.number,
        "rule_set": plan.rule_set.metadata.name,
        "queries": len(plan.queries),
        "acting": plan.acting,
    }
