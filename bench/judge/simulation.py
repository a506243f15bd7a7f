"""Many runs at once through the product's own e-process, until each has crossed its bar."""

from collections.abc import Callable
from dataclasses import fields, is_dataclass, replace
from typing import TYPE_CHECKING, TypeVar

import numpy as np
from numpy.typing import NDArray

from analyzer.judge.dispersion import Prior
from analyzer.judge.process import Evidence, Setting, advance, start
from bench.judge.streams import Floats

if TYPE_CHECKING:
    from _typeshed import DataclassInstance

T = TypeVar("T", bound="DataclassInstance")

BATCH = 1000
"""Runs at once: what the processor's caches hold."""

NEVER = -1


def taken(record: T, kept: NDArray[np.intp], runs: int) -> T:
    """`record`, a dataclass of arrays whose first axis are the runs, with only the runs `kept`."""

    def one(value: object) -> object:
        if is_dataclass(value) and not isinstance(value, type):
            return taken(value, kept, runs)
        if isinstance(value, np.ndarray) and value.ndim and value.shape[0] == runs:
            return value[kept]
        return value

    changes = {field.name: one(getattr(record, field.name)) for field in fields(record)}
    return replace(record, **changes)


def first_crossing(
    setting: Setting, counts: tuple[Floats, ...], bar: float, value: Callable[[Evidence], Floats] | None = None
) -> NDArray[np.int64]:
    """The check, counted from 0, at which each run's log E reaches `bar`; NEVER where it does not.

    `counts` are n_c, e_c, n_b, e_b of shape (runs, checks). Runs that have crossed are taken out of the batch now
    and then, to save time.
    """
    look = value or (lambda evidence: evidence.log_e_fail)
    runs, checks = counts[0].shape
    crossed = np.full(runs, NEVER, dtype=np.int64)
    alive = np.arange(runs)
    evidence = start(setting, (runs,))
    for check in range(checks):
        evidence = advance(setting, evidence, *(x[alive, check] for x in counts))
        now = (look(evidence) >= bar) & (crossed[alive] == NEVER)
        crossed[alive[now]] = check
        going = np.flatnonzero(crossed[alive] == NEVER)
        if not going.size:
            break
        if going.size < 0.75 * alive.size:
            evidence, setting = taken(evidence, going, alive.size), taken(setting, going, alive.size)
            alive = alive[going]
    return crossed


def known(runs: int, phi: float = 1.0, nu: float = 30.0) -> Prior:
    """The same prior for every run."""
    return Prior(np.full(runs, phi), np.full(runs, nu), np.ones(runs), np.zeros(runs, dtype=np.bool_))
