"""`canary check` as a process, as a pipeline would run it, and what it said."""

import itertools
import json
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

from tests.cluster.health import until

Json = dict[str, Any]

_NUMBERS = itertools.count(1)
_GRACE = 30.0  # seconds in which it has ended after SIGTERM
_COMMAND = (sys.executable, "-m", "analyzer.cli")


@dataclass(frozen=True)
class Checked:
    """What came of it. `report` is empty when there was none, because it could not begin."""

    code: int
    report: Json
    stderr: str

    def __str__(self) -> str:
        report = {key: value for key, value in self.report.items() if key != "judgements"}
        return f"exit code {self.code}\n{json.dumps(report, indent=1)}\n{self.stderr}"

    @property
    def summary(self) -> tuple[int | str | None, ...]:
        """Exit code, verdict, action, its result, held by: what most scenarios are about."""
        if not self.report:
            return (self.code,)
        action = self.report["action"]
        return self.code, self.report["verdict"], action["kind"], action["result"], self.report["held_by"]

    @property
    def reason(self) -> str:
        return str(self.report["reason"])

    @property
    def warnings(self) -> str:
        return "\n".join(self.report["warnings"])


class Checking:
    """A command that runs: `with Checking(["check", …], environment, folder) as checking`; it ends with the block."""

    def __init__(self, arguments: Sequence[str], environment: Mapping[str, str], folder: Path) -> None:
        self._command, self._environment = [*_COMMAND, *arguments], dict(environment)
        name = f"check-{next(_NUMBERS)}"
        self._out, self._err = folder / f"{name}.out", folder / f"{name}.err"

    def __enter__(self) -> Self:
        with self._out.open("wb") as out, self._err.open("wb") as err:
            self._process = subprocess.Popen(
                self._command, stdin=subprocess.DEVNULL, stdout=out, stderr=err, env=self._environment
            )
        return self

    def __exit__(self, *_: object) -> None:
        if self._process.poll() is None:
            self._process.terminate()
            try:
                self._process.wait(_GRACE)
            except subprocess.TimeoutExpired:
                self._process.kill()
                self._process.wait()

    @property
    def pid(self) -> int:
        return self._process.pid

    @property
    def stderr(self) -> str:
        """What it has said so far."""
        return self._err.read_text()

    def until_it_says(self, word: str, seconds: float = 60) -> None:
        """Return when it does, or has ended; TimeoutError, with what it has said, if neither comes in time."""
        try:
            until(lambda: word in self.stderr or self._process.poll() is not None, seconds=seconds, what=word)
        except TimeoutError as error:
            raise TimeoutError(f"{error}; it has said:\n{self.stderr}") from None

    def begin(self) -> None:
        """Wait until it analyses."""
        self.until_it_says("watching")

    def result(self, seconds: float = 240) -> Checked:
        """Wait for its end. TimeoutError, with what it has said, if that does not come in time."""
        try:
            code = self._process.wait(seconds)
        except subprocess.TimeoutExpired:
            raise TimeoutError(f"canary check runs for more than {seconds:g} s; it has said:\n{self.stderr}") from None
        out = self._out.read_text()
        return Checked(code, json.loads(out) if out.strip() else {}, self.stderr)
