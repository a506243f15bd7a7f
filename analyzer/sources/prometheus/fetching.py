"""The raw samples of a window from the server, and what is known of new series' targets."""

from bisect import bisect_right
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from itertools import chain, pairwise
from typing import TypeVar

from analyzer.concurrency import together
from analyzer.errors import QueryRefused
from analyzer.sources.counting import Labels, Series
from analyzer.sources.lifetime import INSTANCE, JOB, POD, Lifetimes
from analyzer.sources.prometheus.answer import Answer, float_series
from analyzer.sources.prometheus.asking import Asking
from analyzer.sources.promql import Matcher, Selector, one_of
from analyzer.sources.querying import STARTED, UP

V = TypeVar("V")
Parse = Callable[[Answer], list[Series[V]]]

CHUNK = 600_000
"""Milliseconds of raw samples in one answer at most; longer spans are fetched in several."""
FIRST_LOOKBACK = 300_000
"""Milliseconds before the first window in which a series' reference is looked for, and a target's earlier scrapes."""
LATE = 60_000
"""Milliseconds before a later window in which samples that came late are found again."""
MARGIN = 30_000
"""An earlier scrape counts as such only this much (ms) after the beginning of what was fetched: exporters that set
times of their own are that much behind their scrapes, and their sample of that scrape may be just outside."""
_MANY = 200
"""More targets than this are not named one by one."""


async def raw_series(client: Asking, selector: Selector, start: int, end: int, parse: Parse[V]) -> list[Series[V]]:
    """Every sample with start < t <= end (ms), series by series, in bounded answers.

    The left border of a range belongs to it in Prometheus 2 and not in Prometheus 3; here it never does.
    """
    borders = [*range(start, end, CHUNK), end]
    chunks = []
    for left, right in pairwise(borders):
        shared = parse(await client.instant(selector.over(right - left), right))
        chunks.append([_after(each, left) for each in shared])  # copies: others may read the same answer
    merged = chunks[0] if len(chunks) == 1 else _merged(chunks)
    return [series for series in merged if series.times]


def _merged(chunks: Iterable[list[Series[V]]]) -> list[Series[V]]:
    merged: dict[frozenset[tuple[str, str]], Series[V]] = {}
    for series in chain.from_iterable(chunks):
        key = frozenset(series.labels.items())
        if (known := merged.get(key)) is None:
            merged[key] = series
        else:
            known.times += series.times
            known.values += series.values
    return list(merged.values())


def _after(series: Series[V], left: int) -> Series[V]:
    first = bisect_right(series.times, left)
    return Series(series.labels, series.times[first:], series.values[first:])


def narrowed(selector: Selector, newcomers: Sequence[Labels]) -> Selector:
    """The selector of these series' targets alone, where they are few enough to be named."""
    return selector.within(_targets(newcomers))


async def lifetimes_of(client: Asking, newcomers: Sequence[Labels], start: int, end: int) -> Lifetimes:
    """What is known of the targets, processes and pods of these series.

    Raises:
        SourceUnavailable: nothing can be known now.
    """
    targets = _targets(newcomers)
    if not targets:
        return Lifetimes()
    pods = {labels[POD] for labels in newcomers if labels.get(POD)}
    asked = [Selector(UP, targets), Selector(STARTED, targets)]
    if pods and len(pods) <= _MANY:
        asked.append(Selector("kube_pod_start_time", (one_of(POD, pods),)))
    up, processes, *rest = await together(*(_known(client, selector, start, end) for selector in asked))
    scrapes = [_after(each, start + MARGIN) for each in up]
    return Lifetimes(up=scrapes, processes=processes, pods=rest[0] if rest else ())


async def _known(client: Asking, selector: Selector, start: int, end: int) -> list[Series[float]]:
    try:
        return await raw_series(client, selector, start, end, float_series)
    except (
        QueryRefused
    ):  # not everybody may ask for everything; then nothing is known, and first samples are references
        return []


def _targets(newcomers: Iterable[Labels]) -> tuple[Matcher, ...]:
    """Matchers of their targets; empty where they have no target of their own."""
    found = [(labels.get(JOB, ""), labels[INSTANCE]) for labels in newcomers if labels.get(INSTANCE)]
    if not found:
        return ()
    jobs, instances = {job for job, _ in found}, {instance for _, instance in found}
    named = (one_of(JOB, jobs),) if len(jobs) <= _MANY else ()
    return (*named, one_of(INSTANCE, instances)) if len(instances) <= _MANY else named


def joined(series: Iterable[Series[V]], longer: Iterable[Series[V]]) -> list[Series[V]]:
    """The series, each with its longer version in its place where there is one."""
    by_labels = {frozenset(each.labels.items()): each for each in longer}
    return [replace(found) if (found := by_labels.get(frozenset(each.labels.items()))) else each for each in series]
