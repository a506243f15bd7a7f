"""Upgrades that serve well or badly, as Prometheus shows it."""

from tests.cluster.scenarios.conftest import Opening
from tests.cluster.scenarios.shop import Shop


def test_a_good_upgrade_passes(shop: Shop) -> None:
    shop.upgrade("good-b")
    checked = shop.check()
    assert checked.summary == (0, "pass", "none", "none", None), str(checked)
    shop.serves("good-b", "good-b")
    assert shop.history() == [(1, "superseded"), (2, "deployed")]


def test_errors_are_taken_back_once(shop: Shop) -> None:
    shop.upgrade("errors-2")
    checked = shop.check()
    assert checked.summary == (10, "fail", "rollback", "done", None), str(checked)
    assert "errors" in checked.reason
    assert "back to revision 1, as revision 3" in checked.reason
    shop.serves("good", "good")
    assert shop.history() == [(1, "superseded"), (2, "superseded"), (3, "deployed")]
    again = shop.check()
    assert again.summary == (0, "pass", "none", "none", None), str(again)
    assert "changes no pod template" in again.reason
    assert "itself a rollback" in again.warnings
    assert shop.history()[-1] == (3, "deployed")


def test_a_slower_upgrade_is_taken_back(opened: Opening) -> None:
    with opened(4) as shop:
        shop.upgrade("slow-2")
        checked = shop.check()
        assert checked.summary == (10, "fail", "rollback", "done", None), str(checked)
        assert "latency" in checked.reason
        shop.serves("good", "good")
        assert shop.history()[-1] == (3, "deployed")


def test_errors_that_begin_during_the_analysis_are_taken_back(opened: Opening) -> None:
    with opened(3) as shop:
        shop.upgrade("late-errors-30-10")
        checked = shop.check(rules=shop.rules(schedule={"minimum": "60s"}))
        assert checked.summary == (10, "fail", "rollback", "done", None), str(checked)
        assert "errors" in checked.reason
        assert checked.report["seconds_to_verdict"] > 30
        shop.serves("good", "good")


def test_errors_that_begin_after_the_pass_are_taken_back(opened: Opening) -> None:
    with opened(4) as shop:
        shop.upgrade("late-errors-60-10")
        with shop.checking(rules=shop.rules(schedule={"watchAfterPass": "3m"})) as checking:
            checking.until_it_says("PASS")
            checked = checking.result()
        assert checked.summary == (10, "fail", "rollback", "done", None), str(checked)
        assert checked.report["seconds_to_verdict"] > 60
        shop.serves("good", "good")
        assert shop.history()[-1] == (3, "deployed")


def test_without_traffic_nothing_is_shown(opened: Opening) -> None:
    with opened(3) as shop:
        shop.traffic.rate = 0
        shop.upgrade("good-b")
        checked = shop.check(rules=shop.rules(schedule={"deadline": "40s"}))
        assert checked.summary == (3, "inconclusive", "none", "none", None), str(checked)
        shop.serves("good-b", "good-b")
        assert shop.history()[-1] == (2, "deployed")
