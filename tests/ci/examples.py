"""The examples of deploy/ci as their runners take them apart: the text of a step, its shell, its environment."""

import os
import re
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ruamel.yaml import YAML

Json = dict[str, Any]

CI = Path(__file__).parents[2] / "deploy" / "ci"
ACTION = CI / "github" / "action.yml"
WORKFLOW = CI / "github" / "workflow.yml"
GITLAB = CI / "gitlab" / "canary.gitlab-ci.yml"
JENKINS = CI / "jenkins" / "Jenkinsfile"
HELM = CI / "helm" / "canary.yaml"
ARGOCD = CI / "argocd" / "canary.yaml"

_EXPRESSION = re.compile(r"\$\{\{ inputs\.([a-z-]+) \}\}")


def read(file: Path) -> Json:
    found: Json = YAML(typ="safe").load(file.read_text())
    return found


@dataclass(frozen=True)
class Job:
    """A step with its shell. `env` is what it adds to the runner's environment."""

    shell: tuple[str, ...]
    text: str
    env: Mapping[str, str]
    words: tuple[str, ...] = ()

    def run(self, folder: Path, **environment: str) -> subprocess.CompletedProcess[str]:
        """To its end, in this folder."""
        return subprocess.run(
            self.command(folder),
            cwd=folder,
            env=self.environment(folder, environment),
            capture_output=True,
            text=True,
            check=False,
            timeout=120,
        )

    def command(self, folder: Path) -> Sequence[str | Path]:
        """The step's text is a file, as runners do it."""
        (folder / "step.sh").write_text(self.text)
        return [*self.shell, folder / "step.sh", *self.words]

    def environment(self, folder: Path, more: Mapping[str, str]) -> dict[str, str]:
        """Of a runner; the `canary` in the folder `bin` is found first."""
        path = os.pathsep.join([str(folder / "bin"), os.environ["PATH"]])
        return {**os.environ, "PATH": path, "GITHUB_OUTPUT": str(folder / "outputs"), **self.env, **more}


def github(**inputs: str) -> Job:
    """The action's only step, with these inputs; those that are not given have their defaults."""
    action = read(ACTION)
    given = {name: each.get("default", "") for name, each in action["inputs"].items()} | inputs
    (step,) = action["runs"]["steps"]
    env = {name: _EXPRESSION.sub(lambda found: given[found[1]], text) for name, text in step["env"].items()}
    assert step["shell"] == "bash"
    shell = ("bash", "--noprofile", "--norc", "-eo", "pipefail")
    return Job(shell, step["run"], {**env, "GITHUB_ACTIONS": "true"})


def gitlab(**variables: str) -> Job:
    """The job's script, in a shell that has no more than POSIX asks for."""
    job = read(GITLAB)[".canary"]
    (text,) = job["script"]
    return Job(("sh", "-e"), text, {**job["variables"], **variables})


def jenkins(**parameters: str) -> Job:
    """The step `sh` whose exit code is looked at, as Jenkins runs it."""
    (text,) = re.findall(r"returnStatus: true, script: '''\n(.*?)'''\)", JENKINS.read_text(), re.DOTALL)
    assert "\\" not in text, "Groovy would read it first"
    return Job(("sh", "-xe"), text, parameters)


def hook(file: Path, *words: str, without_verdict: str = "keep") -> Job:
    """The script of a Job's container, as `sh -c TEXT NAME WORDS` is to run it."""
    found = re.search(r"^( +)- \|\n(.*?)^\1- canary-hook$", file.read_text(), re.MULTILINE | re.DOTALL)
    assert found is not None
    text = "".join(line[len(found[1]) + 2 :] for line in found[2].splitlines(keepends=True))
    return Job(("sh",), text, {"WITHOUT_VERDICT": without_verdict}, words)


def install(folder: Path, text: str = "") -> None:
    """A `canary` for jobs that run in this folder: this checkout's, or a script."""
    program = folder / "bin" / "canary"
    program.parent.mkdir(exist_ok=True)
    root = Path(__file__).parents[2]
    program.write_text(text or f'#!/bin/sh\nPYTHONPATH={root} exec {sys.executable} -m analyzer.cli "$@"\n')
    program.chmod(0o755)
