"""`canary token`: printed once; the settings and the file of tokens only get its hash."""

import re
import stat
from pathlib import Path

import pytest

from analyzer.cli.__main__ import run
from analyzer.service.identity import Role
from analyzer.service.settings import load
from analyzer.service.tokens import hashed, read_tokens


def test_a_token_and_the_lines_for_the_settings(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["token", "ci", "--grant", "shop=start", "--grant", "*=read"]) == 0
    printed = capsys.readouterr()
    token = printed.out.strip()
    assert re.fullmatch(r"canary_ci_[0-9A-Za-z]{43}", token)
    assert token not in printed.err
    file = tmp_path / "canary.yaml"
    file.write_text(printed.err)  # its first line is a comment
    found = load(file, {}, {}).access.tokens["ci"]
    assert found.sha256 == hashed(token)
    assert found.grants == {"shop": Role.START, "*": Role.READ}


def test_without_a_grant_it_may_read(tmp_path: Path) -> None:
    file = tmp_path / "tokens.yaml"
    assert run(["token", "ci", "--add", str(file)]) == 0
    assert read_tokens(file)["ci"].grants == {"*": Role.READ}


def test_tokens_are_added_to_a_file(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file, tokens = tmp_path / "tokens.yaml", {}
    for name in ("ci", "1", "on", "a.b-c"):
        assert run(["token", name, "--add", str(file)]) == 0
        printed = capsys.readouterr()
        assert printed.err == ""
        tokens[name] = hashed(printed.out.strip())
    assert {name: token.sha256 for name, token in read_tokens(file).items()} == tokens
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert sorted(path.name for path in tmp_path.iterdir()) == ["tokens.yaml"]


def test_a_file_keeps_its_rights_and_its_comments(tmp_path: Path) -> None:
    file = tmp_path / "tokens.yaml"
    file.write_text("# ours\ntokens:\n")
    assert run(["token", "ci", "--add", str(file)]) == 2  # `tokens` has no value
    file.write_text(f'# ours\ntokens:\n  "a": {{sha256: "{"a" * 64}", grants: {{}}}}')
    file.chmod(0o640)
    assert run(["token", "ci", "--add", str(file)]) == 0
    assert set(read_tokens(file)) == {"a", "ci"}
    assert file.read_text().startswith("# ours\n")
    assert stat.S_IMODE(file.stat().st_mode) == 0o640


@pytest.mark.parametrize(
    ("text", "told"),
    [
        (
            f'tokens: {{"ci": {{sha256: "{"a" * 64}", grants: {{}}}}}}',
            "there is a token ci already: choose another name",
        ),
        ("tokens: {}", "cannot be added to: write its last tokens as lines of their own"),
        ("listen: {}", "listen: is not known: write tokens"),
        ("tokens: [", "the file ends in the middle of a value"),
    ],
)
def test_a_file_that_cannot_be_added_to_stays_as_it_is(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], text: str, told: str
) -> None:
    file = tmp_path / "tokens.yaml"
    file.write_text(text)
    assert run(["token", "ci", "--add", str(file)]) == 2
    printed = capsys.readouterr()
    assert told in printed.err
    assert printed.out == ""
    assert file.read_text() == text
    assert sorted(path.name for path in tmp_path.iterdir()) == ["tokens.yaml"]


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["a b"], "NAME 'a b': write letters, digits"),
        ([""], "NAME '': write letters"),
        (["x" * 101], "write letters, digits"),
        (["ci", "--grant", "shop"], "--grant 'shop': write NAMESPACE=ROLE"),
        (["ci", "--grant", "shop=king"], "--grant shop=…: a role is one of read, start, decide or admin"),
        (["ci", "--grant", "Shop=read"], "--grant 'Shop'=…: write a namespace, or '*' for all"),
        (["ci", "--grant", "a=read", "--grant", "a=admin"], "--grant a=… is given twice"),
        (["ci", "--add", "/no/such/tokens.yaml"], "/no/such/tokens.yaml: cannot be written: No such file or directory"),
    ],
)
def test_mistakes(arguments: list[str], told: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["token", *arguments]) == 2
    printed = capsys.readouterr()
    assert told in printed.err
    assert printed.out == ""
