"""The chart is installed, and releases are upgraded by plain `helm upgrade`, with nobody calling the analyzer."""

from tests.cluster.scenarios.conftest import Opening
from tests.cluster.scenarios.installed import NAME, Installed
from tests.cluster.scenarios.serving import rolled_back
from tests.cluster.scenarios.shop import CHART, RELEASE, Shop

BAD = "errors-10"
"""A tag with so many errors that the verdict is never a matter of luck."""
ENFORCE = {"watch": {"mode": "enforce"}}


def annotated(**more: str) -> tuple[str, ...]:
    """Flags of Helm: the shop's workloads are annotated so, from here on."""
    values = {"rules": "shop", **more}
    return tuple(f"--set-string=annotations.canary-analyzer\\.io/{name}={value}" for name, value in values.items())


def events(shop: Shop) -> list[str]:
    """The reasons of what is told on the shop's Deployment by the analyzer, the oldest first."""
    found = sorted(shop.namespace.list("events"), key=lambda one: str(one.get("eventTime") or one["firstTimestamp"]))
    ours = [one for one in found if one["reason"].startswith("Canary")]
    assert all(one["involvedObject"]["name"] == RELEASE for one in ours), ours
    return [str(one["reason"]) for one in ours]


def test_what_is_annotated_is_observed_and_then_enforced(opened: Opening, helm: int) -> None:
    observe = {"enforce": {"enabled": False}, "watch": {"annotate": True}}
    with opened(helm) as shop, Installed(shop, **observe) as analyzer:
        plain = ("upgrade", "--install", "plain", CHART)
        shop.namespace.helm(helm, *plain)
        shop.upgrade(BAD, *annotated())
        shop.namespace.helm(helm, *plain, "--set=image.tag=good-b")
        looked = analyzer.judged(1)
        assert looked.summary == ("ended", "fail", "rollback", "dry-run", None), str(looked)
        judged = r"jsonpath={.metadata.annotations.canary-analyzer\.io/judged}=shop.v2/fail"
        shop.namespace.kubectl("wait", f"deployment/{RELEASE}", f"--for={judged}", "--timeout=30s")
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
        assert len(analyzer.seen(3)) == 3, analyzer.said
        assert events(shop) == ["x"]
        assert "Traceback" not in analyzer.said


def test_upgrades_made_while_it_was_away_are_analysed_and_kills_change_nothing(opened: Opening) -> None:
    with opened(4, "--set", "minReadySeconds=3") as shop, Installed(shop, **ENFORCE) as analyzer:
        analyzer.scale(0)
        shop.upgrade(BAD, *annotated())
        analyzer.scale(1)
        (id_,) = analyzer.seen(1)
        analyzer.kill()
        analyzer.watched(id_)
        analyzer.delete_pod()
        taken_back = analyzer.judged(1)
        assert taken_back.summary == ("ended", "fail", "rollback", "done", None), str(taken_back)
        assert analyzer.events(id_).count("acted") == 1
        assert rolled_back(shop) == ["1"]
        shop.serves("good", "good")


def test_what_is_left_of_it_when_it_is_uninstalled(opened: Opening) -> None:
    with opened(3, rate=0) as shop:
        with Installed(shop) as analyzer:
            assert "Traceback" not in analyzer.said
        namespace = shop.namespace
        namespace.until(lambda: not analyzer.pods(), "no pods")
        assert [one["metadata"]["name"] for one in namespace.list("persistentvolumeclaims")] == [NAME]
        roles = namespace.kubectl("get", "clusterroles,clusterrolebindings", "--output=name")
        assert namespace.name not in roles
