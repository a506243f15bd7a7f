"""The values of a gauge's series into the level of a side. Pure."""

import math
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence

from analyzer.model.reading import Absence, Level, Missing
from analyzer.sources.counting import Labels

Values = Sequence[tuple[Labels, float]]
"""The labels and the value of each series."""


def level(values: Values, factor: float) -> tuple[Level | Missing, tuple[str, ...]]:
    """The level in base units, and what is to be said of values that are no numbers. `values` is not empty."""
    finite = [(labels, value * factor) for labels, value in values if math.isfinite(value)]
    if not finite:
        why, detail = not_finite(value for _, value in values)
        return Missing(why=why, detail=detail), ()
    left_out = len(values) - len(finite)
    remarks = (f"{left_out} of {len(values)} series are no number and left out",) if left_out else ()
    keys = keys_of([labels for labels, _ in finite])
    by = {key: value for key, (_, value) in zip(keys, finite, strict=True)}
    return Level(mean=math.fsum(by.values()) / len(by), by=by), remarks


def not_finite(values: Iterable[float]) -> tuple[Absence, str]:
    """Why values none of which can be counted with are no numbers: NaN if any is, else negative, else infinite."""
    values = list(values)
    if any(math.isnan(value) for value in values):
        return Absence.NOT_A_NUMBER, "the value is NaN: nothing was divided by nothing, or a counter is broken"
    if any(math.isfinite(value) for value in values):
        return Absence.NOT_A_NUMBER, "the value is negative: nothing that is counted ever is; is it a gauge?"
    return Absence.INFINITE, "the value is infinite: something was divided by zero"


def part_of(labels: Labels) -> str:
    """What a series belongs to: its pod, its instance, or itself where it has neither."""
    return labels.get("pod") or labels.get("instance") or _all(labels)


def keys_of(series: Sequence[Mapping[str, str]]) -> list[str]:
    """A key for each series: what it belongs to, and all of its labels where several belong to the same."""
    parts = [part_of(labels) for labels in series]
    times = Counter(parts)
    return [part if times[part] == 1 else _all(labels) for part, labels in zip(parts, series, strict=True)]


def _all(labels: Labels) -> str:
    return ",".join(f"{name}={value}" for name, value in sorted(labels.items()) if name != "__name__") or "all"
