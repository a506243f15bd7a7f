"""What the documents say is true: commands parse, YAML is read, every flag, exit code and field is there."""

import re
import shlex
from pathlib import Path

import pytest
import typer

from analyzer.cli.app import Scenario, app
from analyzer.cli.exits import Exit
from analyzer.composition.rules import find_rules, finish_rules
from analyzer.model.document import read_rule_set
from analyzer.model.report import ActionResult, Guard, Report, Verdict

ROOT = Path(__file__).parents[2]
DOCUMENTS = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").glob("*.md"))]
README = (ROOT / "README.md").read_text()
CHECK = (ROOT / "docs" / "check.md").read_text()


def blocks(document: Path, language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```", document.read_text(), flags=re.MULTILINE | re.DOTALL)


def commands() -> list[str]:
    """Every line of every shell block, continuation lines joined, comments left out."""
    found = []
    for document in DOCUMENTS:
        for block in blocks(document, "sh"):
            found += [line for line in block.replace("\\\n", " ").splitlines() if line.strip() and line[0] != "#"]
    return found


COMMANDS = commands()


def flags(command: str) -> dict[str, str]:
    """The flags of a command: long name to help."""
    group = typer.main.get_command(app)
    parameters = group.commands[command].params  # type: ignore[attr-defined] # a group has commands
    return {flag: parameter.help or "" for parameter in parameters for flag in parameter.opts if flag.startswith("--")}


@pytest.mark.parametrize("line", [line for line in COMMANDS if line.startswith("canary ")])
def test_every_canary_command_exists_with_its_flags(line: str) -> None:
    words = shlex.split(line, comments=True)
    known = flags(words[1]) | {"-n": ""}
    if words[1] == "upgrade":
        known |= dict.fromkeys(("--set", "--atomic", "--timeout"), "helm's own")
    used = [word.partition("=")[0] for word in words[2:] if word.startswith("-") and " " not in word]
    assert [flag for flag in used if flag not in known] == []


@pytest.mark.parametrize("line", [line for line in COMMANDS if line.startswith("make ")])
def test_every_make_target_exists(line: str) -> None:
    target = shlex.split(line, comments=True)[1]
    assert re.search(rf"^{target}:.*## ", (ROOT / "Makefile").read_text(), flags=re.MULTILINE)


def test_shell_blocks_are_understood() -> None:
    """A command that is neither ours nor make nor helm would go unchecked."""
    assert {line.split()[0] for line in COMMANDS} <= {"canary", "make", "helm"}
    assert any(line.startswith("canary check helm/") for line in COMMANDS)


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.name)
def test_every_rule_set_is_read(document: Path) -> None:
    for block in blocks(document, "yaml"):
        if "kind: RuleSet" in block:
            finish_rules(read_rule_set(block), {})


def test_the_readme_has_a_rule_set_explained_line_by_line() -> None:
    (block,) = [block for block in blocks(ROOT / "README.md", "yaml") if "kind: RuleSet" in block]
    rule_set = finish_rules(read_rule_set(block), {})
    assert len(rule_set.spec.rules) == 3
    lines = block.split("spec:\n")[1].splitlines()
    assert sum("#" in line for line in lines) > len(lines) / 2


def test_shipped_rule_sets_that_documents_name_exist() -> None:
    for document in DOCUMENTS:
        for name in re.findall(r"--rules ([a-z-]+)(?= |`|$)", document.read_text(), flags=re.MULTILINE):
            assert find_rules(name).is_file(), f"{document.name}: --rules {name}"


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.name)
def test_every_link_leads_somewhere(document: Path) -> None:
    for target in re.findall(r"\]\(([^)#]+)(?:#[^)]*)?\)", document.read_text()):
        if not target.startswith(("http://", "https://")):
            assert (document.parent / target).exists(), f"{document.name}: {target}"


def test_every_flag_of_check_is_described() -> None:
    assert [flag for flag in flags("check") if f"`{flag}" not in CHECK and f"{flag} " not in CHECK] == []


@pytest.mark.parametrize("command", ["history", "rbac", "upgrade"])
def test_every_flag_about_a_release_is_described(command: str) -> None:
    text = (ROOT / "docs" / "helm.md").read_text()
    hidden = {"--kube-context"}  # the same as --context
    assert [flag for flag in flags(command) if f"`{flag}`" not in text and flag not in hidden] == []


@pytest.mark.parametrize("command", ["check", "replay", "lint", "demo", "history", "rbac"])
def test_every_flag_has_a_help(command: str) -> None:
    assert [flag for flag, text in flags(command).items() if not text] == []


def test_every_exit_code_is_in_the_readme_and_in_the_help() -> None:
    group = typer.main.get_command(app)
    described = group.commands["check"].help or ""  # type: ignore[attr-defined] # a group has commands
    table = README[README.index("| exit code") : README.index("`--dry-run` never acts")]
    for code in Exit:
        assert re.search(rf"\b{code.value}\b", table), code
        assert re.search(rf"\b{code.value}\b", described), code


def test_every_verdict_result_and_guard_is_described() -> None:
    for value in (*Verdict, *ActionResult, *Guard):
        if value != Verdict.PENDING:
            assert f"| `{value.value}` |" in CHECK, value


def test_the_order_of_the_leading_fields() -> None:
    assert list(Report.model_fields)[:4] == ["verdict", "action", "held_by", "reason"]
    assert "`verdict`, `action` (`kind`, `result`), `held_by`, `reason`" in CHECK


def test_every_room_is_in_the_architecture() -> None:
    text = (ROOT / "docs" / "architecture.md").read_text()
    rooms = [path.name for path in (ROOT / "analyzer").iterdir() if (path / "__init__.py").exists()]
    assert [room for room in rooms if f"`analyzer/{room}`" not in text] == []


def test_every_scenario_of_the_demo_is_in_the_readme() -> None:
    for scenario in Scenario:
        if scenario != Scenario.ERRORS:
            assert scenario.value in README
