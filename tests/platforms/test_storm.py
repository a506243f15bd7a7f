"""A storm: three or more other targets failing within ten minutes."""

import pytest

from analyzer.platforms.storm import storm

NOW = 10_000.0


@pytest.mark.parametrize(
    ("others", "count"),
    [
        ([], 0),
        ([("a", NOW), ("b", NOW)], 0),
        ([("a", NOW), ("b", NOW - 1), ("c", NOW - 600)], 3),
        ([("a", NOW), ("b", NOW - 1), ("c", NOW - 601)], 0),
        ([("a", NOW), ("a", NOW - 1), ("a", NOW - 2), ("b", NOW)], 0),  # one that fails again and again
        ([("a", NOW - 9000), ("a", NOW), ("b", NOW), ("c", NOW)], 3),  # the newest failure of each counts
        ([("a", NOW), ("a", NOW - 9000), ("b", NOW), ("c", NOW)], 3),  # in whatever order
        ([("a", NOW + 5), ("b", NOW), ("c", NOW)], 3),  # a clock ahead of ours
        ([("a", NOW + 9000), ("b", NOW), ("c", NOW)], 0),
        ([(f"shop-{number}", NOW) for number in range(20)], 20),
    ],
)
def test_how_many_make_a_storm(others: list[tuple[str, float]], count: int) -> None:
    said = storm(others, NOW)
    assert said.startswith(f"{count} other targets have failed within 10 min: ") if count else said == ""


def test_a_storm_names_the_newest() -> None:
    said = storm([("cart", NOW - 240), ("pay", NOW - 30), ("mail", NOW + 3), ("pay", NOW - 500)], NOW)
    assert "mail (just now), pay (30 s ago), cart (4 min ago); that is an incident" in said
    assert "and 15 more" in storm([(f"shop-{number}", NOW) for number in range(20)], NOW)
