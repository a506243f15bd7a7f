"""Ctrl-C and SIGTERM to `canary check --server`, as a process of its own."""

import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator

import pytest
from fake_service import ID, Asked, FakeService, Handler, record, serving

DEADLINE = 30.0


@pytest.fixture
def waiting() -> Iterator[FakeService]:
    """An analysis that has begun, and does not go on by itself."""
    with serving(FakeService(record(), hold_at=4)) as service:
        yield service


class Check:
    """The command, running; what it says on standard error is read as it comes."""

    def __init__(self, service: FakeService, *arguments: str) -> None:
        words = arguments or ("helm/web", "-n", "prod", "--rules", "http")
        self.process = subprocess.Popen(
            [sys.executable, "-m", "analyzer.cli", "check", "--server", service.url, *words],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env={**os.environ, "CANARY_TOKEN": "s3cr3t", "CANARY_ACTIONS": "on", "GITHUB_ACTIONS": ""},
        )
        self.lines: list[str] = []
        self._reading = threading.Thread(target=self._read, daemon=True)
        self._reading.start()

    def _read(self) -> None:
        assert self.process.stderr is not None
        for line in self.process.stderr:
            self.lines.append(line.rstrip("\n"))

    def says(self, words: str) -> None:
        wait_for(lambda: any(words in line for line in self.lines), f"{words!r} in {self.lines}")

    def signal(self, name: str) -> None:
        self.process.send_signal(signal.Signals[name])

    def ended(self) -> tuple[int, str]:
        assert self.process.stdout is not None
        try:
            code = self.process.wait(DEADLINE)
        finally:
            self.process.kill()
        out = self.process.stdout.read()
        self._reading.join(DEADLINE)
        self.process.stdout.close()
        if self.process.stderr is not None:
            self.process.stderr.close()
        assert not any("Traceback" in line or "never awaited" in line for line in self.lines)
        return code, out


def wait_for(happened: Callable[[], bool], what: str) -> None:
    until = time.monotonic() + DEADLINE
    while not happened():
        assert time.monotonic() < until, f"it did not happen: {what}"
        time.sleep(0.02)


@pytest.mark.parametrize(("name", "code"), [("SIGINT", 130), ("SIGTERM", 143)])
def test_the_analysis_is_stopped_and_its_end_is_waited_for(waiting: FakeService, name: str, code: int) -> None:
    check = Check(waiting)
    check.says("watching helm/web")
    check.signal(name)
    ended, out = check.ended()
    assert ended == code
    (cancel,) = waiting.requests("POST", "/cancel")
    assert cancel.body == {"why": "canary check was interrupted"}
    assert "INCONCLUSIVE" in out
    assert f"canary: {name}: stopping the analysis at its next safe point; once more leaves at once" in check.lines
    assert check.lines[-1].startswith("canary: stopped by")
    assert waiting.has_ended


def test_once_more_leaves_at_once(waiting: FakeService) -> None:
    waiting.keeps_cancel = True
    check = Check(waiting)
    check.says("watching helm/web")
    check.signal("SIGINT")
    wait_for(lambda: bool(waiting.requests("POST", "/cancel")), "the analysis is cancelled")
    check.signal("SIGINT")
    ended, out = check.ended()
    assert (ended, out) == (130, "")
    assert f"--attach {ID}" in check.lines[-1]


def test_it_may_be_left_running(waiting: FakeService) -> None:
    check = Check(waiting, "helm/web", "-n", "prod", "--rules", "http", "--on-interrupt", "detach")
    check.says("watching helm/web")
    check.signal("SIGTERM")
    ended, out = check.ended()
    assert (ended, out) == (143, "")
    assert waiting.requests("POST", "/cancel") == []
    link = f"{waiting.url}/api/v1/analyses/{ID}"
    again = f"canary check --server {waiting.url} --attach {ID}"
    assert check.lines[-1] == f"canary: stopped by SIGTERM; analysis {ID} goes on: {link}; to follow it: {again}"


@pytest.mark.parametrize(("more", "cancels"), [((), 0), (("--on-interrupt", "cancel"), 1)])
def test_somebody_else_s_is_left_running_unless_said_otherwise(
    waiting: FakeService, more: tuple[str, ...], cancels: int
) -> None:
    check = Check(waiting, "--attach", ID, *more)
    check.says("watching helm/web")
    check.signal("SIGINT")
    assert check.ended()[0] == 130
    assert len(waiting.requests("POST", "/cancel")) == cancels


def test_a_cancel_that_is_refused_is_told(waiting: FakeService) -> None:
    waiting.refuses_cancel = 403
    check = Check(waiting)
    check.says("watching helm/web")
    check.signal("SIGINT")
    assert check.ended()[0] == 130
    assert "could not be stopped" in check.lines[-1]
    assert "that is not yours" in check.lines[-1]
    assert f"--attach {ID}" in check.lines[-1]


def test_one_that_is_over_already_is_waited_for(waiting: FakeService) -> None:
    def over(handler: Handler, asked: Asked) -> bool:
        if not asked.path.endswith("/cancel"):
            return False
        handler.problem(409, "it is over")
        waiting.hold_at = None
        return True

    waiting.instead = over
    check = Check(waiting)
    check.says("watching helm/web")
    check.signal("SIGINT")
    ended, out = check.ended()
    assert ended == 130
    assert "FAIL  helm/web revision 2" in out


def test_before_anything_has_arrived_nothing_was_done() -> None:
    with socket.socket() as bound:  # and nobody listens
        bound.bind(("127.0.0.1", 0))
        check = Check(FakeService(record(), url=f"http://127.0.0.1:{bound.getsockname()[1]}"))
        check.says("trying again")
        check.signal("SIGINT")
        assert check.ended()[0] == 130
    assert check.lines[-1] == "canary: stopped by SIGINT before the analysis began; nothing was done"


def test_an_order_whose_answer_is_under_way_is_waited_for_and_stopped(waiting: FakeService) -> None:
    interrupted = threading.Event()

    def slow(_: Handler, asked: Asked) -> bool:
        if asked.path.endswith("/analyses"):
            interrupted.wait(DEADLINE)
        return False

    waiting.instead = slow
    check = Check(waiting)
    wait_for(lambda: bool(waiting.requests("POST", "/analyses")), "the order arrives")
    check.signal("SIGINT")
    check.says("finding out whether the order has arrived")
    interrupted.set()
    assert check.ended()[0] == 130
    assert len(waiting.requests("POST", "/cancel")) == 1
    assert waiting.has_ended


def test_an_order_of_which_nobody_knows_is_told_with_its_key(waiting: FakeService) -> None:
    def lost(handler: Handler, _: Asked) -> bool:
        handler.cut_off()
        return True

    waiting.instead = lost
    check = Check(waiting)
    check.says("trying again")
    check.signal("SIGINT")
    check.says("finding out")
    check.signal("SIGINT")
    assert check.ended()[0] == 130
    key = waiting.requests("POST", "/analyses")[0].headers["idempotency-key"]
    assert f"the same command with --key {key} finds it, if it has" in check.lines[-1]


def test_a_server_that_is_gone_does_not_hold_up_the_second_signal(waiting: FakeService) -> None:
    check = Check(waiting)
    check.says("watching helm/web")

    def gone(handler: Handler, _: Asked) -> bool:
        handler.cut_off()
        return True

    waiting.instead = gone
    check.signal("SIGTERM")
    check.says("trying again")
    check.signal("SIGTERM")
    assert check.ended()[0] == 143
    assert f"analysis {ID} may go on" in check.lines[-1]
