"""The values of a gauge's series into a level."""

import math

from analyzer.model.reading import Absence, Level, Missing
from analyzer.sources.gauging import keys_of, level


def test_the_mean_and_each_value_in_base_units() -> None:
    told, remarks = level([({"pod": "a"}, 100.0), ({"pod": "b"}, 300.0)], 1e-3)
    assert told == Level(mean=0.2, by={"a": 0.1, "b": 0.3})
    assert remarks == ()


def test_values_that_are_no_numbers_are_left_out_and_told() -> None:
    told, remarks = level([({"pod": "a"}, 1.0), ({"pod": "b"}, math.nan)], 1)
    assert told == Level(mean=1.0, by={"a": 1.0})
    assert remarks == ("1 of 2 series are no number and left out",)


def test_nan_and_infinite_are_told_apart() -> None:
    for values, why in (((math.nan, math.inf), Absence.NOT_A_NUMBER), ((math.inf, -math.inf), Absence.INFINITE)):
        told, _ = level([({"pod": str(number)}, value) for number, value in enumerate(values)], 1)
        assert isinstance(told, Missing)
        assert told.why == why


def test_keys_are_pods_then_instances_then_all_labels() -> None:
    assert keys_of([{"pod": "a", "instance": "x"}, {"instance": "y"}, {"zone": "z", "__name__": "n"}, {}]) == [
        "a",
        "y",
        "zone=z",
        "all",
    ]
    assert keys_of([{"pod": "a", "container": "1"}, {"pod": "a", "container": "2"}]) == [
        "container=1,pod=a",
        "container=2,pod=a",
    ]
