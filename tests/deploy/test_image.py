"""The image, as far as it goes without an engine: its files are there, all is pinned, and what it installs runs."""

import os
import re
import subprocess
import sys
import tomllib
from fnmatch import fnmatch
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

import analyzer
from tests.deploy.chart import CHART, ROOT, read

DOCKERFILE = (ROOT / "Dockerfile").read_text()
INSTRUCTIONS = [
    line.strip()
    for line in re.sub(r"\\\n", " ", re.sub(r"^#.*\n", "", DOCKERFILE, flags=re.MULTILINE)).splitlines()
    if line.strip()
]
IGNORED = [line for line in (ROOT / ".dockerignore").read_text().splitlines() if line and line[0] != "#"]
COPIED = [
    source
    for line in INSTRUCTIONS
    if line.startswith("COPY ") and "--from=" not in line
    for source in line.split()[1:-1]
]
LOCKED = ("build.txt", "requirements.txt")
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]


def of(keyword: str) -> list[str]:
    return [line.partition(" ")[2] for line in INSTRUCTIONS if line.startswith(f"{keyword} ")]


@pytest.mark.parametrize("source", COPIED)
def test_what_is_copied_is_there_and_reaches_the_build(source: str) -> None:
    assert (ROOT / source).exists()
    (rule, *others) = IGNORED
    assert rule == "*"
    assert any(source == kept[1:] or source.startswith(f"{kept[1:]}/") for kept in others if kept.startswith("!"))


def test_nothing_else_reaches_the_build() -> None:
    kept = {line[1:] for line in IGNORED if line.startswith("!")}
    assert [one for one in kept if not any(fnmatch(copied, f"{one}*") for copied in COPIED)] == []


@pytest.mark.parametrize("image", [line.partition("=")[2] for line in of("ARG") if "_IMAGE=" in line])
def test_base_images_have_a_whole_version(image: str) -> None:
    assert re.fullmatch(r"[a-z]+:\d+\.\d+\.\d+-[a-z-]+", image)


def test_every_stage_is_built_on_one_of_them() -> None:
    assert len(of("FROM")) == 3
    assert all(line.startswith("${") for line in of("FROM"))


def test_go_is_new_enough_for_helm() -> None:
    (image,) = re.findall(r"GO_IMAGE=golang:(\d+\.\d+)", DOCKERFILE)
    for helm in ("helm3", "helm4"):
        (wanted,) = re.findall(
            r"^go (\d+\.\d+)", (ROOT / "tests" / "cluster" / "programs" / helm / "go.mod").read_text(), re.MULTILINE
        )
        assert tuple(map(int, image.split("."))) >= tuple(map(int, wanted.split(".")))


def test_helm_is_built_as_the_test_bed_builds_it() -> None:
    """The same modules, versions and flags: there is nothing that could differ."""
    (line,) = [line for line in of("RUN") if "/programs/build" in line]
    assert '/programs/build "helm${HELM}"' in line
    assert "ARG HELM=4" in INSTRUCTIONS
    assert {"tests/cluster/programs/build", "tests/cluster/programs/helm3", "tests/cluster/programs/helm4"} <= set(
        COPIED
    )


def test_it_runs_as_the_user_of_the_chart_and_not_as_root() -> None:
    context = read(CHART / "values.yaml")["podSecurityContext"]
    assert of("USER") == [f"{context['runAsUser']}:{context['runAsGroup']}"]
    last = DOCKERFILE.rpartition("FROM ")[2]
    assert last.index("USER ") < last.index("ENTRYPOINT")
    assert f"--uid {context['runAsUser']}" in last


def test_it_is_the_version_of_the_package() -> None:
    assert f'org.opencontainers.image.version="{analyzer.__version__}"' in DOCKERFILE
    assert f"canary-analyzer:{analyzer.__version__} ." in DOCKERFILE


def test_it_starts_the_service_without_a_shell() -> None:
    assert of("ENTRYPOINT") == ['["canary"]']
    assert of("CMD") == ['["serve"]']


def locked(file: Path) -> dict[str, str]:
    """What a lock says of each package: version, marker, hashes."""
    blocks = re.split(r"\n(?=\S)", file.read_text().strip())
    return {canonicalize_name(re.split(r"[=\s]", block)[0]): block for block in blocks}


@pytest.mark.parametrize("name", LOCKED)
def test_what_is_installed_is_locked_as_everything_else(name: str) -> None:
    everything = locked(ROOT / "constraints.txt")
    for package, block in locked(ROOT / "deploy" / "image" / name).items():
        assert _without_marker(block) == _without_marker(everything[package]), "make lock"
        assert "--hash=sha256:" in block


def _without_marker(block: str) -> str:
    """A package that one of two locks needs always, the other may need on some platforms alone."""
    return re.sub(r" ;.*?(?= \\\n)", "", block)


@pytest.mark.parametrize("extra", ["", "serve", "traces"])
def test_all_that_the_service_needs_is_installed(extra: str) -> None:
    wanted = PROJECT["optional-dependencies"][extra] if extra else PROJECT["dependencies"]
    there = locked(ROOT / "deploy" / "image" / "requirements.txt")
    assert [each for each in wanted if canonicalize_name(Requirement(each).name) not in there] == []


def test_only_hashes_are_trusted() -> None:
    installs = [part for line in of("RUN") for part in line.split("&&") if " install " in part and "pip" in part]
    assert len(installs) == 3
    assert all("--require-hashes" in part or "--no-index" in part for part in installs)


def test_a_wheel_of_this_tree_has_all_that_the_service_reads(tmp_path: Path) -> None:
    """Rule sets, migrations and pages: built, unpacked elsewhere, and asked."""
    pip = [sys.executable, "-m", "pip", "--disable-pip-version-check", "--quiet"]
    wheel = [*pip, "wheel", "--no-deps", "--no-build-isolation", "--no-index", f"--wheel-dir={tmp_path}", str(ROOT)]
    subprocess.run(wheel, check=True, cwd=tmp_path, timeout=120)
    (built,) = tmp_path.glob("canary_analyzer-*.whl")
    subprocess.run(
        [*pip, "install", "--no-deps", "--no-index", f"--target={tmp_path / 'there'}", str(built)], check=True
    )
    environment = {**os.environ, "PYTHONPATH": str(tmp_path / "there")}

    def canary(*words: str) -> str:
        command = [sys.executable, "-P", "-m", "analyzer.cli", *words]
        return subprocess.run(
            command, env=environment, cwd=tmp_path, capture_output=True, text=True, timeout=60, check=True
        ).stdout

    assert "serve" in canary("--help")
    there = tmp_path / "there" / "analyzer"
    assert {file.name for file in (there / "rules").iterdir()} == {file.name for file in (ROOT / "rules").iterdir()}
    for kind in ("*.py", "*.html", "*.mako", "*.ini", "*.yaml"):
        ours = {file.relative_to(ROOT / "analyzer") for file in (ROOT / "analyzer").rglob(kind)}
        assert ours <= {file.relative_to(there) for file in there.rglob(kind)}, kind
