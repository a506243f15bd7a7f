"""What a failure leads to, as an order says it: it is in the plan, so that a replay needs nothing else."""

import asyncio

import pytest

from analyzer.composition.order import AnalysisOrder, Wanted
from analyzer.composition.planning import planned
from analyzer.composition.rules import with_on_fail
from analyzer.engine.ports import Ports
from analyzer.engine.replay import judge_again
from analyzer.engine.runner import Runner
from analyzer.model.order import Order, Ordered
from analyzer.model.ruleset import OnFail
from analyzer.sources.prometheus.access import PrometheusAccess
from tests.engine.world import START, TARGET, Clock, Platform, Record, Silent, Source, rates, rule_set


@pytest.mark.parametrize("on_fail", [*OnFail, None])
def test_it_counts_before_the_rule_set(on_fail: OnFail | None) -> None:
    rules = rule_set(onFail="pause")
    assert with_on_fail(rules, on_fail).spec.on_fail == (on_fail or OnFail.PAUSE)
    assert rules.spec.on_fail == OnFail.PAUSE


@pytest.mark.parametrize(("on_fail", "written", "acts"), [("none", "rollback", 0), ("rollback", "none", 1)])
def test_a_replay_says_the_same_byte_for_byte(on_fail: str, written: str, acts: int) -> None:
    clock, platform, record = Clock(), Platform(), Record()
    source = Source(rates(0.2), clock)
    order = AnalysisOrder(
        target=TARGET,
        rules="test",
        parameters={},
        access=PrometheusAccess(url="http://prometheus"),
        wanted=Wanted(since=START),
        on_fail=OnFail(on_fail),
    )

    async def analyse() -> str:
        plan = await planned(order, rule_set(onFail=written), platform, source, lambda _: None)
        plan = plan.model_copy(update={"started_at": START})
        report = await Runner(plan, Ports(source, platform, record, Silent(), clock)).run()
        return report.model_dump_json()

    report = asyncio.run(analyse())
    assert len(platform.intents) == acts
    assert judge_again(record.events).model_dump_json() == report


def test_what_nobody_has_said_is_not_in_what_the_store_keeps() -> None:
    """While a rolling update lasts, a version before reads orders too, and knows no `on_fail`."""
    text = Ordered(order=Order(target="helm/web", namespace="shop"), by="ann").text
    assert "on_fail" not in text
    assert "workloads" not in text
    assert Ordered.model_validate_json(text).order.rules == "http"
