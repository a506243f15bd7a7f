"""deploy/helm-plugin as Helm runs it: its own flags are in the environment, the other words follow."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
import typer
from examples import install, read

from analyzer import __version__
from analyzer.cli.app import app

PLUGIN = Path(__file__).parents[2] / "deploy" / "helm-plugin"
NOTING = """#!/bin/sh
printf '%s\\n' "$*" "helm=${CANARY_HELM:-}" "debug=${CANARY_DEBUG:-}"
exit "${CODE:-0}"
"""
NOTHING = {name: "" for name in os.environ if name.startswith(("HELM_", "CANARY_"))}
OF_HELM = {"HELM_BIN": "/opt/helm4", "HELM_NAMESPACE": "shop", "HELM_DEBUG": "false", "HELM_KUBECONTEXT": ""}


def run(folder: Path, *words: str, **environment: str) -> subprocess.CompletedProcess[str]:
    path = os.pathsep.join([str(folder / "bin"), os.defpath])
    return subprocess.run(
        [PLUGIN / "canary.sh", *words],
        env={**os.environ, **NOTHING, **OF_HELM, "PATH": path, **environment},
        capture_output=True,
        text=True,
        check=False,
        timeout=30,
    )


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    install(tmp_path, NOTING)
    return tmp_path


@pytest.mark.parametrize(
    ("words", "handed_on"),
    [
        ("check helm/web --rules http", "check --namespace=shop helm/web --rules http"),
        ("upgrade web ./chart", "upgrade --namespace=shop web ./chart"),
        ("history web", "history --namespace=shop web"),
        ("rbac web", "rbac --namespace=shop web"),
        ("check --server https://c --attach 3f2a", "check --server https://c --attach 3f2a"),
        ("check --attach=3f2a --server=https://c", "check --attach=3f2a --server=https://c"),
        ("version", "version"),
        ("lint a.yaml b.yaml", "lint a.yaml b.yaml"),
        ("--help", "--help"),
        ("", ""),
    ],
)
def test_the_namespace_is_a_flag_where_there_is_one(folder: Path, words: str, handed_on: str) -> None:
    done = run(folder, *words.split())
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.splitlines() == [handed_on, "helm=/opt/helm4", "debug="]


def test_words_are_handed_on_as_they_are(folder: Path) -> None:
    install(folder, '#!/bin/sh\nfor word; do echo "[$word]"; done\n')
    words = ["; touch hurt", "$(touch hurt)", "*", "a b", "", "-x"]
    done = run(folder, "check", *words)
    assert done.stdout.splitlines() == ["[check]", "[--namespace=shop]", *(f"[{word}]" for word in words)]


@pytest.mark.parametrize("code", [0, 2, 3, 4, 10, 11, 130, 143])
def test_the_exit_code_is_that_of_canary(folder: Path, code: int) -> None:
    assert run(folder, "check", "helm/web", CODE=str(code)).returncode == code


@pytest.mark.parametrize(
    "name",
    ["APISERVER", "TOKEN", "ASUSER", "ASGROUPS", "CAFILE", "TLS_SERVER_NAME", "INSECURE_SKIP_TLS_VERIFY"],
)
def test_what_would_hold_for_helm_alone_is_refused(folder: Path, name: str) -> None:
    done = run(folder, "history", "web", **{f"HELM_KUBE{name}": "true"})
    assert (done.returncode, done.stdout) == (2, "")
    (line,) = done.stderr.splitlines()
    assert line.startswith(f"helm canary: HELM_KUBE{name}, ")
    assert run(folder, "version", **{f"HELM_KUBE{name}": "true"}).returncode == 0
    assert run(folder, "history", "web", **{f"HELM_KUBE{name}": "false"}).returncode == 0


def test_debug_is_handed_on_and_another_helm_may_be_named(folder: Path) -> None:
    done = run(folder, "version", HELM_DEBUG="true", CANARY_HELM="/other/helm")
    assert done.stdout.splitlines() == ["version", "helm=/other/helm", "debug=1"]


def test_without_canary_there_is_one_sentence(tmp_path: Path) -> None:
    done = run(tmp_path, "check", "helm/web", PATH="/usr/bin:/bin")
    assert (done.returncode, done.stdout) == (4, "")
    assert done.stderr == (
        "helm canary: there is no canary on PATH: install it (pip install canary-analyzer), or add its folder to PATH\n"
    )


def test_when_helm_is_killed_canary_is_told_to_leave(tmp_path: Path) -> None:
    install(tmp_path, "#!/bin/sh\ntrap 'echo told; exit 143' TERM\necho begun\nwhile :; do sleep 0.1; done\n")
    path = os.pathsep.join([str(tmp_path / "bin"), os.defpath])
    helm = [sys.executable, "-c", "import subprocess, sys; subprocess.run(sys.argv[1:])"]
    with subprocess.Popen(
        [*helm, PLUGIN / "canary.sh", "check", "helm/web"],
        env={**os.environ, **NOTHING, **OF_HELM, "PATH": path},
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "begun\n"
        process.send_signal(signal.SIGKILL)
        process.wait(10)
        assert process.stdout.read() == "told\n", "it ends, and nothing holds its output open"


def test_it_has_the_version_and_the_commands_of_canary() -> None:
    plugin, completion = read(PLUGIN / "plugin.yaml"), read(PLUGIN / "completion.yaml")
    assert (plugin["name"], plugin["version"]) == ("canary", __version__)
    commands = typer.main.get_command(app).commands  # type: ignore[attr-defined] # a group has commands
    assert {each["name"] for each in completion["commands"]} == {*commands}
    for each in plugin["platformCommand"]:
        assert each["command"] == "$HELM_PLUGIN_DIR/canary.sh"
    assert os.access(PLUGIN / "canary.sh", os.X_OK)
