"""A Helm release, through a helm that replays what the real ones printed."""

import asyncio
import json
import os
import sys
import time
from dataclasses import replace
from pathlib import Path

import pytest
from fake_helm import RECORDED, FakeHelm

from analyzer.errors import NoRelease, PlatformError, PlatformUnavailable, UsageError
from analyzer.model.target import ActionKind, Deployment, Intent, PlatformKind, Receipt, Revision, Target
from analyzer.platforms.helm import Helm, HelmSettings, RollbackOptions

WEB = Target(kind=PlatformKind.HELM, name="web", namespace="shop")
QUICK = RollbackOptions(wait=False)
Case = dict[str, object]


def helm(fake: FakeHelm, target: Target = WEB, rollback: RollbackOptions = QUICK) -> Helm:
    return Helm(target, HelmSettings(program=str(fake.path), rollback=rollback))


def look(fake: FakeHelm, target: Target = WEB) -> Deployment:
    return asyncio.run(helm(fake, target).look())


def intent(to: str | None, target: Target = WEB) -> Intent:
    return Intent(
        kind=ActionKind.ROLLBACK,
        target=target,
        from_revision=Revision(number="4"),
        to_revision=Revision(number=to) if to else None,
        reason="worse",
    )


def take_back(fake: FakeHelm, to: str | None, target: Target = WEB, rollback: RollbackOptions = QUICK) -> Receipt:
    return asyncio.run(helm(fake, target, rollback).take_back(intent(to, target)))


# What is deployed


def test_an_upgrade_is_seen_with_its_way_back(fake_helm: FakeHelm) -> None:
    fake_helm.says("history-upgraded")
    deployment = look(fake_helm)
    assert deployment.target == WEB
    assert (deployment.current.number, deployment.current.status) == ("2", "deployed")
    assert deployment.wanted is not None
    assert (deployment.wanted.number, deployment.wanted.status) == ("1", "superseded")
    assert [revision.number for revision in deployment.history] == ["1", "2"]
    assert deployment.current.digest.startswith("sha256:")
    assert deployment.wanted.digest.startswith("sha256:")
    assert deployment.current.digest != deployment.wanted.digest
    assert (deployment.no_way_back, deployment.in_progress) == ("", "")
    assert (deployment.is_way_back, deployment.unchanged) == (False, False)
    assert deployment.current.deployed_at is not None
    assert abs(deployment.current.deployed_at - (deployment.wanted.deployed_at or 0)) < 60


@pytest.mark.parametrize(
    ("history", "current", "wanted", "in_progress", "is_way_back", "unchanged"),
    [
        ("history-installed", "1", None, "", False, False),
        ("history-same-pods", "3", "2", "", False, True),
        ("history-failed", "4", "3", "", False, False),
        ("history-rolled-back", "5", "3", "", True, True),
        ("history-rollback-timed-out", "6", "3", "", True, True),
        ("history-rollback-failed", "7", "3", "", True, False),
        ("history-pending-upgrade", "8", "3", "pending-upgrade", False, False),
        ("history-pending-rollback", "9", "3", "pending-rollback", True, True),
        ("history-after-pending", "10", "3", "", True, True),
        ("history-pruned", "11", "10", "", False, False),
    ],
)
def test_each_state_of_a_release(
    fake_helm: FakeHelm,
    history: str,
    current: str,
    wanted: str | None,
    in_progress: str,
    is_way_back: bool,
    unchanged: bool,
) -> None:
    fake_helm.says(history)
    deployment = look(fake_helm)
    assert deployment.current.number == current
    assert (deployment.wanted.number if deployment.wanted else None) == wanted
    assert deployment.in_progress == in_progress
    assert deployment.is_way_back is is_way_back
    assert deployment.unchanged is unchanged
    assert bool(deployment.no_way_back) is (wanted is None)


def test_a_superseded_revision_that_never_was_deployed_is_no_way_back(fake_helm: FakeHelm) -> None:
    fake_helm.says("history-never-deployed", "manifest-broken-1", "manifest-broken-2")
    deployment = look(fake_helm, replace_name("broken"))
    assert deployment.history[0].status == "superseded"
    assert deployment.wanted is None
    assert deployment.no_way_back.endswith("is known to be good: 1 (superseded, never deployed)")


