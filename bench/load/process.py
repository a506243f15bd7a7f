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
    """By a process, its own threads among it."""
    after_name = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    cpu = (int(after_name[11]) + int(after_name[12])) / _TICKS
    return Taken(cpu, int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * _PAGE)
