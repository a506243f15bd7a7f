"""What a behaviour promises: rates, latencies, and the same luck from the same seed."""

import math
from itertools import pairwise
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from analyzer.demo.behaviour import CRASH, ERRORS, FLAKY, GOOD, PRESETS, SLOW, Behaviour, Bursts, Crashes, Latency

MANY = 20_000
NOON = 1_700_000_000.0


def error_share(behaviour: Behaviour, *, seed: int = 1, at: float = NOON) -> float:
    random = Random(seed)
    return sum(behaviour.draw(random, at).code == 500 for _ in range(MANY)) / MANY


def quantile(latency: Latency, q: float) -> float:
    """By bisection of the share above."""
    low, high = 0.0, 100.0
    for _ in range(100):
        middle = (low + high) / 2
        low, high = (middle, high) if latency.above(middle) > 1 - q else (low, middle)
    return high


def test_the_presets_have_the_names_of_the_scenarios() -> None:
    assert sorted(PRESETS) == ["crash", "errors", "flaky", "good", "slow"]


@pytest.mark.parametrize(("behaviour", "rate"), [(GOOD, 0.001), (ERRORS, 0.021), (Behaviour(base_error_rate=0), 0.0)])
def test_error_rates_add_up(behaviour: Behaviour, rate: float) -> None:
    five_sigma = 5 * math.sqrt(rate * (1 - rate) / MANY)
    assert error_share(behaviour) == pytest.approx(rate, abs=five_sigma)


def test_a_behaviour_that_always_fails_always_fails() -> None:
    assert error_share(Behaviour(base_error_rate=0.5, error_rate=1.0)) == 1.0


def test_the_same_seed_gives_the_same_requests() -> None:
    one, other = Random("seed"), Random("seed")
    assert [ERRORS.draw(one, NOON) for _ in range(50)] == [ERRORS.draw(other, NOON) for _ in range(50)]


def test_another_behaviour_leaves_the_luck_of_later_requests_as_it_is() -> None:
    changed, unchanged = Random(5), Random(5)
    for behaviour in (ERRORS, SLOW, FLAKY, CRASH):
        behaviour.draw(changed, NOON)
        GOOD.draw(unchanged, NOON)
    assert changed.random() == unchanged.random()


def test_slow_has_three_times_the_99th_percentile() -> None:
    assert quantile(SLOW.latency, 0.99) / quantile(GOOD.latency, 0.99) == pytest.approx(3, rel=0.02)


@given(
    median=st.floats(0.001, 1), sigma=st.floats(0, 1), share=st.floats(0, 1), factor=st.floats(1, 10), q=st.floats(0, 1)
)
def test_the_share_above_is_what_is_drawn(median: float, sigma: float, share: float, factor: float, q: float) -> None:
    latency, random, draws = Latency(median, sigma, share, factor), Random(7), 2000
    boundary = median * math.exp(2 * (q - 0.5))
    drawn = sum(latency.draw(random) > boundary for _ in range(draws)) / draws
    expected = latency.above(boundary)
    if sigma > 1e-3:  # below, rounding decides on which side of the boundary all of them are
        assert drawn == pytest.approx(expected, abs=5 * math.sqrt(max(expected * (1 - expected), 1 / draws) / draws))


def test_without_spread_all_take_the_median() -> None:
    latency = Latency(median=0.03, sigma=0)
    assert latency.draw(Random(1)) == pytest.approx(0.03)
    assert [latency.above(seconds) for seconds in (0, 0.029, 0.031)] == [1, 1, 0]


def test_bursts_hit_everyone_at_the_same_time_and_no_one_between() -> None:
    bursts = Bursts(seed=3, every=10, lasting=2)
    times = [NOON + step / 10 for step in range(10_000)]
    active = [bursts.active(at) for at in times]
    assert active == [Bursts(seed=3, every=10, lasting=2).active(at) for at in times]
    assert sum(active) / len(active) == pytest.approx(0.2, abs=0.01)
    assert active != [Bursts(seed=4, every=10, lasting=2).active(at) for at in times]
    begins = sum(now and not before for before, now in pairwise(active))
    assert begins in (99, 100, 101)


def test_in_a_burst_requests_fail_and_slow_down() -> None:
    bursts = Bursts(error_rate=0.5, latency_factor=2)
    flaky = Behaviour(bursts=bursts)
    bad = next(NOON + step / 10 for step in range(1000) if bursts.active(NOON + step / 10))
    good = next(NOON + step / 10 for step in range(1000) if not bursts.active(NOON + step / 10))
    assert error_share(flaky, at=bad) == pytest.approx(0.501, abs=0.02)
    assert error_share(flaky, at=good) == error_share(GOOD)
    assert flaky.draw(Random(1), bad).seconds == 2 * flaky.draw(Random(1), good).seconds


def test_lives_are_drawn_around_their_mean() -> None:
    random = Random(1)
    lives = [Crashes(after=4).draw_life(random) for _ in range(2000)]
    assert 2 <= min(lives) < max(lives) <= 6
    assert sum(lives) / len(lives) == pytest.approx(4, rel=0.03)


@pytest.mark.parametrize(
    ("wrong", "sentence"),
    [
        (lambda: Behaviour(error_rate=1.1), "between 0 and 1"),
        (lambda: Behaviour(base_error_rate=-0.1), "between 0 and 1"),
        (lambda: Behaviour(memory=-1), "not negative"),
        (lambda: Latency(median=0), "above zero"),
        (lambda: Latency(sigma=-1), "not negative"),
        (lambda: Latency(slow_share=2), "between 0 and 1"),
        (lambda: Latency(slow_factor=0), "above zero"),
        (lambda: Bursts(every=1, lasting=2), "no longer than its cell"),
        (lambda: Bursts(error_rate=2), "between 0 and 1"),
        (lambda: Crashes(after=0), "longer than zero"),
        (lambda: Crashes(back_off=-1), "not negative"),
    ],
)
def test_impossible_parameters_are_refused(wrong: object, sentence: str) -> None:
    assert callable(wrong)
    with pytest.raises(ValueError, match=sentence):
        wrong()
