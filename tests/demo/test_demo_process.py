"""Children are reaped, and do not outlive whoever started them."""

import asyncio
import os
import signal
import sys
from pathlib import Path

import pytest

from analyzer.demo.process import Child
from analyzer.errors import DemoError
from tests.demo.patience import is_reaped, runs, until

pytestmark = pytest.mark.anyio

SLEEP = [sys.executable, "-S", "-c", "import time; print('up', flush=True); time.sleep(600)"]
DEAF = [
    sys.executable,
    "-S",
    "-c",
    "import signal, time; signal.signal(15, signal.SIG_IGN); print('up', flush=True); time.sleep(600)",
]
PARENT = """
import asyncio, pathlib, sys
from analyzer.demo.process import Child

async def main():
    child = await Child.start(["sleep", "600"], pathlib.Path(sys.argv[1]))
    print(child.pid, flush=True)
    await child.wait()

asyncio.run(main())
"""


async def written(child: Child, text: str) -> None:
    await until(lambda: text in child.last_lines())


async def test_its_exit_code_and_its_last_lines_are_told(tmp_path: Path) -> None:
    code = "import sys; [print('line', n) for n in range(100)]; print('x' * 1000); sys.exit(3)"
    child = await Child.start([sys.executable, "-c", code], tmp_path / "log")
    assert await child.wait() == 3
    lines = child.last_lines().splitlines()
    assert lines[-2:] == ["line 99", "x" * 400]
    assert len(lines) == 16


async def test_it_ends_when_asked_to(tmp_path: Path) -> None:
    child = await Child.start(SLEEP, tmp_path / "log")
    await written(child, "up")
    await child.end(grace=10)
    assert child.exit_code == -signal.SIGTERM
    assert is_reaped(child.pid)


async def test_a_stopped_one_ends_too(tmp_path: Path) -> None:
    child = await Child.start(SLEEP, tmp_path / "log")
    await written(child, "up")
    child.signal(signal.SIGSTOP)
    await child.end(grace=10)
    assert child.exit_code == -signal.SIGTERM


async def test_one_that_does_not_listen_is_killed(tmp_path: Path) -> None:
    child = await Child.start(DEAF, tmp_path / "log")
    await written(child, "up")
    await child.end(grace=0.1)
    assert child.exit_code == -signal.SIGKILL
    assert is_reaped(child.pid)


async def test_ending_twice_is_no_mistake(tmp_path: Path) -> None:
    child = await Child.start(SLEEP, tmp_path / "log")
    await child.kill()
    await child.kill()
    await child.end(grace=1)
    assert child.exit_code == -signal.SIGKILL


async def test_ctrl_c_does_not_reach_it(tmp_path: Path) -> None:
    child = await Child.start(SLEEP, tmp_path / "log")
    assert os.getsid(child.pid) == child.pid != os.getsid(0)
    await child.kill()


async def test_a_missing_program_is_a_sentence(tmp_path: Path) -> None:
    with pytest.raises(DemoError, match="no-such-program cannot be started: No such file or directory"):
        await Child.start(["no-such-program"], tmp_path / "log")


@pytest.mark.skipif(sys.platform != "linux", reason="prctl is Linux")
async def test_it_dies_when_its_parent_is_killed(tmp_path: Path) -> None:
    parent = await asyncio.create_subprocess_exec(
        sys.executable, "-c", PARENT, str(tmp_path / "log"), stdout=asyncio.subprocess.PIPE
    )
    assert parent.stdout is not None
    pid = int(await parent.stdout.readline())
    assert runs(pid)
    parent.kill()
    await parent.communicate()
    await until(lambda: not runs(pid))
