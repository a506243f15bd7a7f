"""The chart is installed, and releases are upgraded by plain `helm upgrade`, with nobody calling the analyzer."""

import asyncio
import json
from collections import defaultdict

import pytest

from tests.cluster.scenarios.conftest import Opening
from tests.cluster.scenarios.installed import NAME, Installed
from tests.cluster.scenarios.serving import rolled_back
from tests.cluster.scenarios.shop import CHART, RELEASE, RULES, Shop
from tests.store.postgresql import PostgreSQL

BAD = "errors-10"
"""A tag with so many errors that the verdict is never a matter of luck."""
ENFORCE = {"watch": {"mode": "enforce"}}
STARTED_AND_FAILED = ["CanaryFailed", "CanaryStarted"]
TAKEN_BACK = ["CanaryFailed", "CanaryRecovered", "CanaryRolledBack", "CanaryStarted"]


def annotated(**more: str) -> tuple[str, ...]:
    """Flags of Helm: the shop's workloads are annotated so, from here on."""
    values = {"rules": "shop", **more}
    return tuple(f"--set-string=annotations.canary-analyzer\\.io/{name}={value}" for name, value in values.items())


def told(shop: Shop) -> dict[str, list[str]]:
    """The reasons of the Events on the shop's Deployment, by what they are about, in alphabetical order."""
    found: dict[str, list[str]] = defaultdict(list)
    for event in shop.namespace.list("events"):
        if event["reason"].startswith("Canary"):
            assert event["involvedObject"]["name"] == RELEASE, event
            found[event["message"].partition(":")[0]].append(event["reason"])
    return {about: sorted(reasons) for about, reasons in found.items()}


def test_what_is_annotated_is_observed_and_then_enforced(opened: Opening, helm: int) -> None:
    observe = {"enforce": {"enabled": False}, "watch": {"annotate": True}}
    with opened(helm) as shop, Installed(shop, **observe) as analyzer:
        plain = ("upgrade", "--install", "plain", CHART)
        shop.namespace.helm(helm, *plain)
        shop.upgrade(BAD, *annotated())
        shop.namespace.helm(helm, *plain, f"--set=image.tag={BAD}")
        looked = analyzer.judged(1)
        assert looked.summary == ("ended", "fail", "rollback", "dry-run", None), str(looked)
        judged = r"jsonpath={.metadata.annotations.canary-analyzer\.io/judged}=shop.v2/fail"
        shop.namespace.kubectl("wait", f"deployment/{RELEASE}", f"--for={judged}", "--timeout=30s")
        assert told(shop) == {"shop.v2": STARTED_AND_FAILED}
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
        shop.namespace.until(lambda: told(shop) == {"shop.v2": TAKEN_BACK}, "what is told, once each")
        assert "Traceback" not in analyzer.said


@pytest.mark.postgresql
def test_two_replicas_do_each_thing_once(opened: Opening, postgresql: PostgreSQL) -> None:
    url = asyncio.run(postgresql.new_database())
    with opened(3) as shop:
        shop.namespace.kubectl("create", "secret", "generic", "database", f"--from-literal=url={url}")
        database = {"postgresql": {"existingSecret": "database"}}
        with Installed(shop, replicas=2, database=database, **ENFORCE) as analyzer:
            shop.upgrade(BAD, *annotated())
            (id_,) = analyzer.seen(1)
            taken_back = analyzer.judged(1)
            assert taken_back.summary == ("ended", "fail", "rollback", "done", None), str(taken_back)
            for pod in analyzer.pods():
                found = analyzer.at(pod, "/api/v1/analyses").json()["items"]
                assert [each["id"] for each in found] == [id_], pod["metadata"]["name"]
            assert (analyzer.events(id_).count("intended"), analyzer.events(id_).count("acted")) == (1, 1)
            assert rolled_back(shop) == ["1"]
            shop.serves("good", "good")
            shop.namespace.until(lambda: told(shop) == {"shop.v2": TAKEN_BACK}, "what is told, once each")
            assert "Traceback" not in analyzer.said


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


def test_what_is_left_of_it_when_it_is_uninstalled(opened: Opening) -> None:
    with opened(3, rate=0) as shop:
        with Installed(shop) as analyzer:
            assert json.loads(analyzer.ask("GET", "/api/v1/analyses").text)["items"] == []
        namespace = shop.namespace
        namespace.until(lambda: not analyzer.pods(), "no pods")
        assert [one["metadata"]["name"] for one in namespace.list("persistentvolumeclaims")] == [NAME]
        roles = namespace.kubectl("get", "clusterroles,clusterrolebindings", "--output=name")
        assert namespace.name not in roles
