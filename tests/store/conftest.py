"""Every test of the store runs on SQLite and on PostgreSQL: `url` is an empty database, `database` is one that is open.

PostgreSQL's half carries `@pytest.mark.postgresql`.
"""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from analyzer.store.analyses import Analyses
from analyzer.store.database import Database
from tests.store.postgresql import FIXTURES, own_postgresql, postgresql

__all__ = ["own_postgresql", "postgresql"]

BOTH = ["sqlite", pytest.param("postgresql", marks=pytest.mark.postgresql)]


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if FIXTURES.intersection(getattr(item, "fixturenames", ())):
            item.add_marker(pytest.mark.postgresql)


@pytest.fixture(params=BOTH)
async def url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path / 'canary.db'}"
    made: str = await request.getfixturevalue("postgresql").new_database()
    return made


@pytest.fixture
async def database(url: str) -> AsyncIterator[Database]:
    async with Database.open(url) as opened:
        yield opened


@pytest.fixture
def analyses(database: Database) -> Analyses:
    return Analyses(database)
