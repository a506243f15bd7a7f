"""Applications of Argo CD as the API server tells of them: what is compared, and what speaks against a way back."""

import asyncio
import json
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from applications import (
    DEPLOYMENT,
    NAMESPACE,
    WHERE,
    a_deployment,
    a_pod,
    a_set,
    an_application,
    commit,
    entry,
    serving,
    source,
    with_metadata,
    with_status,
)
from fake_api import FakeApi, running

from analyzer.errors import NoRelease, NoWayBack
from analyzer.model.gitops import GitOps, GitOpsMode
from analyzer.model.guard import Guard
from analyzer.model.reading import Pods
from analyzer.model.target import Deployment, PlatformKind, Target
from analyzer.platforms.application import Application, ApplicationSettings
from analyzer.platforms.application_state import short
from analyzer.platforms.ownership import HOLD
from analyzer.platforms.verdicts import MANAGED_BY, MANAGER, RELEASE

WEB = Target(kind=PlatformKind.APPLICATION, name="web")
SUSPEND = GitOps(mode=GitOpsMode.SUSPEND)
VERDICTS = f"/api/v1/namespaces/{NAMESPACE}/configmaps/canary-analyzer.application"


@pytest.fixture
def api(tmp_path: Path) -> Iterator[FakeApi]:
    with running(tmp_path) as api:
        yield api


def ask(api: FakeApi, what: Any, gitops: GitOps = SUSPEND, **settings: Any) -> Any:  # noqa: ANN401 -- of any method
    async def asking() -> object:
        cluster = api.cluster()
        try:
            return await what(Application(WEB, cluster, ApplicationSettings(gitops=gitops, **settings)))
        finally:
            await cluster.close()

    return asyncio.run(asking())


def look(api: FakeApi, gitops: GitOps = SUSPEND, **settings: Any) -> Deployment:  # noqa: ANN401 -- of the settings
    found: Deployment = ask(api, lambda application: application.look(), gitops, **settings)
    return found


def judged(api: FakeApi, name: str, verdict: str, target: str = "web", when: float | None = None) -> None:
    """What an analysis has found of the commit of this letter."""
    revision = next(each for each in look(api).history if each.number == short(commit(name)))
    told = {"revision": revision.number, "digest": revision.digest, "verdict": verdict, "reason": "errors 9 %"}
    told |= {"at": time.time() if when is None else when}
    there = api.objects.get(f"{VERDICTS}.{target}", {"metadata": {"name": f"canary-analyzer.application.{target}"}})
    there["metadata"]["labels"] = {MANAGED_BY: MANAGER, RELEASE: target}
    api.put(f"{VERDICTS}.{target}", {**there, "data": {**there.get("data", {}), name: json.dumps(told)}})


