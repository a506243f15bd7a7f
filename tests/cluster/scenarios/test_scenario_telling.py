"""What the cluster is told of analyses that nobody has ordered: Events and annotations, as kubectl sees them."""

import json
from typing import Any

from analyzer.service.notices import WORDS
from tests.cluster.bed import Bed
from tests.cluster.scenarios.argo import BAD, HELM, flags
from tests.cluster.scenarios.conftest import Opening
from tests.cluster.scenarios.serving import Serving
from tests.cluster.scenarios.shop import RELEASE, Shop, rendered
from tests.cluster.scenarios.test_scenario_controller import WANTED, annotate
from tests.cluster.scenarios.test_scenario_workloads import workloads

JUDGED = r"jsonpath={.metadata.annotations.canary-analyzer\.io/judged}"


def waited(shop: Shop, judged: str, kind: str = "deployment") -> None:
    """As a pipeline waits for a verdict on its own revision. CalledProcessError: it did not come."""
    shop.namespace.kubectl("wait", f"--for={JUDGED}={judged}", f"{kind}/{RELEASE}", "--timeout=120s")


def told(shop: Shop, kind: str = "Deployment") -> dict[str, str]:
    """What kubectl shows of the workload: the messages of our Events by their reasons, each of which is there once."""
    shown = shop.namespace.kubectl("events", f"--for={kind}/{RELEASE}", "--output=json")
    events: list[dict[str, Any]] = [each for each in json.loads(shown)["items"] if each["reason"] in WORDS]
    found = [(each["reason"], each["message"].partition(": ")[0]) for each in events]
    assert len(found) == len(set(found)), found
    return {each["reason"]: each["message"] for each in events}


def sets(shop: Shop) -> int:
    """How many revisions of pods there are."""
    return len(shop.namespace.list("replicasets"))


def test_observe_mode_tells_what_it_would_have_done_and_enforce_what_it_did(opened: Opening) -> None:
    with opened(4) as shop, Serving(shop, watch={"annotate": True}) as serving:
        annotate(shop, WANTED)
        shop.upgrade("errors-5")
        waited(shop, f"{RELEASE}.v2/fail")
        events = told(shop)
        assert "observe mode: nothing is done" in events["CanaryStarted"], events
        assert "observe mode: it would have been: rollback to revision 1" in events["CanaryFailed"], events
        assert not {"CanaryRolledBack", "CanaryHeld"} & events.keys(), events
        shop.serves("errors-5", "errors-5")
        assert sets(shop) == 2, "an annotation on the workload is no new revision"

        annotate(shop, "canary-analyzer.io/mode=enforced")
        shop.upgrade("good-b")
        shop.namespace.until(lambda: "CanaryNotAnalysed" in told(shop), "that it is not analysed", seconds=60)
        said = 'annotation canary-analyzer.io/mode: "enforced" is neither observe nor enforce: write one of them'
        assert said in told(shop)["CanaryNotAnalysed"]
        assert said in serving.said.replace('\\"', '"')

        annotate(shop, "canary-analyzer.io/mode=enforce", "canary-analyzer.io/on-fail=none")
        waited(shop, f"{RELEASE}.v3/pass")  # mended, the same upgrade is looked at again
        annotate(shop, "canary-analyzer.io/on-fail-")
        shop.upgrade("errors-10")
        serving.seen(3)
        serving.kill()
        serving.start()
        waited(shop, f"{RELEASE}.v4/fail")
        shop.namespace.until(lambda: "CanaryRolledBack" in told(shop), "that it was rolled back")
        shop.serves("good-b", "good-b")
        found = shop.namespace.get("deployment", RELEASE)["metadata"]["annotations"]
        assert found["canary-analyzer.io/judged"] == f"{RELEASE}.v4/fail", "helm rollback leaves it"
        assert "Traceback" not in serving.said


def test_workloads_that_contradict_one_another_are_told_so(opened: Opening) -> None:
    with (
        opened(3, *workloads(web="good", api="good"), service="shop-web") as shop,
        Serving(shop, acting=False, watch={"routes": [{"rules": "shop"}]}) as serving,
    ):
        names = [each["metadata"]["name"] for each in shop.namespace.list("deployments")]
        for name, rules in zip(sorted(names), ("shop", "none"), strict=True):
            shop.namespace.kubectl("annotate", "deployment", name, f"canary-analyzer.io/rules={rules}")
        shop.upgrade("unused", *workloads(web="good-b", api="good-b"))

        def messages() -> dict[str, str]:
            events = shop.namespace.list("events")
            found = [each for each in events if each["reason"] == "CanaryNotAnalysed"]
            return {each["involvedObject"]["name"]: each["message"] for each in found}

        shop.namespace.until(lambda: len(messages()) == 2, "both are told", seconds=60)
        for name, message in messages().items():
            assert name in names
            assert all(f"Deployment {shop.namespace.name}/{each}" in message for each in names), message
            assert "contradict one another" in message
        assert serving.ask("GET", "/api/v1/analyses").json()["items"] == []


def test_a_rollout_is_told_by_the_hash_of_its_pods(bed: Bed, opened: Opening) -> None:
    bed.start("argo-rollouts")
    steps = {"canary": {"steps": [{"setWeight": 50}, {"pause": {"duration": "90s"}}]}}
    watch = {"annotate": True, "mode": "enforce"}
    with (
        opened(HELM, *flags(steps), plain=True) as shop,
        Serving(shop, of="rollouts-", watch=watch) as serving,
    ):
        annotate(shop, WANTED, "canary-analyzer.io/on-fail=abort", kind="rollout")
        shop.namespace.apply(rendered(shop.namespace, HELM, BAD, *flags(steps)))
        serving.seen()
        hash_ = shop.namespace.get("rollout", RELEASE)["status"]["currentPodHash"]
        waited(shop, f"{hash_}/fail", "rollout")
        shop.namespace.until(lambda: "CanaryAborted" in told(shop, "Rollout"), "that it was aborted")
        assert "Traceback" not in serving.said
