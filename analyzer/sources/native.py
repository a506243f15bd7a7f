"""The buckets of native histograms, as something to be counted. Pure.

Formats and rules: https://prometheus.io/docs/specs/native_histograms/. Bucket i of schema s holds the observations
above 2^((i-1)·2^-s) and at most 2^(i·2^-s). The JSON of the HTTP API names the populated buckets by their bounds; the
schema is inferred from them.
"""

import math
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field, replace

FINEST, COARSEST = 8, -4
CUSTOM = -53
"""The schema of native histograms with custom bounds: their buckets are keyed by their upper bounds."""
_EMPTY = 127
"""Stands for the schema of a histogram without any bucket above zero: it goes with every other."""


@dataclass(frozen=True, slots=True)
class Native:
    """Counts by bucket index. `low` counts everything in the zero bucket and below it; `floor` is its upper bound."""

    schema: int
    count: float
    low: float
    floor: float
    buckets: dict[float, float] = field(default_factory=dict)


NOTHING = Native(_EMPTY, 0.0, 0.0, 0.0)


class NativeBuckets:
    """How the buckets of a native histogram are counted."""

    def increase(self, before: Native, after: Native) -> Native:
        """In the coarser of both schemas; a drop of the count or of any bucket means that all began anew."""
        old, new = _aligned(before, after)
        old = _with_floor(old, new.floor)
        keys = old.buckets.keys() | new.buckets.keys()
        changes = {key: new.buckets.get(key, 0.0) - old.buckets.get(key, 0.0) for key in keys}
        if new.count < old.count or new.low < old.low or any(change < 0 for change in changes.values()):
            return after
        populated = {key: change for key, change in changes.items() if change}
        return Native(new.schema, new.count - old.count, new.low - old.low, new.floor, populated)

    def add(self, one: Native, other: Native) -> Native:
        """In the coarser of both schemas."""
        left, right = _aligned(one, other)
        buckets = defaultdict(float, left.buckets)
        for key, count in right.buckets.items():
            buckets[key] += count
        floor = max(left.floor, right.floor)
        return Native(left.schema, left.count + right.count, left.low + right.low, floor, dict(buckets))

    def is_finite(self, value: Native) -> bool:
        return all(0 <= count < math.inf for count in (value.count, value.low, *value.buckets.values()))

    def pack(self, value: Native) -> tuple[float, ...]:
        head = (float(value.schema), value.count, value.low, value.floor)
        return (*head, *(number for item in sorted(value.buckets.items()) for number in item))

    def unpack(self, packed: tuple[float, ...]) -> Native:
        schema, count, low, floor, *rest = packed
        return Native(int(schema), count, low, floor, dict(zip(rest[::2], rest[1::2], strict=True)))


def _aligned(one: Native, other: Native) -> tuple[Native, Native]:
    schema = min(one.schema, other.schema)
    return _reduced(one, schema), _reduced(other, schema)


def _reduced(histogram: Native, schema: int) -> Native:
    """The same in a coarser schema: each step merges two neighbouring buckets."""
    if histogram.schema in {schema, _EMPTY}:
        return replace(histogram, schema=schema)
    if CUSTOM in {schema, histogram.schema}:
        # Exponential and custom buckets in one sum: the exponential ones are told by their upper bounds.
        return replace(histogram, schema=CUSTOM, buckets=_by_bound(histogram))
    steps = histogram.schema - schema
    buckets: dict[float, float] = defaultdict(float)
    for index, count in histogram.buckets.items():
        buckets[((int(index) - 1) >> steps) + 1] += count
    return replace(histogram, schema=schema, buckets=dict(buckets))


def _by_bound(histogram: Native) -> dict[float, float]:
    return {upper_bound(index, histogram.schema): count for index, count in histogram.buckets.items()}


def _with_floor(histogram: Native, floor: float) -> Native:
    """The same with a zero bucket as wide as `floor`: buckets below have gone into it."""
    if floor <= histogram.floor:
        return histogram
    swallowed = {key for key in histogram.buckets if upper_bound(key, histogram.schema) <= floor}
    low = histogram.low + sum(histogram.buckets[key] for key in swallowed)
    kept = {key: count for key, count in histogram.buckets.items() if key not in swallowed}
    return replace(histogram, low=low, floor=floor, buckets=kept)


