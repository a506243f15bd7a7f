"""What Helm's history decides: the way back, and whether there is anything to do."""

import pytest

from tests.cluster.bed import CommandError
from tests.cluster.scenarios.conftest import Opening
from tests.cluster.scenarios.shop import Shop


def test_a_second_upgrade_ends_the_analysis_of_the_first(opened: Opening) -> None:
    with opened(4) as shop:
        shop.upgrade("good-b")
        with shop.checking(rules=shop.rules(schedule={"minimum": "90s"})) as checking:
            checking.begin()
            shop.upgrade("good-c")
            checked = checking.result()
        assert checked.summary == (3, "inconclusive", "none", "none", "superseded"), str(checked)
        assert "at revision 3 now, not at 2" in checked.reason
        shop.serves("good-c", "good-c")
        assert shop.history()[-1] == (3, "deployed")


def test_on_top_of_a_failed_upgrade_the_way_back_is_two_revisions_long(shop: Shop) -> None:
    with pytest.raises(CommandError):
        shop.upgrade("crashing", "--wait", "--timeout=6s")
    assert shop.history()[-1] == (2, "failed")
    shop.upgrade("errors-3")
    checked = shop.check()
    assert checked.summary == (10, "fail", "rollback", "done", None), str(checked)
    assert checked.report["baseline"]["number"] == "1"
    assert "back to revision 1, as revision 4" in checked.reason
    shop.serves("good", "good")
    assert shop.history()[-1] == (4, "deployed")


def test_on_top_of_a_revision_that_was_judged_bad_the_way_back_is_two_revisions_long(shop: Shop) -> None:
    shop.upgrade("errors-4")
    first = shop.check(rules=shop.rules(onFail="none"))
    assert first.summary == (11, "fail", "none", "none", None), str(first)
    shop.upgrade("errors-3")
    second = shop.check()
    assert second.summary == (10, "fail", "rollback", "done", None), str(second)
    assert second.report["baseline"]["number"] == "1"
    shop.serves("good", "good")
    assert shop.history()[-1] == (4, "deployed")


def test_without_a_good_revision_there_is_no_way_back(opened: Opening) -> None:
    with opened(3) as shop:
        shop.upgrade("errors-4")
        assert shop.check(rules=shop.rules(onFail="none")).code == 11
        shop.upgrade("errors-3", "--history-max=1")
        assert shop.history() == [(2, "superseded"), (3, "deployed")]
        judged_bad = shop.check()
        assert judged_bad.summary == (4,), str(judged_bad)
        assert "the way back is impossible" in judged_bad.stderr
        shop.namespace.kubectl("delete", "secret", "sh.helm.release.v1.shop.v2")
        pruned = shop.check()
        assert pruned.summary == (4,), str(pruned)
        assert "the earlier ones are pruned; raise --history-max" in pruned.stderr
        assert shop.history() == [(3, "deployed")]


def test_a_release_of_helm_3_is_taken_back_by_helm_4(opened: Opening) -> None:
    with opened(3, analyzer_helm=4) as shop:
        shop.upgrade("errors-3")
        checked = shop.check()
        assert checked.summary == (10, "fail", "rollback", "done", None), str(checked)
        shop.serves("good", "good")
        assert shop.history()[-1] == (3, "deployed")


def test_an_upgrade_that_changes_no_pod_passes_at_once(opened: Opening) -> None:
    with opened(4, "--set", "config.greeting=hello", rate=0) as shop:
        shop.upgrade("good", "--set", "config.greeting=hi")
        checked = shop.check()
        assert checked.summary == (0, "pass", "none", "none", None), str(checked)
        assert "changes no pod template" in checked.reason
        assert checked.report["seconds_to_verdict"] < 20
        assert shop.history()[-1] == (2, "deployed")


def test_a_rollback_is_not_rolled_back(opened: Opening) -> None:
    with opened(3, tag="errors-5") as shop:
        shop.upgrade("good", "--wait")
        shop.upgrade("good-b", "--wait")
        shop.namespace.helm(3, "rollback", "shop", "1")
        errors = {"metric": "errors", "limit": "1%", "critical": True}
        checked = shop.check(rules=shop.rules(rules=[errors]))
        assert checked.summary == (11, "fail", "rollback", "held", "once"), str(checked)
        assert "a rollback is never rolled back" in checked.reason
        shop.serves("errors-5", "errors-5")
        assert shop.history()[-1] == (4, "deployed")


def upgrade_scaled(shop: Shop) -> None:
    """An autoscaler has taken over the replicas, and the upgrade leaves them to it."""
    shop.namespace.kubectl("scale", "deployment/shop", "--replicas=3")
    shop.serves("good", "good", "good")
    shop.upgrade("errors-3", "--set", "replicas=null")


@pytest.mark.parametrize(("helm", "flags"), [(3, []), (4, ["--force-conflicts"])], ids=["helm3", "helm4-force"])
def test_replicas_of_an_autoscaler_are_no_obstacle(opened: Opening, helm: int, flags: list[str]) -> None:
    with opened(helm) as shop:
        upgrade_scaled(shop)
        checked = shop.check(*flags)
        assert checked.summary == (10, "fail", "rollback", "done", None), str(checked)
        shop.namespace.until(lambda: set(shop.tags()) == {"good"}, "good pods alone")
        assert shop.history()[-1] == (3, "deployed")


def test_replicas_of_an_autoscaler_are_a_conflict_for_helm_4(opened: Opening) -> None:
    with opened(4) as shop:
        upgrade_scaled(shop)
        checked = shop.check()
        assert checked.summary == (11, "fail", "rollback", "failed", None), str(checked)
        assert "spec.replicas" in checked.reason
        assert "--force-conflicts" in checked.reason