def replace_name(name: str) -> Target:
    return WEB.model_copy(update={"name": name})


def test_an_uninstalled_release_is_a_sentence(fake_helm: FakeHelm) -> None:
    fake_helm.says("history-uninstalled")
    with pytest.raises(PlatformError, match=r'release web in namespace "shop" has been uninstalled'):
        look(fake_helm)


def test_version_and_manifests_are_asked_once(fake_helm: FakeHelm) -> None:
    fake_helm.says("history-upgraded", "history-upgraded", "history-same-pods")
    platform = helm(fake_helm)

    async def three_looks() -> list[Deployment]:
        return [await platform.look() for _ in range(3)]

    deployments = asyncio.run(three_looks())
    assert [deployment.current.number for deployment in deployments] == ["2", "2", "3"]
    assert deployments[0] == deployments[1]
    history = ["history", "web", "--max=256", "--output=json", "--namespace=shop"]
    manifests = [["get", "manifest", "web", f"--revision={number}", "--namespace=shop"] for number in (2, 1, 3)]
    version = ["version", "--short", "--namespace=shop"]
    assert fake_helm.calls == [version, history, *manifests[:2], history, history, manifests[2]]


def test_another_life_of_the_release_is_another_revision(fake_helm: FakeHelm) -> None:
    """Uninstalled and installed again, revision 1 has a new manifest."""
    case = fake_helm.recorded("history-installed")
    again = json.loads(str(case["stdout"]))
    again[0]["updated"] = "2027-01-01T00:00:00Z"
    fake_helm.answer(case)
    fake_helm.answer({**case, "stdout": json.dumps(again)})
    fake_helm.answers = [answer for answer in fake_helm.answers if "--revision=1" not in answer["argv"]]
    manifest = fake_helm.recorded("manifest-1")
    fake_helm.answer(manifest)
    fake_helm.answer({**manifest, "stdout": "kind: Deployment"})
    platform = helm(fake_helm)

    async def two_looks() -> list[str]:
        return [(await platform.look()).current.digest for _ in range(2)]

    first, second = asyncio.run(two_looks())
    assert first != second


# Command lines


@pytest.mark.parametrize("version", ["helm3", "helm4"])
def test_both_versions_know_every_flag_of_a_rollback(version: str) -> None:
    flags = json.loads((RECORDED / version / "rollback-flags.json").read_text())
    options = RollbackOptions(wait=True, timeout=1, hooks=False, cleanup_on_fail=True, history_max=3)
    ours = {argument.partition("=")[0] for argument in options.arguments()}
    assert ours == {"--timeout", "--wait", "--no-hooks", "--cleanup-on-fail", "--history-max"}
    assert {*ours, "--namespace", "--kubeconfig", "--kube-context"} <= set(flags)


@pytest.mark.parametrize(
    ("options", "arguments"),
    [
        (RollbackOptions(), ["--timeout=300s", "--wait"]),
        (RollbackOptions(wait=False), ["--timeout=300s"]),
        (RollbackOptions(timeout=2.5), ["--timeout=2.5s", "--wait"]),
        (RollbackOptions(timeout=1_000_000), ["--timeout=1000000s", "--wait"]),
        (RollbackOptions(history_max=0), ["--timeout=300s", "--wait", "--history-max=0"]),
    ],
)
def test_rollback_arguments(options: RollbackOptions, arguments: list[str]) -> None:
    assert options.arguments() == arguments
    assert options.time_limit > 3 * options.timeout


def test_kubeconfig_context_namespace_and_environment_are_handed_on(fake_helm: FakeHelm) -> None:
    settings = HelmSettings(
        program=str(fake_helm.path), kubeconfig="/some/where", context="prod", env={"HELM_MAX_HISTORY": "7"}
    )
    with pytest.raises(PlatformError):  # not recorded
        asyncio.run(Helm(WEB, settings).look())
    expected = ["--namespace=shop", "--kubeconfig=/some/where", "--kube-context=prod"]
    assert fake_helm.calls == [["version", "--short", *expected]]
    assert fake_helm.env["HELM_MAX_HISTORY"] == "7"
    assert fake_helm.env["HELM_DEBUG"] == "false"
    assert fake_helm.env["PATH"] == os.environ["PATH"]


