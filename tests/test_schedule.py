"""The list of what begins first names files that there are."""

from pathlib import Path

import pytest

from tests.schedule import LONG, begin_with_the_long

ROOT = Path(__file__).parents[1]


def test_every_long_file_is_there_and_named_once() -> None:
    assert [name for name in LONG if not (ROOT / name).is_file()] == []
    assert len(set(LONG)) == len(LONG)


def test_the_long_begin_in_their_order_and_the_others_stay_as_they_were(request: pytest.FixtureRequest) -> None:
    class Named(pytest.Item):
        def runtest(self) -> None: ...

    def named(nodeid: str) -> pytest.Item:
        return Named.from_parent(request.session, name=nodeid, nodeid=nodeid)

    items = [named(f"{file}::test") for file in ("tests/b.py", LONG[1], "tests/a.py", LONG[0])]
    begin_with_the_long(items)
    assert [item.nodeid.partition("::")[0] for item in items] == [LONG[0], LONG[1], "tests/b.py", "tests/a.py"]
