"""What holds all acts: the settings, the switch, so many an hour, and a database that cannot keep what is done."""

import sqlite3
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, replace
from pathlib import Path

import pytest

from analyzer.errors import StoreError, StoreUnavailable
from analyzer.service import brakes as room
from analyzer.service.brakes import HOUR, PAUSES, Brakes, BrakeState
from analyzer.service.settings import Actions, Settings
from analyzer.store import address
from analyzer.store.analyses import Analyses
from analyzer.store.database import Database
from analyzer.store.entry import Entry
from analyzer.store.switch import Act, Setting, Switch

pytestmark = pytest.mark.anyio

NOW = 1_800_000_000.0
BY_ANN = Setting("off", by="ann", why="the database is moved", at=NOW - 60)


@dataclass
class Time:
    """The clock of the database, and the pauses that were made."""

    now: float = NOW
    slept: float = 0.0

    async def __call__(self) -> float:
        return self.now

    async def sleep(self, seconds: float) -> None:
        self.slept += seconds


@pytest.fixture
async def database(tmp_path: Path) -> AsyncIterator[Database]:
    async with Database.open(f"sqlite:///{tmp_path / 'canary.db'}") as opened:
        yield opened


@pytest.fixture
def switch(database: Database) -> Switch:
    return Switch(database)


@pytest.fixture
def time() -> Time:
    return Time()


Make = Callable[..., Brakes]


@pytest.fixture
def brakes(switch: Switch, time: Time) -> Make:
    def make(on: Switch = switch, **settings: object) -> Brakes:
        return Brakes(on, Settings.model_validate(settings), time, time.sleep)

    return make


async def asked(brakes: Brakes, id_: str = "a") -> str:
    return await brakes.withheld(id_, "shop", "helm/web", "rollback")


class TestTheSettingsAndTheSwitch:
    async def test_nothing_holds(self, brakes: Make, switch: Switch) -> None:
        assert await asked(brakes()) == ""
        assert not await brakes().dry_run()
        await switch.set(replace(BY_ANN, actions="on"))
        assert await asked(brakes(), "b") == ""

    async def test_settings_that_are_off(self, brakes: Make, switch: Switch) -> None:
        await switch.set(replace(BY_ANN, actions="on"))
        off = brakes(actions="off")
        assert await asked(off) == "actions are switched off in the settings of the service (actions: off)"
        assert not await off.dry_run()
        assert await switch.taken(0.0) == 0, "what was held does not count"

    async def test_settings_that_make_dry_runs_hold_those_that_began_before(self, brakes: Make, switch: Switch) -> None:
        await switch.set(replace(BY_ANN, actions="on"))
        dry = brakes(actions="dry-run")
        assert await dry.dry_run()
        assert await asked(dry) == ("actions are switched to dry-run in the settings of the service (actions: dry-run)")

    async def test_a_switch_that_is_off_says_who_and_why(self, brakes: Make, switch: Switch) -> None:
        await switch.set(BY_ANN)
        assert await asked(brakes()) == (
            "actions were switched off by ann at 2027-01-15 07:59:00 UTC: the database is moved"
        )
        assert not await brakes().dry_run()
        assert await switch.taken(0.0) == 0
        await switch.set(replace(BY_ANN, why=" "))
        assert await asked(brakes()) == "actions were switched off by ann at 2027-01-15 07:59:00 UTC"

    async def test_a_switch_at_dry_run(self, brakes: Make, switch: Switch) -> None:
        await switch.set(replace(BY_ANN, actions="dry-run"))
        assert await brakes().dry_run()
        assert (await asked(brakes())).startswith("actions were switched to dry-run by ann at")
        assert await brakes(actions="dry-run").dry_run()

    async def test_a_word_of_a_later_version_holds(self, brakes: Make, switch: Switch) -> None:
        await switch.set(replace(BY_ANN, actions="nights-only"))
        told = await asked(brakes())
        assert told.startswith(
            "actions were switched to nights-only, which this version does not know and takes for off, by ann at "
        )
        assert (await brakes().state()).actions == Actions.OFF

    async def test_what_a_person_has_written_stays_one_line(self, brakes: Make, switch: Switch) -> None:
        await switch.set(Setting("off", by="ann\n::error::x\x1b[2J", why="a\r\nb\u2028c" + "x" * 999, at=NOW))
        told = await asked(brakes())
        assert len(told.splitlines()) == 1
        assert told.isprintable()
        assert len(told) < 700
        assert told.endswith("…")


