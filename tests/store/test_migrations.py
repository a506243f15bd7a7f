"""From the first schema to the present one, with data."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from alembic.script import Script, ScriptDirectory
from sqlalchemy import Connection, text
from sqlalchemy.ext.asyncio import AsyncEngine

from analyzer.errors import StoreError
from analyzer.model.event import Ended
from analyzer.store import migrations
from analyzer.store.address import Address
from analyzer.store.analyses import Analyses
from analyzer.store.audit import Audit, Deed
from analyzer.store.database import Database
from analyzer.store.entry import Decision, DecisionKind, Numbered, State, Summary
from analyzer.store.schema import METADATA
from analyzer.store.switch import Act, Switch
from tests.store.orders import entry, event

pytestmark = pytest.mark.anyio

# As the first version wrote it. It stays as it is, whatever the present schema is.
FIRST = [
    """INSERT INTO analyses VALUES ('a', 'deploy 7', 'shop', 'helm', 'web', '{"rules": "http"}', 'running', 'fail',
    'rollback', 'none', '', 'errors: worse', 100.5, NULL, 102.5, 2, 4, 'pod-1', 130.5, 3,
    '{"kind": "approve", "by": "ann", "why": "seen", "at": 102.25}')""",
    """INSERT INTO analyses VALUES ('b', 'deploy 8', 'bank', 'command', 'api', '{}', 'ended', 'pass',
    'none', 'none', '', 'ok', 90.5, 99.5, 99.5, 1, 3, NULL, NULL, 1, NULL)""",
    """INSERT INTO events VALUES ('a', 1, 101.0,
    '{"at":1.0,"type":"trouble","metric":"errors","why":"timeout","detail":"event 1"}')""",
    """INSERT INTO events VALUES ('a', 2, 102.5,
    '{"at":2.0,"type":"trouble","metric":"errors","why":"timeout","detail":"event 2"}')""",
    """INSERT INTO events VALUES ('b', 1, 99.5, '{"at":99.5,"type":"ended","cause":""}')""",
    "INSERT INTO audit (at, who, what, analysis_id, detail) VALUES (102.25, 'ann', 'approve', 'a', 'seen')",
    "UPDATE counters SET value = 4",
]


@asynccontextmanager
async def connected(url: str) -> AsyncIterator[AsyncEngine]:
    engine = Address.read(url).engine(answer=None).execution_options(writes=True)
    try:
        yield engine
    finally:
        await engine.dispose()


async def test_data_of_the_first_schema_is_there_in_the_present_one(url: str) -> None:
    async with connected(url) as engine:
        await migrations.upgrade(engine, to="0001")
        async with engine.begin() as connection:
            for statement in FIRST:
                await connection.exec_driver_sql(statement)
    async with Database.open(url) as database:
        analyses, audit = Analyses(database), Audit(database)
        running, ended = await analyses.get("a"), await analyses.get("b")
        assert running.summary == Summary("fail", "rollback", "none", "", "errors: worse")
        assert running.asked == Decision(DecisionKind.APPROVE, "ann", "seen", 102.25)
        assert (running.lease_owner, running.lease_until, running.lease, running.position) == ("pod-1", 130.5, 3, 4)
        assert (running.ordered, running.created_at, running.last_seq) == ('{"rules": "http"}', 100.5, 2)
        assert (ended.state, ended.ended_at) == (State.ENDED, 99.5)
        assert await analyses.events("a") == [Numbered(1, event(1)), Numbered(2, event(2))]
        assert await analyses.events("b") == [Numbered(1, Ended(at=99.5))]
        assert await audit.list() == [Deed(102.25, "ann", "approve", "a", "seen", seq=1)]
        # And the work goes on.
        assert await analyses.append("a", 3, [event(3)]) == 3
        assert [row.id for row in await analyses.changes(4)] == ["a"]
        assert not (await analyses.create(entry("c", key="deploy 7")))[1]
        assert await audit.append(Deed(1.0, "bob", "cancel")) == 2
        # What the first schema did not have is empty, and works.
        switch = Switch(database)
        assert await switch.get() is None
        assert await switch.take(Act(200.0, "a", "shop", "rollback", "helm/web"), most=1, since=100.0)
        assert not await switch.take(Act(200.0, "b", "bank", "rollback", "command/api"), most=1, since=100.0)
        assert await analyses.position() == 5


async def test_a_replica_of_the_version_before_works_on(url: str) -> None:
    """While a rolling update lasts: it has opened the database before the schema was changed under it."""
    async with connected(url) as engine:
        await migrations.upgrade(engine, to="0001")
        before = Database(Address.read(url), engine)
        assert (await Analyses(before).create(entry("a")))[1]
        async with Database.open(url) as database:
            await Switch(database).take(Act(1.0, "a", "shop", "rollback", "helm/web"), most=1, since=0.0)
        (claim,) = await Analyses(before).claim("one", 5.0, 5.0, 1)
        assert await Analyses(before).append("a", claim.lease, [event(1)]) == 1
        assert await Analyses(before).position() == 2


async def test_the_migrations_make_the_tables_that_the_program_uses(database: Database) -> None:
    def differences(connection: Connection) -> list[object]:
        return list(compare_metadata(MigrationContext.configure(connection), METADATA))

    async with database.read() as connection:
        assert await connection.run_sync(differences) == []


async def test_replicas_that_start_together_change_the_schema_once(url: str) -> None:
    async def start(number: int) -> None:
        async with Database.open(url) as database:
            await Analyses(database).create(entry(f"a{number}"))

    async with asyncio.timeout(60):
        await asyncio.gather(*(start(number) for number in range(4)))
    async with Database.open(url) as database:
        assert len((await Analyses(database).find()).entries) == 4


async def test_a_schema_of_a_later_version_is_refused(url: str) -> None:
    async with Database.open(url) as database:
        await Analyses(database).create(entry("a"))
        async with database.write() as connection:
            await connection.execute(text("UPDATE alembic_version SET version_num = '9999'"))
    with pytest.raises(StoreError, match=r"its schema \(9999\) is of a later version of the canary analyzer: use"):
        async with Database.open(url):
            pass
    async with connected(url) as engine, engine.begin() as connection:  # and nothing was done to it
        assert (await connection.execute(text("SELECT version_num FROM alembic_version"))).scalar_one() == "9999"
        assert (await connection.execute(text("SELECT id FROM analyses"))).scalars().all() == ["a"]


async def test_the_first_version_refuses_the_present_schema(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """As it does there: its program knows no revision but the first."""
    async with Database.open(url):
        pass
    known = ScriptDirectory.walk_revisions

    def only_the_first(scripts: ScriptDirectory) -> list[Script]:
        return [script for script in known(scripts) if script.revision == "0001"]

    monkeypatch.setattr(ScriptDirectory, "walk_revisions", only_the_first)
    with pytest.raises(StoreError, match=r"its schema \(0003\) is of a later version"):
        async with Database.open(url):
            pass


async def test_a_change_of_schema_that_fails_leaves_the_schema_before(url: str, tmp_path: Path) -> None:
    del tmp_path
    async with connected(url) as engine:
        async with engine.begin() as connection:
            await connection.exec_driver_sql("CREATE TABLE counters (something_else INTEGER)")
        with pytest.raises(Exception, match="counters"):
            await migrations.upgrade(engine)
        async with engine.begin() as connection:
            await connection.exec_driver_sql("DROP TABLE counters")
        await migrations.upgrade(engine)
    async with Database.open(url) as database:
        assert (await Analyses(database).create(entry("a")))[1]


def test_every_revision_but_the_first_has_one_before_it() -> None:
    scripts = ScriptDirectory(str(Path(migrations.__file__).parent))
    assert [script.revision for script in scripts.walk_revisions()][-1] == "0001"
    assert len(scripts.get_heads()) == 1
