"""`canary check helm/RELEASE` where the release has a Rollout: the abort and helm's rollback are one act."""

import os
import shutil
import signal
from pathlib import Path

import pytest

from tests.cluster.namespace import Namespace
from tests.cluster.scenarios.argo import BAD
from tests.cluster.scenarios.conftest import Opening
from tests.cluster.scenarios.serving import Serving, rollback_under, rolled_back
from tests.cluster.scenarios.shop import Shop
from tests.cluster.scenarios.test_scenario_rollout import STEPS, phase, status


@pytest.fixture(autouse=True)
def _controller(namespace: Namespace) -> None:
    namespace.bed.start("argo-rollouts")


def a_helm_that_waits(shop: Shop) -> tuple[Path, Path]:
    """The real one, whose rollback begins only when there is the second of these files."""
    real = shutil.which("helm", path=shop.namespace.environment(shop.helm)["PATH"])
    program, go = shop.namespace.folder / "helm-that-waits", shop.namespace.folder / "go"
    waits = f'[ "$1" != rollback ] || until [ -e {go} ]; do sleep 0.1; done'
    program.write_text(f'#!/bin/sh\n{waits}\nexec {real} "$@"\n')
    program.chmod(0o755)
    return program, go


def test_a_rollout_of_a_release_is_aborted_and_helm_rolls_it_back(opened: Opening, helm: int) -> None:
    with opened(helm, *STEPS) as shop:
        phase(shop, "Healthy")
        shop.upgrade(BAD, *STEPS)
        checked = shop.check()
        assert checked.summary == (10, "fail", "rollback", "done", None), checked
        assert "Rollout shop was aborted first; helm rolled release shop" in checked.reason, checked
        phase(shop, "Healthy")
        shop.serves("good", "good")
        assert rolled_back(shop) == ["1"]
        assert status(shop)["stableRS"] == status(shop)["currentPodHash"]


def test_an_act_that_is_cut_off_after_the_abort_is_finished(opened: Opening) -> None:
    with opened(4, *STEPS) as shop:
        program, go = a_helm_that_waits(shop)
        with Serving(shop, helm=str(program)) as serving:
            phase(shop, "Healthy")
            shop.upgrade(BAD, *STEPS)
            id_ = serving.order()
            shop.namespace.until(lambda: rollback_under(serving.pid), "helm's part of the act", seconds=90)
            assert status(shop)["abort"] is True
            waiting = rollback_under(serving.pid)
            serving.kill()
            os.kill(waiting, signal.SIGKILL)
            assert rolled_back(shop) == []
            go.touch()
            serving.start()
            ended = serving.ended(id_)
            events = serving.events(id_)
        assert ended.summary == ("ended", "fail", "rollback", "done", None), str(ended)
        assert (events.count("intended"), events.count("acted")) == (1, 1)
        assert "Rollout shop was aborted already; helm rolled release shop" in ended.reason
        phase(shop, "Healthy")
        shop.serves("good", "good")
        assert rolled_back(shop) == ["1"]