class TestSoManyAnHour:
    async def test_no_more_than_are_allowed(self, brakes: Make, time: Time) -> None:
        two = brakes(rollbacks_per_hour=2)
        assert [await asked(two, id_) for id_ in "ab"] == ["", ""]
        assert await asked(two, "c") == (
            "2 acts were begun within the last hour, and the settings allow 2 (rollbacks_per_hour): "
            "so many at once are an incident rather than a bad release"
        )
        assert await asked(two, "a") == "", "asked again after a crash"
        assert (await asked(brakes(rollbacks_per_hour=1), "c")).startswith(
            "2 acts were begun within the last hour, and"
        )
        time.now += HOUR
        assert await asked(two, "c") == ""

    async def test_they_count_in_all_namespaces_and_replicas(self, brakes: Make) -> None:
        one, other = brakes(rollbacks_per_hour=1), brakes(rollbacks_per_hour=1)
        assert await one.withheld("a", "shop", "helm/web", "rollback") == ""
        assert await other.withheld("b", "bank", "command/api", "abort") != ""

    async def test_promotions_are_not_counted(self, brakes: Make, switch: Switch) -> None:
        made = brakes(rollbacks_per_hour=1)
        for id_ in ("a", "b"):
            assert await made.withheld(id_, "shop", f"rollout/{id_}", "promote") == ""
        assert await made.withheld("c", "shop", "rollout/c", "rollback") == ""
        await switch.set(BY_ANN)
        assert await made.withheld("d", "shop", "rollout/d", "promote") != ""

    async def test_none_is_allowed(self, brakes: Make) -> None:
        assert await asked(brakes(rollbacks_per_hour=0)) == ("the settings allow no act at all (rollbacks_per_hour: 0)")


class TestWhatHoldsNow:
    async def test_nobody_has_switched(self, brakes: Make) -> None:
        await asked(brakes())
        assert await brakes().state() == BrakeState(Actions.ON, "on", "the settings", "", None, begun=1, most=10)

    @pytest.mark.parametrize(
        ("settings", "switched", "actions", "by"),
        [
            ("on", "on", "on", "ann"),
            ("on", "dry-run", "dry-run", "ann"),
            ("on", "off", "off", "ann"),
            ("dry-run", "on", "dry-run", "the settings"),
            ("dry-run", "off", "off", "ann"),
            ("off", "on", "off", "the settings"),
            ("off", "dry-run", "off", "the settings"),
        ],
    )
    async def test_the_stricter_one(
        self, brakes: Make, switch: Switch, settings: str, switched: str, actions: str, by: str
    ) -> None:
        await switch.set(replace(BY_ANN, actions=switched))
        state = await brakes(actions=settings).state()
        assert (state.actions, state.by) == (actions, by)


class Away(Switch):
    """Away for so many questions; the answer to the last one is lost on its way."""

    left = 0
    trouble: type[StoreError] = StoreUnavailable

    async def take(
        self, act: Act, most: int, since: float, *, once_since: float | None = None, begun_since: float | None = None
    ) -> bool:
        taken = await super().take(act, most, since, once_since=once_since, begun_since=begun_since)
        if self.left > 0:
            self.left -= 1
            raise self.trouble("the SQLite file canary.db: locked by another process for too long")
        return taken