class TestLook:
    def test_the_last_sync_is_compared_with_the_one_before(self, api: FakeApi) -> None:
        an_application(api)
        a_deployment(api, "old", "new")
        a_pod(api, "old", 0)
        found = look(api)
        assert found.current.number == commit("b")[:12]
        assert found.current.deployed_at == 1767571260.0  # when the sync began
        assert found.wanted is not None
        assert (found.wanted.number, found.wanted.description) == (commit("a")[:12], "history id 0")
        assert found.pods is not None
        assert (found.pods.namespace, found.pods.canary) == ("shop", "web-new-[a-z0-9]{5}")
        assert found.pods.baseline == found.pods.past == "web-old-[a-z0-9]{5}"
        assert (found.no_way_back, found.in_progress, found.taken_back, found.obstacles) == ("", "", "", ())
        pods, others = ask(api, lambda application: application.health())
        assert isinstance(pods, Pods)
        assert (pods.ready, others.ready) == (1, 1)

    def test_there_is_none(self, api: FakeApi) -> None:
        with pytest.raises(NoRelease, match="there is no Application web of Argo CD in namespace argocd"):
            look(api)

    def test_it_has_brought_nothing_out(self, api: FakeApi) -> None:
        an_application(api, "")
        with pytest.raises(NoRelease, match="application/web has brought nothing out yet"):
            look(api)

    def test_the_first_has_no_way_back(self, api: FakeApi) -> None:
        an_application(api, "aa")  # synced twice
        a_deployment(api, "old")
        found = look(api)
        assert found.wanted is None
        assert found.no_way_back == f"the history of application/web has no other revision than {commit('a')[:12]}"

    def test_a_sync_that_changes_no_pod_is_told_as_that(self, api: FakeApi) -> None:
        an_application(api)
        a_deployment(api, "old")
        found = look(api)
        assert found.pods is None
        assert found.no_pods == "the sync has changed no pod of application/web"
        assert not found.unchanged  # it may have changed what the pods read

    def test_pods_of_a_generation_that_is_used_again_are_those_of_the_new_sync(self, api: FakeApi) -> None:
        an_application(api, "abc")
        a_deployment(api, "old", "bad")
        serving(api, "old", 3)  # c is a revert of b
        found = look(api)
        assert found.pods is not None
        assert (found.pods.canary, found.pods.past) == ("web-old-[a-z0-9]{5}", "web-bad-[a-z0-9]{5}")

    def test_a_stateful_set(self, api: FakeApi) -> None:
        found = an_application(api)
        resources = [{"group": "apps", "version": "v1", "kind": "StatefulSet", "namespace": "shop", "name": "db"}]
        api.put(WHERE, with_status(found, resources=resources))
        live = {
            "metadata": {"name": "db", "uid": "s1", "generation": 1},
            "kind": "StatefulSet",
            "spec": {"replicas": 1, "selector": {"matchLabels": {"app": "db"}}},
            "status": {"observedGeneration": 1, "updateRevision": "db-2"},
        }
        api.put("/apis/apps/v1/namespaces/shop/statefulsets/db", live)
        for number in (1, 2):
            metadata = {"name": f"db-{number}", "labels": {"app": "db"}, "ownerReferences": [{"uid": "s1"}]}
            metadata["creationTimestamp"] = f"2026-01-05T00:0{number - 1}:05Z"
            path = f"/apis/apps/v1/namespaces/shop/controllerrevisions/db-{number}"
            api.put(path, {"metadata": metadata, "revision": number, "data": {}})
        labels = {"app": "db", "controller-revision-hash": "db-2"}
        metadata = {"name": "db-0", "labels": labels, "ownerReferences": [{"uid": "s1"}]}
        api.put("/api/v1/namespaces/shop/pods/db-0", {"metadata": metadata})
        pods = look(api).pods
        assert pods is not None
        assert (pods.canary, pods.past, pods.shares_names) == ("db-0", "db-[0-9]+", True)

    def test_a_rollout_in_flight(self, api: FakeApi) -> None:
        found = an_application(api)
        resources = [
            {"group": "argoproj.io", "version": "v1alpha1", "kind": "Rollout", "namespace": "shop", "name": "web"}
        ]
        api.put(WHERE, with_status(found, resources=resources))
        live = {
            "metadata": {"name": "web", "uid": "d1", "generation": 1},
            "kind": "Rollout",
            "spec": {"selector": {"matchLabels": {"app": "web"}}},
            "status": {"observedGeneration": "1", "currentPodHash": "new", "stableRS": "old"},
        }
        api.put("/apis/argoproj.io/v1alpha1/namespaces/shop/rollouts/web", live)
        for number, hash_ in enumerate(("old", "new")):
            a_set(api, hash_, number)
            one = api.objects[f"/apis/apps/v1/namespaces/shop/replicasets/web-{hash_}"]
            one["metadata"]["labels"]["rollouts-pod-template-hash"] = hash_
        pods = look(api).pods
        assert pods is not None
        assert (pods.canary, pods.past) == ("web-new-[a-z0-9]{5}", "web-old-[a-z0-9]{5}")

    def test_another_cluster(self, api: FakeApi) -> None:
        an_application(api, destination={"name": "eu-west", "namespace": "shop"})
        found = look(api)
        assert found.pods is None
        assert found.wanted is None
        assert found.no_way_back.startswith("application/web deploys to another cluster (eu-west)")


class TestWhatIsUnderWay:
    def test_a_sync_to_another_revision(self, api: FakeApi) -> None:
        found = an_application(api)
        a_deployment(api, "old", "new")
        operation = {"sync": {"revision": commit("c")}}
        api.put(WHERE, {**found, "operation": operation})
        assert look(api).in_progress == "Pending"
        running = with_status(found, operationState={"phase": "Running", "syncResult": {"revision": commit("c")}})
        api.put(WHERE, {**running, "operation": operation})
        assert look(api).in_progress == "Running"

    def test_a_sync_of_the_same_revision_changes_nothing(self, api: FakeApi) -> None:
        """Somebody has changed an object, and it is healed: no reason to end an analysis."""
        found = an_application(api)
        a_deployment(api, "old", "new")
        api.put(WHERE, {**found, "operation": {"sync": {"revision": commit("b"), "resources": [{"kind": "Service"}]}}})
        assert look(api).in_progress == ""

    def test_a_sync_that_has_failed_ends_the_analysis(self, api: FakeApi) -> None:
        found = an_application(api)
        a_deployment(api, "old", "new")
        state = {"phase": "Failed", "message": "one of\nthem is invalid", "syncResult": {"revision": commit("c")}}
        api.put(WHERE, with_status(found, operationState=state))
        assert look(api).taken_back == (
            f"the last sync of application/web, to {commit('c')[:12]} has failed (one of them is invalid): "
            "parts of two revisions may serve"
        )

    @pytest.mark.parametrize(
        ("names", "is_way_back"), [("ab", False), ("aba", True), ("abab", False), ("abca", True), ("abac", False)]
    )
    def test_a_way_back_is_seen_by_its_history(self, api: FakeApi, names: str, is_way_back: bool) -> None:
        an_application(api, names)
        a_deployment(api, "old", "new")
        assert look(api).is_way_back is is_way_back


