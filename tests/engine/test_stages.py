"""A revision that is brought out in steps: how far it has come stands in the record and the report."""

import json

from world import DEPLOYMENT, Platform, World, rates, rule_set

from analyzer.engine.replay import judge_again
from analyzer.model.event import EVENT, Planned, Staged
from analyzer.model.report import Verdict
from analyzer.model.target import Deployment, Stage

FIRST = Stage(step=1, steps=3, canary=0.1, stable=0.9)
SECOND = Stage(step=2, steps=3, canary=0.5, stable=0.5)


def at(stage: Stage | None) -> Deployment:
    return DEPLOYMENT.model_copy(update={"stage": stage})


def world(*looks: Stage | None) -> World:
    first, *later = looks
    platform = Platform(looks=[at(each) for each in (later or [first])])
    return World(rates(0.0012, requests=60), rule_set(), deployment=at(first), platform=platform)


def staged(of: World) -> list[Stage | None]:
    return [event.stage for event in of.record.events if isinstance(event, Staged)]


def test_each_change_is_kept_once_and_replayed_the_same() -> None:
    brought_out = world(FIRST, FIRST, SECOND, SECOND, None)
    report = brought_out.run()
    assert staged(brought_out) == [SECOND, None]
    assert report.stage is None
    assert judge_again(brought_out.record.events) == report


def test_the_newest_stands_in_the_report() -> None:
    brought_out = world(FIRST, SECOND)
    assert brought_out.run().stage == SECOND
    assert judge_again(brought_out.record.events[:3]).stage == FIRST


def test_what_is_not_brought_out_in_steps_has_none() -> None:
    plain = world(None)
    report = plain.run()
    assert (report.stage, staged(plain), report.verdict) == (None, [], Verdict.INCONCLUSIVE)


def test_what_was_recorded_before_there_were_stages_is_read() -> None:
    plain = world(None)
    plain.run()
    old = json.loads(plain.record.events[0].model_dump_json())
    del old["plan"]["deployment"]["stage"]
    planned = EVENT.validate_python(old)
    assert isinstance(planned, Planned)
    assert planned.plan.deployment.stage is None
