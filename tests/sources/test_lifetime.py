"""Which series counts from zero."""

import pytest

from analyzer.sources.counting import Series
from analyzer.sources.lifetime import Lifetimes

TARGET = {"job": "web", "instance": "a:1", "pod": "web-1"}
LABELS = {**TARGET, "__name__": "x", "code": "500"}


def series(*samples: tuple[int, float], **labels: str) -> Series[float]:
    return Series({**TARGET, **labels}, [time for time, _ in samples], [value for _, value in samples])


@pytest.mark.parametrize(
    ("up", "expected"),
    [
        ([series((1000, 1), (2000, 1))], True),  # it was scraped before, and the series was not there
        ([series((2000, 1))], False),  # seen together for the first time
        ([series((1000, 0), (2000, 1))], False),  # the earlier scrape failed: nothing is known
        ([series((1000, 1), instance="b:1")], False),  # another target
        ([series((1000, 1), pod="web-0")], False),  # the address was another pod's
        ([series((1000, 1), scrape_pool="x")], True),  # a label that the series has not contradicts nothing
        ([], False),
    ],
)
def test_a_target_that_was_scraped_before(up: list[Series[float]], expected: bool) -> None:
    assert Lifetimes(up=up).counts_from_zero(LABELS, 2000, 500) == expected


@pytest.mark.parametrize(
    ("processes", "expected"),
    [
        ([series((2000, 1.5))], True),  # began at 1.5 s, after the origin at 1 s
        ([series((2000, 0.5))], False),
        ([series((1000, 0.5), (2000, 1.5))], True),  # as it is told together with the first sample
        ([series((2000, 0.5), (3000, 2.5))], False),  # a restart afterwards is a reset
        ([series((1000, 1.5))], True),
        ([series((2000, 1.5), job="other")], False),
    ],
)
def test_a_process_that_began_after_the_origin(processes: list[Series[float]], expected: bool) -> None:
    assert Lifetimes(processes=processes).counts_from_zero(LABELS, 2000, 1000) == expected


@pytest.mark.parametrize(
    ("labels", "expected"),
    [({}, True), ({"namespace": "shop"}, True), ({"namespace": "other"}, False)],
)
def test_a_pod_that_began_after_the_origin(labels: dict[str, str], expected: bool) -> None:
    pods = [Series({"pod": "web-1", "namespace": "shop", "job": "kube-state-metrics"}, [2000], [1.5])]
    assert Lifetimes(pods=pods).counts_from_zero({**LABELS, **labels}, 2000, 1000) == expected


def test_series_without_a_target_are_references() -> None:
    lifetimes = Lifetimes(up=[Series({}, [1], [1.0])], pods=[Series({"pod": ""}, [1], [10.0])])
    assert not lifetimes.counts_from_zero({"__name__": "x"}, 2000, 1000)
