"""Keeping an order: checked as a whole, counted, and there once, however often it is placed under its key."""

import asyncio
import hashlib
import uuid
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final

from analyzer.errors import TooManyAnalyses
from analyzer.model.order import Order, Ordered
from analyzer.service.ordering import target_of
from analyzer.service.rulesets import RuleSets
from analyzer.service.settings import Settings
from analyzer.store.analyses import Analyses
from analyzer.store.audit import Audit, Deed
from analyzer.store.database import Database
from analyzer.store.entry import Entry, State
from analyzer.store.finding import Filter

LONGEST_KEY: Final = 255
"""Signs of a key in the store."""
OURS: Final = " "
"""Begins the keys that are made here. No `Idempotency-Key` begins so: under it somebody could order, in time, another
analysis than that from which a controller is answered."""
CHECKED_AT_ONCE: Final = 2
"""Rule sets that are checked at a time: that is work for a processor, and running analyses need it, too."""


@dataclass(frozen=True)
class Who:
    """Who orders, and why, if it is not a person who need not say; `workloads` as in `Ordered`."""

    name: str
    why: str = ""
    workloads: tuple[str, ...] = ()


@dataclass(frozen=True)
class Placing:
    """Keeps orders. `wake` is called after one that is new."""

    settings: Settings
    database: Database
    analyses: Analyses
    audit: Audit
    rule_sets: RuleSets
    wake: Callable[[], None]
    checking: asyncio.Semaphore = field(default_factory=lambda: asyncio.Semaphore(CHECKED_AT_ONCE))

    async def place(self, order: Order, who: Who, key: str | None) -> tuple[Entry, Order | None]:
        """The analysis of an order; one that was ordered before under this key comes with the order as it is kept now.

        Raises:
            TooManyAnalyses: too many run in its namespace.
            UsageError: the order cannot be done.
            StoreError: it is not known whether it is kept.
        """
        now = await self.database.time()
        async with self.checking:
            kept = await self.rule_sets.resolve(order, now)
        wanted = _entry(kept, who, key, now)
        await self._refuse_too_many(wanted)
        entry, is_new = await self.analyses.create(wanted)
        if not is_new:
            return entry, kept
        detail = f"{order.target}" + (f" in {order.namespace}" if order.namespace else "")
        detail += f": {who.why}" if who.why else ""
        await self.audit.append(Deed(at=now, who=who.name, what="start", analysis_id=entry.id, detail=detail))
        self.wake()
        return entry, None

    async def is_placed(self, namespace: str, key: str) -> bool:
        """Whether something was ordered under this key."""
        return await self.analyses.is_ordered(_stored(namespace, key))

    async def _refuse_too_many(self, wanted: Entry) -> None:
        """One that was ordered before is none more."""
        most = self.settings.limits.analyses_per_namespace
        running = Filter(namespaces=(wanted.namespace,), state=State.RUNNING)
        if await self.analyses.count(running) >= most and not await self.analyses.is_ordered(wanted.key):
            place = f"in {wanted.namespace}" if wanted.namespace else "without a namespace"
            raise TooManyAnalyses(f"{most} analyses run {place} already: wait until one has ended")


def _entry(order: Order, who: Who, key: str | None, now: float) -> Entry:
    target = target_of(order)
    return Entry(
        id=uuid.uuid4().hex[:12],
        key=_stored(order.namespace, key or uuid.uuid4().hex),
        namespace=order.namespace,
        kind=target.kind,
        name=target.name,
        ordered=Ordered(order=order, by=who.name, why=who.why, workloads=who.workloads).text,
        created_at=now,
    )


def _stored(namespace: str, key: str) -> str:
    """A key as the store has it."""
    found = f"{namespace}/{key}"
    if len(found) <= LONGEST_KEY:
        return found
    return f"{namespace}/{OURS}sha256/{hashlib.sha256(found.encode()).hexdigest()}"
