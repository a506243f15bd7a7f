"""The demo: a service is upgraded, a real Prometheus scrapes it, the analyzer takes the new revision back if worse."""

import asyncio
import shlex
import shutil
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

from analyzer.composition.analysis import analysis
from analyzer.composition.order import AnalysisOrder, Wanted
from analyzer.demo import control
from analyzer.demo.behaviour import FLAKY, GOOD, PRESETS, Behaviour
from analyzer.demo.fleet import Fleet
from analyzer.demo.load import Load
from analyzer.demo.prometheus import PROGRAM, Job, Prometheus, Settings
from analyzer.model.event import Acted, Decided, Event, Held, HistoryRead, Intended, Planned, Troubled, Verified
from analyzer.model.report import ActionResult, Report, Verdict
from analyzer.model.target import PlatformKind, Target
from analyzer.platforms.helm import RollbackOptions
from analyzer.sources.prometheus.access import PrometheusAccess

RULES = Path(__file__).with_name("rules.yaml")
RATE = 240.0
"""Requests per second, on all pods together."""
HISTORY = 20.0
"""Seconds for which revision 1 serves before the upgrade."""
SETTLE = 1.5
"""Seconds after the recovery, for the last bad answers to arrive."""

Say = Callable[[str], None]


@dataclass(frozen=True)
class Scenario:
    """What the two revisions are like, and what must come of it for the demo to have shown what it promises.

    `fails` says that revision 2 is bad by failing requests, so that its first bad answer begins the trouble; where it
    is slow the upgrade does.
    """

    first: Behaviour
    second: Behaviour
    expected: frozenset[tuple[Verdict, ActionResult]]
    traffic: bool = True
    fails: bool = False


TAKEN_BACK = frozenset({(Verdict.FAIL, ActionResult.DONE)})
PASSED = frozenset({(Verdict.PASS, ActionResult.NONE)})
UNDECIDED = frozenset({(Verdict.INCONCLUSIVE, ActionResult.NONE)})

SCENARIOS = {
    "good": Scenario(GOOD, GOOD, PASSED),
    "errors": Scenario(GOOD, PRESETS["errors"], TAKEN_BACK, fails=True),
    "slow": Scenario(GOOD, PRESETS["slow"], TAKEN_BACK),
    "crash": Scenario(GOOD, PRESETS["crash"], TAKEN_BACK, fails=True),
    # A bad environment hits both revisions alike: the release is never blamed, whether or not it is shown good in time.
    "flaky": Scenario(FLAKY, FLAKY, PASSED | UNDECIDED),
    "no-traffic": Scenario(GOOD, GOOD, UNDECIDED, traffic=False),
}


@dataclass(frozen=True)
class Outcome:
    """What came of the demo. Times are in seconds; None where there was nothing of the kind.

    `seconds_to_recovery` is from the load generator's first bad answer of revision 2 (from the upgrade, where it is
    slow) to the verified recovery, `seconds_of_bad_answers` to the last bad answer: what users have felt.
    """

    report: Report
    seconds_to_recovery: float | None
    seconds_of_bad_answers: float | None
    as_expected: bool


class Timeline:
    """Says what happens, with the seconds since the upgrade."""

    def __init__(self, say: Say) -> None:
        self._say = say
        self.upgraded_at = time.time()
        self.recovered_at: float | None = None

    def tell(self, sentence: str, at: float | None = None) -> None:
        """Say a sentence; `at` is Unix seconds, now if not given."""
        self._say(f"{(at or time.time()) - self.upgraded_at:+7.1f} s  {sentence}")

    def changed(self, _: Callable[[], Report], event: Event) -> None:
        """The observer's part."""
        match event:
            case Planned():
                self.tell("the analyzer begins: both sides every 2 s, a verdict within 45 s", event.at)
            case HistoryRead() if event.history.note:
                self.tell(f"history of {event.history.metric}: {event.history.note}", event.at)
            case Troubled():
                self.tell(f"waiting: {event.detail}", event.at)
            case Decided():
                self.tell(f"{event.verdict.value.upper()}: {event.reason}", event.at)
            case Held():
                self.tell(f"held by {event.guard.value}: {event.reason}", event.at)
            case Intended():
                self.tell("taking revision 2 back", event.at)
            case Acted():
                self.tell(event.receipt.detail, event.at)
            case Verified():
                self.recovered_at = event.at if event.recovered else None
                self.tell(event.reason, event.at)


