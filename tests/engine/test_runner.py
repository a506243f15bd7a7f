"""One analysis from plan to receipt, on a clock that jumps."""

import asyncio
import gc
from dataclasses import replace
from typing import ClassVar

import pytest
from world import DEPLOYMENT, START, Clock, Platform, Record, Script, Sides, World, rates, revision, rule_set

from analyzer.engine import replay
from analyzer.engine.analysis import Analysis, advance
from analyzer.engine.replay import judge_again, judge_by, planned
from analyzer.errors import NoRelease, PlatformError, PlatformUnavailable, RecordError, SourceUnavailable
from analyzer.model.event import Acted, Decided, Event, Held, Intended, Planned, Troubled, WindowRead
from analyzer.model.judgement import Standing
from analyzer.model.plan import Query
from analyzer.model.reading import Absence, Events, History, Missing, Side, Targets, Window
from analyzer.model.report import ActionResult, Guard, Report, Verdict
from analyzer.model.target import ActionKind, Receipt


def kinds(record: Record) -> list[str]:
    return [event.type for event in record.events]


def until_act(world: World, script: Script, after: Script) -> Script:
    """A script that changes when the release is taken back."""

    def chosen(metric: str, window: Window) -> Sides:
        acted = [event for event in world.record.events if isinstance(event, Acted)]
        return (after if acted and window.start >= acted[0].at else script)(metric, window)

    return chosen


def gone(_: str, window: Window) -> Sides:
    """After the way back: no series of the canary, all is served by the baseline."""
    return (
        Missing(why=Absence.NO_SERIES, detail="no series match"),
        Events(total=200 * window.seconds, bad=round(0.2 * window.seconds)),
    )


def bad_release(**more: object) -> World:
    world = World(rates(0.05), **more)  # type: ignore[arg-type] # the fields of a world
    world.script = until_act(world, world.script, gone)
    return world


def test_a_bad_release_is_taken_back_and_the_recovery_is_seen() -> None:
    world = bad_release()
    report = world.run()
    assert report.verdict == Verdict.FAIL
    assert (report.action.kind, report.action.result) == (ActionKind.ROLLBACK, ActionResult.DONE)
    assert report.held_by is None
    assert [intent.to_revision.number for intent in world.platform.intents if intent.to_revision] == ["1"]
    assert "errors 5 % (" in report.reason
    assert "tolerated 1.1 times + 0.05 %" in report.reason
    assert "recovered within" in report.reason
    assert report.seconds_to_recovery is not None
    assert 0 < report.seconds_to_recovery < 120
    order = [kind for kind in kinds(world.record) if kind not in {"window", "history"}]
    assert order == ["planned", "decided", "intended", "acted", "verified", "ended"]


def test_a_good_release_passes_and_not_before_the_minimum() -> None:
    world = World(rates(0.001, requests=20000))
    report = world.run()
    assert report.verdict == Verdict.PASS
    assert report.action.kind == ActionKind.NONE
    assert report.seconds_to_verdict is not None
    assert report.seconds_to_verdict >= 60
    assert "shown to be better than 1.5 times + 0.1 %" in report.reason
    assert not world.platform.intents


def test_a_regression_within_the_tolerance_is_no_failure() -> None:
    assert World(rates(0.0515, 0.05)).run().verdict != Verdict.FAIL


def test_no_requests_is_neither_pass_nor_failure() -> None:
    report = World(lambda _, __: (Events(total=0, bad=0), Events(total=0, bad=0))).run()
    assert report.verdict == Verdict.INCONCLUSIVE
    assert "no requests to the canary in 29 windows" in report.reason
    assert report.judgements[0].standing == Standing.NO_DATA


@pytest.mark.parametrize("why", [Absence.NO_SERIES, Absence.NO_SAMPLES, Absence.NOT_A_NUMBER])
def test_missing_numbers_are_told_in_the_words_of_the_source(why: Absence) -> None:
    missing = Missing(why=why, detail="the source's own words")
    report = World(lambda _, __: (missing, Events(total=10, bad=0))).run()
    assert report.verdict == Verdict.INCONCLUSIVE
    assert "the source's own words" in report.reason


