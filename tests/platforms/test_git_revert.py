"""Reverts in real repositories, with the real git: what is taken out, what is left alone, and who else pushes."""

import asyncio
import os
import subprocess
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest

from analyzer.errors import LeaseLost, PlatformError, PlatformUnavailable, UsageError
from analyzer.model.target import Confirm, at_any_time
from analyzer.platforms.git import Git, environment, shown, unusable
from analyzer.platforms.git_revert import Repository, Reverted, Wanted, paths_of

NOBODY = {f"GIT_{who}_{what}": "somebody" for who in ("AUTHOR", "COMMITTER") for what in ("NAME", "EMAIL")}


class Remote:
    """A bare repository, and a copy of it in which somebody works."""

    def __init__(self, folder: Path) -> None:
        self.bare, self.work = folder / "web.git", folder / "work"
        self.git("init", "--quiet", "--bare", "--initial-branch=main", str(self.bare), at=folder)
        self.git("clone", "--quiet", str(self.bare), str(self.work), at=folder)
        self.git("checkout", "--quiet", "-b", "main")

    def git(self, *words: str, at: Path | None = None) -> str:
        env = {**os.environ, **NOBODY, "GIT_CONFIG_GLOBAL": "/dev/null"}
        told = subprocess.run(["git", *words], cwd=at or self.work, env=env, check=True, capture_output=True, text=True)
        return told.stdout.strip()

    def commit(self, message: str, files: dict[str, str], *, push: bool = True) -> str:
        for name, text in files.items():
            (self.work / name).parent.mkdir(parents=True, exist_ok=True)
            (self.work / name).write_text(text)
        self.git("add", "--all")
        self.git("commit", "--quiet", "--message", message)
        if push:
            self.git("push", "--quiet", "origin", "HEAD")
        return self.git("rev-parse", "HEAD")

    def show(self, name: str, ref: str = "main") -> str:
        return self.git("show", f"{ref}:{name}", at=self.bare)

    def tip(self, ref: str = "main") -> str:
        return self.git("rev-parse", ref, at=self.bare)


@pytest.fixture
def remote(tmp_path: Path) -> Remote:
    return Remote(tmp_path)


def wanted(good: str, bad: str, **other: object) -> Wanted:
    given = {"paths": ("web",), "branch": "main", "propose": False, "analysis": "a1", **other}
    return Wanted(good=good, bad=bad, title="Revert web to 1", reason="errors 9 % against 0.2 %", **given)  # type: ignore[arg-type] # of its fields


def doing(remote: Remote | str, what: Callable[[Repository], Awaitable[Reverted | None]]) -> Reverted | None:
    url = remote if isinstance(remote, str) else str(remote.bare)

    async def done() -> Reverted | None:
        async with Repository.opened(url, time_limit=20, named_by_hand=True) as repository:
            return await what(repository)

    return asyncio.run(done())


def revert(remote: Remote | str, what: Wanted, confirm: Confirm = at_any_time) -> Reverted:
    async def once(repository: Repository) -> Reverted:
        return await repository.pushed(what) or await repository.revert(what, confirm)

    found = doing(remote, once)
    assert found is not None
    return found


def test_a_bad_commit_is_taken_out(remote: Remote) -> None:
    good = remote.commit("one", {"web/app.yaml": "tag: 1\n"})
    bad = remote.commit("two", {"web/app.yaml": "tag: 2\n", "web/new.yaml": "new\n"})
    done = revert(remote, wanted(good, bad))
    assert done == Reverted(remote.tip(), "main")
    assert remote.show("web/app.yaml") == "tag: 1"
    assert remote.git("ls-tree", "-r", "--name-only", "main", at=remote.bare) == "web/app.yaml"
    message = remote.git("log", "-1", "--format=%an%n%B", "main", at=remote.bare)
    assert message.startswith("canary-analyzer\nRevert web to 1\n\nerrors 9 % against 0.2 %\n\n")
    assert f"- {bad[:7]} two" in message
    assert message.endswith("Canary-Analysis: a1")
    assert remote.git("rev-parse", "main^", at=remote.bare) == bad