def upper_bound(key: float, schema: int) -> float:
    """The upper bound of a bucket; infinite beyond the largest float."""
    if schema == CUSTOM:
        return key
    exponent = key * 2.0**-schema
    return 2.0**exponent if exponent < 1024 else math.inf  # noqa: PLR2004 -- the exponents of a double end there


def parse_native(raw: object) -> Native:
    """One histogram as the HTTP API writes it: `{"count": …, "buckets": [[rule, lower, upper, count], …]}`.

    Raises:
        ValueError: it is none.
    """
    if not isinstance(raw, dict):
        raise ValueError(f"{raw!r} is no histogram")  # noqa: TRY004 -- one error for every wrong shape
    rows = [_row(row) for row in raw.get("buckets") or []]
    positive = [(lower, upper, count) for rule, lower, upper, count in rows if _is_above_zero(rule, lower, upper)]
    low = [(upper, count) for rule, lower, upper, count in rows if not _is_above_zero(rule, lower, upper)]
    floor = max((upper for upper, _ in low), default=0.0)
    schema = _schema(positive)
    buckets = {_key(lower, upper, schema): count for lower, upper, count in positive}
    return Native(schema, float(raw["count"]), sum(count for _, count in low), max(0.0, floor), buckets)


def _row(row: object) -> tuple[int, float, float, float]:
    match row:
        case [int(rule), str(lower), str(upper), str(count)]:
            return rule, float(lower), float(upper), float(count)
    raise ValueError(f"{row!r} is no bucket of a histogram")


_ZERO_BUCKET = 3
"""The rule of a bucket that is closed on both sides; only the zero bucket is."""


def _is_above_zero(rule: int, lower: float, upper: float) -> bool:
    return upper > 0 and rule != _ZERO_BUCKET and (lower >= 0 or lower == -math.inf)


def _schema(buckets: Sequence[tuple[float, float, float]]) -> int:
    """The schema whose bounds these are; `CUSTOM` when they are of none."""
    if not buckets:
        return _EMPTY
    finite = [(lower, upper) for lower, upper, _ in buckets if lower > 0 and upper != math.inf]
    if len(finite) < len(buckets) - 1 or not finite or any(lower <= 0 for lower, _, _ in buckets):
        return CUSTOM
    schema = round(-math.log2(math.log2(finite[0][1] / finite[0][0])))
    fits = all(
        math.isclose(math.log2(edge) * 2.0**schema, round(math.log2(edge) * 2.0**schema), abs_tol=1e-6)
        and math.isclose(math.log2(upper / lower) * 2.0**schema, 1.0, rel_tol=1e-6)
        for lower, upper in finite
        for edge in (lower, upper)
    )
    return schema if fits and COARSEST <= schema <= FINEST else CUSTOM


def _key(lower: float, upper: float, schema: int) -> float:
    if schema == CUSTOM:
        return upper
    if upper == math.inf:
        return round(math.log2(lower) * 2.0**schema) + 1
    return round(math.log2(upper) * 2.0**schema)


def buckets_of(counted: Native, factor: float) -> tuple[tuple[float, ...], tuple[float, ...], int | None]:
    """Bounds in base units, ascending, the last one infinite; the count of each; and the schema (None: custom bounds).

    The lower bound of a populated bucket is listed too where nothing populated ends there, with a count of zero.
    """
    by_bound: dict[float, float] = {}
    for key, count in sorted(counted.buckets.items()):
        if counted.schema != CUSTOM:
            by_bound.setdefault(upper_bound(key - 1, counted.schema), 0.0)
        by_bound[upper_bound(key, counted.schema)] = count
    lowest = min(by_bound, default=counted.floor)
    by_bound[lowest] = by_bound.get(lowest, 0.0) + counted.low
    by_bound.setdefault(math.inf, 0.0)
    bounds = sorted(by_bound)
    schema = None if counted.schema in {CUSTOM, _EMPTY} else counted.schema
    return tuple(bound * factor for bound in bounds), tuple(by_bound[bound] for bound in bounds), schema
