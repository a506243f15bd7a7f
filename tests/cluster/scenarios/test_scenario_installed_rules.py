"""The rule sets of an installed analyzer are changed by `helm upgrade`, for better and for worse."""

from tests.cluster.scenarios.conftest import Opening
from tests.cluster.scenarios.installed import BAD, ENFORCE, Installed, annotated
from tests.cluster.scenarios.shop import RULES


def test_rule_sets_may_change_and_a_broken_one_does_not_count(opened: Opening) -> None:
    lenient = [{"metric": "errors", "tolerance": {"absolute": "50%"}, "passWithin": {"absolute": "60%"}}]
    with opened(4) as shop, Installed(shop, **ENFORCE) as analyzer:
        pods = {pod["metadata"]["uid"] for pod in analyzer.pods()}
        analyzer.upgrade(ruleSets={"shop": RULES.read_text().replace("interval:", "intervall:")})
        broken = 'canary_rule_set_broken{name="shop"}'
        shop.namespace.until(lambda: analyzer.metric(broken) == 1, "a rule set that is told to be broken", seconds=90)
        shop.upgrade(BAD, *annotated())
        taken_back = analyzer.judged(1)
        assert taken_back.summary == ("ended", "fail", "rollback", "done", None), str(taken_back)

        analyzer.upgrade(ruleSets={"shop": shop.rules(rules=lenient).read_text()})
        shop.namespace.until(lambda: analyzer.metric(broken) == 0, "a rule set that can be used", seconds=90)
        shop.upgrade(BAD, *annotated())
        passed = analyzer.judged(2)
        assert passed.summary == ("ended", "pass", "none", "none", None), str(passed)
        assert {pod["metadata"]["uid"] for pod in analyzer.pods()} == pods, "no pod was restarted for it"
        assert "Traceback" not in analyzer.said
