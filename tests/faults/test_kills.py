"""kill -9 at random points on SQLite: no analysis or window is lost, no act is done twice, no window doubled."""

import random
from pathlib import Path

import pytest

from tests.faults.conftest import Length
from tests.faults.killing import kill_again_and_again
from tests.faults.world import World

pytestmark = [pytest.mark.anyio, pytest.mark.prometheus]


async def test_kills_on_sqlite(lived_in: World, tmp_path: Path, luck: random.Random, length: Length) -> None:
    database = f"sqlite:///{tmp_path / 'canary.db'}"
    await kill_again_and_again(lived_in, database, tmp_path, luck, int(length.of(10, 100)))
