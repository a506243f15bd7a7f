"""A real Prometheus: started, broken, started again, and gone in the end."""

import asyncio
import os
import signal
import sys
from pathlib import Path

import httpx
import pytest

from analyzer.demo.prometheus import Job, Prometheus, Settings
from analyzer.errors import DemoError
from tests.demo.patience import is_reaped, runs, until
from tests.prometheus.fixtures import Launch

pytestmark = [pytest.mark.anyio, pytest.mark.prometheus]

KILLED = """
import asyncio
from analyzer.demo.prometheus import Prometheus, Settings

async def main():
    async with Prometheus.start(Settings()) as prometheus:
        print(prometheus.pid, prometheus.folder, flush=True)
        await asyncio.sleep(600)

asyncio.run(main())
"""


async def test_it_is_ready_and_leaves_nothing() -> None:
    async with Prometheus.start(Settings()) as prometheus:
        pid, folder = prometheus.pid, prometheus.folder
        assert pid is not None
        assert runs(pid)
        assert [answer.value for answer in await prometheus.ask.query("vector(7)")] == [7]
        assert [answer.value for answer in await prometheus.ask.query("7")] == [7]
        assert await prometheus.ask.query("no_such_metric") == []
    assert is_reaped(pid)
    assert not await asyncio.to_thread(folder.exists)


async def test_it_leaves_nothing_when_the_test_fails() -> None:
    places = []
    with pytest.raises(ZeroDivisionError):  # noqa: PT012 -- what is raised, is raised inside
        async with Prometheus.start(Settings()) as prometheus:
            places.append((prometheus.pid, prometheus.folder))
            prometheus.freeze()
            raise ZeroDivisionError
    [(pid, folder)] = places
    assert pid is not None
    assert is_reaped(pid)
    assert not await asyncio.to_thread(folder.exists)


async def test_its_settings_arrive(launch_prometheus: Launch, tmp_path: Path) -> None:
    job = Job("web", tmp_path / "targets.json", scrape_interval=0.25)
    settings = Settings([job], native_histograms=True, lookback=7.5, flags=["--query.max-samples=1000"])
    prometheus = await launch_prometheus(settings)
    async with httpx.AsyncClient(base_url=f"{prometheus.url}/api/v1/status", trust_env=False) as client:
        flags = (await client.get("/flags")).json()["data"]
        configured = (await client.get("/config")).json()["data"]["yaml"]
    assert flags["enable-feature"] == "native-histograms"
    assert flags["query.lookback-delta"] == "7s500ms"
    assert flags["query.max-samples"] == "1000"
    assert "scrape_interval: 250ms" in configured
    assert str(tmp_path / "targets.json") in configured


async def test_killed_and_launched_it_has_its_port_and_its_data(launch_prometheus: Launch) -> None:
    prometheus = await launch_prometheus(Settings([], scrape_interval=0.2))
    url, pid = prometheus.url, prometheus.pid
    assert pid is not None
    await prometheus.kill()
    assert prometheus.pid is None
    assert not runs(pid)
    with pytest.raises(DemoError, match="could not be asked: ConnectError"):
        await prometheus.ask.query("up")
    await prometheus.launch()
    assert prometheus.url == url
    assert prometheus.pid != pid
    assert (prometheus.folder / "data" / "wal").is_dir()


async def test_frozen_it_does_not_answer_and_thawed_it_does(launch_prometheus: Launch) -> None:
    prometheus = await launch_prometheus(Settings())
    prometheus.freeze()
    async with httpx.AsyncClient(base_url=prometheus.url, trust_env=False) as client:
        with pytest.raises(httpx.ReadTimeout):
            await client.get("/-/ready", timeout=0.3)
        prometheus.thaw()
        assert (await client.get("/-/ready")).status_code == 200


async def test_what_it_refuses_is_told_in_its_words(launch_prometheus: Launch) -> None:
    prometheus = await launch_prometheus(Settings())
    with pytest.raises(DemoError, match=r"refused the query: .*parse error: unclosed left parenthesis"):
        await prometheus.ask.query("sum(")
    with pytest.raises(DemoError, match="still"):
        await prometheus.ask.until("up", bool, deadline=0.1)


async def test_a_failed_start_tells_the_end_of_the_log_and_leaves_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    monkeypatch.setattr("tempfile.tempdir", None)
    with pytest.raises(DemoError, match=r"ended with exit code \d+:\n(.|\n)*unknown long flag"):
        async with Prometheus.start(Settings(flags=["--no-such-flag"])):
            raise AssertionError("it cannot have started")
    assert not await asyncio.to_thread(lambda: list(tmp_path.iterdir()))


async def test_one_that_does_not_get_ready_is_given_up(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    program = tmp_path / "prometheus"
    program.write_text("#!/bin/sh\necho reading the data\nexec sleep 600\n")
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}{os.pathsep}{os.environ['PATH']}")
    with pytest.raises(DemoError, match=r"not ready within 0.3 s:\nreading the data"):
        async with Prometheus.start(Settings(start_deadline=0.3)):
            raise AssertionError("it cannot have started")


async def test_without_the_program_the_sentence_tells_how_to_get_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(DemoError, match="no `prometheus` on PATH; on Debian: apt install prometheus"):
        async with Prometheus.start(Settings()):
            raise AssertionError("it cannot have started")


@pytest.mark.skipif(sys.platform != "linux", reason="prctl is Linux")
async def test_it_does_not_outlive_a_parent_that_is_killed(tmp_path: Path) -> None:
    parent = await asyncio.create_subprocess_exec(
        sys.executable, "-c", KILLED, stdout=asyncio.subprocess.PIPE, env={**os.environ, "TMPDIR": str(tmp_path)}
    )
    assert parent.stdout is not None
    pid = int((await parent.stdout.readline()).split()[0])
    assert runs(pid)
    parent.send_signal(signal.SIGKILL)
    await parent.communicate()
    await until(lambda: not runs(pid))