def test_without_a_namespace_helm_chooses(fake_helm: FakeHelm) -> None:
    fake_helm.answers = [{**fake_helm.recorded("version"), "argv": ["version", "--short"]}]
    (fake_helm.folder / "answers").write_text(json.dumps(fake_helm.answers))
    with pytest.raises(PlatformError, match="of release web in the kubeconfig's namespace failed"):
        look(fake_helm, WEB.model_copy(update={"namespace": ""}))
    assert fake_helm.calls[-1] == ["history", "web", "--max=256", "--output=json"]


def test_helm_is_found_on_path(fake_helm: FakeHelm) -> None:
    fake_helm.says("history-installed")
    settings = HelmSettings(env={"PATH": f"{fake_helm.folder}{os.pathsep}{os.environ['PATH']}"})
    assert asyncio.run(Helm(WEB, settings).look()).current.number == "1"


@pytest.mark.parametrize("name", ["", "-n", "--debug", "Web", "web_1", "web ", "a/b", "web-", "x" * 54])
def test_what_cannot_be_a_release_is_refused(name: str) -> None:
    with pytest.raises(UsageError, match="cannot be the name of a Helm release"):
        Helm(replace_name(name))


# Taking back


def test_a_rollback(fake_helm: FakeHelm) -> None:
    fake_helm.says("rollback", "history-newest")
    receipt = take_back(fake_helm, "3")
    assert receipt == Receipt(
        ok=True,
        detail='helm rolled release web in namespace "shop" back to revision 3, as revision 5',
        command=(str(fake_helm.path), "rollback", "web", "3", "--timeout=300s", "--namespace=shop"),
        output="Rollback was a success! Happy Helming!",
    )


def test_a_rollback_waits_for_the_pods_by_itself(fake_helm: FakeHelm) -> None:
    fake_helm.says("rollback-waited", "history-config")
    receipt = take_back(fake_helm, "1", replace_name("config"), RollbackOptions())
    assert receipt.ok
    assert receipt.detail.endswith("back to revision 1, as revision 3")


def test_a_rollback_with_every_option(fake_helm: FakeHelm) -> None:
    fake_helm.says("rollback-all-flags", "history-config")
    options = RollbackOptions(wait=True, timeout=90, hooks=False, cleanup_on_fail=True, history_max=5)
    assert take_back(fake_helm, "1", replace_name("config"), options).ok


@pytest.mark.parametrize(
    ("recording", "to", "options", "part"),
    [
        ("rollback-not-found", "99", QUICK, "Helm does not keep revision 99 of release web"),
        ("rollback-forbidden", "2", QUICK, "user reader may not create secrets"),
        ("rollback-half-forbidden", "1", QUICK, "user half may not patch deployments"),
        ("rollback-timed-out", "2", RollbackOptions(timeout=1), "waited in vain"),
    ],
)
def test_a_rollback_that_fails_says_why_and_what_to_do(
    fake_helm: FakeHelm, recording: str, to: str, options: RollbackOptions, part: str
) -> None:
    newest = fake_helm.recorded("history-newest")
    entry = {**json.loads(str(newest["stdout"]))[0], "revision": 6, "status": "failed"}
    fake_helm.says(recording)
    fake_helm.answer({**newest, "stdout": json.dumps([entry])})
    receipt = take_back(fake_helm, to, rollback=options)
    assert not receipt.ok
    assert part in receipt.detail
    assert "its newest revision is now 6 (failed)" in receipt.detail
    assert receipt.detail.endswith(f"to try again by hand: {' '.join(receipt.command)}")
    assert "Error: " in receipt.output


def test_a_failed_rollback_after_which_nothing_can_be_asked(fake_helm: FakeHelm) -> None:
    fake_helm.says("rollback-not-found")
    assert "what became of the release could not be asked" in take_back(fake_helm, "99").detail


@pytest.mark.parametrize(
    ("change", "part"),
    [
        ({"description": "Upgrade complete", "rollback_revision": 0}, "“Upgrade complete”"),
        ({"description": "Rollback to 2", "rollback_revision": 2}, "“Rollback to 2”"),
        ({"status": "failed"}, "newest revision is 5 (failed, "),
    ],
)
def test_helm_has_no_compare_and_set(fake_helm: FakeHelm, change: Case, part: str) -> None:
    newest = fake_helm.recorded("history-newest")
    fake_helm.says("rollback")
    fake_helm.answer({**newest, "stdout": json.dumps([{**json.loads(str(newest["stdout"]))[0], **change}])})
    receipt = take_back(fake_helm, "3")
    assert not receipt.ok
    assert part in receipt.detail
    assert "something else has changed the release at the same time" in receipt.detail


