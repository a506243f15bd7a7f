"""A real Prometheus in a temporary folder: started, broken, started again on the same data, and always cleaned up."""

import asyncio
import json
import shutil
import signal
import tempfile
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import httpx

from analyzer.demo.asking import Asking
from analyzer.demo.history import Series, write_blocks
from analyzer.demo.port import LOOPBACK, Port
from analyzer.demo.process import Child
from analyzer.errors import DemoError

PROGRAM: Final = "prometheus"
_ATTEMPTS: Final = 3
_POLL: Final = 0.02  # seconds
_GRACE: Final = 10.0  # seconds
_TAKEN: Final = "address already in use"


@dataclass(frozen=True, slots=True)
class Job:
    """What is scraped: `targets` is a file of targets (`file_sd`) that may change while Prometheus runs.

    Prometheus hands changed targets to its scraping at most every five seconds.
    """

    name: str
    targets: Path
    scrape_interval: float | None = None  # seconds; that of the settings if None


@dataclass(frozen=True, slots=True)
class Settings:
    """How Prometheus runs. Times are in seconds, kept to the millisecond; a scrape times out after its interval.

    `lookback` is how old a sample may be for an instant query to return it (Prometheus' own default: five minutes).
    `history` is there when it starts. `flags` are further command line arguments.
    """

    jobs: Sequence[Job] = ()
    scrape_interval: float = 1.0
    native_histograms: bool = False
    lookback: float | None = None
    history: Sequence[Series] = ()
    flags: Sequence[str] = ()
    start_deadline: float = 30.0

    def document(self) -> dict[str, Any]:
        """The configuration file."""
        return {"scrape_configs": [self._scraping(job) for job in self.jobs]}

    def _scraping(self, job: Job) -> dict[str, Any]:
        interval = _duration(job.scrape_interval or self.scrape_interval)
        return {
            "job_name": job.name,
            "scrape_interval": interval,
            "scrape_timeout": interval,
            "file_sd_configs": [{"files": [str(job.targets)], "refresh_interval": "1s"}],
        }

    def arguments(self) -> list[str]:
        """Those command line arguments that do not depend on where it runs."""
        arguments = ["--log.level=warn"]
        if self.native_histograms:
            arguments.append("--enable-feature=native-histograms")
        if self.lookback is not None:
            arguments.append(f"--query.lookback-delta={_duration(self.lookback)}")
        return [*arguments, *self.flags]


class Prometheus:
    """A Prometheus of one's own: `async with Prometheus.start(Settings(…)) as prometheus`.

    Between `stop` or `kill` and `launch` it is away; data and port stay its own. `ask` asks it.
    """

    def __init__(self, settings: Settings, program: str, folder: Path, client: httpx.AsyncClient) -> None:
        self.settings, self.folder = settings, folder
        self.ask = Asking(client)
        self._program, self._client = program, client
        self._port = Port()
        self._child: Child | None = None

    @classmethod
    @asynccontextmanager
    async def start(cls, settings: Settings) -> AsyncIterator["Prometheus"]:
        """A Prometheus that is ready; on the way out it is ended and reaped, and its folder removed.

        Raises DemoError if there is no such program, or if it does not get ready in time, with the end of its log.
        """
        program = shutil.which(PROGRAM)
        if program is None:
            raise DemoError(f"there is no `{PROGRAM}` on PATH; on Debian: apt install prometheus")
        with tempfile.TemporaryDirectory(prefix="canary-prometheus-") as name:
            await write_blocks(settings.history, Path(name, "data"))
            async with httpx.AsyncClient(trust_env=False, timeout=settings.start_deadline) as client:
                prometheus = cls(settings, program, Path(name), client)
                try:
                    await prometheus._launch_somewhere()
                    yield prometheus
                finally:
                    await prometheus.stop()
                    prometheus._port.close()

    @property
    def url(self) -> str:
        """Where it serves, without a slash at the end."""
        return f"http://{LOOPBACK}:{self._port.number}"

    @property
    def pid(self) -> int | None:
        """Its process id while it runs."""
        return self._child.pid if self._child else None

    async def launch(self) -> None:
        """Start it, on its data and port; return when it is ready. It must not be running."""
        assert self._child is None, "it runs already"
        self._client.base_url = httpx.URL(self.url)
        (self.folder / "prometheus.yml").write_text(json.dumps(self.settings.document()))  # JSON is YAML
        command = [
            self._program,
            f"--config.file={self.folder / 'prometheus.yml'}",
            f"--storage.tsdb.path={self.folder / 'data'}",
            f"--web.listen-address={LOOPBACK}:{self._port.number}",
            *self.settings.arguments(),
        ]
        self._child = await Child.start(command, self.folder / "log")
        try:
            await self._become_ready(self._child)
        except BaseException:
            await self.kill()
            raise

    async def stop(self) -> None:
        """Let it end in good order; nothing if it is away."""
        if self._child is not None:
            child, self._child = self._child, None
            await child.end(_GRACE)

    async def kill(self) -> None:
        """Kill it with SIGKILL, as a node that loses its power; nothing if it is away."""
        if self._child is not None:
            child, self._child = self._child, None
            await child.kill()

    def freeze(self) -> None:
        """Stop it where it is (SIGSTOP): connections are accepted by the kernel, and never answered."""
        if self._child is not None:
            self._child.signal(signal.SIGSTOP)

    def thaw(self) -> None:
        """Let it go on (SIGCONT)."""
        if self._child is not None:
            self._child.signal(signal.SIGCONT)

    async def _launch_somewhere(self) -> None:
        """Another port if this one was taken after all, where it cannot be reserved."""
        for _ in range(_ATTEMPTS - 1):
            try:
                return await self.launch()
            except DemoError as error:
                if _TAKEN not in str(error):
                    raise
            self._port.close()
            self._port = Port()
        return await self.launch()

    async def _become_ready(self, child: Child) -> None:
        deadline = self.settings.start_deadline
        give_up = time.monotonic() + deadline
        while not await self.ask.ready():
            if child.exit_code is not None:
                raise DemoError(f"Prometheus ended with exit code {child.exit_code}:\n{child.last_lines()}")
            if time.monotonic() > give_up:
                raise DemoError(f"Prometheus was not ready within {deadline:g} s:\n{child.last_lines()}")
            await asyncio.sleep(_POLL)


def _duration(seconds: float) -> str:
    return f"{round(seconds * 1000)}ms"