@pytest.mark.parametrize("on_inconclusive", ["pass", "hold", "extend", "rollback"])
def test_no_data_is_never_a_pass_whatever_the_rule_set_says(on_inconclusive: str) -> None:
    rules = rule_set(onInconclusive=on_inconclusive)
    world = World(lambda _, __: (Events(total=0, bad=0), Events(total=500, bad=0)), rules)
    report = world.run()
    assert report.verdict == Verdict.INCONCLUSIVE
    assert (report.action.kind == ActionKind.ROLLBACK) == (on_inconclusive == "rollback")


def test_undecided_at_the_deadline_can_pass_by_setting() -> None:
    world = World(rates(0.0012, requests=60), rule_set(onInconclusive="pass"))
    report = world.run()
    assert report.verdict == Verdict.PASS
    assert "onInconclusive: pass" in report.reason


def test_the_deadline_is_extended_once() -> None:
    world = World(rates(0.0012, requests=60), rule_set(onInconclusive="extend"))
    report = world.run()
    assert report.verdict == Verdict.INCONCLUSIVE
    assert kinds(world.record).count("extended") == 1
    assert report.deadline_at == START + 600
    assert world.source.read_windows[-1].end == START + 600


def test_an_upgrade_that_changes_no_pod_passes_at_once_and_says_so() -> None:
    world = World(rates(0.5), deployment=DEPLOYMENT.model_copy(update={"unchanged": True}))
    report = world.run()
    assert report.verdict == Verdict.PASS
    assert "changes no pod template" in report.reason
    assert world.clock.time == START


def test_the_warm_up_is_read_and_not_judged() -> None:
    def cold_start(_: str, window: Window) -> Sides:
        return rates(0.5 if window.start < START + 10 else 0.001, requests=20000)(_, window)

    world = World(cold_start)
    report = world.run()
    assert report.verdict == Verdict.PASS
    assert world.source.read_windows[0].start == START
    total = report.judgements[0].evidence.canary.total
    assert total is not None
    assert total == 20000 * (len(world.source.read_windows) - 1)


class TestPrometheusAway:
    def test_for_the_middle_third_no_window_is_lost(self) -> None:
        here = World(rates(0.0018, requests=200))
        away = replace(here, away=lambda now: START + 100 < now < START + 200, record=Record(), clock=Clock())
        expected, report = here.run(), away.run()
        assert report.verdict == expected.verdict
        assert [event.reading for event in away.record.events if isinstance(event, WindowRead)] == [
            event.reading for event in here.record.events if isinstance(event, WindowRead)
        ]
        assert any(isinstance(event, Troubled) for event in away.record.events)

    def test_all_the_time_is_an_error_and_never_a_failure_of_the_release(self) -> None:
        world = World(rates(0.5), away=lambda _: True)
        report = world.run()
        assert report.verdict == Verdict.ERROR
        assert "connection refused" in report.reason
        assert not world.platform.intents
        assert world.clock.time < START + 400

    def test_away_at_first_the_baselines_history_is_still_read_before_the_first_window(self) -> None:
        world = World(rates(0.05), away=lambda now: now < START + 95, past=rates(0.001))
        assert world.run().verdict == Verdict.FAIL
        order = kinds(world.record)
        assert order.index("history") < order.index("window")
        assert world.source.read_windows[0].start == START


