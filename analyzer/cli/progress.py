"""How a running analysis shows itself on standard error: live on a terminal, a line per change elsewhere."""

import os
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Self, TextIO

from analyzer.cli.streams import silence
from analyzer.engine.ports import Observer
from analyzer.model.event import (
    Acted,
    Decided,
    Ended,
    Event,
    Extended,
    Held,
    HistoryRead,
    Intended,
    Planned,
    Staged,
    Troubled,
    Verified,
)
from analyzer.model.judgement import Judgement, Standing
from analyzer.model.report import Report, Verdict
from analyzer.model.units import show_duration
from analyzer.rendering.text import SIGNS, judgement_line, printable

if TYPE_CHECKING:
    from rich.console import RenderableType


class Lines:
    """A line for each change: of a rule's standing, of trouble, of the verdict, of the action."""

    def __init__(self, out: TextIO) -> None:
        self._out = out
        self._standings: dict[str, Standing] = {}
        self._troubled: dict[str, str] = {}

    def changed(self, make_report: Callable[[], Report], event: Event) -> None:
        """Print what has changed."""
        report = make_report()
        for line in (*self._of_rules(report), *self._of_event(report, event)):
            seconds = max(0.0, event.at - report.upgraded_at)
            self._print(f"[{show_duration(round(seconds))}] {printable(line)}")

    def _print(self, line: str) -> None:
        try:
            print(line, file=self._out, flush=True)
        except OSError:
            silence(self._out)  # whoever watched has gone; the analysis goes on

    def _of_rules(self, report: Report) -> Iterator[str]:
        for judgement in report.judgements:
            before = self._standings.get(judgement.rule)
            if before != judgement.standing and not (before is None and judgement.standing == Standing.NO_DATA):
                yield judgement_line(judgement)
            self._standings[judgement.rule] = judgement.standing

    def _of_event(self, report: Report, event: Event) -> Iterator[str]:  # noqa: C901, PLR0912 -- one case for each kind of event
        match event:
            case Planned():
                until = show_duration(event.plan.rule_set.spec.schedule.deadline)
                subject = f"{report.target} revision {report.revision.number}"
                yield f"watching {subject} by rules {report.rule_set}, until {until} after the upgrade"
            case HistoryRead():
                note = f" ({event.history.note})" if event.history.note else ""
                yield f"history of {event.history.metric}: {len(event.history.readings)} intervals{note}"
            case Troubled():
                if self._troubled.get(event.metric) != event.detail:
                    yield f"waiting: {event.detail}"
                self._troubled[event.metric] = event.detail
            case Extended():
                until = show_duration(event.deadline_at - report.upgraded_at)
                yield f"nothing shown yet: going on until {until} after the upgrade"
            case Staged(stage=stage) if stage is not None and str(stage):
                yield f"brought out: {stage}"
            case Decided():
                yield f"{event.verdict.value.upper()}: {event.reason}"
            case Held():
                yield f"held by {event.guard.value}: {event.reason}"
            case Intended():
                to = event.intent.to_revision
                yield f"{event.intent.kind.value} of {event.intent.target}" + (
                    f" to revision {to.number}" if to else ""
                )
            case Acted():
                yield event.receipt.detail
            case Verified():
                yield event.reason
            case Ended() if event.cause:
                yield report.reason
            case _:
                self._troubled.pop(getattr(getattr(event, "reading", None), "metric", ""), None)


class Live:
    """A table on a terminal, redrawn at each change: the rules, the time left, the requests seen."""

    def __init__(self) -> None:
        from rich.console import Console
        from rich.live import Live as Screen

        self._report: Report | None = None
        self._trouble = ""
        self._screen = Screen(
            console=Console(stderr=True), get_renderable=self._draw, refresh_per_second=2, transient=True
        )

    def __enter__(self) -> Self:
        self._screen.start()
        return self

    def __exit__(self, *_: object) -> None:
        with suppress(OSError):  # the terminal has gone
            self._screen.stop()

    def changed(self, make_report: Callable[[], Report], event: Event) -> None:
        """Keep it for the next drawing."""
        self._report = make_report()
        if isinstance(event, Troubled):
            self._trouble = event.detail
        elif not isinstance(event, HistoryRead):
            self._trouble = ""

    def _draw(self) -> "RenderableType":
        from rich.table import Table
        from rich.text import Text

        report = self._report
        if report is None:
            return Text("starting")
        left = max(0.0, report.deadline_at - time.time())
        title = f"{report.target} revision {report.revision.number}: "
        title += report.reason if report.verdict != Verdict.PENDING else f"{show_duration(round(left))} left"
        table = Table(title=Text(printable(title)), title_justify="left", box=None, expand=False)
        for column in ("", "rule", "towards fail", "towards pass", "requests", "what it says"):
            table.add_column(column)
        for judgement in report.judgements:
            table.add_row(*(Text(printable(cell)) for cell in _cells(judgement)))
        if self._trouble:
            table.caption = Text(printable(f"waiting: {self._trouble}"))
        return table


def _cells(judgement: Judgement) -> tuple[str, ...]:
    evidence = judgement.evidence
    seen = [side.total for side in (evidence.canary, evidence.baseline) if side is not None and side.total is not None]
    return (
        SIGNS[judgement.standing],
        judgement.rule,
        _bar(evidence.towards_fail),
        _bar(evidence.towards_pass),
        " / ".join(f"{total:.0f}" for total in seen),
        judgement.reason,
    )


def _bar(share: float | None) -> str:
    if share is None:
        return ""
    filled = round(8 * min(1.0, max(0.0, share)))
    return "█" * filled + "·" * (8 - filled)


@contextmanager
def observer() -> Iterator[Observer]:
    """What fits standard error: live on a terminal, lines elsewhere."""
    if sys.stderr.isatty() and os.environ.get("TERM", "dumb") not in {"dumb", "unknown", ""}:
        with Live() as live:
            yield live
    else:
        yield Lines(sys.stderr)
