"""Releases of other workloads than one Deployment."""

import json

from tests.cluster.load import load
from tests.cluster.scenarios.conftest import Opening


def workloads(**tags: str) -> tuple[str, str]:
    return "--set-json", "workloads=" + json.dumps([{"name": name, "tag": tag} for name, tag in tags.items()])


def test_one_bad_workload_of_two_takes_the_release_back(opened: Opening) -> None:
    with opened(4, *workloads(web="good", api="good"), service="shop-web") as shop:
        namespace = shop.namespace
        with load(namespace.bed.kubeconfig, namespace.name, "shop-api", rate=25):
            shop.upgrade("unused", *workloads(web="good-b", api="errors-4"))
            checked = shop.check()
        assert checked.summary == (10, "fail", "rollback", "done", None), str(checked)
        shop.serves("good", "good", "good", "good")
        assert shop.history()[-1] == (3, "deployed")


def test_a_stateful_set_is_taken_back(opened: Opening) -> None:
    with opened(3, "--set", "kind=StatefulSet") as shop:
        shop.upgrade("errors-3", "--set", "kind=StatefulSet")
        checked = shop.check()
        assert checked.summary == (10, "fail", "rollback", "done", None), str(checked)
        shop.serves("good", "good")
        assert shop.history()[-1] == (3, "deployed")


def test_a_good_stateful_set_passes(opened: Opening) -> None:
    with opened(4, "--set", "kind=StatefulSet") as shop:
        shop.upgrade("good-b", "--set", "kind=StatefulSet")
        checked = shop.check()
        assert checked.summary == (0, "pass", "none", "none", None), str(checked)
        shop.serves("good-b", "good-b")


def test_a_daemon_set_is_taken_back(opened: Opening) -> None:
    with opened(4, "--set", "kind=DaemonSet") as shop:
        shop.upgrade("errors-3", "--set", "kind=DaemonSet")
        checked = shop.check()
        assert checked.summary == (10, "fail", "rollback", "done", None), str(checked)
        shop.serves("good")
        assert shop.history()[-1] == (3, "deployed")