class TestADatabaseThatIsAway:
    async def test_it_is_waited_for(self, brakes: Make, database: Database, time: Time) -> None:
        away = Away(database)
        away.left = 3
        assert await asked(brakes(away, rollbacks_per_hour=1)) == ""
        assert time.slept == sum(PAUSES[:3])
        assert await away.taken(0.0) == 1

    async def test_not_for_ever(self, brakes: Make, database: Database, time: Time) -> None:
        away = Away(database)
        away.left = 10_000
        assert await asked(brakes(away)) == (
            "nothing is done that cannot be recorded: the SQLite file canary.db: locked by another process for too long"
        )
        assert 100 < time.slept < 200

    async def test_what_waiting_does_not_cure_is_not_waited_for(
        self, brakes: Make, database: Database, time: Time
    ) -> None:
        away = Away(database)
        away.left, away.trouble = 10_000, StoreError
        assert (await asked(brakes(away))).startswith("nothing is done that cannot be recorded")
        assert time.slept == 0

    async def test_a_real_one_that_is_locked(self, tmp_path: Path, time: Time, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(address, "PATIENCE", 0.01)
        monkeypatch.setattr(room, "PAUSES", (1.0, 1.0))
        async with Database.open(f"sqlite:///{tmp_path / 'locked.db'}") as database:
            brakes = Brakes(Switch(database), Settings(), time, time.sleep)
            other = sqlite3.connect(tmp_path / "locked.db", isolation_level=None)
            other.execute("BEGIN EXCLUSIVE")
            told = await asked(brakes)
            other.execute("ROLLBACK")
            other.close()
            assert told.startswith("nothing is done that cannot be recorded: the SQLite file ")
            assert time.slept == 2.0
            assert await asked(brakes) == ""

    async def test_whether_it_is_a_dry_run_is_not_guessed(self, tmp_path: Path, time: Time) -> None:
        async with Database.open(f"sqlite:///{tmp_path / 'gone.db'}") as database:
            async with database.write() as connection:
                await connection.exec_driver_sql("DROP TABLE switches")
            with pytest.raises(StoreError):
                await Brakes(Switch(database), Settings(), time).dry_run()
            assert await Brakes(Switch(database), Settings(actions=Actions.DRY_RUN), time).dry_run()


async def test_the_clock_of_the_database_will_do(database: Database) -> None:
    assert await asked(Brakes(Switch(database), Settings(), database.time)) == ""


async def test_what_another_has_taken_back_since_the_order_is_not_taken_back_again(brakes: Make, time: Time) -> None:
    made = brakes()
    assert await made.withheld("first", "shop", "command/web", "rollback", ordered_at=NOW - 20) == ""
    time.now += 1
    assert await made.withheld("second", "shop", "command/web", "rollback", ordered_at=NOW - 10) == (
        "analysis first has begun to take command/web back since this one was ordered: it is done once"
    )
    assert await made.withheld("first", "shop", "command/web", "rollback", ordered_at=NOW - 20) == "", "it asks again"
    assert await made.withheld("of another", "shop", "command/api", "rollback", ordered_at=NOW - 10) == ""
    assert await made.withheld("elsewhere", "mall", "command/web", "rollback", ordered_at=NOW - 10) == ""
    assert await made.withheld("the next", "shop", "command/web", "rollback", ordered_at=NOW + 0.5) == ""


async def test_two_are_not_at_one_target_at_a_time(brakes: Make, database: Database, time: Time) -> None:
    """The second was ordered while the first's command ran: it is not what was done before its order."""
    await Analyses(database).create(Entry("first", "key", "shop", "command", "web", "{}", NOW - 20))
    made = brakes()
    assert await made.withheld("first", "shop", "command/web", "rollback", ordered_at=NOW - 20) == ""
    time.now += 3
    held = "analysis first is at taking command/web back, and two at a time would be in each other's way"
    assert await made.withheld("second", "shop", "command/web", "rollback", ordered_at=NOW + 2) == held
    assert await made.withheld("first", "shop", "command/web", "rollback", ordered_at=NOW - 20) == "", "it asks again"
    assert await made.withheld("of another", "shop", "command/api", "rollback", ordered_at=NOW + 2) == ""


@pytest.mark.parametrize(("settings", "longest"), [({}, HOUR), ({"timeout": 7200.0}, 7200.0 + room.MARGIN)])
async def test_an_act_that_died_holds_no_other_for_ever(
    brakes: Make, database: Database, time: Time, settings: dict[str, float], longest: float
) -> None:
    await Analyses(database).create(Entry("first", "key", "shop", "command", "web", "{}", NOW - 20))
    made = brakes(targets={"web": {"rollback": "true", "namespace": "shop", **settings}})
    assert await made.withheld("first", "shop", "command/web", "rollback", ordered_at=NOW - 20) == ""
    time.now += longest - 1
    assert await made.withheld("second", "shop", "command/web", "rollback", ordered_at=NOW + 2) != ""
    time.now += 1
    assert await made.withheld("second", "shop", "command/web", "rollback", ordered_at=NOW + 2) == ""
