"""A real PostgreSQL in a temporary folder: made with `initdb` by a user without rights, and removed at the end.

- `postgresql`: one server for the whole session (each worker of xdist has its own); use `new_database`
- `own_postgresql`: one for a test that stops it
"""

import ctypes
import os
import pwd
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import asyncpg
import pytest

from tests.users import is_mapped

FIXTURES = frozenset({"postgresql", "own_postgresql"})
PASSWORD = "o:pen@sesame/1"  # with signs that an URL must escape
ESCAPED = "o%3Apen%40sesame%2F1"
TOOLS = Path(__file__).parents[2] / ".tools" / "postgresql"


class PostgreSQL:
    """A server, started; `stop` and `start` take it away and bring it back, at the same place with the same data."""

    def __init__(self, programs: Path, folder: Path) -> None:
        self._programs, self._folder = programs, folder
        self._process: subprocess.Popen[bytes] | None = None
        self._made = 0
        self.port = _free_port()

    def prepare(self) -> None:
        password = self._folder / "password"
        password.write_text(PASSWORD)
        if os.getuid() == 0 and _is_there():
            for path in (self._folder, password):
                os.chown(path, *_user())
        command = [self._programs / "initdb", "--no-sync", "--username=canary", "--auth=scram-sha-256"]
        command += [f"--pwfile={password}", "--encoding=UTF8", "--locale=C", f"--pgdata={self._folder / 'data'}"]
        made = self._run(command, stdout=subprocess.PIPE)
        output, _ = made.communicate(timeout=60)
        assert made.returncode == 0, output

    def start(self) -> None:
        with (self._folder / "log").open("ab") as log:
            settings = {"fsync": "off", "unix_socket_directories": "", "listen_addresses": "127.0.0.1"}
            command = [self._programs / "postgres", "-D", self._folder / "data", "-p", str(self.port)]
            command += [f"--{name}={value}" for name, value in settings.items()]
            self._process = self._run(command, stdout=log)
        deadline = time.monotonic() + 30
        while not self._answers():
            assert self._process.poll() is None, (self._folder / "log").read_text()
            assert time.monotonic() < deadline, "PostgreSQL did not start"
            time.sleep(0.02)

    def stop(self, how: signal.Signals = signal.SIGQUIT) -> None:
        """Immediately (SIGQUIT): connections break, as when its machine ends."""
        if self._process is not None:
            self._process.send_signal(how)
            self._process.wait(timeout=30)

    def freeze(self) -> None:
        """It takes connections (the kernel does), and answers nothing."""
        self._signal_all(signal.SIGSTOP)

    def thaw(self) -> None:
        self._signal_all(signal.SIGCONT)

    def _signal_all(self, number: signal.Signals) -> None:
        """It and its processes, each of which is a session of its own."""
        assert self._process is not None
        children = Path(f"/proc/{self._process.pid}/task/{self._process.pid}/children").read_text().split()
        for pid in (self._process.pid, *map(int, children)):
            os.kill(pid, number)

    def url(self, database: str = "postgres", password: str = ESCAPED) -> str:
        return f"postgresql://canary:{password}@127.0.0.1:{self.port}/{database}"

    async def new_database(self) -> str:
        """The URL of an empty database."""
        self._made += 1
        name = f"test{self._made}"
        connection = await asyncpg.connect(self.url())
        try:
            await connection.execute(f"CREATE DATABASE {name}")
        finally:
            await connection.close()
        return self.url(name)

    def _answers(self) -> bool:
        """The first byte of what it answers to a request for TLS."""
        try:
            with socket.create_connection(("127.0.0.1", self.port), timeout=1) as connection:
                connection.sendall((8).to_bytes(4, "big") + (80877103).to_bytes(4, "big"))
                return connection.recv(1) in {b"N", b"S"} and "ready to accept" in self._log_of_this_start()
        except OSError:
            return False

    def _log_of_this_start(self) -> str:
        return (self._folder / "log").read_text().rpartition("starting PostgreSQL")[2]

    def _run(self, command: list[str | Path], stdout: object) -> subprocess.Popen[bytes]:
        user, group = None, None
        if os.getuid() == 0 and _is_there():
            user, group = _user()
        elif os.getuid() == 0:  # the only one of a user namespace: here it gets another name
            command = ["unshare", "--user", f"--map-user={_user()[0]}", "--", *command]
        libraries = [str(path) for path in (*TOOLS.glob("usr/lib/*-linux-gnu*"),)]
        environment = {name: value for name, value in os.environ.items() if not name.startswith("PG")}
        if self._programs.is_relative_to(TOOLS):
            environment["LD_LIBRARY_PATH"] = os.pathsep.join(libraries)
        return subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=stdout,
            stderr=subprocess.STDOUT,
            cwd=self._folder,
            env=environment,
            user=user,
            group=group,
            extra_groups=None if user is None else [],
            start_new_session=True,
            preexec_fn=_die_with_parent if sys.platform == "linux" else None,  # noqa: PLW1509 -- one call, no lock
        )


@contextmanager
def running() -> Iterator[PostgreSQL]:
    """A server of one's own."""
    folder = Path(tempfile.mkdtemp(prefix="canary-postgresql-"))
    server = PostgreSQL(_programs(), folder)
    try:
        server.prepare()
        server.start()
        yield server
    finally:
        server.stop()
        shutil.rmtree(folder)


def _programs() -> Path:
    for folder in (*TOOLS.glob("usr/lib/postgresql/*/bin"), *Path("/usr/lib/postgresql").glob("*/bin")):
        if (folder / "initdb").exists() and (folder / "postgres").exists():
            return folder
    found = shutil.which("initdb")
    assert found is not None, "no PostgreSQL here: scripts/setup postgresql says how to get one"
    return Path(found).resolve().parent


def _user() -> tuple[int, int]:
    """Somebody without rights: PostgreSQL refuses to run as root."""
    user = pwd.getpwnam("nobody")
    return user.pw_uid, user.pw_gid


def _is_there() -> bool:
    user, group = _user()
    return is_mapped(user) and is_mapped(group, "gid")


def _free_port() -> int:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        port: int = taken.getsockname()[1]
        return port


def _die_with_parent() -> None:
    ctypes.CDLL(None).prctl(1, signal.SIGQUIT)


@pytest.fixture(scope="session")
def postgresql() -> Iterator[PostgreSQL]:
    with running() as server:
        yield server


@pytest.fixture
def own_postgresql() -> Iterator[PostgreSQL]:
    with running() as server:
        yield server
