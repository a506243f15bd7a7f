"""The ways back of an Application: what is written, what Argo CD makes of it, races, and processes that die."""

import asyncio
import json
from collections.abc import Awaitable, Callable, Coroutine, Iterator
from pathlib import Path
from typing import Any

import pytest
from applications import (
    DEPLOYMENT,
    REPOSITORY,
    WHERE,
    Object,
    a_deployment,
    an_application,
    at,
    commit,
    entry,
    serving,
    source,
    syncing,
    with_metadata,
    with_status,
)
from fake_api import FakeApi, running
from test_git_revert import Remote

from analyzer.errors import LeaseLost
from analyzer.model.gitops import GitOps, GitOpsMode
from analyzer.model.target import ActionKind, Confirm, Intent, PlatformKind, Receipt, Target, at_any_time
from analyzer.platforms import application_control
from analyzer.platforms.application import Application, ApplicationSettings
from analyzer.platforms.application_state import AUTOMATED, TAKEN_BACK

WEB = Target(kind=PlatformKind.APPLICATION, name="web")
SUSPEND, ROLLBACK = GitOps(mode=GitOpsMode.SUSPEND), GitOps(mode=GitOpsMode.ROLLBACK)
Act = Callable[[Application, Intent], Awaitable[Receipt | None]]


