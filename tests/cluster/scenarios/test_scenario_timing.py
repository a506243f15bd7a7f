"""How long customers feel a bad release: 2 % errors, 50 requests per second, scraped and looked at every 5 s."""

import fcntl
import json
import statistics
from pathlib import Path

import pytest

from tests.cluster.bed import Bed
from tests.cluster.scenarios.conftest import Opening
from tests.cluster.scenarios.shop import Shop

_RUNS = 5
_MEDIAN = 60.0  # seconds
_LONGEST = 90.0  # seconds


@pytest.mark.parametrize("run", range(_RUNS))
def test_errors_are_felt_for_less_than_a_minute(bed: Bed, opened: Opening, run: int) -> None:
    with opened(3 + run % 2, scrape=5.0) as shop:
        shop.upgrade("errors-2")
        checked = shop.check(rules=shop.rules(schedule={"interval": "5s", "warmup": "5s"}))
        assert checked.summary == (10, "fail", "rollback", "done", None), str(checked)
        shop.serves("good", "good")
        seconds = felt_seconds(shop)
    assert seconds <= _LONGEST, str(checked)
    runs = note(bed.folder / "felt.json", seconds)
    if len(runs) == _RUNS:
        assert statistics.median(runs) < _MEDIAN, runs


def felt_seconds(shop: Shop) -> float:
    felt = shop.felt()
    assert felt.first_bad is not None
    assert felt.last_bad is not None
    return felt.last_bad - felt.first_bad


def note(file: Path, seconds: float) -> list[float]:
    """Add this run's seconds to those of the others, which other workers may have written."""
    with file.open("a+") as shared:
        fcntl.flock(shared, fcntl.LOCK_EX)
        shared.seek(0)
        runs = [float(line) for line in shared] + [seconds]
        shared.write(f"{json.dumps(seconds)}\n")
    return runs