class TestRefused:
    REFUSED: ClassVar = Missing(why=Absence.REFUSED, detail="Prometheus says: unknown function")

    def test_all_of_it_ends_at_once_as_could_not_analyse(self) -> None:
        world = World(lambda _, __: (self.REFUSED, self.REFUSED))
        report = world.run()
        assert report.verdict == Verdict.ERROR
        assert "every query is refused: Prometheus says: unknown function" in report.reason
        assert world.clock.time < START + 30

    def test_one_of_several_leaves_the_others_their_verdict(self) -> None:
        def script(metric: str, window: Window) -> Sides:
            return (self.REFUSED, self.REFUSED) if metric == "latency" else rates(0.05)(metric, window)

        report = World(script, rule_set([{"metric": "errors"}, {"metric": "latency", "quantile": 0.99}])).run()
        assert report.verdict == Verdict.FAIL
        assert "unknown function" in report.judgements[1].reason


class TestGuards:
    NOW: ClassVar = DEPLOYMENT

    @pytest.mark.parametrize(
        ("now", "guard", "words"),
        [
            ({"current": revision(3)}, Guard.SUPERSEDED, "is at revision 3 now, not at 2"),
            ({"in_progress": "pending-upgrade"}, Guard.SUPERSEDED, "in progress (pending-upgrade)"),
            ({"current": revision(2, digest="sha256:other")}, Guard.CHANGED, "not the one that was analysed"),
            ({"is_way_back": True}, Guard.ONCE, "a rollback is never rolled back"),
            ({"wanted": None, "no_way_back": "revision 1 was pruned"}, Guard.NO_WAY_BACK, "revision 1 was pruned"),
        ],
    )
    def test_hold_right_before_the_act(self, now: dict[str, object], guard: Guard, words: str) -> None:
        platform = Platform(looks=[DEPLOYMENT.model_copy(update=now)])
        # The analysis is over before the second look at the platform: only the look before the act sees the change.
        world = bad_release(platform=platform, rules=rule_set(schedule={**SHORT, "interval": "5s"}))
        report = world.run()
        assert report.held_by == guard
        assert words in report.reason
        assert report.action.result in {ActionResult.HELD, ActionResult.NONE}
        assert not platform.intents

    def test_a_newer_upgrade_during_the_analysis_stops_it(self) -> None:
        later = DEPLOYMENT.model_copy(update={"current": revision(3)})
        world = World(rates(0.001, requests=30), platform=Platform(looks=[DEPLOYMENT, later]))
        report = world.run()
        assert report.verdict == Verdict.INCONCLUSIVE
        assert report.held_by == Guard.SUPERSEDED
        assert world.clock.time < START + 100

    def test_a_release_that_is_gone_stops_it(self) -> None:
        gone = NoRelease("there is no release web")
        world = World(rates(0.001, requests=30), platform=Platform(looks=[DEPLOYMENT, gone]))
        report = world.run()
        assert (report.verdict, report.held_by) == (Verdict.INCONCLUSIVE, Guard.SUPERSEDED)
        assert "there is no release web" in report.reason
        assert world.clock.time < START + 100

    def test_actions_switched_off(self) -> None:
        report = bad_release(actions_on=False).run()
        assert report.held_by == Guard.STOPPED
        assert report.action.result == ActionResult.HELD

    def test_a_platform_that_cannot_be_asked_is_not_acted_upon(self) -> None:
        unknown = PlatformUnavailable("the Kubernetes API cannot be reached")
        world = bad_release(platform=Platform(looks=[unknown]))
        report = world.run()
        assert report.held_by == Guard.UNKNOWN
        assert "the Kubernetes API cannot be reached" in report.reason
        assert not world.platform.intents

    @pytest.mark.parametrize(
        ("trouble", "looks", "acts"),
        [
            (PlatformUnavailable("connection refused"), 50, True),
            (PlatformUnavailable("connection refused"), 200, False),
            (PlatformError("garbage"), 4, True),
            (PlatformError("garbage"), 30, False),
        ],
    )
    def test_a_platform_that_is_away_is_waited_for_longer_than_one_that_refuses(
        self, trouble: PlatformError, looks: int, *, acts: bool
    ) -> None:
        world = bad_release(platform=Platform(looks=[*[trouble] * looks, DEPLOYMENT]))
        report = world.run()
        assert bool(world.platform.intents) is acts
        assert report.held_by == (None if acts else Guard.UNKNOWN)

    def test_a_dry_run_says_what_it_would_do(self) -> None:
        world = bad_release(acting=False)
        report = world.run()
        assert report.action.result == ActionResult.DRY_RUN
        assert "dry run: would rollback to revision 1" in report.reason
        assert not world.platform.intents


