"""What a process has taken so far, as the kernel tells it."""

import os
from dataclasses import dataclass
from pathlib import Path

_TICKS = os.sysconf("SC_CLK_TCK")
_PAGE = os.sysconf("SC_PAGE_SIZE")


@dataclass(frozen=True)
class Taken:
    """CPU seconds, and bytes of memory."""

    cpu: float
    memory: int


def taken(pid: int) -> Taken:
    """By a process with its threads, and by its children that live."""
    processes = [pid, *_children(pid)]
    cpu = sum(_cpu(each) for each in processes)
    return Taken(cpu, sum(int(Path(f"/proc/{each}/statm").read_text().split()[1]) * _PAGE for each in processes))


def _cpu(pid: int) -> float:
    after_name = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(after_name[11]) + int(after_name[12])) / _TICKS


def _children(pid: int) -> list[int]:
    found = (Path(f"/proc/{pid}/task/{pid}/children")).read_text().split()
    return [int(each) for each in found]
