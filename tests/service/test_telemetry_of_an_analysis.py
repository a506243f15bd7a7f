"""What is told of an analysis: counted once, logged where it matters, and never so much that it hides itself."""

from collections.abc import Callable
from typing import Any

import pytest
from prometheus_client.parser import text_string_to_metric_families
from structlog.testing import capture_logs

from analyzer.errors import PlatformUnavailable
from analyzer.model.event import Acted, Decided, Ended, Event, Held, Intended, Planned, Verified, WindowRead
from analyzer.model.reading import Window
from analyzer.model.report import Report, Verdict
from analyzer.model.target import ActionKind, Receipt
from analyzer.service.observing import Observing
from analyzer.service.telemetry import Telemetry
from tests.engine.world import START, Clock, Platform, Script, Sides, World, rates


def values(telemetry: Telemetry, name: str) -> dict[str, float]:
    """The samples of this name that are not 0, by their labels' values."""
    families = text_string_to_metric_families(telemetry.render()[0].decode())
    return {
        " ".join(sample.labels.values()): sample.value
        for family in families
        for sample in family.samples
        if sample.name == name and sample.value
    }


class Watched:
    """An analysis in a world without real time, watched. `lags` are what the gauge has shown after each event."""

    def __init__(self, script: Script, **more: Any) -> None:  # noqa: ANN401 -- the world's own arguments
        self.clock = Clock()
        self.telemetry = Telemetry(self.clock.now)
        self.lags: list[float] = []
        self._observing = Observing(self.telemetry, "test")
        self.world = World(script, clock=self.clock, observer=self, **more)
        with capture_logs() as lines:
            self.report = self.world.run()
        self.lines = [dict(line) for line in lines]
        self.events = self.world.record.events

    def changed(self, report: Callable[[], Report], event: Event) -> None:
        self._observing.changed(report, event)
        self.lags.append(values(self.telemetry, "canary_lag_seconds").get("", 0.0))

    def told(self, name: str) -> list[dict[str, Any]]:
        return [line for line in self.lines if line["event"] == name]


def recovering(world: list[Watched]) -> Script:
    """Bad until the release is taken back."""
    bad, good = rates(0.2), rates(0.001)

    def script(metric: str, window: Window) -> Sides:
        acted = [event for event in world[0].world.record.events if isinstance(event, Acted)] if world else []
        return (good if acted and window.start >= acted[0].at else bad)(metric, window)

    return script


def test_a_good_release_is_a_pass_and_no_action() -> None:
    watched = Watched(rates(0.001))
    assert watched.report.verdict == Verdict.PASS
    assert values(watched.telemetry, "canary_verdicts_total") == {"pass": 1}
    assert values(watched.telemetry, "canary_actions_total") == {}
    assert values(watched.telemetry, "canary_analyses_started_total") == {"": 1}
    assert values(watched.telemetry, "canary_analyses_ended_total") == {"": 1}
    read = sum(isinstance(event, WindowRead) for event in watched.events)
    assert values(watched.telemetry, "canary_windows_total") == {"": read}
    assert [line["event"] for line in watched.lines] == ["planned", "verdict", "ended"]
    assert all(line["analysis"] == "test" for line in watched.lines)


def test_a_bad_release_that_is_taken_back_is_one_action_with_its_recovery() -> None:
    world: list[Watched] = []
    script = recovering(world)
    watched = Watched.__new__(Watched)
    world.append(watched)
    watched.__init__(script)  # type: ignore[misc] # the script looks at the world that it is the script of
    assert values(watched.telemetry, "canary_verdicts_total") == {"fail": 1}
    assert values(watched.telemetry, "canary_actions_total") == {"rollback done": 1}
    assert values(watched.telemetry, "canary_actions_held_total") == {}
    recovery = values(watched.telemetry, "canary_recovery_seconds_sum")[""]
    assert recovery == watched.report.seconds_to_recovery
    said = [line["event"] for line in watched.lines]
    assert said == ["planned", "verdict", "acting", "acted", "recovered", "ended"]
    assert watched.told("ended")[0]["result"] == "done"
    assert watched.told("verdict")[0]["reason"]


def test_a_failed_rollback_is_an_error_in_the_log() -> None:
    watched = Watched(rates(0.2), platform=Platform(receipt=Receipt(ok=False, detail="no rights to patch deployments")))
    assert values(watched.telemetry, "canary_actions_total") == {"rollback failed": 1}
    assert values(watched.telemetry, "canary_recovery_seconds_count") == {}
    (acted,) = watched.told("acted")
    assert (acted["log_level"], acted["detail"]) == ("error", "no rights to patch deployments")


def test_a_held_action_names_its_guard() -> None:
    watched = Watched(rates(0.2), actions_on=False)
    assert values(watched.telemetry, "canary_actions_held_total") == {"stopped": 1}
    assert values(watched.telemetry, "canary_actions_total") == {"rollback held": 1}
    assert watched.told("held")[0]["log_level"] == "warning"