def test_what_others_have_done_stays(remote: Remote) -> None:
    """In the same commits, in between, and since."""
    good = remote.commit("one", {"web/app.yaml": "tag: 1\n", "api/app.yaml": "tag: 1\n"})
    remote.commit("api alone", {"api/app.yaml": "tag: 2\n"})
    bad = remote.commit("both", {"web/app.yaml": "tag: 2\n", "api/app.yaml": "tag: 3\n"})
    remote.commit("since", {"api/app.yaml": "tag: 4\n", "web/other.yaml": "since\n"})
    revert(remote, wanted(good, bad))
    assert (remote.show("web/app.yaml"), remote.show("api/app.yaml")) == ("tag: 1", "tag: 4")
    assert remote.show("web/other.yaml") == "since"


def test_a_merge_is_taken_out_as_a_whole(remote: Remote) -> None:
    good = remote.commit("one", {"web/app.yaml": "tag: 1\n"})
    remote.git("checkout", "--quiet", "-b", "feature")
    remote.commit("two", {"web/app.yaml": "tag: 2\n"}, push=False)
    remote.commit("three", {"web/more.yaml": "more\n"}, push=False)
    remote.git("checkout", "--quiet", "main")
    remote.git("merge", "--quiet", "--no-ff", "--message", "merge", "feature")
    remote.git("push", "--quiet", "origin", "main")
    revert(remote, wanted(good, remote.tip()))
    assert remote.git("ls-tree", "-r", "--name-only", "main", at=remote.bare) == "web/app.yaml"
    assert remote.show("web/app.yaml") == "tag: 1"


def test_a_conflict_is_for_a_person(remote: Remote) -> None:
    good = remote.commit("one", {"web/app.yaml": "tag: 1\n"})
    bad = remote.commit("two", {"web/app.yaml": "tag: 2\n"})
    later = remote.commit("three", {"web/app.yaml": "tag: 3\n"})
    with pytest.raises(
        PlatformError, match=r"conflicts with later commits on main in web/app\.yaml: revert .* by hand"
    ):
        revert(remote, wanted(good, bad))
    assert remote.tip() == later


def test_it_is_done_once(remote: Remote) -> None:
    good = remote.commit("one", {"web/app.yaml": "tag: 1\n"})
    bad = remote.commit("two", {"web/app.yaml": "tag: 2\n"})
    first = revert(remote, wanted(good, bad))
    remote.git("pull", "--quiet")
    since = remote.commit("since", {"web/other.yaml": "since\n"})
    assert revert(remote, wanted(good, bad)) == Reverted(first.commit, "main", before=True)
    assert remote.tip() == since
    # Another analysis' id that begins alike is another one's; yet somebody has done just that already.
    assert revert(remote, wanted(good, bad, analysis="a")).before
    assert remote.tip() == since


def test_somebody_pushes_at_the_same_time(remote: Remote) -> None:
    good = remote.commit("one", {"web/app.yaml": "tag: 1\n"})
    bad = remote.commit("two", {"web/app.yaml": "tag: 2\n"})
    times = iter(range(2))

    def confirm() -> float:
        if (number := next(times, None)) is not None:
            remote.commit(f"meanwhile {number}", {f"api/{number}": "x"})
        return at_any_time()

    done = revert(remote, wanted(good, bad), confirm)
    assert remote.tip() == done.commit
    assert remote.git("log", "--format=%s", f"{bad}..main", at=remote.bare).splitlines()[1:] == [
        "meanwhile 1",
        "meanwhile 0",
    ]


def test_without_the_lease_nothing_is_pushed(remote: Remote) -> None:
    good = remote.commit("one", {"web/app.yaml": "tag: 1\n"})
    bad = remote.commit("two", {"web/app.yaml": "tag: 2\n"})
    with pytest.raises(LeaseLost):
        revert(remote, wanted(good, bad), lambda: 0.0)
    assert remote.tip() == bad


def test_a_huge_subject_of_any_bytes_is_cut(remote: Remote) -> None:
    """One argument of a program has 128 KiB at most."""
    good = remote.commit("one", {"web/app.yaml": "tag: 1\n"})
    remote.git("config", "i18n.commitEncoding", "latin-1")
    (remote.work / "web" / "app.yaml").write_text("tag: 2\n")
    (remote.work / ".git" / "subject").write_bytes(b"\xe9" + b"x" * 200_000)
    remote.git("commit", "--quiet", "--all", "--file", ".git/subject")
    remote.git("push", "--quiet", "origin", "HEAD")
    done = revert(remote, wanted(good, remote.tip()))
    assert remote.show("web/app.yaml") == "tag: 1"
    assert len(remote.git("log", "-1", "--format=%B", done.commit, at=remote.bare)) < 1000