SHORT = {"warmup": "0s", "interval": "10s", "minimum": "0s", "deadline": "300s", "baseline": "600s"}


class TestTheAct:
    def test_a_failed_way_back_is_told(self) -> None:
        platform = Platform(receipt=Receipt(ok=False, detail="helm rollback failed: timed out; run it by hand"))
        report = bad_release(platform=platform).run()
        assert report.action.result == ActionResult.FAILED
        assert "run it by hand" in report.reason

    def test_an_exception_of_the_platform_is_a_failed_receipt(self) -> None:
        report = bad_release(platform=Platform(receipt=PlatformUnavailable("helm is gone"))).run()
        assert report.action.result == ActionResult.FAILED
        assert "helm is gone" in report.reason

    def test_no_recovery_within_the_patience_is_told(self) -> None:
        world = World(rates(0.05))
        report = world.run()
        assert report.action.result == ActionResult.UNVERIFIED
        assert "no recovery was seen within 2 min: errors still worse than tolerated" in report.reason

    def test_the_intent_is_kept_before_the_act(self) -> None:
        world = bad_release()
        seen: list[str] = []
        world.platform.on_act = lambda: seen.extend(kinds(world.record))
        world.run()
        assert seen[-1] == "intended"

    def test_it_is_done_once(self) -> None:
        world = World(rates(0.05), rules=rule_set(schedule={**SHORT, "watchAfterPass": "1h"}))
        world.run()
        assert len(world.platform.intents) == 1


def test_watching_goes_on_after_a_pass_and_acts() -> None:
    schedule = {**SHORT, "watchAfterPass": "10m"}
    world = World(rates(0.05, since=250, requests=20000), rule_set(schedule=schedule))
    world.script = until_act(world, world.script, gone)
    report = world.run()
    verdicts = [event.verdict for event in world.record.events if isinstance(event, Decided)]
    assert verdicts == [Verdict.PASS, Verdict.FAIL]
    assert report.verdict == Verdict.FAIL
    assert report.action.result == ActionResult.DONE


def test_watching_ends_in_a_pass() -> None:
    schedule = {**SHORT, "watchAfterPass": "2m"}
    world = World(rates(0.001, requests=20000), rule_set(schedule=schedule))
    report = world.run()
    assert report.verdict == Verdict.PASS
    assert report.decided_at is not None
    assert report.ended_at is not None
    assert 120 <= report.ended_at - report.decided_at <= 140


def test_an_analysis_that_begins_late_catches_up() -> None:
    world = World(rates(0.05), clock=Clock(START + 1000))
    report = world.run()
    assert report.verdict == Verdict.FAIL
    assert world.source.read_windows[0].start == START


class TestStopping:
    def stop_at(self, world: World, moment: float) -> Report:
        async def go() -> Report:
            stop: asyncio.Future[str] = asyncio.get_running_loop().create_future()

            async def sleep(seconds: float) -> None:
                await asyncio.sleep(0)
                world.clock.time += seconds
                if world.clock.time >= moment and not stop.done():
                    stop.set_result("SIGTERM")
                    await asyncio.sleep(3600)  # is cancelled

            world.clock.sleep = sleep  # type: ignore[method-assign] # the moment of the signal is what is tested
            return await world.runner().run(stop)

        return asyncio.run(go())

    def test_before_a_verdict_it_leaves_a_record_and_a_clear_last_line(self) -> None:
        world = World(rates(0.0012, requests=60))
        report = self.stop_at(world, START + 100)
        assert report.verdict == Verdict.INCONCLUSIVE
        assert "stopped by SIGTERM after" in report.reason
        assert "nothing was done" in report.reason
        assert kinds(world.record)[-1] == "ended"

    def test_never_half_an_action(self) -> None:
        world = bad_release()

        async def go() -> Report:
            stop: asyncio.Future[str] = asyncio.get_running_loop().create_future()
            take_back = world.platform.take_back

            async def slowly(intent: object, confirm: object) -> Receipt:
                stop.set_result("SIGINT")
                await asyncio.sleep(0.05)
                return await take_back(intent, confirm)  # type: ignore[arg-type] # handed on as it is

            world.platform.take_back = slowly  # type: ignore[method-assign,assignment] # as above
            return await world.runner().run(stop)

        report = asyncio.run(go())
        order = [kind for kind in kinds(world.record) if kind != "window"]
        assert order[order.index("intended") + 1] == "acted"
        assert order[-1] == "ended"
        assert report.receipt is not None
        assert report.receipt.ok