class TestWanted:
    @pytest.mark.parametrize(
        ("names", "verdicts", "wanted"),
        [
            ("abc", {}, "b"),
            ("abc", {"b": "fail"}, "a"),
            ("abc", {"a": "pass", "b": "inconclusive"}, "a"),
            ("abc", {"a": "fail", "b": "fail"}, None),
            ("abac", {}, "a"),  # somebody has gone back from b
            ("abab", {}, "a"),
            ("abbc", {}, "b"),
        ],
    )
    def test_the_last_known_good(self, api: FakeApi, names: str, verdicts: dict[str, str], wanted: str | None) -> None:
        an_application(api, names)
        a_deployment(api, "old", "new")
        for name, verdict in verdicts.items():
            judged(api, name, verdict)
        found = look(api)
        assert (found.wanted.number if found.wanted else None) == (commit(wanted)[:12] if wanted else None)
        assert bool(found.no_way_back) is (wanted is None)

    def test_pods_of_an_earlier_one_than_the_last(self, api: FakeApi) -> None:
        an_application(api, "abc")
        a_deployment(api, "one", "bad", "new")
        judged(api, "b", "fail")
        found = look(api)
        assert found.pods is not None
        assert found.pods.past == "web-one-[a-z0-9]{5}"
        assert found.served_until == 1767571260.0  # when b came

    def test_by_its_id(self, api: FakeApi) -> None:
        an_application(api, "abc")
        a_deployment(api, "one", "bad", "new")
        assert (look(api, to_revision=0).wanted or look(api).current).number == commit("a")[:12]
        told = look(api, to_revision=7).no_way_back
        assert told.startswith("the history of application/web has no earlier revision with the id 7; it has 0 (")

    def test_the_same_again_is_told(self, api: FakeApi) -> None:
        an_application(api, "abab")
        a_deployment(api, "old", "new")
        judged(api, "b", "fail", when=1767571200.0)
        assert "the same revision was judged bad before: errors 9 %" in look(api).cautions


class TestWhatSpeaksAgainstIt:
    def guards(self, api: FakeApi, gitops: GitOps = SUSPEND) -> dict[Guard, str]:
        a_deployment(api, "old", "new")
        return {each.guard: each.reason for each in look(api, gitops).obstacles}

    def test_unless_told_it_is_not_touched(self, api: FakeApi) -> None:
        an_application(api)
        held = self.guards(api, GitOps())
        assert list(held) == [Guard.GITOPS_OWNER]
        assert "revert the change in Git, or let the analyzer act through it by --gitops" in held[Guard.GITOPS_OWNER]

    @pytest.mark.parametrize("held", ["application", "deployment"])
    def test_a_hold(self, api: FakeApi, held: str) -> None:
        found = an_application(api)
        a_deployment(api, "old", "new")
        path, there = (WHERE, found) if held == "application" else (DEPLOYMENT, api.objects[DEPLOYMENT])
        api.put(path, with_metadata(there, annotations={**there["metadata"].get("annotations", {}), HOLD: "freeze"}))
        (obstacle,) = look(api).obstacles
        assert obstacle.guard == Guard.STOPPED
        assert "freeze" in obstacle.reason

    @pytest.mark.parametrize(
        ("metadata", "parent"),
        [
            ({"ownerReferences": [{"kind": "ApplicationSet", "name": "shops"}]}, "ApplicationSet shops"),
            ({"labels": {"argocd.argoproj.io/instance": "apps"}}, "Argo CD Application apps"),
            (
                {"annotations": {"argocd.argoproj.io/tracking-id": "apps:argoproj.io/Application:argocd/web"}},
                "Argo CD Application apps",
            ),
            ({"labels": {"kustomize.toolkit.fluxcd.io/name": "apps"}}, "Flux Kustomization apps"),
        ],
    )
    def test_its_own_owner_would_undo_a_change_of_it(self, api: FakeApi, metadata: dict[str, Any], parent: str) -> None:
        found = an_application(api)
        api.put(WHERE, with_metadata(found, **metadata))
        assert f"belongs to the {parent}" in self.guards(api)[Guard.GITOPS_OWNER]
        assert self.guards(api, GitOps(mode=GitOpsMode.REVERT)) == {}  # which changes Git alone
        manual = {**found["spec"], "syncPolicy": {"automated": {"enabled": False}}}
        api.put(WHERE, {**with_metadata(found, **metadata), "spec": manual})
        assert self.guards(api, GitOps(mode=GitOpsMode.ROLLBACK)) == {}  # which changes nothing of what is written

    def test_a_migration_that_ran_with_the_sync(self, api: FakeApi) -> None:
        found = an_application(api)
        hooks = [{"kind": "Job", "name": "web-db-migrate", "hookType": "PreSync"}]
        result = {"revision": commit("b"), "resources": hooks}
        api.put(WHERE, with_status(found, operationState={"phase": "Succeeded", "syncResult": result}))
        assert "Job web-db-migrate, which ran with the sync" in self.guards(api)[Guard.MIGRATION]

    def test_a_storm(self, api: FakeApi) -> None:
        an_application(api)
        a_deployment(api, "old", "new")
        for name in ("web", "a", "b", "c"):
            judged(api, "b", "fail", name)
        reason = self.guards(api)[Guard.STORM]
        assert "3 other targets have failed" in reason
        assert "application/web" not in reason


