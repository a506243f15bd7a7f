"""The rule sets that the service has: from its folders, and the last good text of those that are broken now."""

import asyncio

from analyzer.model.order import Order
from analyzer.service.ordering import resolve
from analyzer.service.settings import Settings
from analyzer.store.database import Database


class RuleSets:
    """The rule sets of a service. Make one for each process; they share what is kept through the database."""

    def __init__(self, settings: Settings, database: Database) -> None:
        self._settings = settings
        self._database = database

    async def resolve(self, order: Order, now: float) -> Order:
        """The order as it is kept; see `analyzer.service.ordering.resolve`. `now` in Unix seconds.

        Raises:
            UsageError: it cannot be done.
            StoreError: the database does not answer.
        """
        return await asyncio.to_thread(resolve, order, self._settings, now)
