"""`canary serve` sees upgrades by itself: nobody calls it, and what workloads say of themselves decides."""

from tests.cluster.scenarios.conftest import Opening
from tests.cluster.scenarios.serving import Serving, kept_in_cluster, rolled_back
from tests.cluster.scenarios.shop import RELEASE, Shop

ENFORCE = {"mode": "enforce"}
WANTED = "canary-analyzer.io/rules=shop"


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
