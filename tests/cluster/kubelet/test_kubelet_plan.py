"""What tags promise."""

import pytest

from analyzer.demo.behaviour import GOOD, MEBIBYTE
from tests.cluster.kubelet.plan import CRASHED, KILLED, Plan, is_simulated, plan_of, tag_of


def of(tag: str) -> Plan:
    return plan_of(f"registry.example:5000/team/shop:{tag}")


@pytest.mark.parametrize("tag", ["good", "1.0", "v2", "good-b", "good-2", "2-3", "sha-0c1d", "latest"])
def test_what_is_no_word_of_the_grammar_is_good(tag: str) -> None:
    assert of(tag) == Plan()
    assert of(tag).behaviour_at(1000) == GOOD


@pytest.mark.parametrize(
    ("tag", "rate"),
    [("errors", 0.02), ("errors-5", 0.05), ("errors-0.5", 0.005), ("errors-b", 0.02), ("b-errors-3", 0.03)],
)
def test_errors_are_given_in_percent(tag: str, rate: float) -> None:
    assert of(tag).behaviour.error_rate == pytest.approx(rate)


def test_late_errors_come_late() -> None:
    plan = of("late-errors-40-10")
    assert plan.behaviour_at(39.9).error_rate == 0
    assert plan.behaviour_at(40).error_rate == pytest.approx(0.1)
    assert of("late-errors-7").late_errors == (7, pytest.approx(0.05))


def test_slow_is_a_factor_of_every_answer() -> None:
    assert of("slow").behaviour.latency.median == pytest.approx(2 * GOOD.latency.median)
    assert of("slow-3").behaviour.latency.median == pytest.approx(3 * GOOD.latency.median)


def test_words_combine() -> None:
    plan = of("clean-errors-5-slow-3-slow-start-20-leaking-2-b")
    assert (plan.behaviour.base_error_rate, plan.behaviour.error_rate) == (0, pytest.approx(0.05))
    assert plan.behaviour.latency.median == pytest.approx(3 * GOOD.latency.median)
    assert plan.starts_after == 20
    assert plan.memory_at(10) - plan.memory_at(0) == 20 * MEBIBYTE


@pytest.mark.parametrize(
    ("tag", "ends"),
    [("crashing", (0, CRASHED)), ("crashing-30", (30, CRASHED)), ("oom", (3, KILLED)), ("oom-1.5-b", (1.5, KILLED))],
)
def test_some_end(tag: str, ends: tuple[float, object]) -> None:
    assert of(tag).ends == ends


@pytest.mark.parametrize(
    ("tag", "held"),
    [
        ("image-pull", "ErrImagePull"),
        ("config-error", "CreateContainerConfigError"),
        ("errors-101", "InvalidImageName"),
        ("late-errors-1-101", "InvalidImageName"),
        ("slow-0", "InvalidImageName"),
    ],
)
def test_some_never_start(tag: str, held: str) -> None:
    assert of(tag).held == held


def test_flags() -> None:
    assert of("unschedulable").unschedulable
    assert of("never-ready-b").never_ready


@pytest.mark.parametrize(
    ("image", "tag"),
    [
        ("shop:errors-2", "errors-2"),
        ("localhost:5000/shop", "latest"),
        ("localhost:5000/shop:1@sha256:00", "1"),
    ],
)
def test_the_tag_is_found(image: str, tag: str) -> None:
    assert tag_of(image) == tag


def test_a_registry_is_simulated() -> None:
    assert is_simulated("simulated.example/flyway/flyway:10")
    assert not is_simulated("registry.example/simulated.example/x:1")
