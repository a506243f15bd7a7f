"""Pods that do not get ready, or do not stay it: Kubernetes says so before any request does."""

import pytest

from tests.cluster.scenarios.conftest import Opening

_RATE = 10.0


@pytest.mark.parametrize(
    ("tag", "helm", "word"),
    [
        ("crashing", 3, "CrashLoopBackOff"),
        ("crashing-3", 4, "CrashLoopBackOff"),
        ("oom-3", 4, "OOMKilled"),
        ("image-pull", 3, "ImagePull"),
        ("config-error", 4, "CreateContainerConfigError"),
        ("unschedulable", 3, "Unschedulable"),
    ],
)
def test_pods_in_trouble_are_taken_back(opened: Opening, tag: str, helm: int, word: str) -> None:
    with opened(helm, rate=_RATE) as shop:
        shop.upgrade(tag)
        checked = shop.check()
        assert checked.summary == (10, "fail", "rollback", "done", None), str(checked)
        assert word in checked.reason
        shop.serves("good", "good")
        assert shop.history()[-1] == (3, "deployed")


def test_pods_that_never_get_ready_are_taken_back_at_the_deadline(opened: Opening) -> None:
    with opened(4, rate=_RATE) as shop:
        shop.upgrade("never-ready")
        checked = shop.check(rules=shop.rules(schedule={"deadline": "40s"}))
        assert checked.summary == (10, "fail", "rollback", "done", None), str(checked)
        assert "not ready" in checked.reason
        shop.serves("good", "good")


def test_pods_that_start_slowly_and_serve_well_pass(opened: Opening) -> None:
    with opened(3) as shop:
        shop.upgrade("slow-start-12")
        checked = shop.check()
        assert checked.summary == (0, "pass", "none", "none", None), str(checked)
        shop.serves("slow-start-12", "slow-start-12")
        assert shop.history()[-1] == (2, "deployed")
