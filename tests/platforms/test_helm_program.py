"""The words that helm is called with, where they depend on how a revision was applied."""

import json
from pathlib import Path

import pytest
from fake_helm import FakeHelm

from analyzer.errors import PlatformError, UsageError
from analyzer.model.target import PlatformKind, Target
from analyzer.platforms.helm_program import HelmProgram, HelmSettings, RollbackOptions

pytestmark = pytest.mark.anyio
FORCING = RollbackOptions(force_conflicts=True)


# As Helm 4.0 prints it; Helm 3 has no such command.
@pytest.mark.parametrize(("method", "forces"), [("ssa", True), ("csa", False), (None, False)])
async def test_conflicts_are_forced_where_the_server_applied(
    tmp_path: Path, method: str | None, *, forces: bool
) -> None:
    helm = FakeHelm(tmp_path, "helm4")
    told = {"name": "web", "revision": 1} | ({"applyMethod": method} if method else {})
    argv = ["get", "metadata", "web", "--revision=1", "--output=json"]
    helm.answer({"argv": argv, "code": 0, "stdout": json.dumps(told), "stderr": ""})
    assert ("--force-conflicts" in await program(helm).rollback_command(1)) is forces


def program(helm: FakeHelm, **env: str) -> HelmProgram:
    target = Target(kind=PlatformKind.HELM, name="web", namespace="shop")
    return HelmProgram(target, HelmSettings(program=str(helm.path), rollback=FORCING, env=env))


async def test_helm_3_is_not_asked_who_applied(tmp_path: Path) -> None:
    helm = FakeHelm(tmp_path, "helm3")
    assert await program(helm).rollback_command(1) == ["rollback", "web", "1", "--timeout=300s", "--wait"]
    assert [call[0] for call in helm.calls] == ["version"]


@pytest.mark.parametrize("told", ["", "garbage", "[]", "null", '"ssa"', "3"])
async def test_metadata_of_another_shape_force_nothing(tmp_path: Path, told: str) -> None:
    helm = FakeHelm(tmp_path, "helm4")
    argv = ["get", "metadata", "web", "--revision=1", "--output=json"]
    helm.answer({"argv": argv, "code": 0, "stdout": told, "stderr": ""})
    assert not await program(helm).applied_by_server(1)


async def test_a_revision_that_is_gone(tmp_path: Path) -> None:
    with pytest.raises(PlatformError, match="helm get metadata of release web"):
        await program(FakeHelm(tmp_path, "helm4")).rollback_command(1)


async def test_without_force_nothing_is_asked(tmp_path: Path) -> None:
    helm = FakeHelm(tmp_path, "helm4")
    target = Target(kind=PlatformKind.HELM, name="web", namespace="shop")
    plain = HelmProgram(target, HelmSettings(program=str(helm.path)))
    assert await plain.rollback_command(7) == ["rollback", "web", "7", "--timeout=300s", "--wait"]
    assert helm.calls == []


@pytest.mark.parametrize(
    ("driver", "storage"),
    [("", "secrets"), ("secret", "secrets"), ("secrets", "secrets"), ("configmap", "configmaps"), ("sql", "")],
)
def test_where_helm_keeps_its_releases(tmp_path: Path, driver: str, storage: str) -> None:
    assert program(FakeHelm(tmp_path, "helm4"), HELM_DRIVER=driver).storage == storage


@pytest.mark.parametrize("driver", ["carrier-pigeon", "Secret", "configmapped", "memory"])
def test_a_storage_that_is_not_known(tmp_path: Path, driver: str) -> None:
    with pytest.raises(UsageError, match=f"HELM_DRIVER={driver}: write secret, configmap or sql"):
        program(FakeHelm(tmp_path, "helm4"), HELM_DRIVER=driver)
