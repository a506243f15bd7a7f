"""docs/guards.md names every guard and every annotation, and its examples do what it says."""

import re
from pathlib import Path

import pytest

from analyzer.model.guard import Guard
from analyzer.platforms.migration import BACKWARD_COMPATIBLE, MIGRATION, trap
from analyzer.platforms.ownership import HOLD

TEXT = (Path(__file__).parents[2] / "docs" / "guards.md").read_text()


@pytest.mark.parametrize("guard", Guard)
def test_every_guard_has_its_row(guard: Guard) -> None:
    assert len(re.findall(rf"^\| `{guard.value}` \|(?: [^|]+ \|){{3}}$", TEXT, flags=re.MULTILINE)) == 1


@pytest.mark.parametrize("annotation", [HOLD, MIGRATION, BACKWARD_COMPATIBLE])
def test_every_annotation_is_described(annotation: str) -> None:
    assert f"`{annotation}`" in TEXT


def test_the_example_of_a_hook_is_no_trap_by_its_annotation_alone() -> None:
    (hook,) = re.findall(r"^```yaml\n(.*?)^```", TEXT, flags=re.MULTILINE | re.DOTALL)
    hook += "spec: {template: {spec: {containers: []}}}\n"
    assert trap(hook, "") == ""
    assert "web-migrate" in trap(hook.replace(BACKWARD_COMPATIBLE, "example.com/other"), "")
