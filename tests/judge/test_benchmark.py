import numpy as np
import pytest

from analyzer.judge.dispersion import learn_prior
from analyzer.judge.null import Null
from analyzer.judge.process import Setting, advance, start
from bench import judge
from bench.__main__ import main
from bench.judge.criteria import Outcome, later, too_few, too_many
from bench.judge.prototype import Found
from bench.judge.simulation import NEVER, first_crossing
from bench.judge.streams import STREAMS, Scenario, sample, seeded


def outcome(found: int, runs: int, time: float = 100.0) -> Outcome:
    return Outcome(np.full(found, time), runs)


def test_more_false_rollbacks_than_the_prototype_fail() -> None:
    assert too_many(outcome(10, 1000), 0.0, 56)
    assert not too_many(outcome(2, 1000), 0.0, 56)
    assert too_many(outcome(20, 10_000), 0.0, 56)
    assert not too_many(outcome(8, 10_000), 0.0, 56)
    assert too_many(outcome(1000, 10_000), 8.2, 56)


def test_fewer_detections_than_the_prototype_fail() -> None:
    assert too_few(outcome(1900, 2000), 99, 2000)
    assert not too_few(outcome(1975, 2000), 99, 2000)
    assert not too_few(outcome(0, 2000), 0, 2000)


def test_a_later_median_fails_beyond_sampling_error() -> None:
    assert later(outcome(2000, 2000, 615.0), Found(99, 600), 2000) == ""
    assert later(outcome(2000, 2000, 630.0), Found(99, 600), 2000) == "late"
    assert later(outcome(0, 2000), Found(99, 600), 2000) == "late"
    assert later(outcome(300, 2000, 2000.0), Found(19, 600), 2000) == ""
    spread = Outcome(np.linspace(400, 1800, 40) + 20, 100)
    assert later(spread, Found(40, 1100), 100) == "~"


def test_times_count_from_the_first_look_and_from_the_onset() -> None:
    crossed = np.array([0, 3, NEVER, 45])
    assert Outcome.of(crossed).times.tolist() == [15, 60, 690]
    late = Outcome.of(crossed, onset=40)
    assert (late.times.tolist(), late.runs) == ([90], 4)


@pytest.mark.parametrize("name", STREAMS)
def test_streams_have_the_rates_that_they_say(name: str) -> None:
    scenario = Scenario(STREAMS[name], 100.0, 300.0, 0.01, ratio=2.0, checks=200)
    drawn = sample(scenario, seeded("test", name), 300)
    n_c, e_c, n_b, e_b = (x.sum() for x in drawn.run)
    n_1, e_1, n_2, _ = (x.sum() for x in drawn.history)
    assert n_b / n_c == pytest.approx(3, rel=0.01)
    assert n_1 / n_2 == pytest.approx(1, rel=0.01)
    assert (e_c / n_c) / (e_b / n_b) == pytest.approx(2, rel=0.05)
    outages = "shared" in name
    assert bool(e_1 / n_1 > 0.015) is outages
    again = sample(scenario, seeded("test", name), 300)
    assert all((x == y).all() for x, y in zip(drawn.run, again.run, strict=True))


def test_runs_taken_out_of_the_batch_change_nothing() -> None:
    drawn = sample(Scenario(STREAMS["stationary"], 100.0, 100.0, 0.01, 1.5, checks=60), seeded("batch"), 80)
    setting = Setting(Null(1.1), planned=60, prior=learn_prior(*drawn.history))
    evidence, crossed = start(setting, (80,)), np.full(80, NEVER)
    for check in range(60):
        evidence = advance(setting, evidence, *(x[:, check] for x in drawn.run))
        crossed[(evidence.log_e_fail >= np.log(100)) & (crossed == NEVER)] = check
    assert (crossed != NEVER).sum() > 40
    np.testing.assert_array_equal(first_crossing(setting, drawn.run, np.log(100)), crossed)


def test_a_failed_cell_fails_the_benchmark(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr(judge, "TABLES", {"good": lambda _: [], "bad": lambda _: ["a table: a row: a cell"]})
    assert main(["judge", "good"]) == 0
    assert main(["judge"]) == 1
    assert "1 cells failed\n  a table: a row: a cell" in capsys.readouterr().out
    assert main(["nonsense"]) == 2


@pytest.mark.parametrize("table", ["gauges", "onset", "cost"])
def test_tables_print(table: str, capsys: pytest.CaptureFixture[str]) -> None:
    judge.run(["--runs", "20", table])
    assert f"[{table}: " in capsys.readouterr().out
