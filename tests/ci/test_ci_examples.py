"""The shell of deploy/ci with a `canary` that notes its words and ends as it is told: codes, outputs, signals."""

import os
import re
import signal
import subprocess
from pathlib import Path

import pytest
from examples import (
    ACTION,
    ARGOCD,
    CI,
    GITLAB,
    HELM,
    JENKINS,
    WORKFLOW,
    Job,
    github,
    gitlab,
    hook,
    install,
    jenkins,
    read,
)

NOTING = """#!/bin/sh
: >words
for word; do printf '%s\\0' "$word" >>words; done
exit "${CODE:-0}"
"""
HOSTILE = [
    "; touch hurt",
    "$(touch hurt)",
    "`touch hurt`",
    '" && touch hurt && "',
    "' && touch hurt && '",
    "-x",
    "--rollback-command=touch hurt",
    "*",
    "a b\tc",
    "${HOME}",
    "FLAGS",
]


def words(folder: Path) -> list[str]:
    return (folder / "words").read_text().split("\0")[:-1]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    install(tmp_path, NOTING)
    return tmp_path


def with_everything(target: str, flags: str) -> dict[str, Job]:
    """Each job, told the same."""
    return {
        "github": github(target=target, rules="http", namespace="shop", prometheus="http://p:9090", flags=flags),
        "gitlab": gitlab(CHECK_TARGET=target, CHECK_RULES="http", CHECK_NAMESPACE="shop", CHECK_FLAGS=flags),
        "jenkins": jenkins(TARGET=target, RULES="http", NAMESPACE="shop", FLAGS=flags),
    }


JOBS = ["github", "gitlab", "jenkins"]


@pytest.mark.parametrize("job", JOBS)
@pytest.mark.parametrize("hostile", HOSTILE)
def test_what_somebody_writes_is_a_word_and_never_a_command(folder: Path, job: str, hostile: str) -> None:
    done = with_everything(hostile, f"--set=a={hostile}\n\n--record=b c.jsonl")[job].run(folder)
    assert done.returncode == 0, done.stderr
    said = words(folder)
    assert said[0] == "check"
    assert said[-2:] == ["--", hostile], "the target is none of the flags"
    assert said[-4:-2] == [f"--set=a={hostile}", "--record=b c.jsonl"]
    assert {"--rules=http", "--namespace=shop"} <= {*said}
    assert not (folder / "hurt").exists()


@pytest.mark.parametrize("job", JOBS)
def test_what_is_left_empty_is_no_flag(folder: Path, job: str) -> None:
    jobs = {
        "github": github(target="helm/web", rules="http"),
        "gitlab": gitlab(CHECK_TARGET="helm/web", CHECK_RULES="http"),
        "jenkins": jenkins(TARGET="helm/web", RULES="http", NAMESPACE="shop", FLAGS=""),
    }
    assert jobs[job].run(folder).returncode == 0
    report = ["--output=junit", "--output-file=canary.xml"]
    expected = {"github": [], "gitlab": report, "jenkins": ["--namespace=shop", *report]}
    assert words(folder) == ["check", "--rules=http", *expected[job], "--", "helm/web"]


@pytest.mark.parametrize("job", JOBS)
@pytest.mark.parametrize("code", [0, 2, 3, 4, 10, 11, 143])
def test_the_exit_code_is_that_of_canary(folder: Path, job: str, code: int) -> None:
    done = with_everything("helm/web", "")[job].run(folder, CODE=str(code))
    assert done.returncode == code, done.stderr


def outputs(folder: Path) -> dict[str, str]:
    """As the runner reads them: the last of a name counts."""
    return dict(line.split("=", 1) for line in (folder / "outputs").read_text().splitlines())


