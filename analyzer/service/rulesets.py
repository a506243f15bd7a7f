"""The rule sets that the service has: from its folders, and the last good text of those that are broken now.

Files are read anew for each order. A text that is good is kept in the database, which the processes of a service share;
it is used in the place of one that has mistakes, or whose file is not there for a moment. A file that stays away from a
folder that is there is deleted, and so is the rule set.
"""

import asyncio
import os
import re
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Final

from analyzer.composition.rules import finish_rules
from analyzer.errors import StoreError, UsageError
from analyzer.model.document import read_rule_set
from analyzer.model.order import RULES_NAME, Order
from analyzer.model.template import OWN
from analyzer.service.logs import logger
from analyzer.service.ordering import resolve, rules_names, rules_text
from analyzer.service.settings import Settings
from analyzer.store.database import Database
from analyzer.store.rule_texts import Kept, RuleTexts

LOG = logger(__name__)

EVERY: Final = 5.0
"""Seconds between two looks at the folders."""
GONE_AFTER: Final = 30.0
"""Seconds after which a file that is not there is deleted: whoever replaces one may take it away first."""
YOUNG: Final = 600.0
"""Seconds in which a text that another replica has kept is not deleted by one that has never had its file: a ConfigMap
reaches their pods one after the other."""
_VARIABLE = re.compile(r"\$\{([A-Za-z_][A-Za-z0-9_]*)\}")


class RuleSets:
    """The rule sets of a service. Make one for each process; they share what is kept through the database."""

    def __init__(self, settings: Settings, database: Database, monotonic: Callable[[], float] = time.monotonic) -> None:
        self._settings = settings
        self._database = database
        self._texts = RuleTexts(database)
        self._monotonic = monotonic
        self._kept: dict[str, str] = {}  # what this process has kept, or found kept
        self._broken: dict[str, str] = {}
        self._missing: dict[str, float] = {}  # since when
        self._seen: set[str] = set()  # the names of files that were there

    async def resolve(self, order: Order, now: float) -> Order:
        """The order as it is kept; see `analyzer.service.ordering.resolve`. `now` in Unix seconds.

        Raises:
            UsageError: it cannot be done.
            StoreError: the database does not answer.
        """
        text = await self.text(order.rules) if order.rule_set is None else None
        return await asyncio.to_thread(resolve, order, self._settings, now, text)

    async def text(self, name: str) -> str:
        """The text of a rule set: of its file, or the last good one.

        Raises:
            UsageError: there is none of this name, or it is broken and no good one was kept.
            StoreError: the database does not answer.
        """
        try:
            text, is_own = await asyncio.to_thread(self._read, name)
        except UsageError:
            if (last := await self._texts.get(name)) is None:
                raise
            return last
        if is_own:
            await self._keep(name, text)
            return text
        return await self._texts.get(name) or text  # a file of the same name was in a folder, and is away

    async def names(self) -> Sequence[str]:
        """The names of all, also of those that are broken."""
        found = await asyncio.to_thread(rules_names, self._settings)
        return sorted({*found, *await self._texts.all()})

    def broken(self) -> Mapping[str, str]:
        """Which files cannot be used, as they were last looked at, and why: a sentence."""
        return dict(self._broken)

    async def keep_looking(self, measure: Callable[[str, bool], None]) -> None:
        """Look at the folders again and again; `measure` is told of each rule set whether it is broken."""
        while True:
            try:
                await self.look(measure)
            except (StoreError, OSError) as error:
                LOG.warning("trouble", detail=f"rule sets: {error}")
            await asyncio.sleep(EVERY)

    async def look(self, measure: Callable[[str, bool], None]) -> None:
        """Look at all folders once, keep what is good, and tell what has changed.

        Raises:
            StoreError: the database does not answer.
        """
        kept = await self._texts.all()
        self._kept = {name: each.text for name, each in kept.items()}
        there = await asyncio.to_thread(self._own_names)
        self._seen |= there
        for name in sorted({*there, *kept}):
            if name not in there and await asyncio.to_thread(self._folders_are_there):
                if await self._is_deleted(name, kept[name]):
                    await self._forget(name)
                    measure(name, False)
                continue
            self._missing.pop(name, None)
            why = await self._looked_at(name)
            if why != self._broken.get(name, ""):
                self._tell(name, why, in_use=name in kept)
            measure(name, bool(why))

    async def _is_deleted(self, name: str, kept: Kept) -> bool:
        """Whether a file that is not there has been away for long enough."""
        if name not in self._seen and await self._database.time() < kept.at + YOUNG:
            return False
        return self._monotonic() >= self._missing.setdefault(name, self._monotonic()) + GONE_AFTER

    async def _looked_at(self, name: str) -> str:
        """What is wrong with it; what is not is kept."""
        try:
            text, _ = await asyncio.to_thread(self._read, name)
        except UsageError as error:
            return str(error)
        await self._keep(name, text)
        return ""

    async def _keep(self, name: str, text: str) -> None:
        if self._kept.get(name) != text:
            await self._texts.keep(name, text, await self._database.time())
            self._kept[name] = text

    async def _forget(self, name: str) -> None:
        await self._texts.forget(name)
        self._missing.pop(name, None)
        self._seen.discard(name)
        self._kept.pop(name, None)
        self._broken.pop(name, None)
        LOG.warning("rule set deleted", name=name)

    def _tell(self, name: str, why: str, *, in_use: bool) -> None:
        if why:
            self._broken[name] = why
            LOG.warning("rule set broken", name=name, detail=why, last_good_in_use=in_use)
        elif self._broken.pop(name, None):
            LOG.info("rule set good again", name=name)

    # ------------------------------------------------------------------ files; for a thread

    def _read(self, name: str) -> tuple[str, bool]:
        """A good text, and whether it is from a folder of the settings.

        Raises:
            UsageError: there is none.
        """
        is_own = any(os.path.lexists(folder / f"{name}.yaml") for folder in self._settings.rules)
        text = rules_text(name, self._settings)
        if is_own and self._kept.get(name) != text:
            _check(text, name)
        return text, is_own

    def _own_names(self) -> set[str]:
        found = {file.stem for folder in self._settings.rules for file in _yaml_of(folder)}
        return {name for name in found if re.fullmatch(RULES_NAME, name)}

    def _folders_are_there(self) -> bool:
        return all(folder.is_dir() for folder in self._settings.rules)


def _yaml_of(folder: Path) -> Sequence[Path]:
    try:
        return list(folder.glob("*.yaml"))
    except OSError:
        return []


def _check(text: str, name: str) -> None:
    """Whether it can be used, whatever an order says for the parameters that it leaves open.

    Raises:
        RuleSetError: with every mistake in it.
    """
    document = read_rule_set(text, f"{name}.yaml")
    known = {*document.rule_set.spec.parameters, *OWN}
    finish_rules(document, dict.fromkeys(set(_VARIABLE.findall(text)) - known, "x"))
