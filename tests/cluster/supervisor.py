"""Runs the programs of the bed: starts them in order, restarts one that dies, stops and starts one when a test asks.

Tests run in other processes; they ask through a Unix socket in the bed's folder, one line each ("stop etcd"), and get
"ok" when it is done, or a sentence.
"""

import contextlib
import os
import socket
import socketserver
import subprocess
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from tests.cluster.health import until
from tests.cluster.process import CommandError

SOCKET = "supervisor.sock"
_POLL = 0.05  # seconds
_BACKOFF = 0.5  # seconds between a death and the restart
_TAIL = 25  # lines
_ENOUGH = 3  # deaths, and a start has failed


class StartError(Exception):
    """A program of the bed does not start; the message has the end of its log."""


@dataclass(frozen=True)
class Program:
    """How to run a program. `ready` tells whether it works; `before` runs ahead of its first start; times in seconds.

    One that is `waits` is started when a test asks for it, not with the bed; those that it `needs` before it.
    `environment` is that of the supervisor unless given.
    """

    name: str
    command: Sequence[str]
    ready: Callable[[], bool]
    before: Callable[[], None] | None = None
    waits: bool = False
    grace: float = 3.0
    deadline: float = 60.0
    environment: Mapping[str, str] | None = None
    needs: Sequence[str] = ()


class Supervised:
    """One program: wanted or not, running or not."""

    def __init__(self, program: Program, log: Path) -> None:
        self.program, self.log = program, log
        self.wanted = False
        self._prepared = program.before is None
        self._process: subprocess.Popen[bytes] | None = None
        self._died: float | None = None
        self._deaths = 0  # since a test or the bed has started it
        self._lock = threading.RLock()

    def start(self) -> None:
        """Return when it is ready; it may run already. Raises StartError."""
        with self._lock:
            self._prepare()
            if not self.wanted:
                self.wanted, self._deaths = True, 0
                self._launch()
        try:
            until(self._is_ready, seconds=self.program.deadline, what="ready")
        except TimeoutError as error:
            raise StartError(f"{self.program.name} was {error}:\n{self.last_lines()}") from error

    def stop(self) -> None:
        """Return when it has ended, with SIGKILL after its grace."""
        with self._lock:
            self.wanted = False
            if self._process is None:
                return
            self._process.terminate()
            try:
                self._process.wait(self.program.grace)
            except subprocess.TimeoutExpired:
                self._process.kill()
                self._process.wait()
            self._process = None

    def tend(self, now: float) -> None:
        """Start it again when it has died a while ago."""
        with self._lock:
            if not self.wanted or self._process is None or self._process.poll() is None:
                self._died = None
            elif self._died is None:
                self._died = now
                self._deaths += 1
            elif now - self._died >= _BACKOFF:
                self._died = None
                self._launch()

    def last_lines(self) -> str:
        """The end of its log."""
        lines = self.log.read_text(errors="replace").splitlines()[-_TAIL:] if self.log.exists() else []
        return "\n".join(line[:500] for line in lines)

    def _prepare(self) -> None:
        if not self._prepared and self.program.before is not None:
            self.program.before()
        self._prepared = True

    def _launch(self) -> None:
        with self.log.open("ab") as log:
            log.write(f"--- start at {time.strftime('%H:%M:%S')}\n".encode())
            log.flush()
            self._process = subprocess.Popen(
                self.program.command,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                env=self.program.environment,
                start_new_session=True,  # Ctrl-C is for whoever runs the bed
            )

    def _is_ready(self) -> bool:
        """Raises StartError when it is not even wanted any more: somebody has stopped it meanwhile."""
        if not self.wanted:
            raise StartError(f"{self.program.name} was stopped while it started")
        if self._deaths >= _ENOUGH:
            raise StartError(f"{self.program.name} ends again and again:\n{self.last_lines()}")
        process = self._process
        return process is not None and process.poll() is None and self.program.ready()


class Supervisor:
    """All programs of a bed; `with Supervisor(…).running():` they run."""

    def __init__(self, programs: Sequence[Program], folder: Path) -> None:
        self.folder = folder
        logs = folder / "logs"
        logs.mkdir(exist_ok=True)
        self._all = {program.name: Supervised(program, logs / f"{program.name}.log") for program in programs}
        self._over = threading.Event()

    @contextmanager
    def running(self) -> Iterator[None]:
        """Programs run from here on, each started when those before it are ready; all are stopped at the end."""
        tending = threading.Thread(target=self._tend)
        with _Server(self) as server:
            serving = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": _POLL})
            tending.start()
            serving.start()
            try:
                for one in self._all.values():
                    if not one.program.waits:
                        one.start()
                yield
            finally:
                server.shutdown()
                serving.join()
                self._over.set()
                tending.join()
                for one in reversed(self._all.values()):
                    one.stop()

    def obey(self, line: str) -> str:
        """Answer a request: "ok", or what went wrong."""
        verb, _, name = line.strip().partition(" ")
        if name not in self._all or verb not in {"start", "stop"}:
            return f"{line.strip()!r}: there are {', '.join(self._all)} to start or stop"
        try:
            self._start(name) if verb == "start" else self._all[name].stop()
        except (StartError, OSError, CommandError) as error:
            return str(error) or repr(error)
        return "ok"

    def _start(self, name: str) -> None:
        for needed in self._all[name].program.needs:
            self._start(needed)
        self._all[name].start()

    def _tend(self) -> None:
        while not self._over.wait(_POLL):
            for one in self._all.values():
                one.tend(time.monotonic())


class _Server(socketserver.ThreadingUnixStreamServer):
    daemon_threads = True

    def __init__(self, supervisor: Supervisor) -> None:
        self.supervisor = supervisor
        super().__init__(str(supervisor.folder / SOCKET), _Handler)


class _Handler(socketserver.StreamRequestHandler):
    server: _Server

    def handle(self) -> None:
        answer = self.server.supervisor.obey(self.rfile.readline().decode())
        with contextlib.suppress(BrokenPipeError):  # whoever asked is gone
            self.wfile.write(answer.encode())


def ask(folder: Path, line: str) -> None:
    """Ask the supervisor of the bed in this folder; StartError with what it says, unless it is ok."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as connection:
        connection.connect(os.fspath(folder / SOCKET))
        connection.sendall(f"{line}\n".encode())
        stream: IO[bytes]
        with connection.makefile("rb") as stream:
            answer = stream.read().decode()
    if answer != "ok":
        raise StartError(answer)