def test_without_a_place_for_a_copy_nothing_is_done(remote: Remote, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tempfile.tempdir", "/proc/none")
    with pytest.raises(PlatformError, match="there is no place for a copy of the repository: No such file"):
        revert(remote, wanted("a" * 40, "b" * 40))


def test_a_branch_for_a_pull_request(remote: Remote) -> None:
    good = remote.commit("one", {"web/app.yaml": "tag: 1\n"})
    bad = remote.commit("two", {"web/app.yaml": "tag: 2\n"})
    what = wanted(good, bad, propose=True, branch="HEAD")
    done = revert(remote, what)
    assert done.branch == "canary-analyzer/revert-a1"
    assert remote.tip() == bad
    assert remote.show("web/app.yaml", done.branch) == "tag: 1"
    assert revert(remote, what) == Reverted(done.commit, done.branch, before=True)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"branch": "other"}, "has no branch other: say which one is meant by --gitops-branch"),
        ({"branch": "--upload-pack=touch x"}, "cannot be the name of a branch"),
        ({"branch": "a..b"}, "cannot be the name of a branch"),
        ({"good": "HEAD"}, "is no commit of Git"),
        ({"bad": "--output=x"}, "is no commit of Git"),
        ({"good": "0" * 40}, "the branch main does not have the commit 000000000000"),
        ({"paths": ("nothing",)}, "git restore failed: .*nothing.* did not match"),
        ({"paths": ("api",)}, "nothing in api differs between .* revert by hand"),
    ],
)
def test_what_cannot_be_reverted_is_said(remote: Remote, change: dict[str, object], said: str) -> None:
    good = remote.commit("one", {"web/app.yaml": "tag: 1\n", "api/app.yaml": "tag: 1\n"})
    bad = remote.commit("two", {"web/app.yaml": "tag: 2\n"})
    given: dict[str, object] = {"good": good, "bad": bad, **change}
    with pytest.raises(PlatformError, match=said):
        revert(remote, wanted(**given))  # type: ignore[arg-type] # of its fields
    assert remote.tip() == bad


def test_neither_hooks_nor_attributes_of_the_repository_run(remote: Remote, tmp_path: Path) -> None:
    good = remote.commit("one", {"web/app.yaml": "tag: 1\n"})
    evil = {
        "web/app.yaml": "tag: 2\n",
        ".gitattributes": "* filter=evil\n",
        ".gitmodules": '[submodule "x"]\nurl=ext::x\n',
    }
    bad = remote.commit("two", evil)
    hooks = tmp_path / "hooks"
    hooks.mkdir()
    for name in ("pre-push", "post-checkout", "reference-transaction"):
        (hooks / name).write_text(f"#!/bin/sh\ntouch {tmp_path}/ran\n")
        (hooks / name).chmod(0o755)
    settings = {"core.hooksPath": str(hooks), "filter.evil.clean": f"touch {tmp_path}/ran"}
    env = {"GIT_CONFIG_COUNT": str(len(settings))}
    for number, (key, value) in enumerate(settings.items()):
        env |= {f"GIT_CONFIG_KEY_{number}": key, f"GIT_CONFIG_VALUE_{number}": value}
    with pytest.MonkeyPatch.context() as patched:
        for key, value in env.items():
            patched.setenv(key, value)
        revert(remote, wanted(good, bad))
    assert remote.show("web/app.yaml") == "tag: 1"
    assert not (tmp_path / "ran").exists()


def test_a_server_that_refuses_is_told_with_its_words(remote: Remote) -> None:
    good = remote.commit("one", {"web/app.yaml": "tag: 1\n"})
    bad = remote.commit("two", {"web/app.yaml": "tag: 2\n"})
    hook = remote.bare / "hooks" / "pre-receive"
    hook.write_text("#!/bin/sh\necho main is protected >&2\nexit 1\n")
    hook.chmod(0o755)
    with pytest.raises(
        PlatformError, match=r"git push to main failed: .*\(pre-receive hook declined\).*main is protected"
    ) as raised:
        revert(remote, wanted(good, bad))
    assert not isinstance(raised.value, PlatformUnavailable)
    assert remote.tip() == bad


def test_a_repository_that_is_not_there() -> None:
    with pytest.raises(PlatformError, match=r"git ls-remote failed: .*does not appear to be a git repository"):
        revert("/nowhere/web.git", wanted("1" * 40, "2" * 40))


