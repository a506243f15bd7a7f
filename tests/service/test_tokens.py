"""Tokens of our own: what they are like, whose they are, and a file of them that changes while we serve."""

import asyncio
import re
from pathlib import Path

import pytest

from analyzer.errors import UsageError
from analyzer.service.access import Access
from analyzer.service.identity import Caller, Role
from analyzer.service.tokens import LOOKS_APART, TokensOf, hashed, new_token, read_tokens

CI, ADMIN = f"canary_ci_{'aB3' * 14}x", f"canary_admin_{'Zy9' * 14}x"  # the same for each worker


def access(file: Path | None = None, **tokens: str) -> Access:
    given = {name: {"sha256": hashed(token), "grants": {"shop": "start"}} for name, token in tokens.items()}
    return Access.model_validate({"tokens": given, "tokens_file": file})


def lines(**tokens: str) -> str:
    entries = "".join(
        f'  "{name}": {{sha256: "{hashed(token)}", grants: {{"*": admin}}}}\n' for name, token in tokens.items()
    )
    return f"tokens:\n{entries}" if entries else "tokens: {}\n"


def whose(tokens: TokensOf, authorization: str | None) -> Caller | None:
    return asyncio.run(tokens.of(authorization))


class Time:
    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


def test_a_new_token_is_long_and_random() -> None:
    made = {new_token("ci") for _ in range(100)}
    assert len(made) == 100
    assert all(re.fullmatch(r"canary_ci_[0-9A-Za-z]{43}", token) for token in made)
    assert len({token[-1] for token in made}) > 10


def test_whose_a_token_is() -> None:
    tokens = TokensOf(access(ci=CI, admin=ADMIN))
    assert whose(tokens, f"Bearer {CI}") == Caller("ci", {"shop": Role.START})
    assert whose(tokens, f"bearer   {ADMIN} ") == Caller("admin", {"shop": Role.START})


@pytest.mark.parametrize(
    "authorization",
    [
        None,
        "",
        "Bearer",
        "Bearer ",
        CI,
        f"Basic {CI}",
        f"Bearer {CI[:-1]}",
        f"Bearer {CI}x",
        f"Bearer {CI} {CI}",
        f"Bearer {CI.lower()}",
        f"Bearer {hashed(CI)}",
        "Bearer é",
        "Bearer \x00",
        f"Bearer {'a' * 20_000}",
    ],
)
def test_nobody(authorization: str | None) -> None:
    assert whose(TokensOf(access(ci=CI)), authorization) is None


def test_none_at_all() -> None:
    assert whose(TokensOf(Access()), f"Bearer {CI}") is None


class TestFile:
    @pytest.fixture
    def file(self, tmp_path: Path) -> Path:
        file = tmp_path / "tokens.yaml"
        file.write_text(lines(admin=ADMIN))
        return file

    def test_both_are_known(self, file: Path) -> None:
        tokens = TokensOf(access(file, ci=CI))
        assert whose(tokens, f"Bearer {CI}") == Caller("ci", {"shop": Role.START})
        assert whose(tokens, f"Bearer {ADMIN}") == Caller("admin", {"*": Role.ADMIN})

    @pytest.mark.parametrize(
        ("text", "told"),
        [
            (lines(ci=ADMIN), "tokens.ci stands in the settings too"),
            (lines(other=CI), "tokens ci and other are the same one"),
            ("tokens: {a: {sha256: x, grants: {}}}", "tokens.yaml:1: tokens.a.sha256: is no SHA-256"),
            ("token: {}", "tokens.yaml:1: token: is not known: did you mean tokens?"),
        ],
    )
    def test_mistakes_at_the_start(self, file: Path, text: str, told: str) -> None:
        file.write_text(text)
        with pytest.raises(UsageError, match=re.escape(told)):
            TokensOf(access(file, ci=CI))

    def test_one_that_is_not_there(self, tmp_path: Path) -> None:
        with pytest.raises(UsageError, match="there is no such file"):
            TokensOf(access(tmp_path / "none.yaml"))

    def test_a_token_is_added_and_another_revoked_while_we_serve(self, file: Path) -> None:
        time, other = Time(), new_token("other")
        tokens = TokensOf(access(file), now=time)
        replaced(file, lines(other=other))
        assert whose(tokens, f"Bearer {ADMIN}") is not None  # not looked at again yet
        time.now += LOOKS_APART
        assert whose(tokens, f"Bearer {ADMIN}") is None
        assert whose(tokens, f"Bearer {other}") == Caller("other", {"*": Role.ADMIN})

    def test_one_that_breaks_leaves_the_tokens_as_they_were(self, file: Path) -> None:
        time, complaints = Time(), list[str]()
        tokens = TokensOf(access(file), complaints.append, now=time)
        replaced(file, "tokens: [")
        for _ in range(3):
            time.now += LOOKS_APART
            assert whose(tokens, f"Bearer {ADMIN}") is not None
        (complaint,) = complaints  # told once, not at each look
        assert complaint.startswith("the tokens stay as they were: ")
        file.unlink()
        time.now += LOOKS_APART
        assert whose(tokens, f"Bearer {ADMIN}") is not None
        assert len(complaints) == 2
        replaced(file, lines(ci=CI))
        time.now += LOOKS_APART
        assert whose(tokens, f"Bearer {CI}") is not None
        assert whose(tokens, f"Bearer {ADMIN}") is None

    def test_what_is_read(self, file: Path) -> None:
        assert read_tokens(file)["admin"].grants == {"*": Role.ADMIN}


def replaced(file: Path, text: str) -> None:
    """As Kubernetes does it with a mounted Secret: another file in its place."""
    other = file.with_suffix(".new")
    other.write_text(text)
    other.replace(file)


def test_no_hash_is_in_a_repr() -> None:
    assert hashed(CI) not in repr(access(ci=CI))