def test_a_dry_run_acts_on_nothing_and_holds_nothing() -> None:
    watched = Watched(rates(0.2), acting=False)
    assert values(watched.telemetry, "canary_actions_total") == {"rollback dry-run": 1}
    assert values(watched.telemetry, "canary_actions_held_total") == {}


def test_an_outage_is_two_lines_however_long_it_is() -> None:
    watched = Watched(rates(0.001), away=lambda now: START + 20 <= now < START + 90)
    troubles = values(watched.telemetry, "canary_troubles_total")
    assert troubles["metric unreachable"] > 5
    assert len(watched.told("trouble")) == 1
    assert len(watched.told("read again")) == 1
    assert watched.told("trouble")[0]["detail"].startswith("Prometheus at http://prometheus cannot be reached")


def test_a_platform_that_is_away_is_not_told_at_each_look() -> None:
    away = PlatformUnavailable("the API server does not answer")
    watched = Watched(rates(0.001), platform=Platform(looks=[away]))
    assert values(watched.telemetry, "canary_troubles_total")["platform unreachable"] > 2
    assert [line["of"] for line in watched.told("trouble")] == ["the platform"]


def test_the_lag_grows_with_an_outage_and_is_gone_after_it() -> None:
    well = Watched(rates(0.001))
    assert max(well.lags) <= 2  # one scrape interval, and the clock's steps
    ill = Watched(rates(0.001), away=lambda now: START + 20 <= now < START + 90)
    assert max(ill.lags) >= 60
    assert ill.lags[-1] == 0
    late = values(ill.telemetry, "canary_window_lateness_seconds_bucket")
    assert late.get("30.0", 0) < late["120.0"]


def test_an_analysis_that_is_over_is_behind_nothing() -> None:
    for script in (rates(0.001), rates(0.2)):
        watched = Watched(script)
        watched.clock.time += 10_000
        assert values(watched.telemetry, "canary_lag_seconds") == {}


def test_what_happened_before_the_order_is_not_late() -> None:
    """An upgrade that was an hour ago when it was ordered: its windows are read at once, and were never due before."""
    watched = Watched(rates(0.001))
    telemetry = Telemetry(lambda: START + 3605)
    observing = Observing(telemetry, "late order")
    for event in watched.events:
        if isinstance(event, Planned):
            plan = event.plan.model_copy(update={"started_at": START + 3600})
            observing.changed(unasked, event.model_copy(update={"plan": plan}))
        elif isinstance(event, WindowRead):
            observing.changed(unasked, event.model_copy(update={"at": START + 3601}))
    assert values(telemetry, "canary_window_lateness_seconds_sum")[""] <= values(telemetry, "canary_windows_total")[""]
    assert values(telemetry, "canary_lag_seconds")[""] <= 5


def unasked() -> Report:
    raise AssertionError("a report is dear")


def test_a_window_costs_no_report() -> None:
    watched = Watched(rates(0.001))
    observing = Observing(Telemetry(), "test")
    for event in watched.events:
        if not isinstance(event, Decided | Held | Acted | Verified | Ended | Intended):
            observing.changed(unasked, event)


def test_what_another_replica_has_told_is_not_told_again() -> None:
    watched = Watched(rates(0.001))
    telemetry = Telemetry(lambda: START + 500)
    windows = [event for event in watched.events if not isinstance(event, Decided | Ended)]
    with capture_logs() as lines:
        Observing(telemetry, "taken over", windows)
    assert lines == []
    assert values(telemetry, "canary_windows_total") == {}
    assert values(telemetry, "canary_analyses_started_total") == {}
    assert values(telemetry, "canary_lag_seconds")[""] > 100  # it is behind since the other one has died


def test_while_an_act_is_under_way_no_window_is_due() -> None:
    watched = Watched(rates(0.2), platform=Platform(receipt=Receipt(ok=False, detail="no")))
    now = START
    telemetry = Telemetry(lambda: now)
    observing = Observing(telemetry, "test")
    for event in watched.events:
        if isinstance(event, Acted):
            now = event.at + 1000
            assert values(telemetry, "canary_lag_seconds") == {}
        now = event.at
        observing.changed(lambda: watched.report, event)


@pytest.mark.parametrize("script", [rates(0.001), rates(0.2)])
def test_every_line_has_plain_values(script: Script) -> None:
    for line in Watched(script).lines:
        assert all(isinstance(value, str | int | float | bool | None) for value in line.values()), line


def test_the_kind_of_an_action_is_one_that_is_known() -> None:
    watched = Watched(rates(0.2), actions_on=False)
    (label,) = values(watched.telemetry, "canary_actions_total")
    assert label.split()[0] in set(ActionKind)
