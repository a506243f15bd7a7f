"""The API server goes away under `canary serve`, and comes back: nothing is lost, and callers notice little."""

import time

import pytest

from tests.cluster.bed import Bed
from tests.cluster.scenarios.conftest import Opening
from tests.cluster.scenarios.serving import Serving, kept_in_cluster, rolled_back
from tests.cluster.scenarios.test_scenario_faults import away

_AWAY = 5.0  # seconds
_POLL = 0.5


@pytest.mark.usefixtures("alone")
def test_analyses_and_acts_go_on_when_the_api_server_is_back(bed: Bed, opened: Opening) -> None:
    with opened(3, "--set", "minReadySeconds=3") as shop, Serving(shop) as serving:
        # Whole before the analysis: without an API server nobody could tell that the old pods have gone.
        shop.upgrade("errors-5", "--wait")
        shop.namespace.until(lambda: len(shop.prometheus.query('up{version="errors-5"} == 1')) == 2, "scraped pods")
        id_ = serving.order(shop.rules(schedule={"warmup": "10s"}))
        serving.watched(id_)
        with away(bed, "kube-apiserver"):
            late = serving.order(dry_run=True)  # its plan has to wait for the cluster
            shop.namespace.until(lambda: serving.analysis(id_)["verdict"] == "fail", "the verdict", seconds=60)
            callers_notice_nothing(serving, id_)  # it is needed now, for the act
            assert serving.analysis(late)["state"] == "running"
            assert serving.analysis(late)["report"] is None
        shop.namespace.until(lambda: shop.history()[-1] == (3, "pending-rollback"), "a rollback", seconds=90)
        with away(bed, "kube-apiserver"):
            callers_notice_nothing(serving, id_)
        # Its look-out for new pods pauses ever longer while the API server is away.
        shop.prometheus.stop()
        shop.prometheus.start()
        ended = serving.ended(id_)
        assert ended.summary == ("ended", "fail", "rollback", "done", None), str(ended)
        events = serving.events(id_)
        assert (events.count("intended"), events.count("acted")) == (1, 1)
        assert kept_in_cluster(shop) == ["fail, rollback done, recovered"]
        shop.serves("good", "good")
        # Helm gives up when it loses the API server, and was run once more.
        assert rolled_back(shop)[-1] == "1", str(ended)
        assert [status for _, status in shop.history()].count("deployed") == 1
        assert shop.history()[-1] in {(3, "deployed"), (4, "deployed")}, str(ended)
        other = serving.ended(late)
        assert other.summary[0] == "ended", str(other)
        assert "cannot reach" not in other.reason, str(other)  # it was the cluster that answered it
        assert "Traceback" not in serving.said


def callers_notice_nothing(serving: Serving, id_: str) -> None:
    give_up = time.monotonic() + _AWAY
    while time.monotonic() < give_up:
        for path in (f"/api/v1/analyses/{id_}", "/api/v1/analyses", "/readyz", "/healthz"):
            assert serving.ask("GET", path).is_success, path
        time.sleep(_POLL)
