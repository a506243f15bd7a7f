"""kill -9 at random points on PostgreSQL: no analysis or window is lost, no act is done twice, no window doubled."""

import random
from pathlib import Path

import pytest

from tests.faults.conftest import Length
from tests.faults.killing import kill_again_and_again
from tests.faults.world import World
from tests.store.postgresql import PostgreSQL

pytestmark = [pytest.mark.anyio, pytest.mark.prometheus]


async def test_kills_on_postgresql(
    lived_in: World, postgresql: PostgreSQL, tmp_path: Path, luck: random.Random, length: Length
) -> None:
    database = await postgresql.new_database()
    await kill_again_and_again(lived_in, database, tmp_path, luck, int(length.of(10, 100)))
