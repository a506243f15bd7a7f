"""What the tests of the platforms share."""

from pathlib import Path

import pytest
from fake_helm import RECORDED, FakeHelm


@pytest.fixture(params=["helm3", "helm4"])
def fake_helm(request: pytest.FixtureRequest, tmp_path: Path) -> FakeHelm:
    folder = tmp_path / "bin"
    folder.mkdir()
    fake = FakeHelm(folder, request.param)
    # All manifests but those that a test gives itself.
    fake.says(*(path.stem for path in sorted((RECORDED / request.param).glob("manifest-[0-9]*.json"))))
    return fake
