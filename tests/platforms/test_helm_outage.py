"""The API server goes away in the middle of `helm rollback`: it is run once more, where that cannot hurt."""

import asyncio
import json

import pytest
from fake_helm import INTENT, WEB, FakeHelm

from analyzer.model.target import Receipt
from analyzer.platforms import helm_rollback
from analyzer.platforms.helm import Helm, HelmSettings, RollbackOptions

REFUSED = "Error: dial tcp 10.0.0.1:443: connect: connection refused"
FORBIDDEN = 'Error: services "web" is forbidden: User "canary" cannot get resource "services" in API group ""'
NOT_READY = "Error: timed out waiting for the condition"


@pytest.fixture(autouse=True)
def _impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(helm_rollback, "_PATIENCE", 0.0)
    monkeypatch.setattr(helm_rollback, "_PAUSE", 0.0)


def history(revision: int, status: str, description: str) -> dict[str, object]:
    entry = {"revision": revision, "status": status, "description": description, "updated": "2026-01-01T00:00:00Z"}
    argv = ["history", "web", "--max=1", "--output=json"]
    return {"argv": argv, "code": 0, "stdout": json.dumps([entry]), "stderr": ""}


AWAY = {**history(2, "deployed", ""), "code": 1, "stdout": "", "stderr": "Error: Kubernetes cluster unreachable"}
UNTOUCHED = history(2, "deployed", "Upgrade complete")
PENDING = history(3, "pending-rollback", "Rollback to 1")
FAILED = history(3, "failed", 'Rollback "web" failed: connection refused')
UPGRADED = history(3, "deployed", "Upgrade complete")
DONE = history(4, "deployed", "Rollback to 1")


def take_back(fake: FakeHelm, first: str, *answers: dict[str, object]) -> Receipt:
    """The first rollback says `first` and fails, the second one works."""
    for code, stderr in ((1, first), (0, "")):
        fake.answer({"argv": ["rollback", "web", "1", "--timeout=3s"], "code": code, "stdout": "", "stderr": stderr})
    for answer in answers:
        fake.answer(answer)
    options = RollbackOptions(wait=False, timeout=3)
    return asyncio.run(Helm(WEB, HelmSettings(program=str(fake.path), rollback=options)).take_back(INTENT))


def rollbacks(fake: FakeHelm) -> int:
    return sum(call[0] == "rollback" for call in fake.calls)


@pytest.mark.parametrize("left", [UNTOUCHED, PENDING, FAILED], ids=["nothing", "pending", "failed"])
@pytest.mark.parametrize("said", [REFUSED, FORBIDDEN], ids=["away", "just started"])
def test_what_it_has_left_is_finished(fake_helm: FakeHelm, said: str, left: dict[str, object]) -> None:
    receipt = take_back(fake_helm, said, left, DONE)
    assert receipt.ok, receipt.detail
    assert rollbacks(fake_helm) == 2


def test_helm_is_asked_until_it_can_answer(fake_helm: FakeHelm, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(helm_rollback, "_PATIENCE", 60.0)
    receipt = take_back(fake_helm, REFUSED, AWAY, AWAY, PENDING, DONE)
    assert receipt.ok, receipt.detail
    assert rollbacks(fake_helm) == 2


@pytest.mark.parametrize(
    ("said", "found"),
    [(REFUSED, UPGRADED), (REFUSED, AWAY), (NOT_READY, FAILED)],
    ids=["somebody else was there", "it stays away", "that was no outage"],
)
def test_otherwise_the_failure_is_told(fake_helm: FakeHelm, said: str, found: dict[str, object]) -> None:
    receipt = take_back(fake_helm, said, found)
    assert not receipt.ok
    assert "to try again by hand: " in receipt.detail
    assert rollbacks(fake_helm) == 1
