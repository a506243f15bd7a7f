"""The demo as people run it: a process of its own, with nothing left behind; several at once."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

pytestmark = pytest.mark.prometheus

LONGEST = 90


class Demo:
    """A running demo with a temporary folder of its own, so that what it leaves behind is seen."""

    def __init__(self, folder: Path, scenario: str, path: str | None = None) -> None:
        self.folder = folder / scenario
        self.folder.mkdir(parents=True)
        self.began = time.monotonic()
        self.process = subprocess.Popen(
            [sys.executable, "-m", "analyzer.cli", "demo", "--scenario", scenario, "--json"],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env={**os.environ, "TMPDIR": str(self.folder)} | ({"PATH": path} if path is not None else {}),
        )

    def end(self) -> tuple[dict[str, object], str]:
        """The JSON of its last line, and all that it printed; fails if anything is left behind."""
        out, err = self.process.communicate(timeout=180)
        assert self.process.returncode == 0, out + err
        assert time.monotonic() - self.began < LONGEST
        assert err == ""
        self.left_nothing()
        result = json.loads(out.splitlines()[-1])
        assert list(result) == ["verdict", "action", "held_by", "reason", "seconds_to_recovery"]
        return result, out

    def kill(self) -> None:
        """What a failed test leaves running."""
        if self.process.poll() is None:
            self.process.terminate()
        self.process.communicate(timeout=60)

    def left_nothing(self) -> None:
        assert list(self.folder.iterdir()) == []
        for command in Path("/proc").glob("[0-9]*/cmdline"):
            try:
                words = command.read_bytes()
            except OSError:
                continue  # it has ended meanwhile
            assert str(self.folder).encode() not in words, words


Play = Callable[..., Demo]


@pytest.fixture
def play(tmp_path: Path) -> Iterator[Play]:
    demos: list[Demo] = []

    def begin(scenario: str, path: str | None = None) -> Demo:
        demos.append(Demo(tmp_path, scenario, path))
        return demos[-1]

    yield begin
    for demo in demos:
        demo.kill()


def test_a_bad_release_is_taken_back_while_a_good_one_passes_beside_it(play: Play) -> None:
    errors, good = play("errors"), play("good")
    result, out = errors.end()
    assert result["verdict"] == "fail"
    assert result["action"] == {"kind": "rollback", "result": "done"}
    assert result["held_by"] is None
    assert "errors" in str(result["reason"])
    assert isinstance(result["seconds_to_recovery"], float)
    assert 0 < result["seconds_to_recovery"] < LONGEST
    for words in ("upgrade: revision 2", "first bad answer", "FAIL: errors", "taking revision 2 back", "recovered"):
        assert words in out
    result, _ = good.end()
    assert result["verdict"] == "pass"
    assert result["action"] == {"kind": "none", "result": "none"}
    assert result["seconds_to_recovery"] is None


def test_crashing_and_slow_ones_are_taken_back_and_silence_is_no_pass(play: Play) -> None:
    """Not all at once: on two cores the slow one must still get enough requests to be told from the good one."""
    crash = play("crash")
    result, _ = crash.end()
    assert result["action"] == {"kind": "rollback", "result": "done"}
    slow, silent = play("slow"), play("no-traffic")
    result, _ = slow.end()
    assert result["action"] == {"kind": "rollback", "result": "done"}
    assert "latency p99" in str(result["reason"])
    result, _ = silent.end()
    assert result["verdict"] == "inconclusive"
    assert result["action"] == {"kind": "none", "result": "none"}


def test_without_a_prometheus_it_scrapes_itself_and_a_bad_environment_is_not_blamed_on_the_release(
    play: Play, tmp_path: Path
) -> None:
    flaky, alone = play("flaky"), play("errors", path=str(tmp_path))
    result, out = alone.end()
    assert "there is no Prometheus on this machine: the scrape source reads the service itself" in out
    assert result["action"] == {"kind": "rollback", "result": "done"}
    result, _ = flaky.end()
    assert result["verdict"] in {"pass", "inconclusive"}
    assert result["action"] == {"kind": "none", "result": "none"}


def test_ctrl_c_leaves_nothing_behind(play: Play) -> None:
    demo = play("good")
    assert demo.process.stdout is not None
    assert "a Prometheus scrapes it" in demo.process.stdout.readline()
    demo.process.send_signal(signal.SIGINT)
    _, err = demo.process.communicate(timeout=30)
    assert demo.process.returncode == 130
    assert "Traceback" not in err
    demo.left_nothing()
