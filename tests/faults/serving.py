"""`canary serve` as a process that a test starts, kills, freezes, and starts again on the same settings."""

import asyncio
import hashlib
import json
import os
import secrets
import shutil
import signal
import time
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any

import httpx

from analyzer.demo.port import LOOPBACK, Port
from analyzer.demo.process import Child

STARTS_WITHIN = 60.0
"""Seconds; a machine that runs other tests too is slow."""
POLL = 0.05
TOKEN = f"canary_tests_{secrets.token_hex(16)}"


def settings(
    *,
    database: str,
    prometheus: str,
    targets: Mapping[str, str],
    rules: Path,
    lease: float = 3.0,
    prometheus_timeout: float = 5.0,
    **more: object,
) -> dict[str, Any]:
    """Settings of a server for tests; `targets` maps names to the commands that take them back."""
    return {
        "database": database,
        "prometheus": {"default": {"url": prometheus, "timeout": prometheus_timeout}},
        "rules": [str(rules)],
        "targets": {name: {"rollback": command, "timeout": 30} for name, command in targets.items()},
        "lease": lease,
        "rollbacks_per_hour": 1_000_000,
        "access": {
            "tokens": {
                "tests": {"sha256": hashlib.sha256(TOKEN.encode()).hexdigest(), "grants": {"*": "admin"}},
            }
        },
        "limits": {"requests_per_minute": 1_000_000, "analyses_per_namespace": 1_000_000},
        **more,
    }


class Server:
    """One replica. `start`, then `kill`, `freeze`, `thaw`, `end`, and `start` again: the address stays."""

    def __init__(self, name: str, folder: Path, wanted: Mapping[str, Any]) -> None:
        self.name, self._folder = name, folder
        self._port = Port()
        self._child: Child | None = None
        self._settings = folder / f"{name}.yaml"
        self._log = folder / f"{name}.log"
        listen = {"listen": {"host": LOOPBACK, "port": self._port.number}}
        self._settings.write_text(json.dumps({**wanted, **listen}, indent=1))  # JSON is YAML
        self.http = httpx.AsyncClient(
            base_url=self.url,
            headers={"Authorization": f"Bearer {TOKEN}"},
            timeout=10.0,
            trust_env=False,
            # A request on a connection of a process that was killed meanwhile would fail for nothing.
            limits=httpx.Limits(max_keepalive_connections=0),
        )

    @property
    def url(self) -> str:
        return f"http://{LOOPBACK}:{self._port.number}"

    @property
    def pid(self) -> int:
        assert self._child is not None, f"{self.name} does not run"
        return self._child.pid

    @property
    def runs(self) -> bool:
        return self._child is not None and self._child.exit_code is None

    async def start(self, *, until_ready: bool = True) -> None:
        """Start it, and wait until it is ready (or only that it was started)."""
        assert self._child is None, f"{self.name} runs already"
        program = shutil.which("canary")
        assert program is not None, "there is no program `canary` on PATH"
        environment = {
            name: value for name, value in os.environ.items() if not name.startswith(("CANARY_", "DATABASE"))
        }
        self._child = await Child.start([program, "serve", "--config", str(self._settings)], self._log, env=environment)
        if until_ready:
            await self.ready()

    async def ready(self, within: float = STARTS_WITHIN) -> None:
        """Wait until it says that it is ready."""
        give_up = time.monotonic() + within
        while not await self.is_ready():
            assert self.runs, f"{self.name} has ended:\n{self.last_lines()}"
            assert time.monotonic() < give_up, f"{self.name} is not ready:\n{self.last_lines()}"
            await asyncio.sleep(POLL)

    async def is_ready(self) -> bool:
        try:
            return (await self.http.get("/readyz", timeout=2.0)).status_code == httpx.codes.OK
        except httpx.HTTPError:
            return False

    async def kill(self, *, with_children: bool = False) -> None:
        """kill -9: it alone, as the kernel does when memory is short; or with what it has started, as a node dies."""
        assert self._child is not None
        acts = [act for worker in _children(self._child.pid) for act in _children(worker)] if with_children else []
        child, self._child = self._child, None
        await child.kill()
        for pid in acts:
            with suppress(ProcessLookupError):
                os.killpg(pid, signal.SIGKILL)  # each act is the leader of a group of its own

    def freeze(self) -> None:
        self._signal(signal.SIGSTOP)

    def thaw(self) -> None:
        self._signal(signal.SIGCONT)

    def _signal(self, number: signal.Signals) -> None:
        """To both of its processes."""
        assert self._child is not None
        for worker in _children(self._child.pid):
            os.kill(worker, number)
        self._child.signal(number)

    async def end(self, within: float = 15.0) -> int:
        """SIGTERM, as a rolling update does; its exit code."""
        assert self._child is not None
        child, self._child = self._child, None
        child.signal(signal.SIGTERM)
        try:
            async with asyncio.timeout(within):
                return await child.wait()
        except TimeoutError:
            await child.kill()
            raise AssertionError(f"{self.name} did not end within {within:g} s:\n{self.last_lines()}") from None

    async def close(self) -> None:
        """Nothing of it is left."""
        if self._child is not None:
            self.thaw()
            await self.kill(with_children=True)
        await self.http.aclose()
        self._port.close()

    def last_lines(self, count: int = 30) -> str:
        """The end of what it has written, for a test that fails."""
        return "\n".join(self._log.read_text(errors="replace").splitlines()[-count:]) if self._log.exists() else ""


def _children(pid: int) -> Sequence[int]:
    try:
        return [int(child) for task in Path(f"/proc/{pid}/task").iterdir() for child in _children_of(task)]
    except OSError:
        return []


def _children_of(task: Path) -> list[str]:
    try:
        return (task / "children").read_text().split()
    except OSError:
        return []


@asynccontextmanager
async def serving(folder: Path, *named: tuple[str, Mapping[str, Any]]) -> AsyncIterator[list[Server]]:
    """Servers that are ready, one for each name and settings; none is left at the end."""
    servers = [Server(name, folder, wanted) for name, wanted in named]
    try:
        for server in servers:  # one after the other: the first makes the database's schema
            await server.start()
        yield servers
    except BaseException:
        for server in servers:
            print(f"----- {server.name}\n{server.last_lines()}")  # noqa: T201 -- shown where the test fails
        raise
    finally:
        for server in servers:
            await server.close()
