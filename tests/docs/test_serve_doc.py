"""docs/serve.md has every setting, flag and variable of the service, and its YAML is read as it says."""

import re
from pathlib import Path

import pytest
import typer
from ruamel.yaml import YAML

from analyzer.cli.app import app
from analyzer.service.configuration import variable
from analyzer.service.identity import Role
from analyzer.service.keys import every_key
from analyzer.service.settings import ALIASES, FLAGS, Settings, load

TEXT = (Path(__file__).parents[2] / "docs" / "serve.md").read_text()
BLOCKS = re.findall(r"^```yaml\n(.*?)^```", TEXT, flags=re.MULTILINE | re.DOTALL)
TABLE = TEXT[TEXT.index("| setting | default | meaning |") :].partition("\n\n")[0]
ROWS = dict(re.findall(r"^\| `([^`]+)` \| (?:`([^`]+)` )?\| [^|]+ \|$", TABLE, flags=re.MULTILINE))
OF_KUBERNETES = "kind: ClusterRoleBinding"


def test_every_setting_has_its_row_and_every_row_is_a_setting() -> None:
    assert list(ROWS) == list(every_key(Settings))
    assert len(ROWS) == len(TABLE.splitlines()) - 2


@pytest.mark.parametrize("key", [key for key, default in ROWS.items() if default and "NAME" not in key])
def test_every_default_is_the_default(key: str) -> None:
    assert load(None, {}, {variable(key): ROWS[key]}) == Settings()


@pytest.mark.parametrize("key", [key for key in every_key(Settings) if "NAME" not in key and "[]" not in key])
def test_what_has_a_default_says_it(key: str) -> None:
    value: object = Settings()
    for part in key.split("."):
        value = getattr(value, part)
    assert bool(ROWS[key]) == (value not in (None, (), {}))


def test_defaults_of_what_has_a_name() -> None:
    name = {key.removeprefix("prometheus.NAME."): default for key, default in ROWS.items() if ".NAME." in key}
    given = {key: name[key] for key in ("insecure", "timeout", "at_once", "namespaces")}
    whole = {variable(f"prometheus.a.{key}"): value for key, value in given.items()}
    target = {variable("targets.a.timeout"): ROWS["targets.NAME.timeout"], variable("targets.a.rollback"): "true"}
    settings = load(None, {}, {variable("prometheus.a.url"): "http://p", **whole, **target})
    assert settings == Settings.model_validate(
        {"prometheus": {"a": "http://p"}, "targets": {"a": {"rollback": "true"}}}
    )


@pytest.mark.parametrize("block", [block for block in BLOCKS if OF_KUBERNETES not in block])
def test_every_example_is_read(block: str, tmp_path: Path) -> None:
    file = tmp_path / "canary.yaml"
    file.write_text(block)
    assert load(file, {}, {}) != Settings()


def test_the_example_for_kubernetes_is_yaml() -> None:
    (block,) = [block for block in BLOCKS if OF_KUBERNETES in block]
    assert YAML(typ="safe").load(block)["roleRef"]["name"] == "system:auth-delegator"


@pytest.mark.parametrize("command", ["serve", "token"])
def test_every_flag_is_described_and_has_a_help(command: str) -> None:
    group = typer.main.get_command(app)
    parameters = group.commands[command].params  # type: ignore[attr-defined] # a group has commands
    flags = {flag: parameter.help for parameter in parameters for flag in parameter.opts if flag.startswith("--")}
    assert [flag for flag, text in flags.items() if not text or f"`{flag}`" not in TEXT] == []


@pytest.mark.parametrize("flag", FLAGS)
def test_every_flag_stands_beside_its_setting(flag: str) -> None:
    (row,) = [line for line in TEXT.splitlines() if line.startswith("| `--") and f"`{flag}`" in line]
    assert f"`{FLAGS[flag]}`" in row


@pytest.mark.parametrize("name", ALIASES)
def test_every_variable_with_a_name_of_its_own(name: str) -> None:
    (row,) = [line for line in TEXT.splitlines() if line.startswith("| ") and f"`{name}`" in line]
    assert f"`{ALIASES[name]}`" in row


@pytest.mark.parametrize("role", Role)
def test_every_role(role: Role) -> None:
    assert f"| `{role.name.lower()}` |" in TEXT
