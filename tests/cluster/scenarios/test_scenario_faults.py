"""What the analyzer depends on goes away in the middle, and comes back."""

import os
import signal
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.cluster.bed import Bed
from tests.cluster.scenarios.conftest import Opening
from tests.cluster.scenarios.shop import Shop

_AWAY = 12.0  # seconds


def test_an_upgrade_that_serves_well_passes_without_a_third_of_its_samples(opened: Opening) -> None:
    with opened(3) as shop:
        shop.upgrade("good-b")
        with shop.checking(rules=shop.rules(schedule={"minimum": "36s"})) as checking:
            checking.begin()
            interrupt_prometheus(shop)
            checked = checking.result()
        assert "cannot be reached" in checked.stderr
        assert checked.summary == (0, "pass", "none", "none", None), str(checked)
        shop.serves("good-b", "good-b")


def test_errors_are_taken_back_though_prometheus_was_away(opened: Opening) -> None:
    with opened(4) as shop:
        shop.upgrade("errors-3")
        with shop.checking() as checking:
            checking.begin()
            interrupt_prometheus(shop)
            checked = checking.result()
        assert "cannot be reached" in checked.stderr
        assert checked.summary == (10, "fail", "rollback", "done", None), str(checked)
        shop.serves("good", "good")


def interrupt_prometheus(shop: Shop) -> None:
    shop.prometheus.stop()
    time.sleep(_AWAY)  # this is the fault
    shop.prometheus.start()


@contextmanager
def away(bed: Bed, program: str) -> Iterator[None]:
    bed.stop(program)
    try:
        yield
    finally:
        bed.start(program)
        # It may have given up, and takes its time to begin again: those who come next need it.
        bed.stop("kube-controller-manager")
        bed.start("kube-controller-manager")


@pytest.mark.usefixtures("alone")
def test_errors_are_taken_back_when_the_api_server_is_back(bed: Bed, opened: Opening) -> None:
    with opened(4) as shop:
        # Whole before the analysis: without an API server nobody could tell that the old pods have gone.
        shop.upgrade("errors-3", "--wait")
        with shop.checking(rules=shop.rules(schedule={"warmup": "20s"})) as checking:
            checking.begin()
            shop.namespace.until(lambda: len(shop.prometheus.query('up{version="errors-3"} == 1')) == 2, "scraped pods")
            with away(bed, "kube-apiserver"):
                # When it is needed most, and for longer than a few tries.
                checking.until_it_says("FAIL", seconds=40)
                time.sleep(_AWAY)
            checked = checking.result()
        assert checked.summary == (10, "fail", "rollback", "done", None), str(checked)
        shop.serves("good", "good")
        assert shop.history()[-1] == (3, "deployed")


def test_a_helm_that_is_killed_while_it_rolls_back_is_run_again(opened: Opening, helm: int) -> None:
    with opened(helm, "--set", "minReadySeconds=3") as shop:
        shop.upgrade("errors-5")
        with shop.checking() as checking:
            shop.namespace.until(lambda: shop.history()[-1] == (3, "pending-rollback"), "a rollback", seconds=90)
            os.kill(rollback_under(checking.pid), signal.SIGKILL)
            checked = checking.result()
        assert checked.summary == (10, "fail", "rollback", "done", None), str(checked)
        shop.serves("good", "good")
        assert shop.history()[-1][1] == "deployed"


def test_what_a_killed_rollback_has_left_is_told(opened: Opening) -> None:
    with opened(3, "--set", "minReadySeconds=3") as shop:
        shop.upgrade("errors-5")
        with shop.checking() as checking:
            shop.namespace.until(lambda: shop.history()[-1] == (3, "pending-rollback"), "a rollback", seconds=90)
            helm = rollback_under(checking.pid)
            os.kill(checking.pid, signal.SIGKILL)
            os.kill(helm, signal.SIGKILL)
            checking.result()
        checked = shop.check()
        assert checked.code == 4, str(checked)
        assert "pending-rollback" in checked.stderr
        shop.namespace.helm(3, "rollback", "shop", "1", "--wait")
        shop.serves("good", "good")


def rollback_under(pid: int) -> int:
    """The `helm rollback` that a process has started."""
    for process in Path("/proc").iterdir():
        if process.name.isdigit() and (words := (process / "cmdline").read_bytes().split(b"\0")):
            parent = int((process / "stat").read_text().rpartition(")")[2].split()[1])
            if parent == pid and b"rollback" in words:
                return int(process.name)
    raise AssertionError("no helm rollback runs")
