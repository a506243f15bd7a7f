"""A past for a Prometheus: samples from before it was started, written as blocks of its database."""

import asyncio
import math
import shutil
import tempfile
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from analyzer.demo.process import Child
from analyzer.errors import DemoError

PROGRAM: Final = "promtool"
_DEADLINE: Final = 60.0  # seconds


@dataclass(frozen=True, slots=True)
class Series:
    """One series as Prometheus would have scraped it: samples are (Unix seconds, value), in ascending order of time.

    Times are kept to the millisecond. They should end before Prometheus starts, and be younger than its retention.
    """

    name: str
    labels: Mapping[str, str]
    samples: Sequence[tuple[float, float]]


async def write_blocks(history: Iterable[Series], data: Path) -> None:
    """Write these series into the database folder of a Prometheus that does not run, through `promtool`.

    Raises DemoError if there is no promtool, or if it refuses the samples.
    """
    series = list(history)
    if not any(one.samples for one in series):
        return
    program = shutil.which(PROGRAM)
    if program is None:
        raise DemoError(f"there is no `{PROGRAM}` on PATH; on Debian: apt install prometheus")
    with tempfile.TemporaryDirectory(prefix="canary-history-") as folder:
        text, log = Path(folder, "history.txt"), Path(folder, "log")
        await asyncio.to_thread(_write, text, series)
        await _run([program, "tsdb", "create-blocks-from", "openmetrics", "--quiet", str(text), str(data)], log)


async def _run(command: Sequence[str], log: Path) -> None:
    child = await Child.start(command, log)
    try:
        async with asyncio.timeout(_DEADLINE):
            code = await child.wait()
    except TimeoutError as error:
        raise DemoError(f"{PROGRAM} did not write the history within {_DEADLINE:.0f} s") from error
    finally:
        await child.kill()
    if code != 0:
        raise DemoError(f"{PROGRAM} refused the history:\n{child.last_lines()}")


def _write(file: Path, series: Sequence[Series]) -> None:
    with file.open("w", encoding="utf-8") as text:
        text.writelines(f"{line}\n" for line in openmetrics(series))


def openmetrics(series: Iterable[Series]) -> Iterator[str]:
    """The lines of an OpenMetrics text: families in one piece each, without types, and an end."""
    families: defaultdict[str, list[Series]] = defaultdict(list)
    for one in series:
        families[one.name].append(one)
    for name, members in families.items():
        for one in members:
            labels = ",".join(f'{label}="{_escaped(value)}"' for label, value in sorted(one.labels.items()))
            for at, value in one.samples:
                yield f"{name}{{{labels}}} {_number(value)} {at:.3f}"
    yield "# EOF"


def _escaped(value: str) -> str:
    return value.replace("\\", r"\\").replace('"', r"\"").replace("\n", r"\n")


def _number(value: float) -> str:
    if math.isinf(value):
        return "+Inf" if value > 0 else "-Inf"
    return "NaN" if math.isnan(value) else repr(float(value))
