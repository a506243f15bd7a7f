"""`canary check --server` against the real application, on a real server and a real store."""

import asyncio
import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from fake_service import record

from analyzer.cli.__main__ import run
from analyzer.engine.replay import judge_again
from analyzer.engine.resumption import restored
from analyzer.engine.summary import report
from analyzer.model.event import Ended, Event
from analyzer.service.running import Service
from analyzer.store.entry import Summary
from tests.api.serving import served

ORDER = ["check", "command/search", "-n", "shop", "--canary", 'version="2"', "--baseline", 'version="1"']


class Worker:
    """Plays the record of an analysis for whatever is ordered, up to `hold_at` events, until it is cancelled."""

    def __init__(self, hold_at: int) -> None:
        self._events = record()[:hold_at]
        self._tasks: list[asyncio.Task[None]] = []

    async def begin(self, service: Service) -> None:
        self._tasks.append(asyncio.create_task(self._work(service)))

    async def _work(self, service: Service) -> None:
        while not (claims := await service.analyses.claim("worker", 0.0, 1e12, 1)):  # noqa: ASYNC110 -- as a worker does
            await asyncio.sleep(0.02)
        (claim,) = claims
        kept: list[Event] = []
        for event in self._events:
            await self._keep(service, claim.id, claim.lease, kept, event)
        while not isinstance(kept[-1], Ended):
            await asyncio.sleep(0.02)
            if await service.analyses.asked(claim.id) is not None:
                await self._keep(service, claim.id, claim.lease, kept, Ended(at=kept[-1].at, cause="ci"))

    @staticmethod
    async def _keep(service: Service, id_: str, lease: int, kept: list[Event], event: Event) -> None:
        kept.append(event)
        summary = Summary.of(report(restored(kept)))
        await service.analyses.append(id_, lease, [event], summary=summary)


@pytest.fixture
def whole(tmp_path: Path) -> Iterator[str]:
    with served(f"sqlite:///{tmp_path / 'canary.db'}", Worker(hold_at=10**6).begin) as url:
        yield url


@pytest.fixture
def held(tmp_path: Path) -> Iterator[str]:
    with served(f"sqlite:///{tmp_path / 'canary.db'}", Worker(hold_at=4).begin) as url:
        yield url


@pytest.fixture(autouse=True)
def environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CANARY_TOKEN", "starter")
    monkeypatch.setenv("CANARY_ACTIONS", "on")
    monkeypatch.delenv("GITHUB_ACTIONS", raising=False)


def test_an_analysis_from_its_order_to_its_report(whole: str, capsys: pytest.CaptureFixture[str]) -> None:
    code = run([*ORDER, "--rules", "http", "--server", whole, "-o", "json", "--key", "job-7"])
    printed = capsys.readouterr()
    assert code == 10, printed.err
    assert json.loads(printed.out) == json.loads(judge_again(record()).model_dump_json())
    assert "watching helm/web revision 2" in printed.err
    assert "FAIL: errors" in printed.err
    again = run([*ORDER, "--rules", "http", "--server", whole, "-o", "json", "--key", "job-7"])
    told = capsys.readouterr()
    assert (again, told.out) == (10, printed.out)
    assert "(it was ordered before under this key)" in told.err
    assert run([*ORDER, "--rules", "envoy", "--server", whole, "--key", "job-7"]) == 2
    assert "Idempotency-Key" in capsys.readouterr().err


def test_what_the_server_refuses(
    held: str, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "own.yaml"
    file.write_text(
        "apiVersion: canary-analyzer.io/v1alpha1\nkind: RuleSet\nmetadata: {name: own}\nspec: {rulez: []}\n"
    )
    refused = [
        ([*ORDER, "--rules", str(file), "--server", held], 2, "rulez"),
        ([*ORDER, "--rules", "htp", "--server", held], 2, "did you mean http"),
        (["check", "--server", held, "--attach", "0123456789ab"], 4, "has no such thing"),
    ]
    for arguments, code, words in refused:
        assert run(arguments) == code, words
        assert words in capsys.readouterr().err
    for token, words in (("nobody", "does not know this token"), ("reader", "does not allow that")):
        monkeypatch.setenv("CANARY_TOKEN", token)
        assert run([*ORDER, "--rules", "http", "--server", held]) == 4
        assert words in capsys.readouterr().err


def test_ctrl_c_stops_it_there(held: str) -> None:
    process = subprocess.Popen(
        [sys.executable, "-m", "analyzer.cli", *ORDER, "--rules", "http", "--server", held],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=os.environ,
    )
    assert process.stderr is not None
    for line in process.stderr:
        if "watching" in line:
            break
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=30)
    assert process.returncode == 130, err
    assert "INCONCLUSIVE  helm/web" in out
    assert err.splitlines()[-1].startswith("canary: stopped by ci")
