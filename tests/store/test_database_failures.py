"""What goes wrong with databases: each is one sentence, none shows a password, and what can come back comes back."""

import asyncio
import os
import signal
import sqlite3
import subprocess
import sys
from pathlib import Path
from typing import Any

import asyncpg
import pytest

from analyzer.errors import CanaryError, StoreFull, StoreUnavailable, StoreUnusable, UsageError
from analyzer.store import address
from analyzer.store.address import Address
from analyzer.store.analyses import Analyses
from analyzer.store.database import Database
from analyzer.store.failure import told
from analyzer.store.record import SqlRecord
from tests.store.orders import begun, entry, event, numbers
from tests.store.postgresql import ESCAPED, PASSWORD, PostgreSQL

pytestmark = pytest.mark.anyio


async def failing(url: str) -> CanaryError:
    """What opening it says, with no password in it."""
    with pytest.raises(CanaryError) as caught:
        async with Database.open(url):
            pass
    told_as = f"{caught.value!r} {caught.value.__cause__!r}"
    assert "\n" not in str(caught.value)
    for secret in ("sesame", PASSWORD, ESCAPED):
        assert secret not in told_as
    return caught.value


@pytest.mark.parametrize(
    ("url", "says"),
    [
        ("", "begins with neither sqlite: nor postgresql:"),
        ("mysql://me:sesame@host/db", "begins with neither"),
        ("canary.db", "begins with neither"),
        ("sqlite://", "names no file"),
        ("sqlite:///", "names no file"),
        ("sqlite:///:memory:", "names no file"),
        ("sqlite:///a.db?mode=ro", "names no file"),
        ("sqlite:////tmp/a%00b", "names no file"),
        ("sqlite:///%3Amemory%3A", "names no file"),
        ("postgres", "cannot be read"),
        ("postgresql", "cannot be read"),
        ("postgresql://me:sesame@[host/db", "cannot be read"),
    ],
)
async def test_what_is_no_url_is_told_without_showing_it(url: str, says: str) -> None:
    error = await failing(url)
    assert isinstance(error, UsageError)
    assert says in str(error)


def names_in(folder: Path) -> list[str]:
    return [file.name for file in folder.iterdir()]


async def test_a_file_is_the_same_for_all_who_read_its_url(tmp_path: Path) -> None:
    """The journal of writes ahead is that of the file that is then used."""
    url = f"sqlite:///{tmp_path}/a%20b%2525.db"
    async with Database.open(url) as database, database.read() as connection:
        assert (await connection.exec_driver_sql("PRAGMA journal_mode")).scalar_one() == "wal"
    assert Address.read(url).file == f"{tmp_path}/a b%25.db"
    assert names_in(tmp_path) == ["a b%25.db"]


@pytest.mark.parametrize(
    ("url", "kind", "says"),
    [
        (
            "postgresql://me:sesame@nowhere.invalid/db",
            StoreUnavailable,
            "PostgreSQL at nowhere.invalid, database db: cann",
        ),
        (
            "postgres://me:sesame@127.0.0.1:1/db",
            StoreUnavailable,
            "PostgreSQL at 127.0.0.1:1, database db: cannot be re",
        ),
        ("postgresql+asyncpg://me:sesame@127.0.0.1:x/db", UsageError, "the database's URL is wrong in its port"),
        ("postgresql://me@127.0.0.1:1/db?sslmode=sometimes&password=sesame", UsageError, "or in a parameter"),
        ("sqlite:////nowhere/at/all.db", StoreUnusable, "the SQLite file /nowhere/at/all.db: cannot be opened"),
    ],
)
async def test_a_database_that_cannot_be_opened(url: str, kind: type[CanaryError], says: str) -> None:
    error = await failing(url)
    assert type(error) is kind, error
    assert says in str(error)


async def test_files_that_are_no_database(tmp_path: Path) -> None:
    (tmp_path / "a.db").write_text("not a database, and longer than the header of one" * 30)
    assert "not an SQLite database" in str(await failing(f"sqlite:///{tmp_path / 'a.db'}"))
    assert "cannot be opened" in str(await failing(f"sqlite:///{tmp_path}"))


async def test_a_file_that_may_only_be_read(tmp_path: Path) -> None:
    sqlite3.connect(tmp_path / "a.db").execute("CREATE TABLE t (x)").connection.close()
    connection = sqlite3.connect(f"file:{tmp_path / 'a.db'}?mode=ro", uri=True)
    with pytest.raises(StoreUnusable, match="may only be read"), told(Address.read("sqlite:///a.db")):
        connection.execute("INSERT INTO t VALUES (1)")
    connection.close()