def test_a_rollback_that_cannot_be_looked_at_afterwards_is_done_all_the_same(fake_helm: FakeHelm) -> None:
    fake_helm.says("rollback")
    unreachable = fake_helm.recorded("history-unreachable")
    fake_helm.answer({**unreachable, "argv": ["history", "web", "--max=1", "--output=json"]})
    receipt = take_back(fake_helm, "3")
    assert receipt.ok
    assert "its history could not be read after that" in receipt.detail


def test_without_a_revision_nothing_is_rolled_back(fake_helm: FakeHelm) -> None:
    receipt = take_back(fake_helm, None)
    assert (receipt.ok, receipt.detail) == (False, "release web was not rolled back: no revision was given")
    assert fake_helm.calls == []


def test_a_missing_helm_is_a_failed_receipt(tmp_path: Path) -> None:
    receipt = asyncio.run(Helm(WEB, HelmSettings(program=str(tmp_path / "helm"))).take_back(intent("3")))
    assert not receipt.ok
    assert receipt.detail.startswith("release web was not rolled back: there is no program")


def test_cancelled_in_the_middle_a_rollback_comes_to_its_end(fake_helm: FakeHelm) -> None:
    begun, go = fake_helm.folder / "begun", fake_helm.folder / "go"
    fake_helm.says("rollback", "history-newest")
    script = fake_helm.path.read_text().replace(
        "answer = answers[",
        "import time\n"
        "if argv[0] == 'rollback':\n"
        f"    open({str(begun)!r}, 'w').close()\n"
        f"    while not os.path.exists({str(go)!r}): time.sleep(0.01)\n"
        "answer = answers[",
    )
    fake_helm.path.write_text(script)

    async def cancelled() -> Receipt:
        acting = asyncio.create_task(helm(fake_helm).take_back(intent("3")))

        async def waits() -> None:
            await asyncio.shield(acting)

        waiting = asyncio.create_task(waits())
        deadline = time.monotonic() + 20
        while not os.path.exists(begun):  # noqa: PTH110, ASYNC240 -- a stat in a test
            assert time.monotonic() < deadline
            await asyncio.sleep(0.01)
        waiting.cancel()
        with pytest.raises(asyncio.CancelledError):
            await waiting
        go.touch()
        return await acting

    assert asyncio.run(cancelled()).ok


# Failures of helm itself


@pytest.mark.parametrize(
    ("history", "error", "part"),
    [
        ("history-not-found", NoRelease, "there is no release web"),
        ("history-unreachable", PlatformUnavailable, "helm history cannot reach the Kubernetes API server"),
        ("history-no-kubeconfig", PlatformError, "helm history found no kubeconfig"),
        ("history-forbidden", PlatformError, "user stranger may not list secrets"),
        ("history-unauthorized", PlatformError, "does not accept the credentials"),
    ],
)
def test_a_failing_look_is_a_sentence(fake_helm: FakeHelm, history: str, error: type[PlatformError], part: str) -> None:
    fake_helm.says(history)
    with pytest.raises(PlatformError) as caught:
        look(fake_helm)
    assert type(caught.value) is error
    assert part in str(caught.value)


def test_a_context_that_does_not_exist(fake_helm: FakeHelm) -> None:
    fake_helm.answer({**fake_helm.recorded("version"), "argv": ["version", "--short", "--kube-context=nope"]})
    fake_helm.says("history-no-context")
    settings = HelmSettings(program=str(fake_helm.path), context="nope")
    with pytest.raises(PlatformError, match=r'helm history failed: .*context "nope" does not exist'):
        asyncio.run(Helm(WEB, settings).look())


def test_a_manifest_that_is_gone_is_a_sentence(fake_helm: FakeHelm) -> None:
    fake_helm.says("history-upgraded")
    gone = {**fake_helm.recorded("manifest-not-found"), "argv": ["get", "manifest", "web", "--revision=2"]}
    fake_helm.answers = [answer for answer in fake_helm.answers if "--revision=2" not in answer["argv"]]
    fake_helm.answer(gone)
    with pytest.raises(PlatformError, match="or not the revision that was asked for: helm get manifest said"):
        look(fake_helm)