class TestGitHub:
    def test_without_a_report_the_outputs_say_error(self, folder: Path) -> None:
        assert github(target="helm/web", rules="http").run(folder, CODE="2").returncode == 2
        told = outputs(folder)
        assert (told["verdict"], told["reason"], told["exit-code"]) == ("error", "see the log", "2")

    def test_every_output_is_written(self, folder: Path) -> None:
        github(target="helm/web", rules="http").run(folder)
        declared = read(ACTION)["outputs"]
        assert {*outputs(folder)} == {*declared}
        assert {each["value"] for each in declared.values()} == {
            f"${{{{ steps.check.outputs.{name} }}}}" for name in declared
        }

    @pytest.mark.parametrize(("code", "wanted"), [(0, 0), (3, 0), (2, 2), (4, 4), (10, 10), (11, 11)])
    def test_only_an_inconclusive_analysis_may_be_a_warning(self, folder: Path, code: int, wanted: int) -> None:
        job = github(target="helm/web", rules="http", **{"on-inconclusive": "warn"})
        assert job.run(folder, CODE=str(code)).returncode == wanted
        assert outputs(folder)["exit-code"] == str(code)

    def test_a_mistyped_choice_is_told_before_anything_runs(self, folder: Path) -> None:
        done = github(target="helm/web", rules="http", **{"on-inconclusive": "ignore"}).run(folder)
        assert (done.returncode, done.stdout) == (2, "::error::on-inconclusive: write fail or warn\n")
        assert not (folder / "words").exists()

    @pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
    def test_a_job_that_is_cancelled_tells_canary_and_waits_for_it(self, tmp_path: Path, number: int) -> None:
        install(tmp_path, "#!/bin/sh\ntrap 'echo safe; exit 143' TERM\necho begun\nwhile :; do sleep 0.1; done\n")
        job = github(target="helm/web", rules="http")
        with subprocess.Popen(
            job.command(tmp_path), cwd=tmp_path, env=job.environment(tmp_path, {}), stdout=subprocess.PIPE, text=True
        ) as process:
            assert process.stdout is not None
            assert process.stdout.readline() == "begun\n"
            os.kill(process.pid, number)
            assert process.stdout.read() == "safe\n"
            assert process.wait(30) == 143
        assert outputs(tmp_path)["exit-code"] == "143"

    def test_no_expression_is_a_part_of_a_shells_text(self) -> None:
        steps = [*read(ACTION)["runs"]["steps"]]
        steps += [step for job in read(WORKFLOW)["jobs"].values() for step in job["steps"]]
        texts = [step["run"] for step in steps if "run" in step]
        assert len(texts) >= 4
        assert [text for text in texts if "${{" in text] == []

    def test_the_workflow_uses_inputs_and_outputs_that_there_are(self) -> None:
        action, text = read(ACTION), WORKFLOW.read_text()
        (step,) = [each for each in read(WORKFLOW)["jobs"]["deploy"]["steps"] if each.get("id") == "canary"]
        assert {*step["with"]} <= {*action["inputs"]}
        assert {name for name, each in action["inputs"].items() if each.get("required")} <= {*step["with"]}
        assert {*re.findall(r"steps\.canary\.outputs\.([a-z-]+)", text)} <= {*action["outputs"]}


def test_gitlab_shows_no_verdict_as_a_warning_and_keeps_the_report() -> None:
    job = read(GITLAB)[".canary"]
    assert job["allow_failure"] == {"exit_codes": [3]}
    assert job["artifacts"]["when"] == "always"
    assert job["artifacts"]["reports"] == {"junit": "canary.xml"}
    assert (job["interruptible"], job["retry"]) == (False, 0)


def test_jenkins_calls_no_verdict_unstable_and_all_else_an_error() -> None:
    text = JENKINS.read_text()
    chain = re.search(r"if \(code == 3\) \{\s+unstable\(.*?\} else if \(code != 0\) \{\s+error\(", text, re.DOTALL)
    assert chain is not None
    assert "testResults: 'canary.xml'" in text
    double = re.findall(r'"""|sh "', text)
    assert double == [], "Groovy would write parameters into the shell's text"


@pytest.mark.parametrize("file", [HELM, ARGOCD], ids=["helm", "argocd"])
class TestHooks:
    @pytest.mark.parametrize(
        ("code", "kept", "failed"), [(0, 0, 0), (2, 2, 2), (3, 0, 3), (4, 0, 4), (11, 11, 11), (143, 143, 143)]
    )
    def test_what_each_exit_code_leads_to(self, folder: Path, file: Path, code: int, kept: int, failed: int) -> None:
        for without_verdict, wanted in (("keep", kept), ("fail", failed), ("kep", failed)):
            done = hook(file, "helm/web", without_verdict=without_verdict).run(folder, CODE=str(code))
            assert done.returncode == wanted, (without_verdict, done.stdout)
            assert done.stdout.startswith("hook: ")
            assert ("passed" in done.stdout) is (code == 0), "no verdict is never called a pass"

    @pytest.mark.parametrize("hostile", HOSTILE)
    def test_words_stay_words_and_nothing_is_done(self, folder: Path, file: Path, hostile: str) -> None:
        assert hook(file, f"helm/{hostile}", f"--set=a={hostile}").run(folder).returncode == 0
        assert words(folder) == ["check", f"helm/{hostile}", f"--set=a={hostile}", "--dry-run"]
        assert not (folder / "hurt").exists()


def test_every_example_is_in_the_document() -> None:
    text = (CI.parents[1] / "docs" / "ci.md").read_text()
    for file in CI.rglob("*.*"):
        assert f"deploy/ci/{file.relative_to(CI)}" in text, file
    assert "deploy/ci/jenkins/Jenkinsfile" in text