class TestWhatCannotBeTakenBackThatWay:
    @pytest.mark.parametrize(
        ("mode", "of_source", "said"),
        [
            ("revert", {"chart": "web"}, "is a Helm chart from a chart repository"),
            ("revert", {"repoURL": "ext::sh -c x"}, "is none that a revert is pushed to"),
            ("propose", {"repoURL": "/srv/git"}, "name another address of it by --gitops-repository"),
            ("revert", {"path": "../x"}, "leads out of the repository"),
        ],
    )
    def test_by_a_revert(self, api: FakeApi, mode: str, of_source: dict[str, str], said: str) -> None:
        found = an_application(api)
        a_deployment(api, "old", "new")
        api.put(WHERE, with_status(found, history=[entry(0, "a", **of_source), entry(1, "b", **of_source)]))
        told = look(api, GitOps(mode=GitOpsMode(mode)))
        assert told.wanted is None
        assert said in told.no_way_back
        assert look(api).no_way_back == ""  # a pin can

    def test_a_source_that_was_changed_itself(self, api: FakeApi) -> None:
        found = an_application(api)
        a_deployment(api, "old", "new")
        api.put(WHERE, with_status(found, history=[entry(0, "a", helm={"parameters": []}), entry(1, "b")]))
        told = look(api, GitOps(mode=GitOpsMode.REVERT)).no_way_back
        assert "the source of application/web itself was changed since" in told
        assert look(api).no_way_back == ""

    def test_several_sources(self, api: FakeApi) -> None:
        found = an_application(api)
        a_deployment(api, "old", "new")
        history = [
            {"id": number, "deployedAt": each["deployedAt"], "sources": [source(), source(path="api")]}
            | {"revisions": [commit(name), commit("x")]}
            for number, name in enumerate("ab")
            for each in [entry(number, name)]
        ]
        api.put(WHERE, with_status(found, history=history))
        assert look(api).no_way_back.startswith("application/web has several sources: --gitops rollback")
        by_rollback = look(api, GitOps(mode=GitOpsMode.ROLLBACK))
        assert by_rollback.no_way_back == ""
        assert by_rollback.current.number == f"{commit('b')[:12]}+{commit('x')[:12]}"


class TestRights:
    @pytest.mark.parametrize(
        ("mode", "lacking"),
        [
            ("hold", ""),
            ("suspend", "may not update applications (argoproj.io) web"),
            ("rollback", "may not update applications (argoproj.io) web"),
        ],
    )
    def test_what_is_missing(self, api: FakeApi, mode: str, lacking: str) -> None:
        an_application(api)
        a_deployment(api, "old", "new")
        api.may = lambda asked: asked["namespace"] != NAMESPACE or asked["resource"] != "applications"

        async def missing(application: Application) -> str:
            return await application.lacking(await application.look())

        told = ask(api, missing, GitOps(mode=GitOpsMode(mode)))
        assert lacking in told
        assert ("deploy/argocd/rbac.yaml" in told) is bool(lacking)

    def test_a_repository_that_is_not_there(self, api: FakeApi, tmp_path: Path) -> None:
        an_application(api)
        a_deployment(api, "old", "new")

        async def missing(application: Application) -> str:
            return await application.lacking(await application.look())

        with pytest.raises(NoWayBack, match=r"git ls-remote failed: .*does not appear to be a git repository"):
            ask(api, missing, GitOps(mode=GitOpsMode.REVERT, repository=str(tmp_path / "none.git")))