@pytest.mark.parametrize("garbage", ["", "<html>proxy</html>", "[1, 2]", '{"a": 1}'])
def test_garbage_is_a_sentence(fake_helm: FakeHelm, garbage: str) -> None:
    fake_helm.answer({**fake_helm.recorded("history-upgraded"), "stdout": garbage})
    with pytest.raises(PlatformError, match="is the program that was found really Helm"):
        look(fake_helm)


def tool(path: Path, script: str) -> HelmSettings:
    path.write_text(script)
    path.chmod(0o755)
    return HelmSettings(program=str(path), read_limit=20)


@pytest.mark.parametrize(
    ("printed", "part"),
    [
        ("v3.4.2+gabcdef0", "which is too old: Helm 3.5 or later is needed"),
        ("Client: v2.17.0+ga690bad", "is Helm Client: v2.17.0+ga690bad, which is too old"),
        ("v5.0.0", "is Helm v5.0.0, which is not known yet: Helm 3 or 4 is needed"),
        ("Python 3.11.2", "does not answer as Helm does"),
        ("", "ended with exit code 0 and said nothing; put Helm 3 or 4 on PATH"),
    ],
)
def test_another_version_is_refused(tmp_path: Path, printed: str, part: str) -> None:
    settings = tool(tmp_path / "helm", f"#!/bin/sh\necho '{printed}'\n")
    with pytest.raises(PlatformError) as caught:
        asyncio.run(Helm(WEB, settings).look())
    assert part in str(caught.value)
    assert str(tmp_path / "helm") in str(caught.value)


@pytest.mark.parametrize(
    ("printed", "version"),
    [("v3.5.0", (3, 5)), ("v3.22.0+gabc", (3, 22)), ("v4.3.1", (4, 3)), ("v4.10.0-rc.1+g12", (4, 10))],
)
def test_versions_that_fit(tmp_path: Path, printed: str, version: tuple[int, int]) -> None:
    settings = tool(tmp_path / "helm", f"#!/bin/sh\necho '{printed}'\n")
    assert asyncio.run(Helm(WEB, settings).version()) == version


def test_a_helm_that_hangs_is_a_sentence(tmp_path: Path) -> None:
    settings = replace(tool(tmp_path / "helm", "#!/bin/sh\nexec sleep 600\n"), read_limit=0.3)
    with pytest.raises(PlatformUnavailable, match="helm version did not end in time and was stopped: does it hang"):
        asyncio.run(Helm(WEB, settings).look())


def test_a_history_that_hangs_is_a_sentence(tmp_path: Path) -> None:
    script = '#!/bin/sh\n[ "$1" = version ] && echo v4.3.1 && exit\nexec sleep 600\n'
    platform = Helm(WEB, replace(tool(tmp_path / "helm", script), read_limit=1.5))
    with pytest.raises(PlatformUnavailable, match="helm history of release web did not end in time and was stopped"):
        asyncio.run(platform.look())


def test_a_missing_helm_is_a_sentence(tmp_path: Path) -> None:
    settings = HelmSettings(env={"PATH": str(tmp_path)})
    with pytest.raises(PlatformError, match="there is no program 'helm': install it, or correct its path"):
        asyncio.run(Helm(WEB, settings).look())


def test_a_helm_that_may_not_be_executed_is_a_sentence(tmp_path: Path) -> None:
    path = tmp_path / "helm"
    path.write_text(f"#!{sys.executable}\n")
    with pytest.raises(PlatformError, match=r"may not be executed: .*\(chmod \+x\)"):
        asyncio.run(Helm(WEB, HelmSettings(program=str(path))).look())


def test_a_look_without_end_of_output_is_a_sentence(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("analyzer.platforms.program.OUTPUT_LIMIT", 1000)
    script = '#!/bin/sh\n[ "$1" = version ] && echo v4.3.1 && exit\nseq 10000\n'
    with pytest.raises(PlatformError, match="helm history of release web printed more than 64 MiB"):
        asyncio.run(Helm(WEB, tool(tmp_path / "helm", script)).look())
