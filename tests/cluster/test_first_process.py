"""The analyzer as process 1 of a container, to which the kernel hands only the signals that it handles."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

from tests.cluster.kubelet.process import first_of

_WITHIN = 10.0  # seconds
_FIRST = ("unshare", "--pid", "--fork", "--kill-child", sys.executable, "-m", "analyzer.cli")


def test_sigterm_ends_it_before_it_has_begun_anything(tmp_path: Path) -> None:
    file = tmp_path / "settings.yaml"
    os.mkfifo(file)
    with subprocess.Popen([*_FIRST, "serve", "--config", str(file)]) as around:
        try:
            writer = _opened(file)
            first = first_of(around.pid)  # is reading its settings
            assert first is not None
            os.kill(first, signal.SIGTERM)
            assert around.wait(_WITHIN) == 143
            os.close(writer)
        finally:
            around.kill()


def _opened(file: Path) -> int:
    """The end to write to, when somebody is about to read."""
    deadline = time.monotonic() + _WITHIN
    while True:
        try:
            return os.open(file, os.O_WRONLY | os.O_NONBLOCK)
        except OSError:
            assert time.monotonic() < deadline, "nobody reads"
            time.sleep(0.05)