@pytest.mark.parametrize(
    "url",
    [
        "https://git.example.com/team/web.git",
        "http://git.example.com:8080/team/web",
        "https://user@git.example.com/web",
        "ssh://git@git.example.com/team/web.git",
        "git@git.example.com:team/web.git",
    ],
)
def test_addresses_that_are_taken(url: str) -> None:
    assert unusable(url, named_by_hand=False) == ""


@pytest.mark.parametrize(
    "url",
    [
        "",
        "ext::sh -c touch% x",
        "fd::7",
        "file:///etc",
        "/etc/web.git",
        "../web.git",
        "--upload-pack=touch x",
        "-oProxyCommand=x:y",
        "ssh://-oProxyCommand=x/y",
        "host:-x",
        "git@host::x",
        "https://git.example.com/web\n",
        "https://git.example.com/a b",
        "git://git.example.com/web",
        "https:///web",
        "https://" + "x" * 3000 + "/y",
    ],
)
def test_addresses_that_are_refused(url: str) -> None:
    assert unusable(url, named_by_hand=False)


def test_a_path_is_taken_from_our_own_user_alone() -> None:
    assert unusable("/srv/web.git", named_by_hand=True) == ""
    assert unusable("file:///srv/web.git", named_by_hand=True) == ""
    assert unusable("ext::sh", named_by_hand=True)
    assert unusable("-x", named_by_hand=True)


def test_git_itself_takes_no_other_way_either(tmp_path: Path) -> None:
    """What a server redirects to, or a `url.insteadOf` makes of an address, is not seen by us."""

    async def asked(url: str) -> str:
        git = Git(tmp_path, 10)
        await git.begin()
        return (await git.run("ls-remote", "--", url)).stderr

    assert "transport 'ext' not allowed" in asyncio.run(asked(f"ext::touch {tmp_path}/ran"))
    assert not (tmp_path / "ran").exists()


def test_the_environment_keeps_who_we_are_and_no_other_repository() -> None:
    given = {"HOME": "/h", "GIT_DIR": "/x", "GIT_INDEX_FILE": "/x", "GIT_ASKPASS": "/a", "GIT_AUTHOR_NAME": "Ada"}
    found = environment(given, paths=False)
    assert not {"GIT_DIR", "GIT_INDEX_FILE"} & found.keys()
    assert (found["HOME"], found["GIT_ASKPASS"], found["GIT_AUTHOR_NAME"]) == ("/h", "/a", "Ada")
    assert (found["GIT_TERMINAL_PROMPT"], found["GIT_ALLOW_PROTOCOL"]) == ("0", "https:http:ssh")
    assert "BatchMode=yes" in found["GIT_SSH_COMMAND"]
    assert "GIT_SSH_COMMAND" not in environment({"GIT_SSH": "/ssh"}, paths=False)


@pytest.mark.parametrize("password", ["s3cret", "s3@cret", "s3'cret", "s3:cret"])
def test_no_credentials_are_shown(password: str) -> None:
    said = f"fatal: unable to access 'https://ada:{password}@git.example.com/web/': \x1b[31mno\x1b[0m"
    assert shown(said) == "fatal: unable to access 'https://git.example.com/web/': [31mno [0m"


@pytest.mark.parametrize(
    ("path", "annotation", "paths"),
    [
        ("web", "", ("web",)),
        ("./apps//web/", "", ("apps/web",)),
        (".", "", ()),
        ("", "", ()),
        ("apps/web", ".;../base", ("apps/web", "apps/base")),
        ("apps/web", "/charts/web", ("charts/web",)),
        ("apps/web", ".;/", ()),
        ("apps/web", ".;.", ("apps/web",)),
    ],
)
def test_paths_of_an_application(path: str, annotation: str, paths: tuple[str, ...]) -> None:
    assert paths_of(path, annotation) == paths


@pytest.mark.parametrize(
    ("path", "annotation", "said"),
    [
        ("../x", "", "leads out of the repository"),
        ("web", "../..", "leads out of the repository"),
        ("web", "/a/../..", "leads out of the repository"),
        ("web", "*.yaml", "is a pattern"),
        ("web", "a\x1b[0m", "is a pattern"),
    ],
)
def test_paths_that_are_for_a_person(path: str, annotation: str, said: str) -> None:
    with pytest.raises(UsageError, match=said):
        paths_of(path, annotation)
