"""`canary serve` sees upgrades by itself: nobody calls it, and what workloads say of themselves decides."""

import time

import pytest

from tests.cluster.bed import Bed
from tests.cluster.scenarios.argo import BAD, HELM, flags
from tests.cluster.scenarios.conftest import Opening
from tests.cluster.scenarios.serving import Serving, kept_in_cluster, rolled_back
from tests.cluster.scenarios.shop import RELEASE, Shop, rendered
from tests.cluster.scenarios.test_scenario_faults import away
from tests.store.postgresql import running

ENFORCE = {"mode": "enforce"}
WANTED = "canary-analyzer.io/rules=shop"
_AWAY = 8.0  # seconds


def annotate(shop: Shop, *words: str, kind: str = "deployment") -> None:
    shop.namespace.kubectl("annotate", "--overwrite", kind, RELEASE, *words)


def became(serving: Serving, outcome: str) -> float:
    """How many revisions that were seen became this."""
    return serving.metric(f'canary_watch_upgrades_total{{outcome="{outcome}"}}')


def test_bad_is_taken_back_good_passes_and_what_says_nothing_is_left_alone(opened: Opening, helm: int) -> None:
    with opened(helm) as shop, Serving(shop, watch=ENFORCE) as serving:
        annotate(shop, WANTED)
        shop.upgrade("errors-5")
        (first,) = serving.seen()
        ended = serving.ended(first)
        assert ended.summary == ("ended", "fail", "rollback", "done", None), str(ended)
        shop.serves("good", "good")
        assert rolled_back(shop) == ["1"]
        shop.namespace.until(lambda: became(serving, "way_back") == 1, "our own rollback, seen")

        shop.upgrade("good-b")
        _, second = serving.seen(2)
        ended = serving.ended(second)
        assert ended.summary == ("ended", "pass", "none", "none", None), str(ended)

        annotate(shop, "canary-analyzer.io/rules-")
        shop.upgrade("errors-10")
        shop.namespace.until(lambda: became(serving, "left_alone") == 1, "an upgrade that is left alone", seconds=30)
        assert len(serving.seen(2)) == 2, serving.said
        shop.serves("errors-10", "errors-10")
        assert kept_in_cluster(shop)[0] == "fail, rollback done, recovered"
        assert "Traceback" not in serving.said


def test_what_came_while_the_service_was_away_is_observed_and_told(opened: Opening) -> None:
    with opened(4) as shop, Serving(shop, acting=False, watch={}) as serving:
        assert serving.looked() == 0, serving.said
        annotate(shop, "canary-analyzer.io/rules=shpo")
        serving.kill()
        shop.upgrade("errors-5")
        serving.start()
        shop.namespace.until(lambda: became(serving, "refused") == 1, "a refusal", seconds=30)
        assert serving.said.count("did you mean shop") == 1, serving.said
        (event,) = [each for each in shop.namespace.list("events") if each["reason"] == "CanaryNotAnalysed"]
        assert event["involvedObject"]["name"] == RELEASE
        assert "did you mean shop" in event["message"]
        annotate(shop, WANTED)  # mended: the same upgrade is looked at again
        (only,) = serving.seen()
        ended = serving.ended(only)
        assert ended.summary == ("ended", "fail", "rollback", "dry-run", None), str(ended)
        assert serving.analysis(only)["dry_run"] is True
        serving.end()
        serving.start()  # and knows that it has been ordered
        shop.namespace.until(lambda: became(serving, "known") == 1, "the same upgrade, known", seconds=30)
        assert serving.seen() == [only]
        shop.serves("errors-5", "errors-5")
        assert shop.history() == [(1, "superseded"), (2, "deployed")]
        assert "Traceback" not in serving.said


def test_a_rollout_aborts_by_itself(bed: Bed, opened: Opening) -> None:
    bed.start("argo-rollouts")
    steps = {"canary": {"steps": [{"setWeight": 50}, {"pause": {"duration": "90s"}}]}}
    with (
        opened(HELM, *flags(steps), plain=True) as shop,
        Serving(shop, of="rollouts-", watch=ENFORCE) as serving,
    ):
        annotate(shop, WANTED, kind="rollout")
        shop.note_pods()
        shop.namespace.apply(rendered(shop.namespace, HELM, BAD, *flags(steps)))
        (only,) = serving.seen()
        ended = serving.ended(only)
        assert ended.summary == ("ended", "fail", "rollback", "done", None), str(ended)
        assert "rollout/shop was aborted" in ended.reason
        shop.serves("good", "good")
        assert became(serving, "first") == 1
        assert "Traceback" not in serving.said


@pytest.mark.usefixtures("alone")
def test_two_replicas_on_postgresql_survive_the_api_server_and_order_each_upgrade_once(
    bed: Bed, opened: Opening
) -> None:
    with running() as postgresql, opened(3) as shop:
        shared = {"database": postgresql.url(), "watch": ENFORCE, "replicas": 2}
        with Serving(shop, **shared) as one, Serving(shop, name="other", **shared) as other:
            annotate(shop, WANTED)
            with away(bed, "kube-apiserver"):
                time.sleep(_AWAY)
                assert one.ask("GET", "/readyz").is_success
            shop.upgrade("errors-5")
            (only,) = one.seen()
            ended = one.ended(only)
            assert ended.summary == ("ended", "fail", "rollback", "done", None), str(ended)
            for each in (one, other):
                shop.namespace.until(lambda each=each: became(each, "way_back") == 1, "the rollback, seen", seconds=60)
                assert each.said.count("the cluster is not watched") >= 1, each.said
                assert each.seen() == [only]
                assert "Traceback" not in each.said
            # The other one finds it ordered, or comes back so late that it meets the way back alone.
            assert became(one, "ordered") + became(other, "ordered") == 1
            assert rolled_back(shop) == ["1"]