@pytest.fixture
def api(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[FakeApi]:
    monkeypatch.setattr(application_control, "PAUSE", 0.01)
    monkeypatch.setattr(application_control, "PATIENCE", 0.3)
    with running(tmp_path) as api:
        an_application(api)
        a_deployment(api, "old", "new")
        yield api


def acting(api: FakeApi, gitops: GitOps, *acts: Act, confirm: Confirm = at_any_time, timeout: float = 5.0) -> Any:  # noqa: ANN401 -- of any act
    """What these acts come to, the last one's receipt: by default taking back what the first look has found."""

    async def doing() -> Receipt | None:
        cluster = api.cluster()
        application = Application(WEB, cluster, ApplicationSettings(gitops=gitops, timeout=timeout))
        try:
            found = await application.look()
            intent = Intent(
                kind=ActionKind.ROLLBACK,
                analysis="a1",
                target=WEB,
                from_revision=found.current,
                to_revision=found.wanted,
                reason="errors 9 % against 0.2 %",
            )
            receipt: Receipt | None = None
            for act in acts or (lambda application, intent: application.take_back(intent, confirm),):
                receipt = await act(application, intent)
            return receipt
        finally:
            await cluster.close()

    return asyncio.run(doing())


async def cut_off(act: Coroutine[Any, Any, Receipt], when: Callable[[], bool]) -> None:
    """Begin an act, and end its process when this is seen: nothing is done after it."""
    task = asyncio.create_task(act)
    while not when():
        assert not task.done(), task.result()
        await asyncio.sleep(0.01)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task


def argo_cd(api: FakeApi, phase: str = "Succeeded", hash_: str = "old") -> None:
    """A controller that does what it is asked for, as soon as somebody looks."""
    step = syncing(api, lambda _: serving(api, hash_, 3), phase)
    looked = api.answer

    def answer(method: str, path: str, query: dict[str, str], body: Object) -> tuple[int, Object]:
        if method == "GET" and path == WHERE:
            step()
        return looked(method, path, query, body)

    api.answer = answer  # type: ignore[method-assign] # what a controller beside it would do


class TestSuspend:
    def test_it_is_pinned_and_automated_sync_is_off(self, api: FakeApi) -> None:
        argo_cd(api)
        receipt = acting(api, SUSPEND)
        assert receipt.ok, receipt
        assert receipt.detail == (
            f"application/web was taken back: pinned to {commit('a')[:12]}, and Argo CD has synced that; automated "
            "sync is off; to do by hand: revert the change in Git, then argocd app set web --revision main "
            "--sync-policy automated --self-heal --auto-prune"
        )
        found = api.objects[WHERE]
        assert found["spec"]["source"] == source(targetRevision=commit("a"))
        assert found["spec"]["syncPolicy"] == {"syncOptions": ["ServerSideApply=true"]}
        notes = found["metadata"]["annotations"]
        assert json.loads(notes[AUTOMATED]) == {"prune": True, "selfHeal": True}
        assert notes[TAKEN_BACK] == "canary-analyzer a1: errors 9 % against 0.2 %"

    def test_the_operation_is_that_of_a_rollback(self, api: FakeApi) -> None:
        argo_cd(api)
        acting(api, SUSPEND)
        assert api.objects[WHERE]["status"]["operationState"]["operation"] == {
            "sync": {
                "prune": True,
                "syncStrategy": {"apply": {}},
                "source": source(),
                "revision": commit("a"),
                "syncOptions": ["ServerSideApply=true"],
            },
            "initiatedBy": {"username": "canary-analyzer"},
            "info": [{"name": "canary-analyzer", "value": "a1"}],
        }

    def test_the_source_comes_back_as_it_was(self, api: FakeApi) -> None:
        found = api.objects[WHERE]
        overridden = {"parameters": [{"name": "tag", "value": "1"}]}
        api.put(WHERE, with_status(found, history=[entry(0, "a", helm=overridden), entry(1, "b")]))
        argo_cd(api)
        assert acting(api, SUSPEND).ok
        assert api.objects[WHERE]["spec"]["source"] == source(helm=overridden, targetRevision=commit("a"))

    def test_without_automated_sync_there_is_less_to_do(self, api: FakeApi) -> None:
        found = api.objects[WHERE]
        api.put(WHERE, {**found, "spec": {**found["spec"], "syncPolicy": None}})
        argo_cd(api)
        receipt = acting(api, SUSPEND)
        assert receipt.detail.endswith(
            "to do by hand: revert the change in Git, then argocd app set web --revision main"
        )
        assert AUTOMATED not in api.objects[WHERE]["metadata"]["annotations"]


class TestRollback:
    def test_its_own_history_is_what_it_goes_back_by(self, api: FakeApi) -> None:
        argo_cd(api)
        receipt = acting(api, ROLLBACK)
        assert receipt.ok, receipt
        assert f"rolled it back to {commit('a')[:12]} (history id 2)" in receipt.detail
        assert receipt.detail.endswith("then argocd app set web --sync-policy automated --self-heal --auto-prune")
        found = api.objects[WHERE]
        assert found["spec"]["source"] == source()
        assert "automated" not in found["spec"]["syncPolicy"]

    def test_of_several_sources(self, api: FakeApi) -> None:
        sources = [source(), source(path="api")]
        history = [
            {"id": number, "deployedAt": at(number), "sources": sources, "revisions": [commit(name), commit("x")]}
            for number, name in enumerate("ab")
        ]
        api.put(WHERE, with_status(api.objects[WHERE], history=history))
        acting(api, ROLLBACK, timeout=0.05)
        sync = api.objects[WHERE]["operation"]["sync"]
        assert (sync["sources"], sync["revisions"]) == (sources, [commit("a"), commit("x")])
        assert not {"source", "revision"} & sync.keys()


class TestWhatMayHappenMeanwhile:
    def test_argo_cd_writes_at_the_same_time(self, api: FakeApi) -> None:
        argo_cd(api)
        writes = iter([lambda: api.put(WHERE, with_status(api.objects[WHERE], health={"status": "Degraded"}))])
        api.before_put = lambda: next(writes, lambda: None)() and None
        receipt = acting(api, SUSPEND)
        assert receipt.ok, receipt
        assert api.objects[WHERE]["status"]["health"] == {"status": "Degraded"}  # what it wrote is not lost

    def test_something_keeps_changing_it(self, api: FakeApi) -> None:
        before = api.objects[WHERE]["spec"]
        api.before_put = lambda: api.put(WHERE, api.objects[WHERE]) and None
        receipt = acting(api, SUSPEND)
        assert receipt.detail.startswith("application/web was not taken back: something else keeps changing it")
        assert api.objects[WHERE]["spec"] == before

    def test_another_revision_was_brought_out(self, api: FakeApi) -> None:
        async def newer(_: Application, __: Intent) -> None:
            found = api.objects[WHERE]
            api.put(WHERE, with_status(found, history=[*found["status"]["history"], entry(2, "c")]))

        before = api.objects[WHERE]["spec"]
        receipt = acting(api, SUSPEND, newer, lambda application, intent: application.take_back(intent))
        assert (
            receipt.detail == f"application/web was not taken back: it is at another revision now ({commit('c')[:12]})"
        )
        assert api.objects[WHERE]["spec"] == before

    def test_another_operation_is_waited_for(self, api: FakeApi) -> None:
        api.put(WHERE, {**api.objects[WHERE], "operation": {"sync": {"revision": commit("b")}}})
        receipt = acting(api, SUSPEND)
        assert f"another operation of Argo CD is under way (a sync {commit('b')[:12]})" in receipt.detail
        assert "argocd app get web" in receipt.detail
        assert "automated" in api.objects[WHERE]["spec"]["syncPolicy"]

    def test_argo_cds_sync_fails(self, api: FakeApi) -> None:
        argo_cd(api, "Failed")
        receipt = acting(api, SUSPEND)
        assert receipt.detail.startswith(
            "application/web was not taken back: Argo CD's sync has failed: as told; automated sync is off; to do by"
        )

    def test_argo_cd_does_not_come_to_it(self, api: FakeApi) -> None:
        receipt = acting(api, SUSPEND, timeout=0.05)
        assert "Argo CD has not synced it after 0.05 s: look at argocd app get web" in receipt.detail

    def test_somebody_has_another_sync_done(self, api: FakeApi) -> None:
        def instead() -> None:
            found = {key: value for key, value in api.objects[WHERE].items() if key != "operation"}
            api.put(WHERE, with_status(found, operationState={"phase": "Succeeded", "operation": {}}))

        looked = api.answer

        def answer(method: str, path: str, query: dict[str, str], body: Object) -> tuple[int, Object]:
            if method == "GET" and path == WHERE and "operation" in api.objects[WHERE]:
                instead()
            return looked(method, path, query, body)

        api.answer = answer  # type: ignore[method-assign] # as above
        receipt = acting(api, SUSPEND)
        assert "somebody else has had another sync done at the same time" in receipt.detail

    def test_pods_that_do_not_come_back(self, api: FakeApi) -> None:
        def no_pods(_: str) -> None:
            serving(api, "old", 3)
            found = api.objects[DEPLOYMENT]
            api.put(DEPLOYMENT, {**found, "spec": {**found["spec"], "replicas": 3}})

        step, looked = syncing(api, no_pods), api.answer

        def answer(method: str, path: str, query: dict[str, str], body: Object) -> tuple[int, Object]:
            if method == "GET" and path == WHERE:
                step()
            return looked(method, path, query, body)

        api.answer = answer  # type: ignore[method-assign] # as above
        receipt = acting(api, SUSPEND, timeout=0.1)
        assert "Argo CD has synced it, and the pods of Deployment web are not as before after 0.1 s" in receipt.detail

    def test_pods_that_may_not_be_seen(self, api: FakeApi) -> None:
        argo_cd(api)
        api.refusals["GET", "/api/v1/namespaces/shop/pods"] = (403, "no")
        receipt = acting(api, SUSPEND, timeout=0.1)
        assert "Argo CD has synced it, and its pods cannot be looked at (the Kubernetes API server" in receipt.detail

    def test_without_the_lease_nothing_is_written(self, api: FakeApi) -> None:
        def confirm() -> float:
            raise LeaseLost("another's")

        before = api.objects[WHERE]
        with pytest.raises(LeaseLost):
            acting(api, SUSPEND, confirm=confirm)
        assert api.objects[WHERE] == before

    def test_without_the_right(self, api: FakeApi) -> None:
        api.refusals["PUT", WHERE] = (403, "no")
        assert (
            "application/web was not taken back: the Kubernetes API server forbids that" in acting(api, SUSPEND).detail
        )


class TestAfterAKill:
    async def settled(self, application: Application, intent: Intent) -> Receipt | None:
        return await application.settle(intent)

    def test_what_was_never_begun_never_came_to_be(self, api: FakeApi) -> None:
        assert acting(api, SUSPEND, self.settled) is None
        assert "operation" not in api.objects[WHERE]

    def test_what_was_written_is_waited_for_and_not_written_again(self, api: FakeApi) -> None:
        async def killed(application: Application, intent: Intent) -> None:
            await cut_off(application.take_back(intent), lambda: "operation" in api.objects[WHERE])
            argo_cd(api)

        receipt = acting(api, SUSPEND, killed, self.settled)
        assert receipt.ok, receipt
        assert "pinned to" in receipt.detail
        assert [each for each in api.requests if each[0] == "PUT"] == [("PUT", WHERE)]

    def test_what_was_done_is_done(self, api: FakeApi) -> None:
        argo_cd(api)
        receipt = acting(
            api, SUSPEND, lambda application, intent: application.take_back(intent), self.settled, self.settled
        )
        assert receipt.ok, receipt
        assert [each for each in api.requests if each[0] == "PUT"] == [("PUT", WHERE)]

    def test_the_mark_of_another_analysis_is_none_of_ours(self, api: FakeApi) -> None:
        found = api.objects[WHERE]
        api.put(WHERE, with_metadata(found, annotations={TAKEN_BACK: "canary-analyzer a11: errors"}))
        assert acting(api, SUSPEND, self.settled) is None


class Repo:
    """A repository whose commits are those of the Application's history."""

    def __init__(self, api: FakeApi, folder: Path) -> None:
        self.api, self.remote = api, Remote(folder)
        self.good = self.remote.commit("one", {"web/app.yaml": "tag: 1\n"})
        self.bad = self.remote.commit("two", {"web/app.yaml": "tag: 2\n"})
        history = [{**entry(0, "a"), "revision": self.good}, {**entry(1, "b"), "revision": self.bad}]
        api.put(WHERE, with_status(api.objects[WHERE], history=history))

    def gitops(self, mode: GitOpsMode = GitOpsMode.REVERT) -> GitOps:
        return GitOps(mode=mode, repository=str(self.remote.bare))

    def follow(self) -> None:
        """Argo CD syncs whatever is pushed, as soon as somebody looks."""
        step, looked = syncing(self.api, lambda _: serving(self.api, "old", 3)), self.api.answer

        def answer(method: str, path: str, query: dict[str, str], body: Object) -> tuple[int, Object]:
            found = self.api.objects[WHERE]
            if method == "GET" and path == WHERE:
                tip = self.remote.tip()
                automated = "automated" in (found["spec"]["syncPolicy"] or {})
                if automated and found["status"]["history"][-1]["revision"] != tip:
                    self.api.put(WHERE, {**found, "operation": {"sync": {"revision": tip}}})
                step()
            return looked(method, path, query, body)

        self.api.answer = answer  # type: ignore[method-assign] # as above


@pytest.fixture
def repo(api: FakeApi, tmp_path: Path) -> Repo:
    return Repo(api, tmp_path)


class TestRevert:
    def test_it_is_pushed_and_synced(self, api: FakeApi, repo: Repo) -> None:
        repo.follow()
        receipt = acting(api, repo.gitops())
        assert receipt.ok, receipt
        tip = repo.remote.tip()
        assert receipt.detail == (
            f"application/web was taken back: the revert {tip[:12]} was pushed on main, and Argo CD has synced it"
        )
        assert repo.remote.show("web/app.yaml") == "tag: 1"
        assert api.objects[WHERE]["metadata"]["annotations"] == {
            "argocd.argoproj.io/refresh": "normal",
            "canary-analyzer.io/revert": tip,
            TAKEN_BACK: "canary-analyzer a1: errors 9 % against 0.2 %",
        }
        assert "automated" in api.objects[WHERE]["spec"]["syncPolicy"]

    def test_a_revert_is_a_rollback_and_is_never_rolled_back(self, api: FakeApi, repo: Repo) -> None:
        repo.follow()
        seen = []

        async def look(application: Application, _: Intent) -> None:
            seen.append((await application.look()).is_way_back)

        acting(api, repo.gitops(), look, lambda application, intent: application.take_back(intent), look)
        assert seen == [False, True]

    def test_without_automated_sync_it_is_asked_for(self, api: FakeApi, repo: Repo) -> None:
        found = api.objects[WHERE]
        api.put(WHERE, {**found, "spec": {**found["spec"], "syncPolicy": None}})
        repo.follow()
        receipt = acting(api, repo.gitops())
        assert receipt.ok, receipt
        assert api.objects[WHERE]["status"]["operationState"]["operation"]["sync"] == {"revision": repo.remote.tip()}

    def test_after_a_kill_it_is_found_in_git(self, api: FakeApi, repo: Repo) -> None:
        async def killed(application: Application, intent: Intent) -> None:
            await cut_off(application.take_back(intent), lambda: "annotations" in api.objects[WHERE]["metadata"])
            repo.follow()

        async def settled(application: Application, intent: Intent) -> Receipt | None:
            return await application.settle(intent)

        receipt = acting(api, repo.gitops(), killed, settled, settled)
        assert receipt.ok, receipt
        assert "was there already on main" in receipt.detail
        assert len(repo.remote.git("log", "--format=%H", "main", at=repo.remote.bare).splitlines()) == 3

    def test_before_the_push_it_never_came_to_be(self, api: FakeApi, repo: Repo) -> None:
        async def settled(application: Application, intent: Intent) -> Receipt | None:
            return await application.settle(intent)

        assert acting(api, repo.gitops(), settled) is None

    def test_a_newer_revision_is_not_reverted(self, api: FakeApi, repo: Repo) -> None:
        async def newer(_: Application, __: Intent) -> None:
            found = api.objects[WHERE]
            api.put(WHERE, with_status(found, history=[*found["status"]["history"], entry(2, "c")]))

        receipt = acting(api, repo.gitops(), newer, lambda application, intent: application.take_back(intent))
        assert "it is at another revision now" in receipt.detail
        assert repo.remote.tip() == repo.bad

    def test_a_proposal_takes_nothing_back_yet(self, api: FakeApi, repo: Repo) -> None:
        before = api.objects[WHERE]
        receipt = acting(api, repo.gitops(GitOpsMode.PROPOSE))
        assert not receipt.ok
        branch = repo.remote.tip("canary-analyzer/revert-a1")
        assert receipt.detail == (
            f"application/web was not taken back: the branch canary-analyzer/revert-a1 with the revert {branch[:12]} "
            "was pushed, and nothing is taken back until it is merged into main: open a pull request"
        )
        assert (repo.remote.tip(), api.objects[WHERE]) == (repo.bad, before)

    def test_a_proposal_that_is_merged_already_is_told_as_that(self, api: FakeApi, repo: Repo) -> None:
        tip = repo.remote.commit("by hand", {"web/app.yaml": "tag: 1\n"})
        receipt = acting(api, repo.gitops(GitOpsMode.PROPOSE))
        assert not receipt.ok
        assert f"the branch main has the revert already, by {tip[:12]} or before" in receipt.detail

    def test_a_conflict_is_a_receipt(self, api: FakeApi, repo: Repo) -> None:
        repo.remote.commit("three", {"web/app.yaml": "tag: 3\n"})
        receipt = acting(api, repo.gitops())
        assert receipt.detail.startswith("application/web was not taken back: the revert conflicts with later commits")

    def test_no_git_is_a_receipt(
        self, api: FakeApi, repo: Repo, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv("PATH", str(tmp_path))
        assert "there is no program 'git'" in acting(api, repo.gitops()).detail

    def test_the_address_is_the_applications_own(
        self, api: FakeApi, repo: Repo, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """And a `url.insteadOf` of our own user's settings leads where it is pushed to."""
        settings = {"GIT_CONFIG_COUNT": "1", "GIT_CONFIG_KEY_0": f"url.file://{repo.remote.bare}.insteadOf"}
        for key, value in {**settings, "GIT_CONFIG_VALUE_0": REPOSITORY}.items():
            monkeypatch.setenv(key, value)
        receipt = acting(api, GitOps(mode=GitOpsMode.REVERT))
        assert "transport 'file' not allowed" in receipt.detail  # a path is for --gitops-repository
