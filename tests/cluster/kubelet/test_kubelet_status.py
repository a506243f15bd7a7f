"""The status of pods, from those of their containers."""

from typing import Any

import pytest

from tests.cluster.kubelet.status import PodStatus, final_phase, phase_of

Json = dict[str, Any]

WAITING = {"waiting": {"reason": "ContainerCreating"}}
RUNNING = {"running": {"startedAt": "t"}}
GOOD = {"terminated": {"exitCode": 0}}
BAD = {"terminated": {"exitCode": 1}}


def container(state: Json, *, ready: bool = False, last: Json | None = None, name: str = "web") -> Json:
    return {"name": name, "state": state, "lastState": last or {}, "ready": ready}


@pytest.mark.parametrize(
    ("states", "policy", "phase"),
    [
        ([WAITING], "Always", "Pending"),
        ([RUNNING], "Always", "Running"),
        ([RUNNING, WAITING], "Always", "Pending"),
        ([BAD], "Always", "Running"),
        ([GOOD], "Never", "Succeeded"),
        ([BAD], "Never", "Failed"),
        ([BAD], "OnFailure", "Running"),
        ([GOOD, BAD], "Never", "Failed"),
        ([GOOD, RUNNING], "Never", "Running"),
    ],
)
def test_phases(states: list[Json], policy: str, phase: str) -> None:
    assert phase_of([container(state) for state in states], [], policy) == phase


def test_a_crash_loop_is_running() -> None:
    assert phase_of([container({"waiting": {"reason": "CrashLoopBackOff"}}, last=BAD)], [], "Always") == "Running"


@pytest.mark.parametrize(("state", "policy", "phase"), [(RUNNING, "Always", "Pending"), (BAD, "Never", "Failed")])
def test_init_containers_come_first(state: Json, policy: str, phase: str) -> None:
    assert phase_of([container(WAITING)], [container(state)], policy) == phase


def test_a_pod_that_was_told_to_end_failed_if_a_container_did() -> None:
    assert final_phase([container(GOOD)]) == "Succeeded"
    assert final_phase([container(GOOD), container(BAD)]) == "Failed"


def conditions(status: Json) -> dict[str, tuple[str, str]]:
    return {one["type"]: (one["status"], one["lastTransitionTime"]) for one in status["conditions"]}


def test_conditions_keep_the_time_of_their_last_change() -> None:
    pod = PodStatus({}, ("10.244.0.1", "10.244.255.2"), "0")
    pod.render([container(WAITING)], [], "1")
    pod.render([container(RUNNING)], [], "2")
    ready = pod.render([container(RUNNING, ready=True)], [], "3")
    again = conditions(pod.render([container(RUNNING, ready=True)], [], "4"))
    assert conditions(ready) == again
    assert again["Initialized"] == ("True", "1")
    assert again["ContainersReady"] == again["Ready"] == ("True", "3")
    broken = pod.render([container(BAD)], [], "5")
    assert conditions(broken)["Ready"] == ("False", "5")
    reasons = {one["type"]: one["reason"] for one in broken["conditions"]}
    assert (reasons["Ready"], reasons["Initialized"]) == ("ContainersNotReady", None)


def test_a_pod_knows_its_addresses() -> None:
    status = PodStatus({}, ("10.244.0.1", "10.244.255.2"), "0").render([container(RUNNING)], [], "1")
    assert (status["podIP"], status["podIPs"], status["hostIP"]) == (
        "10.244.0.1",
        [{"ip": "10.244.0.1"}],
        "10.244.255.2",
    )
