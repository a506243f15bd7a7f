"""The simulated service as a program of its own."""

import asyncio
import json
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import httpx
import pytest

from analyzer.demo.behaviour import GOOD
from analyzer.demo.instance import Instance

pytestmark = pytest.mark.anyio

PROGRAM = [sys.executable, "-m", "analyzer.demo.service"]


@asynccontextmanager
async def program(*arguments: str) -> AsyncIterator[tuple[asyncio.subprocess.Process, dict[str, Any]]]:
    process = await asyncio.create_subprocess_exec(*PROGRAM, *arguments, stdout=asyncio.subprocess.PIPE)
    try:
        assert process.stdout is not None
        async with asyncio.timeout(20):
            yield process, json.loads(await process.stdout.readline())
    finally:
        if process.returncode is None:
            process.kill()
        await process.communicate()


async def test_it_tells_where_it_serves_and_ends_when_asked_to() -> None:
    async with program("--version", "2", "--label-version", "--seed", "7") as (process, told):
        assert told == {
            "port": told["port"],
            "url": f"http://127.0.0.1:{told['port']}",
            "pid": process.pid,
            "version": "2",
            "behaviour": "good",
        }
        async with httpx.AsyncClient(base_url=told["url"], trust_env=False) as client:
            assert (await client.get("/")).status_code == 200
            assert 'http_requests_total{code="200",method="GET",version="2"} 1.0' in (await client.get("/metrics")).text
        process.terminate()
        assert await process.wait() == 0


async def test_when_it_crashes_its_exit_code_is_1() -> None:
    seed_of_a_short_life = "32"
    async with program("--behaviour", "crash", "--native-schema", "3", "--seed", seed_of_a_short_life) as (
        process,
        told,
    ):
        assert told["behaviour"] == "crash"
        assert await process.wait() == 1


async def test_a_taken_port_is_a_sentence() -> None:
    async with Instance(GOOD) as instance:
        port = instance.address.rpartition(":")[2]
        process = await asyncio.create_subprocess_exec(
            *PROGRAM, "--port", port, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE
        )
        out, err = await process.communicate()
    assert (process.returncode, out) == (1, b"")
    assert err.decode() == f"port {port} of 127.0.0.1 cannot be used: Address already in use\n"