class TestReplay:
    WORLDS: ClassVar = {
        "bad": bad_release,
        "good": lambda: World(rates(0.001, requests=20000)),
        "no requests": lambda: World(lambda _, __: (Events(total=0, bad=0), None)),
        "away": lambda: World(rates(0.5), away=lambda _: True),
        "away at times": lambda: World(rates(0.05), away=lambda now: START + 50 < now < START + 90),
        "extended": lambda: World(rates(0.0012, requests=60), rule_set(onInconclusive="extend")),
        "superseded": lambda: World(
            rates(0.001, requests=30),
            platform=Platform(looks=[DEPLOYMENT.model_copy(update={"current": revision(3)})]),
        ),
        "held": lambda: bad_release(actions_on=False),
        "dry run": lambda: bad_release(acting=False),
        "failed way back": lambda: bad_release(platform=Platform(receipt=Receipt(ok=False, detail="no"))),
        "watched": lambda: World(
            rates(0.05, since=250, requests=20000), rule_set(schedule={**SHORT, "watchAfterPass": "10m"})
        ),
        "with history": lambda: World(rates(0.004), past=rates(0.001)),
    }

    @pytest.mark.parametrize("name", WORLDS)
    def test_by_the_same_rules_it_is_byte_identical(self, name: str) -> None:
        world = self.WORLDS[name]()
        report = world.run()
        assert judge_again(world.record.events).model_dump_json() == report.model_dump_json()

    def test_by_other_rules_it_is_another_verdict(self) -> None:
        world = bad_release()
        report = world.run()
        assert report.verdict == Verdict.FAIL
        lenient = rule_set(
            [{"metric": "errors", "tolerance": {"relative": "10%", "absolute": "20%"}, "critical": True}]
        )
        first = planned(world.record.events)
        plan = first.plan.model_copy(update={"rule_set": lenient, "acting": False})
        other = judge_by(world.record.events, Planned(at=first.at, plan=plan))
        assert other.verdict != Verdict.FAIL
        assert other.action.kind == ActionKind.NONE

    def test_a_recording_cut_off_during_the_act_says_that_nobody_knows(self) -> None:
        world = bad_release()
        world.run()
        events = world.record.events
        cut = [*events[: kinds(world.record).index("intended") + 1]]
        again = judge_again(cut)
        assert again.action.result == ActionResult.UNVERIFIED
        assert again.reason.endswith("a rollback to revision 1 was begun, and what came of it is not recorded")

    @pytest.mark.parametrize("by_other_rules", [False, True])
    def test_what_cannot_be_judged_is_told_with_the_number_of_its_event(
        self, by_other_rules: bool, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        world = bad_release()
        world.run()
        events = world.record.events
        damaged = next(event for event in events if isinstance(event, WindowRead))

        def judged(analysis: Analysis, event: Event) -> Analysis:
            if event == damaged:
                raise ZeroDivisionError("division by zero")
            return advance(analysis, event)

        monkeypatch.setattr(replay, "advance", judged)
        number = 1 + events.index(damaged)
        with pytest.raises(RecordError, match=rf"^event {number} of the recording .* damaged: division by zero$"):
            judge_by(events, planned(events)) if by_other_rules else judge_again(events)

    def test_it_is_planned_once(self) -> None:
        world = bad_release()
        world.run()
        events = world.record.events
        with pytest.raises(RecordError, match=r"^event 3 of the recording .*: an analysis is planned once$"):
            judge_again([*events[:2], events[0], *events[2:]])

    def test_every_rule_of_a_plan_has_its_query(self) -> None:
        world = bad_release()
        world.run()
        first = planned(world.record.events)
        without = first.model_copy(update={"plan": first.plan.model_copy(update={"queries": ()})})
        with pytest.raises(RecordError, match=r"^event 1 of the recording .* its plan has no query of errors, "):
            judge_again([without])

    def test_a_changed_reading_changes_the_verdict(self) -> None:
        """The decision in a recording is not believed: it is derived anew."""
        world = bad_release()
        world.run()
        innocent = [
            event.model_copy(update={"reading": event.reading.model_copy(update={"canary": event.reading.baseline})})
            if isinstance(event, WindowRead)
            else event
            for event in world.record.events
        ]
        again = judge_again(innocent)
        assert again.verdict != Verdict.FAIL
        assert again.action.kind == ActionKind.NONE
        assert any("judged fail when it was recorded" in warning for warning in again.warnings)


class TestHealth:
    RULES: ClassVar = [{"metric": "errors", "critical": True}, {"health": "targets"}]

    @staticmethod
    def script(canary: Targets, baseline: Targets | None) -> Script:
        def chosen(metric: str, _: Window) -> Sides:
            if metric == "health:targets":
                return canary, baseline
            return Events(total=0, bad=0), Events(total=500, bad=0)

        return chosen

    def test_targets_down_fail_before_a_single_request(self) -> None:
        script = self.script(Targets(up=0, down=2, restarts=0), Targets(up=2, down=0, restarts=0))
        report = World(script, rule_set(self.RULES)).run()
        assert report.verdict == Verdict.FAIL
        assert "2 of 2 targets of the canary down in 3 readings in a row" in report.reason
        assert report.seconds_to_verdict is not None
        assert report.seconds_to_verdict < 60

    def test_both_sides_down_is_an_incident_and_no_release(self) -> None:
        script = self.script(Targets(up=0, down=2, restarts=0), Targets(up=0, down=2, restarts=0))
        assert World(script, rule_set(self.RULES)).run().verdict == Verdict.INCONCLUSIVE

    def test_restarts_again_and_again_fail(self) -> None:
        script = self.script(Targets(up=2, down=0, restarts=1), Targets(up=2, down=0, restarts=0))
        report = World(script, rule_set(self.RULES)).run()
        assert report.verdict == Verdict.FAIL
        assert "restarted 3 times" in report.reason


def test_held_events_are_not_doubled() -> None:
    world = bad_release(actions_on=False)
    world.run()
    assert sum(isinstance(event, Held) for event in world.record.events) == 1
    assert not any(isinstance(event, Intended) for event in world.record.events)


def test_an_error_that_nobody_foresaw_is_told_once() -> None:
    """By the caller, and not by asyncio as well, with a traceback; not even if the error comes again at the end."""

    class Faulty:
        def changed(self, *_: object) -> None:
            if len(world.record.events) > 2:
                raise ZeroDivisionError

    world = World(rates(0.001), observer=Faulty())
    told: list[object] = []

    async def go() -> None:
        asyncio.get_running_loop().set_exception_handler(lambda _, context: told.append(context))
        with pytest.raises(ZeroDivisionError):
            await world.runner().run()
        gc.collect()

    asyncio.run(go())
    assert told == []


@pytest.mark.parametrize(("rate", "verdict"), [(0.05, Verdict.FAIL), (0.001, Verdict.INCONCLUSIVE)])
def test_a_past_that_never_comes_holds_up_neither_the_others_nor_the_end(rate: float, verdict: Verdict) -> None:
    rules = rule_set([{"metric": "errors", "critical": True}, {"metric": "memory", "critical": True}])
    world = bad_release(rules=rules)
    world.script = until_act(world, rates(rate), gone)
    runner = world.runner()
    answer = world.source.history

    async def history(query: Query, span: Window, interval: float) -> History:
        if query.metric == "memory":
            raise SourceUnavailable("too heavy a query", "timeout")
        return await answer(query, span, interval)

    world.source.history = history  # type: ignore[method-assign] # one metric's alone fails
    report = asyncio.run(asyncio.wait_for(runner.run(), 30))
    assert report.verdict == verdict
    assert report.ended_at is not None
    assert report.ended_at <= START + 300 + 30
    if verdict == Verdict.FAIL:
        assert report.decided_at is not None
        assert report.decided_at < START + 200
        assert report.action.result == ActionResult.DONE
    else:
        assert "too heavy a query" in report.reason
    assert judge_again(world.record.events) == report


class TestARevisionThatWasNotBroughtOut:
    """What helm itself calls failed needs no reading to be a fail."""

    FAILED = DEPLOYMENT.model_copy(
        update={"current": revision(2, status="failed", description='Upgrade "web" failed: timed out')}
    )

    def world(self, *, up: int) -> World:
        targets = Targets(up=up, down=2 - up, restarts=0)
        rules = rule_set([{"health": "targets"}])
        return World(
            lambda _, __: (targets, None), rules, deployment=self.FAILED, platform=Platform(looks=[self.FAILED])
        )

    def test_it_is_taken_back_at_once_and_the_recovery_is_seen(self) -> None:
        world = self.world(up=2)
        report = world.run()
        assert (report.verdict, report.action.result) == (Verdict.FAIL, ActionResult.DONE)
        assert report.seconds_to_verdict == 0
        assert 'revision 2 was not brought out whole: Upgrade "web" failed: timed out' in report.reason
        assert judge_again(world.record.events).model_dump_json() == report.model_dump_json()

    def test_a_service_that_stays_down_is_told(self) -> None:
        report = self.world(up=0).run()
        assert report.action.result == ActionResult.UNVERIFIED
        assert "no recovery was seen" in report.reason


@pytest.mark.parametrize("back_after", [None, 150.0])
def test_an_early_pass_waits_for_a_metric_that_has_fallen_silent(back_after: float | None) -> None:
    """Enough was seen in the first minute; then nothing, and what comes back is bad."""
    nothing = Missing(why=Absence.NO_SAMPLES, detail="not scraped")

    def script(metric: str, window: Window) -> tuple[Side, Side | None]:
        since = window.start - START
        if since < 40:
            return rates(0.0, 0.02, requests=4000)(metric, window)
        if back_after is None or since < back_after:
            return nothing, nothing
        return rates(0.2)(metric, window)

    report = World(script).run()
    if back_after is None:
        assert report.decided_at is not None
        assert report.decided_at >= START + 300, "at the deadline, by what was seen"
    else:
        assert report.verdict == Verdict.FAIL


def test_an_early_pass_does_not_wait_for_a_metric_that_is_scraped_rarely() -> None:
    def script(metric: str, window: Window) -> tuple[Side, Side | None]:
        if (window.start - START) % 40 != (0 if metric == "errors" else 20):
            nothing = Missing(why=Absence.NO_SAMPLES, detail="not scraped")
            return nothing, nothing
        return rates(0.0, 0.02, requests=4000)(metric, window)

    rules = rule_set(
        [{"metric": "errors", "critical": True}, {"metric": "more", "critical": True}],
        metrics={name: {"ratio": {"bad": f'{name}{{code="5"}}', "total": name}} for name in ("errors", "more")},
    )
    report = World(script, rules).run()
    assert report.verdict == Verdict.PASS
    assert report.decided_at is not None
    assert report.decided_at < START + 300
