"""The chart is installed, and releases are upgraded by plain `helm upgrade`, with nobody calling the analyzer."""

from tests.cluster.scenarios.conftest import Opening
from tests.cluster.scenarios.installed import BAD, ENFORCE, TAKEN_BACK, Installed, annotated, told
from tests.cluster.scenarios.serving import rolled_back
from tests.cluster.scenarios.shop import CHART, RELEASE


def test_what_is_annotated_is_observed_and_then_enforced(opened: Opening) -> None:
    observe = {"enforce": {"enabled": False}, "watch": {"annotate": True}}
    with opened(4) as shop, Installed(shop, **observe) as analyzer:
        plain = ("upgrade", "--install", "plain", CHART)
        shop.namespace.helm(shop.helm, *plain)
        shop.upgrade(BAD, *annotated())
        shop.namespace.helm(shop.helm, *plain, f"--set=image.tag={BAD}")
        looked = analyzer.judged(1)
        assert looked.summary == ("ended", "fail", "rollback", "dry-run", None), str(looked)
        judged = r"jsonpath={.metadata.annotations.canary-analyzer\.io/judged}=shop.v2/fail"
        shop.namespace.kubectl("wait", f"deployment/{RELEASE}", f"--for={judged}", "--timeout=30s")
        assert told(shop) == {"shop.v2": ["CanaryFailed", "CanaryStarted"]}
        assert "observe mode: it would have been: rollback to revision 1" in str(shop.namespace.list("events"))
        assert rolled_back(shop) == []
        shop.serves(BAD, BAD)

        analyzer.upgrade(enforce={"enabled": True}, **ENFORCE)
        shop.upgrade("good-b", *annotated())
        passed = analyzer.judged(2)
        assert passed.summary == ("ended", "pass", "none", "none", None), str(passed)
        shop.upgrade(f"{BAD}-b", *annotated())
        taken_back = analyzer.judged(3)
        assert taken_back.summary == ("ended", "fail", "rollback", "done", None), str(taken_back)
        shop.serves("good-b", "good-b")
        assert rolled_back(shop) == ["3"]
        shop.namespace.until(lambda: told(shop)["shop.v4"] == TAKEN_BACK, "what is told of the last")
        assert told(shop)["shop.v3"] == ["CanaryPassed", "CanaryStarted"]
        assert len(analyzer.seen(3)) == 3, analyzer.said
        assert "Traceback" not in analyzer.said
