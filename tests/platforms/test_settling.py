"""What became of an act whose process was ended: the platform is asked, and nothing is done twice."""

import asyncio
import json
import time
from datetime import UTC, datetime

import pytest
from fake_helm import INTENT, WEB, FakeHelm

from analyzer.errors import PlatformUnavailable
from analyzer.model.target import Receipt
from analyzer.platforms.command import Command
from analyzer.platforms.helm import Helm, HelmSettings, RollbackOptions

ROLLBACK = ["rollback", "web", "1", "--timeout=3s"]


def history(revision: int, status: str, description: str, *, ago: float = 0.0) -> dict[str, object]:
    """One answer of helm history; the revision was begun `ago` seconds before it is used; see `answer`."""
    return {"revision": revision, "status": status, "description": description, "ago": ago}


def answer(entry: dict[str, object]) -> dict[str, object]:
    """As helm gives it now: a test may run long after this file was read."""
    ago = entry["ago"]
    assert isinstance(ago, float | int)
    updated = datetime.fromtimestamp(time.time() - ago, UTC).isoformat()
    told = {name: value for name, value in entry.items() if name != "ago"} | {"updated": updated}
    argv = ["history", "web", "--max=1", "--output=json"]
    return {"argv": argv, "code": 0, "stdout": json.dumps([told]), "stderr": ""}


UPGRADED = history(2, "deployed", "Upgrade complete")
PENDING = history(3, "pending-rollback", "Rollback to 1")
DONE = history(3, "deployed", "Rollback to 1")


def settle(fake: FakeHelm, *answers: dict[str, object]) -> Receipt | None:
    for each in answers:
        fake.answer(answer(each) if "ago" in each else each)
    fake.answer({"argv": ROLLBACK, "code": 0, "stdout": "Rollback was a success!", "stderr": ""})
    options = RollbackOptions(wait=False, timeout=3)
    return asyncio.run(Helm(WEB, HelmSettings(program=str(fake.path), rollback=options)).settle(INTENT))


def rollbacks(fake: FakeHelm) -> int:
    return sum(call[0] == "rollback" for call in fake.calls)


def test_a_rollback_that_never_began(fake_helm: FakeHelm) -> None:
    assert settle(fake_helm, UPGRADED) is None
    assert rollbacks(fake_helm) == 0


def test_a_rollback_that_is_done(fake_helm: FakeHelm) -> None:
    receipt = settle(fake_helm, DONE)
    assert receipt is not None
    assert receipt.ok
    assert "back to revision 1, as revision 3" in receipt.detail
    assert rollbacks(fake_helm) == 0


def test_a_helm_that_goes_on_without_us_is_waited_for(fake_helm: FakeHelm) -> None:
    receipt = settle(fake_helm, PENDING, PENDING, DONE)
    assert receipt is not None
    assert receipt.ok
    assert rollbacks(fake_helm) == 0


@pytest.mark.parametrize(
    "left",
    [
        [PENDING, PENDING, PENDING, DONE],
        [history(3, "pending-rollback", "Rollback to 1", ago=3600), DONE],
        [history(3, "failed", 'Rollback "web" failed: timed out waiting for the condition'), DONE],
    ],
    ids=["killed", "killed long ago", "failed"],
)
def test_a_helm_that_was_killed_as_well_or_failed_is_run_again(
    fake_helm: FakeHelm, left: list[dict[str, object]]
) -> None:
    receipt = settle(fake_helm, *left)
    assert receipt is not None
    assert receipt.ok
    assert rollbacks(fake_helm) == 1


def test_a_release_that_is_somewhere_else_now_is_left_alone(fake_helm: FakeHelm) -> None:
    receipt = settle(fake_helm, history(4, "deployed", "Upgrade complete"))
    assert receipt is not None
    assert not receipt.ok
    assert "the newest revision is now 4 (deployed, “Upgrade complete”)" in receipt.detail
    assert rollbacks(fake_helm) == 0


def test_a_cluster_that_is_away_is_not_guessed_about(fake_helm: FakeHelm) -> None:
    away = {
        **answer(UPGRADED),
        "code": 1,
        "stdout": "",
        "stderr": "Error: Kubernetes cluster unreachable: connection refused",
    }
    with pytest.raises(PlatformUnavailable):
        settle(fake_helm, away)


def test_a_command_is_never_run_twice() -> None:
    receipt = asyncio.run(Command(WEB, "false").settle(INTENT))
    assert not receipt.ok
    assert "nobody knows whether the command came to its end" in receipt.detail
