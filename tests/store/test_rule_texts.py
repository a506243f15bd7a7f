"""The last good texts of rule sets, in either database."""

import asyncio

import pytest

from analyzer.store.database import Database
from analyzer.store.rule_texts import Kept, RuleTexts

pytestmark = pytest.mark.anyio


async def test_the_last_one_is_kept_until_it_is_forgotten(database: Database) -> None:
    texts = RuleTexts(database)
    assert await texts.all() == {}
    assert await texts.get("own") is None
    await texts.keep("own", "first", 1.0)
    await texts.keep("own", "kind: RuleSet # ä ${x} 100 %s", 2.0)
    await texts.keep("other", "", 3.0)
    assert await texts.all() == {"own": Kept("kind: RuleSet # ä ${x} 100 %s", 2.0), "other": Kept("", 3.0)}
    assert await texts.get("own") == "kind: RuleSet # ä ${x} 100 %s"
    for _ in range(2):
        await texts.forget("own")
    assert list(await texts.all()) == ["other"]


async def test_two_processes_keep_at_the_same_time(database: Database) -> None:
    await asyncio.gather(*(RuleTexts(database).keep("own", str(number), float(number)) for number in range(20)))
    (kept,) = (await RuleTexts(database).all()).values()
    assert kept.text == str(int(kept.at))
