"""Events and annotations on workloads: once each, under the rights that are there, and never over a later analysis."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from analyzer.errors import PlatformError, PlatformForbidden, PlatformUnavailable
from analyzer.model.wish import Marked
from analyzer.platforms.telling import Board, Notice, Result, tell_refused
from tests.platforms.fake_api import FakeApi, ask, running

WEB, SETS = "/apis/apps/v1/namespaces/shop/deployments/web", "/apis/apps/v1/namespaces/shop/statefulsets/web"
ROLLOUT = "/apis/argoproj.io/v1alpha1/namespaces/shop/rollouts/web"
EVENTS = "/api/v1/namespaces/shop/events"
NOTICE = Notice("CanaryFailed", "worse", 1_800_000_000.0, is_warning=True)
RESULT = Result("fail", "web.v7", "worse", "aaaaaaaaaaaa", 1_800_000_000.25)
BOTH = ("Deployment shop/web", "StatefulSet shop/web")


@pytest.fixture
def api(tmp_path: Path) -> Iterator[FakeApi]:
    with running(tmp_path) as api:
        for path in (WEB, SETS, ROLLOUT):
            api.put(path, {"metadata": {"name": "web", "namespace": "shop", "uid": f"of {path}"}})
        yield api


def post(api: FakeApi, notice: Notice = NOTICE, about: str = "aaaaaaaaaaaa", on: tuple[str, ...] = BOTH) -> None:
    ask(api, lambda cluster: Board(cluster, on).post(notice, about))


def mark(api: FakeApi, result: Result = RESULT, on: tuple[str, ...] = BOTH) -> None:
    ask(api, lambda cluster: Board(cluster, on).mark(result))


def events(api: FakeApi) -> list[Any]:
    found = [each for path, each in api.objects.items() if path.startswith(EVENTS)]
    return sorted(found, key=lambda each: str(each["involvedObject"]["kind"]))


def annotations(api: FakeApi, path: str = WEB) -> dict[str, str]:
    found: dict[str, str] = api.objects[path]["metadata"].get("annotations", {})
    return {name.removeprefix("canary-analyzer.io/"): value for name, value in found.items()}


def test_an_event_on_each_workload_also_on_two_of_one_name(api: FakeApi) -> None:
    post(api)
    one, other = events(api)
    assert {each["involvedObject"]["kind"] for each in (one, other)} == {"Deployment", "StatefulSet"}
    assert one["involvedObject"] | {"resourceVersion": ""} == {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "name": "web",
        "namespace": "shop",
        "uid": f"of {WEB}",
        "resourceVersion": "",
    }
    assert (one["reason"], one["type"], one["message"]) == ("CanaryFailed", "Warning", "worse")
    assert one["firstTimestamp"] == one["lastTimestamp"] == "2027-01-15T08:00:00Z"


def test_one_word_about_one_analysis_is_there_once(api: FakeApi) -> None:
    for _ in range(2):
        post(api)
    assert len(events(api)) == 2
    post(api, about="bbbbbbbbbbbb")
    post(api, replace(NOTICE, word="CanaryHeld"))
    assert len(events(api)) == 6


def test_names_and_messages_that_are_very_long(api: FakeApi) -> None:
    name = "w" * 200 + ".web"
    api.put(f"/apis/apps/v1/namespaces/shop/deployments/{name}", {"metadata": {"name": name}})
    post(api, replace(NOTICE, message="x" * 5000), on=(f"Deployment shop/{name}",))
    (event,) = events(api)
    assert len(event["metadata"]["name"]) <= 253
    assert len(event["message"]) == 1000


@pytest.mark.parametrize(
    "name", ["web", "Pod shop/web", "Deployment web", "Deployment shop/../web", "Deployment a/b/c"]
)
def test_what_is_no_workload_is_told_nothing(api: FakeApi, name: str) -> None:
    post(api, on=(name,))
    mark(api, on=(name,))
    assert api.requests == []


def test_a_workload_that_is_gone_is_told_nothing(api: FakeApi) -> None:
    post(api, on=("DaemonSet shop/web", "Deployment shop/web"))
    mark(api, on=("DaemonSet shop/web", "Deployment shop/web"))
    assert len(events(api)) == 1
    assert annotations(api)["judged"] == "web.v7/fail"


def test_results_stand_on_each_workload_and_nowhere_in_its_pods(api: FakeApi) -> None:
    api.put(ROLLOUT, {"metadata": {"name": "web", "annotations": {"mine": "x"}}, "spec": {"template": {}}})
    mark(api, on=("Rollout shop/web",))
    assert annotations(api, ROLLOUT) == {
        "mine": "x",
        "verdict": "fail",
        "judged": "web.v7/fail",
        "reason": "worse",
        "analysis": "2027-01-15T08:00:00.250000Z aaaaaaaaaaaa",
    }
    assert api.objects[ROLLOUT]["spec"] == {"template": {}}


def test_an_earlier_analysis_never_overwrites_a_later_one(api: FakeApi) -> None:
    later = Result("pending", "web.v8", "", "bbbbbbbbbbbb", RESULT.ordered_at + 0.001)
    mark(api, later)
    mark(api)
    assert annotations(api)["judged"] == "web.v8/pending"
    mark(api, replace(later, verdict="pass"))
    assert annotations(api)["judged"] == "web.v8/pass"


def test_what_somebody_has_written_there_by_hand_holds_nothing_up(api: FakeApi) -> None:
    api.put(WEB, {"metadata": {"name": "web", "annotations": {"canary-analyzer.io/analysis": "zzz"}}})
    mark(api)
    assert annotations(api)["judged"] == "web.v7/fail"


def test_the_same_again_changes_nothing(api: FakeApi) -> None:
    mark(api)
    before = len(api.requests)
    mark(api)
    assert {method for method, _ in api.requests[before:]} == {"GET"}


def test_its_controller_writes_at_the_same_time(api: FakeApi) -> None:
    hindered = []

    def once() -> None:
        if not hindered:
            hindered.append(api.put(WEB, api.objects[WEB]))

    api.before_put = once
    mark(api, on=("Deployment shop/web",))
    assert hindered
    assert annotations(api)["judged"] == "web.v7/fail"


def test_somebody_writes_all_the_time(api: FakeApi) -> None:
    api.before_put = lambda: api.put(WEB, api.objects[WEB])  # type: ignore[assignment, return-value]
    with pytest.raises(PlatformError, match="Deployment shop/web was changed by others all the time"):
        mark(api, on=("Deployment shop/web",))


@pytest.mark.parametrize(
    ("refused", "error"), [((403, "no"), PlatformForbidden), ((503, "later"), PlatformUnavailable)]
)
def test_what_is_refused_for_one_is_told_to_the_other(
    api: FakeApi, refused: tuple[int, str], error: type[PlatformError]
) -> None:
    api.refusals[("GET", WEB)] = refused
    with pytest.raises(error):
        post(api)
    assert [each["involvedObject"]["kind"] for each in events(api)] == ["StatefulSet"]
    del api.refusals[("GET", WEB)]
    api.refusals[("PATCH", WEB)] = refused
    with pytest.raises(error):
        mark(api)
    assert annotations(api, SETS)["judged"] == "web.v7/fail"


def test_upgrades_that_are_not_analysed_are_told_once(api: FakeApi) -> None:
    web = str(Marked("Deployment", "shop", "web"))

    def refused(about: str, reason: str) -> None:
        ask(api, lambda cluster: tell_refused(cluster, [web], about, reason))

    for _ in range(2):
        refused(" watch/helm/shop/web/7/uid", "contradict one another")
    (event,) = events(api)
    assert (event["reason"], event["type"], event["message"]) == (
        "CanaryNotAnalysed",
        "Warning",
        "contradict one another",
    )
    refused(" watch/helm/shop/web/8/uid", "contradict one another")
    refused(" watch/helm/shop/web/8/uid", "something else")
    assert len(events(api)) == 3
