"""Rollbacks that leave a trace: a script that writes down when it begins and when it has taken a service back."""

import time
from dataclasses import dataclass
from pathlib import Path

SECONDS = 0.6
"""How long a rollback takes."""

# One write with O_APPEND is whole, and what is killed here are processes: the kernel keeps what they have written.
SCRIPT = """#!/bin/sh
say() {{ echo "$1 $CANARY_ANALYSIS $CANARY_NAME $$ $PPID $(date +%s.%N)" >> '{log}'; }}
say begun
sleep {seconds}
: > '{healed}/'"$CANARY_NAME"
say done
"""


@dataclass(frozen=True)
class Act:
    """One line: `what` is begun or done; `at` in Unix seconds; `parent` the process that began it."""

    what: str
    analysis: str
    name: str
    pid: int
    parent: int
    at: float


class Acts:
    """All rollbacks of a world, whoever did them."""

    def __init__(self, folder: Path) -> None:
        self._log, self._healed = folder / "acts.log", folder / "healed"
        self.script = folder / "take-back"
        self._healed.mkdir()
        self._log.touch()
        self.script.write_text(SCRIPT.format(log=self._log, healed=self._healed, seconds=SECONDS))
        self.script.chmod(0o755)

    def healed(self, name: str) -> float | None:
        """Since when the service is taken back (Unix seconds)."""
        try:
            return (self._healed / name).stat().st_mtime
        except FileNotFoundError:
            return None

    def forget(self, name: str) -> None:
        """A new revision was brought out: it is not taken back."""
        (self._healed / name).unlink(missing_ok=True)

    def all(self) -> list[Act]:
        """Every line so far, in order."""
        lines = self._log.read_text().splitlines()
        return [_act(line) for line in lines]

    def begun(self, analysis: str) -> list[Act]:
        """How often this analysis' rollback has begun."""
        return [act for act in self.all() if act.analysis == analysis and act.what == "begun"]

    def under_way(self) -> list[Act]:
        """Those that have begun a moment ago, and are not done."""
        acts = self.all()
        done = {act.pid for act in acts if act.what == "done"}
        now = time.time()
        return [act for act in acts if act.what == "begun" and act.pid not in done and now - act.at < SECONDS]


def _act(line: str) -> Act:
    what, analysis, name, pid, parent, at = line.split(" ")
    return Act(what, analysis, name, int(pid), int(parent), float(at))