async def play(name: str, say: Say, stop: asyncio.Future[str] | None = None) -> Outcome:
    """Play a scenario; everything that it starts has ended when it returns.

    Raises:
        CanaryError: a part could not be started.
    """
    scenario = SCENARIOS[name]
    timeline = Timeline(say)
    async with AsyncExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="canary-demo-")))
        fleet = await stack.enter_async_context(Fleet(folder))
        await fleet.deploy("1", scenario.first)
        load = await stack.enter_async_context(Load(fleet.endpoints, RATE))
        order = await stack.enter_async_context(_order(fleet, say))
        stack.enter_context(_watching(fleet, load, timeline))
        say(f"revision 1 serves {RATE:.0f} requests per second; its history is {HISTORY:.0f} s long at the upgrade")
        await _wait(HISTORY, stop)
        if not scenario.traffic:
            load.rate = 0
        timeline.upgraded_at = time.time()
        await fleet.deploy("2", scenario.second)
        timeline.tell(f"upgrade: revision 2 ({name}) serves beside revision 1, with half of the requests")
        order = replace(
            order,
            wanted=replace(order.wanted, since=timeline.upgraded_at),
            scrape_canary=_endpoints(fleet, "2"),
            scrape_baseline=_endpoints(fleet, "1"),
        )
        async with analysis(order, timeline, say) as runner:
            report = await runner.run(stop)
        if report.action.result == ActionResult.DONE:
            await asyncio.sleep(SETTLE)
        felt = load.total(fleet.urls("2"))
        began = felt.first_bad.wall if felt.first_bad and scenario.fails else timeline.upgraded_at
    return Outcome(
        report=report,
        seconds_to_recovery=timeline.recovered_at - began if timeline.recovered_at else None,
        seconds_of_bad_answers=felt.last_bad.wall - began if felt.last_bad and scenario.fails else None,
        as_expected=(report.verdict, report.action.result) in scenario.expected,
    )


@contextmanager
def _watching(fleet: Fleet, load: Load, timeline: Timeline) -> Iterator[None]:
    """Tell the first bad answer of revision 2 when it happens."""

    async def watch() -> None:
        while (first := load.total(fleet.urls("2")).first_bad) is None:  # noqa: ASYNC110 -- counts tell nobody
            await asyncio.sleep(0.05)
        timeline.tell("first bad answer of revision 2, as the load generator sees it", first.wall)

    task = asyncio.create_task(watch())
    try:
        yield
    finally:
        task.cancel()


def _endpoints(fleet: Fleet, revision: str) -> tuple[str, ...]:
    return tuple(f"{url}/metrics" for url in fleet.urls(revision))


async def _wait(seconds: float, stop: asyncio.Future[str] | None) -> None:
    """Sleep, but not longer than until the stop."""
    if stop is None:
        await asyncio.sleep(seconds)
    else:
        await asyncio.wait([stop], timeout=seconds)


@asynccontextmanager
async def _order(fleet: Fleet, say: Say) -> AsyncIterator[AnalysisOrder]:
    """The order of the analysis, with what it reads from and its way back, while they last."""

    async def take_back() -> str:
        return f"revision {(await fleet.take_back()).name} serves alone"

    async with control.listening(take_back) as url, _prometheus(fleet, say) as access:
        yield AnalysisOrder(
            target=Target(kind=PlatformKind.COMMAND, name="demo"),
            rules=str(RULES),
            parameters={},
            access=access,
            wanted=Wanted(revision="2", previous="1"),
            rollback_command=shlex.join([sys.executable, "-m", "analyzer.demo.control", url]),
            rollback=RollbackOptions(timeout=30.0),
        )


@asynccontextmanager
async def _prometheus(fleet: Fleet, say: Say) -> AsyncIterator[PrometheusAccess | None]:
    """A real Prometheus; where there is none, the scrape source reads the service itself."""
    if shutil.which(PROGRAM) is None:
        say("there is no Prometheus on this machine: the scrape source reads the service itself")
        yield None
        return
    async with Prometheus.start(Settings(jobs=[Job("demo", fleet.targets)])) as prometheus:
        say(f"a Prometheus scrapes it each second: {prometheus.url}")
        yield PrometheusAccess(url=prometheus.url)
