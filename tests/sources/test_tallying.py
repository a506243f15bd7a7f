"""What was counted, as a side of a reading: absences told apart, an excess carried over."""

import math

import pytest

from analyzer.model.reading import Absence, Buckets, Cursor, Events, Missing
from analyzer.sources.classic import Classic
from analyzer.sources.counting import Counters, Series
from analyzer.sources.ledger import Ledger, Tally
from analyzer.sources.lifetime import Lifetimes
from analyzer.sources.tallying import classic_side, events

COUNTERS = Counters()


def tally(*amounts: float, **options: object) -> Tally[float]:
    return Tally("x", amounts=list(amounts), **options)  # type: ignore[arg-type]


def told(bad: Tally[float], total: Tally[float], ledger: Ledger | None = None) -> object:
    return events(bad, total, ledger or Ledger.opened(None, 0.0), "canary")[0]


def test_zero_requests_are_no_absence() -> None:
    assert told(tally(0.0), tally(0.0, 0.0)) == Events(total=0, bad=0)


def test_no_bad_series_are_no_bad_events() -> None:
    assert told(tally(), tally(5.0, 6.0)) == Events(total=11, bad=0)


@pytest.mark.parametrize(
    ("total", "why"),
    [
        (tally(), Absence.NO_SERIES),
        (tally(is_known=True), Absence.NO_SAMPLES),
        (tally(is_known=True, references=1), Absence.NO_SAMPLES),
        (tally(is_known=True, broken=[math.nan, math.inf]), Absence.NOT_A_NUMBER),
        (tally(is_known=True, broken=[math.inf]), Absence.INFINITE),
        (tally(is_known=True, broken=[-3.0]), Absence.NOT_A_NUMBER),
    ],
)
def test_absences_are_told_apart(total: Tally[float], why: Absence) -> None:
    missing = told(tally(), total)
    assert isinstance(missing, Missing)
    assert missing.why == why


def test_bad_events_that_are_nan_make_the_side_unusable() -> None:
    missing = told(tally(is_known=True, broken=[math.nan]), tally(5.0))
    assert isinstance(missing, Missing)
    assert missing.why == Absence.NOT_A_NUMBER


def test_an_excess_of_bad_events_is_carried_over() -> None:
    ledger = Ledger.opened(None, 0.0)
    side, remarks = events(tally(5.0), tally(2.0), ledger, "canary")
    assert side == Events(total=2, bad=2)
    assert "3 more bad events than events in all" in remarks[0]
    later = Ledger.opened(ledger.closed(15.0), 0.0)
    assert told(tally(1.0), tally(7.0), later) == Events(total=7, bad=4)
    assert told(tally(1.0), tally(7.0), later) == Events(total=7, bad=1)


def test_what_was_counted_beside_a_missing_part_is_carried_over() -> None:
    ledger = Ledger.opened(None, 0.0)
    assert isinstance(told(tally(2.0), tally(is_known=True), ledger), Missing)
    assert told(tally(1.0), tally(10.0), ledger) == Events(total=10, bad=3)
    assert isinstance(told(tally(is_known=True, broken=[math.nan]), tally(10.0), ledger), Missing)
    assert told(tally(1.0), tally(10.0), ledger) == Events(total=20, bad=1)


def test_classic_buckets() -> None:
    amounts = [Classic((0.1, math.inf), (1, 3)), Classic((0.1, math.inf), (2, 2))]
    assert classic_side(Tally("x", amounts=amounts), 1)[0] == Buckets(bounds=(0.1, math.inf), counts=(3, 2))


def test_a_cursor_survives_json() -> None:
    ledger = Ledger.opened(None, 1000.0005)
    series = Series({"a": "b"}, [1_000_000, 1_002_000], [0.1, 12.7])
    followed = ledger.count("bad/canary", series, algebra=COUNTERS, end=1_003_000, lifetimes=Lifetimes())
    assert [each.amount for each in followed.increments] == [12.7 - 0.1]
    cursor = ledger.closed(1003.0)
    again = Ledger.opened(Cursor.model_validate_json(cursor.model_dump_json()), 0.0)
    assert again.closed(1003.0) == cursor
    assert (again.origin, again.read_to, again.is_fresh) == (1_000_000, 1_003_000, False)
    assert again.knows("bad/canary")
    assert not again.knows("bad/baseline")


def test_a_new_series_is_a_reference_or_counts_from_zero() -> None:
    ledger = Ledger.opened(None, 1.0)
    series = Series({"job": "j", "instance": "i"}, [2000, 3000], [5.0, 7.0])
    assert ledger.newcomers("total/canary", [series]) == [series]
    up = [Series({"job": "j", "instance": "i"}, [1500], [1.0])]
    from_zero = ledger.count("total/canary", series, algebra=COUNTERS, end=3000, lifetimes=Lifetimes(up=up))
    assert sum(each.amount for each in from_zero.increments) == 7
    reference = ledger.count("total/baseline", series, algebra=COUNTERS, end=2000, lifetimes=Lifetimes())
    assert reference.is_reference
    assert reference.increments == []
    assert ledger.newcomers("total/canary", [series]) == []


def test_samples_that_are_no_numbers_are_told_once() -> None:
    ledger = Ledger.opened(None, 0.0)
    series = Series({}, [1000, 2000, 3000], [5.0, math.nan, 8.0])
    assert len(ledger.count("total/canary", series, algebra=COUNTERS, end=3000, lifetimes=Lifetimes()).broken) == 1
    assert ledger.count("total/canary", series, algebra=COUNTERS, end=4000, lifetimes=Lifetimes()).broken == []


def test_samples_up_to_the_origin_are_references_only() -> None:
    ledger = Ledger.opened(None, 2.0)
    series = Series({}, [1000, 2000], [5.0, 7.0])
    followed = ledger.count("total/canary", series, algebra=COUNTERS, end=3000, lifetimes=Lifetimes())
    assert (followed.increments, followed.is_reference) == ([], False)
    later = Series({}, [1000, 2000, 3000], [5.0, 7.0, 8.0])
    followed = ledger.count("total/canary", later, algebra=COUNTERS, end=3000, lifetimes=Lifetimes())
    assert [each.amount for each in followed.increments] == [1.0]
