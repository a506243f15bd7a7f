"""Waiting for something to become true, and not for a time; and what one may wait for of a process."""

import asyncio
from collections.abc import Callable
from pathlib import Path


async def until(holds: Callable[[], bool], *, deadline: float = 20.0) -> None:
    async with asyncio.timeout(deadline):
        while not holds():  # noqa: ASYNC110 -- what is waited for has no event: counters, processes, logs
            await asyncio.sleep(0.005)


def runs(pid: int) -> bool:
    """Whether there is such a process; one that has ended and waits to be reaped does not count."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


def is_reaped(pid: int) -> bool:
    return not Path(f"/proc/{pid}").exists()
