"""Which AnalysisRun of a Rollout is under way."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from fake_api import FakeApi, ask, running

from analyzer.platforms.rollout_runs import Attempt, Purpose, attempt_of, read_attempt

NEW, OLD = "6c9b7", "5d4f8"


@pytest.fixture
def api(tmp_path: Path) -> Iterator[FakeApi]:
    with running(tmp_path) as api:
        yield api


def rollout(generation: int = 2, **status: Any) -> dict[str, Any]:  # noqa: ANN401 -- JSON
    told = {"currentPodHash": NEW, "stableRS": OLD, "observedGeneration": "2", **status}
    return {"metadata": {"name": "web", "generation": generation}, "status": told}


def run(name: str, status: str = "Running") -> dict[str, str]:
    return {"name": name, "status": status}


@pytest.mark.parametrize(
    ("part", "field", "purpose"),
    [
        ("canary", "currentBackgroundAnalysisRunStatus", Purpose.BACKGROUND),
        ("canary", "currentStepAnalysisRunStatus", Purpose.STEP),
        ("blueGreen", "prePromotionAnalysisRunStatus", Purpose.PRE_PROMOTION),
        ("blueGreen", "postPromotionAnalysisRunStatus", Purpose.POST_PROMOTION),
    ],
)
def test_each_kind_of_run(part: str, field: str, purpose: Purpose) -> None:
    found = rollout(**{part: {field: run("web-6c9b7-2")}})
    assert read_attempt(found) == read_attempt(found, purpose) == Attempt(NEW, OLD, run="web-6c9b7-2")
    (other, *_) = [each for each in Purpose if each != purpose]
    assert read_attempt(found, other).why == f"no {other.value} analysis of Rollout web is under way"


@pytest.mark.parametrize("status", ["Successful", "Failed", "Error", "Inconclusive"])
def test_one_that_is_over_is_no_attempt(status: str) -> None:
    found = rollout(canary={"currentStepAnalysisRunStatus": run("web-1", status)})
    assert read_attempt(found) == Attempt(NEW, OLD, why="no analysis of Rollout web is under way")


@pytest.mark.parametrize("status", ["", "Pending", "Running"])
def test_one_that_has_just_begun_is(status: str) -> None:
    assert read_attempt(rollout(canary={"currentStepAnalysisRunStatus": run("web-1", status)})).run == "web-1"


def test_of_several_the_background_run_counts() -> None:
    runs = {
        "currentStepAnalysisRunStatus": run("web-step"),
        "currentBackgroundAnalysisRunStatus": run("web-background"),
    }
    assert read_attempt(rollout(canary=runs)).run == "web-background"
    assert read_attempt(rollout(canary=runs), Purpose.STEP).run == "web-step"


def test_a_status_that_is_older_than_the_spec_says_nothing() -> None:
    found = rollout(3, canary={"currentStepAnalysisRunStatus": run("web-1")})
    assert (read_attempt(found).run, "has not seen" in read_attempt(found).why) == ("", True)


@pytest.mark.parametrize("status", [{}, {"canary": None}, {"canary": {"currentStepAnalysisRunStatus": "odd"}}])
def test_a_status_of_another_shape(status: dict[str, Any]) -> None:
    assert read_attempt(rollout(**status)).run == ""


def test_a_run_is_told_by_its_uid(api: FakeApi) -> None:
    """Its name may come again, once an earlier run is removed."""
    where = "/apis/argoproj.io/v1alpha1/namespaces/shop"
    api.put(f"{where}/rollouts/web", rollout(canary={"currentStepAnalysisRunStatus": run("web-1")}))
    told = ask(api, lambda cluster: attempt_of(cluster, "shop", "web"))
    assert (told.run, told.why) == ("", "AnalysisRun web-1 is not there any more")
    api.put(f"{where}/analysisruns/web-1", {"metadata": {"name": "web-1", "uid": "u1"}})
    assert ask(api, lambda cluster: attempt_of(cluster, "shop", "web")) == Attempt(NEW, OLD, run="u1")
    gone = ask(api, lambda cluster: attempt_of(cluster, "shop", "other"))
    assert gone.why == "there is no Rollout other in namespace shop"
