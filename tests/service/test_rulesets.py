"""Rule sets are read anew when they change; a broken new version never replaces a working one."""

import asyncio
import logging
from collections.abc import AsyncIterator, Mapping
from pathlib import Path

import pytest

from analyzer.composition.rules import find_rules
from analyzer.errors import StoreUnavailable, UsageError
from analyzer.model.order import Order
from analyzer.service.rulesets import EVERY, GONE_AFTER, YOUNG, RuleSets
from analyzer.service.settings import Settings
from analyzer.store.database import Database
from analyzer.store.rule_texts import Kept, RuleTexts

pytestmark = pytest.mark.anyio

GOOD = find_rules("http").read_text()
BETTER = GOOD + "\n# better\n"
BROKEN = {
    "not YAML": "kind: [",
    "a key that is not known": GOOD.replace("rules:", "rulez:"),
    "no PromQL": GOOD.replace("'${requests}", "'}${requests}"),
    "empty": "",
}
NOW = 1_790_000_000.0


class Shelf:
    """A folder of rule sets, and the services that use it."""

    def __init__(self, database: Database, folder: Path) -> None:
        self.database = database
        self.folder = folder
        self.now = 0.0
        self.measured: dict[str, bool] = {}
        self.rule_sets = self.another()

    def another(self) -> RuleSets:
        """Another process of the service, or the same after a new start."""
        settings = Settings.model_validate({"rules": [self.folder], "prometheus": {"default": "http://127.0.0.1:9"}})
        return RuleSets(settings, self.database, lambda: self.now)

    def write(self, text: str, name: str = "own") -> None:
        (self.folder / f"{name}.yaml").write_text(text)

    async def look(self) -> None:
        await self.rule_sets.look(self.measured.__setitem__)


@pytest.fixture
async def shelf(tmp_path: Path) -> AsyncIterator[Shelf]:
    folder = tmp_path / "rules"
    folder.mkdir()
    async with Database.open(f"sqlite:///{tmp_path / 'canary.db'}") as database:
        yield Shelf(database, folder)


async def test_a_change_is_used_at_once(shelf: Shelf) -> None:
    shelf.write(GOOD)
    assert await shelf.rule_sets.text("own") == GOOD
    shelf.write(BETTER)
    assert await shelf.rule_sets.text("own") == BETTER


@pytest.mark.parametrize("text", BROKEN.values(), ids=BROKEN)
@pytest.mark.parametrize("looked", [True, False])
async def test_a_broken_new_version_never_replaces_a_working_one(shelf: Shelf, text: str, *, looked: bool) -> None:
    shelf.write(GOOD)
    await (shelf.look() if looked else shelf.rule_sets.text("own"))
    shelf.write(text)
    await shelf.look()
    assert await shelf.rule_sets.text("own") == GOOD
    assert await shelf.another().text("own") == GOOD, "also after a new start, and for the other process"
    assert shelf.measured == {"own": True}
    assert "own" in shelf.rule_sets.broken()
    order = Order(target="helm/web", namespace="shop", rules="own")
    assert (await shelf.rule_sets.resolve(order, NOW)).rule_set == GOOD
    shelf.write(BETTER)
    await shelf.look()
    assert (await shelf.rule_sets.text("own"), shelf.rule_sets.broken()) == (BETTER, {})
    assert shelf.measured == {"own": False}


async def test_one_that_was_never_good_says_what_is_wrong(shelf: Shelf) -> None:
    shelf.write(BROKEN["a key that is not known"])
    await shelf.look()
    assert "did you mean" in shelf.rule_sets.broken()["own"]
    with pytest.raises(UsageError, match=r"own.yaml:\d+: "):
        await shelf.rule_sets.text("own")
    assert "own" in await shelf.rule_sets.names()


async def test_parameters_without_a_value_of_their_own_are_no_mistake(shelf: Shelf) -> None:
    open_ = GOOD.replace("requests: http_requests_total", "unused: x")
    assert "${requests}" in open_
    shelf.write(open_)
    assert await shelf.rule_sets.text("own") == open_
    await shelf.look()
    assert shelf.rule_sets.broken() == {}


async def test_one_that_is_deleted_is_gone_after_a_while(shelf: Shelf) -> None:
    shelf.write(GOOD)
    await shelf.look()
    (shelf.folder / "own.yaml").unlink()
    await shelf.look()
    shelf.now += GONE_AFTER - 1
    await shelf.look()
    assert await shelf.rule_sets.text("own") == GOOD, "whoever replaces a file may take it away first"
    shelf.now += 1
    await shelf.look()
    with pytest.raises(UsageError, match="'own': the service has no rule set of that name"):
        await shelf.rule_sets.text("own")
    assert "own" not in await shelf.rule_sets.names()
    assert shelf.measured == {"own": False}


