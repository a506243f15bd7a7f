"""What a cursor carries, open while windows are counted: where each series was last seen, what is left over. Pure."""

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Generic, TypeVar

from analyzer.model.reading import Absence, Cursor, Missing
from analyzer.sources.counting import Algebra, Increment, Labels, Seen, Series, follow, identity, is_new
from analyzer.sources.gauging import not_finite
from analyzer.sources.lifetime import Lifetimes

V = TypeVar("V")

_ORIGIN = "origin"


def milliseconds(seconds: float) -> int:
    """Unix seconds as the milliseconds that Prometheus stores; neighbouring windows round their border alike."""
    return round(seconds * 1000)


@dataclass
class Ledger:
    """The state of reading one metric. `origin` and `read_to` are Unix milliseconds."""

    origin: int
    read_to: int
    is_fresh: bool
    series: dict[str, tuple[float, ...]] = field(default_factory=dict)
    extra: dict[str, str] = field(default_factory=dict)

    @classmethod
    def opened(cls, cursor: Cursor | None, start: float) -> "Ledger":
        """From a cursor, or at the start of the first window (Unix seconds)."""
        if cursor is None or _ORIGIN not in cursor.extra:
            origin = milliseconds(cursor.read_to if cursor else start)
            return cls(origin, origin, is_fresh=True, extra={_ORIGIN: str(origin)})
        read_to = milliseconds(cursor.read_to)
        return cls(int(cursor.extra[_ORIGIN]), read_to, False, dict(cursor.series), dict(cursor.extra))

    def closed(self, read_to: float) -> Cursor:
        """The cursor for what comes after `read_to` (Unix seconds)."""
        return Cursor(read_to=read_to, series=self.series, extra=self.extra)

    def seen(self, key: str, algebra: Algebra[V]) -> Seen[V] | None:
        """Where a series was last seen."""
        packed = self.series.get(key)
        return None if packed is None else Seen(int(packed[0]), algebra.unpack(packed[1:]))

    def knows(self, prefix: str) -> bool:
        """Whether any series with this prefix was ever seen."""
        return any(key.startswith(f"{prefix}/") for key in self.series)

    def forget(self, role: str) -> None:
        """Leave out every series of a role."""
        self.series = {key: seen for key, seen in self.series.items() if not key.startswith(f"{role}/")}

    def newcomers(self, prefix: str, series: Iterable[Series[V]]) -> list[Series[V]]:
        """The series of which it must be found out whether they count from zero."""
        return [
            each
            for each in series
            if each.times and each.times[0] > self.origin and identity(prefix, each.labels) not in self.series
        ]

    def count(
        self, prefix: str, series: Series[V], *, algebra: Algebra[V], end: int, lifetimes: Lifetimes
    ) -> "Followed[V]":
        """Follow one series up to `end`, and keep where it then stands."""
        key = identity(prefix, series.labels)
        seen = self.seen(key, algebra)
        from_zero = is_new(series, seen, self.origin) and lifetimes.counts_from_zero(
            series.labels, series.times[0], self.origin
        )
        increments, now = follow(series, seen, algebra=algebra, origin=self.origin, end=end, from_zero=from_zero)
        if now is not None:
            self.series[key] = (now.time, *algebra.pack(now.value))
        after = max(self.origin, seen.time if seen else 0)
        broken = [
            value
            for time, value in zip(series.times, series.values, strict=True)
            if after < time <= end and not algebra.is_finite(value)
        ]
        is_reference = now is not None and now != seen and now.time > self.origin and not increments
        return Followed(series.labels, increments, broken, is_reference=is_reference)


@dataclass
class Followed(Generic[V]):
    """What one series gave: increments, samples that were not finite, or a first sample that is only a reference."""

    labels: Labels
    increments: list[Increment[V]]
    broken: list[V]
    is_reference: bool


@dataclass
class Tally(Generic[V]):
    """What all series of one role and side gave."""

    selector: str
    amounts: list[V] = field(default_factory=list)
    broken: list[float] = field(default_factory=list)
    references: int = 0
    is_known: bool = False

    def take(self, followed: Followed[V]) -> None:
        """Add what one more series gave."""
        self.amounts += [increment.amount for increment in followed.increments]
        self.broken += [value if isinstance(value, float) else float("nan") for value in followed.broken]
        self.references += followed.is_reference
        self.is_known = True

    def absence(self) -> Missing | None:
        """Why there are no numbers; None where there are."""
        if self.amounts:
            return None
        if self.broken:
            why, detail = not_finite(self.broken)
            return Missing(why=why, detail=detail)
        if self.references:
            return Missing(
                why=Absence.NO_SAMPLES,
                detail=f"{self.selector} has its first sample in this window: counting begins there",
            )
        if self.is_known:
            return Missing(why=Absence.NO_SAMPLES, detail=f"{self.selector} has no sample in this window")
        return Missing(why=Absence.NO_SERIES, detail=f"no series matches {self.selector}")

    def remarks(self) -> tuple[str, ...]:
        """What is to be said although there are numbers."""
        if not self.broken or not self.amounts:
            return ()
        return (f"{self.selector}: {len(self.broken)} samples are NaN, infinite or negative and left out",)