async def test_a_file_that_may_only_be_read_is_not_opened(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    url = f"sqlite:///{tmp_path / 'a.db'}"
    async with Database.open(url):
        pass
    connect = sqlite3.connect

    def reading(file: str, **other: Any) -> sqlite3.Connection:  # noqa: ANN401 -- as sqlite3 does where it may not write
        return connect(f"file:{file}?mode=ro", uri=True, **other)

    monkeypatch.setattr(sqlite3, "connect", reading)
    error = await failing(url)
    assert isinstance(error, StoreUnusable)
    assert "may only be read: give this user the right to write the file" in str(error)


async def test_looking_whether_it_may_be_written_changes_nothing(tmp_path: Path) -> None:
    connection = sqlite3.connect(tmp_path / "a.db")
    connection.execute("PRAGMA user_version = 7")
    async with Database.open(f"sqlite:///{tmp_path / 'a.db'}"):
        assert connection.execute("PRAGMA user_version").fetchone() == (7,)
    connection.close()


async def test_a_damaged_file(tmp_path: Path) -> None:
    file = tmp_path / "a.db"
    async with Database.open(f"sqlite:///{file}") as database:
        await begun(Analyses(database), "a")
    first = 4096  # the page in which the schema begins
    whole = await asyncio.to_thread(file.read_bytes)
    await asyncio.to_thread(file.write_bytes, whole[:first] + b"\xff" * (len(whole) - first))
    error = await failing(f"sqlite:///{file}")
    assert isinstance(error, StoreUnusable)
    assert "damaged: restore it from a backup" in str(error)


async def test_a_wrong_password_and_a_database_that_is_not_there(postgresql: PostgreSQL) -> None:
    wrong = await failing(postgresql.url(password="open%40sesame"))
    assert "it refuses this user, or the password is wrong" in str(wrong)
    assert not isinstance(wrong, StoreUnavailable)
    missing = await failing(postgresql.url("nothing"))
    assert 'there is no such database (database "nothing" does not exist)' in str(missing)


async def test_a_user_without_rights(postgresql: PostgreSQL) -> None:
    url = await postgresql.new_database()
    connection = await asyncpg.connect(url)
    await connection.execute("REVOKE ALL ON SCHEMA public FROM PUBLIC; CREATE ROLE poor LOGIN PASSWORD 'sesame'")
    await connection.close()
    error = await failing(url.replace("canary", "poor").replace(ESCAPED, "sesame"))
    assert "this user may use no schema of it" in str(error)


async def test_a_file_that_another_process_has_locked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(address, "PATIENCE", 0.2)
    async with Database.open(f"sqlite:///{tmp_path / 'a.db'}") as database:
        analyses = Analyses(database)
        (claim,) = await begun(analyses, "a")
        other = sqlite3.connect(tmp_path / "a.db", isolation_level=None)
        other.execute("BEGIN IMMEDIATE")
        with pytest.raises(StoreUnavailable, match="locked by another process for too long"):
            await analyses.append("a", claim.lease, [event(1)])
        assert (await analyses.get("a")).last_seq == 0  # who reads does not wait
        other.execute("ROLLBACK")
        other.close()
        assert await analyses.append("a", claim.lease, [event(1)]) == 1


async def test_a_full_disk_keeps_nothing_by_halves_and_goes_on_when_there_is_room(tmp_path: Path) -> None:
    async with Database.open(f"sqlite:///{tmp_path / 'a.db'}") as database:
        analyses = Analyses(database)
        (claim,) = await begun(analyses, "a")

        async def pages(number: int) -> None:
            async with database.read() as connection:
                await connection.exec_driver_sql(f"PRAGMA max_page_count = {number}")

        await pages(1)  # no more than there are
        with pytest.raises(StoreFull, match="no room left on its disk"):
            await analyses.append("a", claim.lease, [event(1), event(2, "x" * 100_000)])
        assert await numbers(analyses, "a") == []
        await pages(1_000_000)
        assert await analyses.append("a", claim.lease, [event(1)]) == 1


UNTIL_FULL = """
import asyncio, resource, sys
from analyzer.errors import StoreUnavailable
from analyzer.store.analyses import Analyses
from analyzer.store.database import Database
from tests.store.orders import begun, event, numbers

async def main(url):
    async with Database.open(url) as database:
        analyses = Analyses(database)
        (claim,) = await begun(analyses, "a")
        resource.setrlimit(resource.RLIMIT_FSIZE, (500_000, resource.RLIM_INFINITY))
        kept = 0
        try:
            for _ in range(1000):
                kept = await analyses.append("a", claim.lease, [event(kept + 1, "x" * 10_000)])
        except StoreUnavailable as error:
            print(error)
        assert await numbers(analyses, "a") == list(range(1, kept + 1)), "what was kept is there, and nothing else"
        resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
        assert await analyses.append("a", claim.lease, [event(kept + 1)]) == kept + 1
        print("went on after", kept)

asyncio.run(main(sys.argv[1]))
"""


async def test_a_file_that_may_not_grow(tmp_path: Path) -> None:
    done = await asyncio.create_subprocess_exec(
        *(sys.executable, "-c", UNTIL_FULL, f"sqlite:///{tmp_path / 'a.db'}"), stdout=subprocess.PIPE
    )
    output, _ = await asyncio.wait_for(done.communicate(), 60)
    assert done.returncode == 0
    assert "its disk cannot be read or written now" in output.decode()
    assert int(output.split()[-1]) > 5


async def test_a_server_that_goes_away_and_comes_back(own_postgresql: PostgreSQL) -> None:
    async with Database.open(await own_postgresql.new_database()) as database:
        analyses = Analyses(database)
        (claim,) = await begun(analyses, "a")
        complaints: asyncio.Queue[StoreUnavailable] = asyncio.Queue()
        record = SqlRecord(analyses, "a", claim.lease, complain=complaints.put_nowait)
        await record.append(event(1))
        own_postgresql.stop()
        with pytest.raises(StoreUnavailable):
            await analyses.get("a")
        with pytest.raises(StoreUnavailable):
            await database.time()
        waiting = asyncio.ensure_future(record.append(event(2)))
        for _ in range(2):
            await asyncio.wait_for(complaints.get(), 30)
        assert not waiting.done()
        await asyncio.to_thread(own_postgresql.start)
        async with asyncio.timeout(30):
            await waiting
        assert await numbers(analyses, "a") == [1, 2]
        # A shutdown that tells its clients, and connections that nobody has looked at since.
        own_postgresql.stop(signal.SIGINT)
        await asyncio.to_thread(own_postgresql.start)
        await record.append(event(3))
        assert await numbers(analyses, "a") == [1, 2, 3]


async def test_connections_that_break_in_the_middle_of_work_lose_and_double_nothing(own_postgresql: PostgreSQL) -> None:
    async with Database.open(await own_postgresql.new_database()) as database:
        analyses = Analyses(database)
        claims = await begun(analyses, *(f"a{n}" for n in range(5)))
        records = [SqlRecord(analyses, claim.id, claim.lease) for claim in claims]
        stopped = asyncio.Event()

        async def work(record: SqlRecord) -> int:
            count = 0
            while not stopped.is_set():
                count += 1
                await record.append(event(count))
            return count

        works = [asyncio.ensure_future(work(record)) for record in records]
        async with asyncio.timeout(60):
            for _ in range(2):
                seen = (await analyses.get("a0")).last_seq
                while (await analyses.get("a0")).last_seq < seen + 20:
                    pass
                own_postgresql.stop()
                await asyncio.to_thread(own_postgresql.start)
            stopped.set()
            counts = await asyncio.gather(*works)
        for claim, count in zip(claims, counts, strict=True):
            kept = await analyses.events(claim.id, limit=100_000)
            assert [numbered.event for numbered in kept] == [event(n) for n in range(1, count + 1)]


async def test_a_server_that_does_not_answer(own_postgresql: PostgreSQL, monkeypatch: pytest.MonkeyPatch) -> None:
    url = await own_postgresql.new_database()
    monkeypatch.setattr(address, "CONNECT", 0.5)
    monkeypatch.setattr("analyzer.store.database.ANSWER", 0.5)
    async with Database.open(url) as database:
        analyses = Analyses(database)
        (claim,) = await begun(analyses, "a")
        own_postgresql.freeze()
        try:
            async with asyncio.timeout(10):
                for wanted in (analyses.get("a"), analyses.append("a", claim.lease, [event(1)]), database.time()):
                    with pytest.raises(StoreUnavailable):
                        await wanted
        finally:
            own_postgresql.thaw()
        last = await analyses.append("a", claim.lease, [event(1)], after=0)
        assert await numbers(analyses, "a") == list(range(1, last + 1))


FROZEN = """
import asyncio, sys
from analyzer.store import address
from analyzer.store.changes import take_positions
from analyzer.store.database import Database

address.PATIENCE = 1

async def main(url):
    async with Database.open(url) as database, database.write() as connection:
        await take_positions(connection, 1)
        print("in the middle", flush=True)
        await asyncio.sleep(600)

asyncio.run(main(sys.argv[1]))
"""


async def test_a_process_that_is_frozen_in_a_transaction_holds_up_nobody_for_long(postgresql: PostgreSQL) -> None:
    url = await postgresql.new_database()
    async with Database.open(url) as database:
        analyses = Analyses(database)
        frozen = await asyncio.create_subprocess_exec(*(sys.executable, "-c", FROZEN, url), stdout=subprocess.PIPE)
        try:
            assert frozen.stdout is not None
            assert await asyncio.wait_for(frozen.stdout.readline(), 30) == b"in the middle\n"
            os.kill(frozen.pid, signal.SIGSTOP)
            async with asyncio.timeout(20):
                while True:
                    try:
                        await analyses.create(entry("a"))
                        break
                    except StoreUnavailable as error:
                        assert "another process holds a lock for too long" in str(error)  # noqa: PT017 -- may happen once
        finally:
            frozen.kill()
            await frozen.wait()
        assert await analyses.position() == 1


async def test_the_time_of_the_database(database: Database) -> None:
    assert abs(await database.time() - 1.79e9) < 1e9
    assert "sesame" not in database.place