async def test_one_that_reaches_a_replica_late_is_not_deleted_by_it(shelf: Shelf, tmp_path: Path) -> None:
    shelf.write(GOOD)
    await shelf.look()
    late = tmp_path / "late"
    late.mkdir()
    other = Shelf(shelf.database, late)
    for _ in range(3):
        await other.look()
        other.now += GONE_AFTER
    assert await other.rule_sets.text("own") == GOOD
    assert other.measured == {}


async def test_one_that_was_deleted_while_the_service_was_away_is_gone(shelf: Shelf) -> None:
    await RuleTexts(shelf.database).keep("own", GOOD, await shelf.database.time() - YOUNG)
    await shelf.look()
    shelf.now += GONE_AFTER
    await shelf.look()
    assert await RuleTexts(shelf.database).all() == {}


async def test_one_that_comes_back_was_not_deleted(shelf: Shelf) -> None:
    for _ in range(4):
        shelf.write(GOOD)
        await shelf.look()
        (shelf.folder / "own.yaml").unlink()
        await shelf.look()
        shelf.now += GONE_AFTER - 1
        await shelf.look()
    assert await shelf.rule_sets.text("own") == GOOD


async def test_a_folder_that_vanishes_deletes_nothing(shelf: Shelf) -> None:
    shelf.write(GOOD)
    await shelf.look()
    aside = shelf.folder.rename(shelf.folder.parent / "aside")
    for _ in range(3):
        await shelf.look()
        shelf.now += GONE_AFTER
    assert await shelf.rule_sets.text("own") == GOOD
    assert "is not there" in shelf.rule_sets.broken()["own"]
    aside.rename(shelf.folder)
    await shelf.look()
    assert shelf.rule_sets.broken() == {}


async def test_no_shipped_one_of_the_same_name_takes_its_place_meanwhile(shelf: Shelf) -> None:
    shelf.write(BETTER, "http")
    await shelf.look()
    (shelf.folder / "http.yaml").unlink()
    assert await shelf.rule_sets.text("http") == BETTER
    for _ in range(2):
        await shelf.look()
        shelf.now += GONE_AFTER
    assert await shelf.rule_sets.text("http") == GOOD


async def test_a_mounted_config_map_is_a_folder_of_links_that_are_swapped(shelf: Shelf) -> None:
    def mount(version: int, text: str) -> None:
        data = shelf.folder / f"..{version}"
        data.mkdir()
        (data / "own.yaml").write_text(text)
        (shelf.folder / "..data_tmp").symlink_to(data.name)
        (shelf.folder / "..data_tmp").rename(shelf.folder / "..data")

    mount(1, GOOD)
    (shelf.folder / "own.yaml").symlink_to("..data/own.yaml")
    await shelf.look()
    assert await shelf.rule_sets.text("own") == GOOD
    mount(2, BROKEN["not YAML"])
    await shelf.look()
    assert await shelf.rule_sets.text("own") == GOOD
    mount(3, BETTER)
    assert await shelf.rule_sets.text("own") == BETTER
    (shelf.folder / "..data").unlink()  # a link to nothing
    await shelf.look()
    assert await shelf.rule_sets.text("own") == BETTER
    assert list(shelf.rule_sets.broken()) == ["own"]


async def test_what_is_wrong_is_told_once(shelf: Shelf, caplog: pytest.LogCaptureFixture) -> None:
    told: list[str] = []
    shelf.rule_sets._tell = lambda name, why, *, in_use: (  # type: ignore[method-assign]
        told.append(why),
        RuleSets._tell(shelf.rule_sets, name, why, in_use=in_use),
    )
    with caplog.at_level(logging.INFO):
        shelf.write(GOOD)
        await shelf.look()
        for text in (BROKEN["empty"], BROKEN["empty"], BROKEN["not YAML"], GOOD, GOOD):
            shelf.write(text)
            await shelf.look()
    assert len(told) == 3
    assert told[-1] == ""


async def test_names_that_are_no_rule_sets(shelf: Shelf) -> None:
    for name in (".hidden.yaml", "a b.yaml", "own.yml", "own.yaml~"):
        (shelf.folder / name).write_text("x")
    (shelf.folder / "folder.yaml").mkdir()
    await shelf.look()
    assert set(shelf.rule_sets.broken()) <= {"folder", ".hidden"}


async def test_it_looks_again_and_again_whatever_the_database_does(
    shelf: Shelf, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("analyzer.service.rulesets.EVERY", 0.01)
    assert EVERY == 5
    seen = {False: asyncio.Event(), True: asyncio.Event()}
    looking = asyncio.create_task(shelf.rule_sets.keep_looking(lambda _, is_broken: seen[is_broken].set()))
    all_ = shelf.rule_sets._texts.all
    fails = iter([True])

    async def sometimes() -> Mapping[str, Kept]:
        if next(fails, False):
            raise StoreUnavailable("away")
        return await all_()

    monkeypatch.setattr(shelf.rule_sets._texts, "all", sometimes)
    shelf.write(GOOD)
    await asyncio.wait_for(seen[False].wait(), 10)
    shelf.write(BROKEN["empty"])
    await asyncio.wait_for(seen[True].wait(), 10)
    looking.cancel()
