"""Who is next: one of each namespace in turn, so that none waits for another's thousands."""

import asyncio
from typing import Generic, TypeVar

from analyzer.controller.sighting import Place

T = TypeVar("T")


class Turns(Generic[T]):
    """What waits, at most one of each place: a later one replaces it."""

    def __init__(self) -> None:
        self._waiting: dict[str, dict[Place, T]] = {}  # by namespace, the next one first
        self._some = asyncio.Event()

    def __len__(self) -> int:
        return sum(map(len, self._waiting.values()))

    def put(self, place: Place, what: T) -> None:
        """It waits from now on, or still does."""
        self._waiting.setdefault(place.namespace, {})[place] = what
        self._some.set()

    def drop(self, place: Place) -> None:
        """It waits no more, if it did."""
        here = self._waiting.get(place.namespace, {})
        here.pop(place, None)
        if not here:
            self._waiting.pop(place.namespace, None)

    async def get(self) -> T:
        """The next one; waits for it."""
        while not self._waiting:
            self._some.clear()
            await self._some.wait()
        namespace, here = next(iter(self._waiting.items()))
        found = here.pop(next(iter(here)))
        del self._waiting[namespace]
        if here:
            self._waiting[namespace] = here  # behind the others
        return found
