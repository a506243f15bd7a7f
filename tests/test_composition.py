"""What the composition root adds to an order: rules for pods, rights before anything happens, the context of helm."""

import asyncio
import time
from pathlib import Path
from typing import Any

import pytest

from analyzer.composition.order import AnalysisOrder, Wanted
from analyzer.composition.planning import _check_rights, make_plan, planned
from analyzer.composition.platforms import platform_of
from analyzer.composition.rules import needs_way_back, with_pods
from analyzer.engine.guards import superseding
from analyzer.errors import CanaryError, PlatformError, PlatformForbidden, PlatformUnavailable
from analyzer.model.gitops import GitOps, GitOpsMode
from analyzer.model.reading import Absence, Missing
from analyzer.model.ruleset import HealthRule, RuleSet, Sides
from analyzer.model.target import Deployment, PlatformKind, PodSides, Revision, Target
from analyzer.platforms.application import Application, ApplicationSettings
from analyzer.platforms.cluster import Cluster, ClusterSettings
from analyzer.platforms.rollout import Rollout
from analyzer.sources.pods import PodSource
from tests.judge.rules.ruling import rule_set

WEB = Target(kind=PlatformKind.HELM, name="web", namespace="shop")
DEPLOYMENT = Deployment(target=WEB, current=Revision(number="2"), wanted=Revision(number="1"))
ERRORS: dict[str, object] = {"metric": "errors", "limit": "5%"}


def health(rules: RuleSet) -> list[str]:
    return [rule.health for rule in rules.spec.rules if isinstance(rule, HealthRule)]


def test_pods_are_added_to_the_rules() -> None:
    before = rule_set(ERRORS)
    after = with_pods(before)
    assert health(after) == ["pods"]
    assert after.spec.rules[:1] == before.spec.rules
    assert health(before) == []


@pytest.mark.parametrize("critical", [False, True])
def test_pods_are_not_added_twice(critical: bool) -> None:
    before = rule_set({"health": "pods", "critical": critical}, ERRORS)
    assert with_pods(before) is before


def test_another_health_is_not_that_of_pods() -> None:
    assert health(with_pods(rule_set({"health": "targets"}, ERRORS))) == ["targets", "pods"]


@pytest.mark.parametrize(
    ("spec", "needed"),
    [
        ({}, True),
        ({"onFail": "none"}, False),
        ({"onFail": "none", "onInconclusive": "rollback"}, True),
        ({"onFail": "rollback", "onInconclusive": "pass"}, True),
    ],
)
def test_whether_a_way_back_is_needed(spec: dict[str, object], needed: bool) -> None:
    assert needs_way_back(rule_set(ERRORS, **spec)) is needed


class Rights:
    """A release that says which rights are lacking, or that it cannot know."""

    def __init__(self, says: str | PlatformError) -> None:
        self.says = says
        self.asked = 0

    async def lacking(self, _: Deployment) -> str:
        self.asked += 1
        if isinstance(self.says, PlatformError):
            raise self.says
        return self.says


def check(rights: Any, deployment: Deployment = DEPLOYMENT) -> list[str]:  # noqa: ANN401 -- the part of a Helm
    complaints: list[str] = []
    asyncio.run(_check_rights(rights, deployment, complaints.append))
    return complaints


def test_all_rights_are_there() -> None:
    rights = Rights("")
    assert check(rights) == []
    assert rights.asked == 1


def test_a_lacking_right_ends_it_at_once() -> None:
    with pytest.raises(PlatformForbidden) as raised:
        check(Rights("ci may not patch deployments"))
    assert str(raised.value) == (
        "the way back is impossible: ci may not patch deployments; to look without acting, add --dry-run"
    )


@pytest.mark.parametrize("error", [PlatformUnavailable("away"), PlatformForbidden("no"), PlatformError("odd")])
def test_rights_that_cannot_be_asked_are_told_and_stop_nothing(error: PlatformError) -> None:
    assert check(Rights(error)) == [f"whether the rights for the way back are there could not be asked: {error}"]


@pytest.mark.parametrize("what", [{"unchanged": True}, {"is_way_back": True}])
def test_where_nothing_can_be_taken_back_no_rights_are_asked(what: dict[str, bool]) -> None:
    rights = Rights("everything")
    assert check(rights, DEPLOYMENT.model_copy(update=what)) == []
    assert rights.asked == 0


@pytest.mark.parametrize(
    ("given", "environment", "context"),
    [(None, "", None), (None, "prod", "prod"), ("test", "prod", "test"), ("test", "", "test")],
)
def test_the_cluster_is_that_of_helm(
    monkeypatch: pytest.MonkeyPatch, given: str | None, environment: str, context: str | None
) -> None:
    monkeypatch.setenv("HELM_KUBECONTEXT", environment)
    found = ClusterSettings.of(Path("some.kubeconfig"), given)
    assert (found.kubeconfig, found.context) == ("some.kubeconfig", context)


async def nobody() -> tuple[Missing, None]:
    return Missing(why=Absence.NO_SERIES), None


@pytest.mark.parametrize(("ahead", "seconds"), [(300.0, 0.0), (0.0, 0.0), (-300.0, -300.0)])
def test_an_upgrade_is_never_in_the_future(ahead: float, seconds: float) -> None:
    """The clock of helm's machine may be ahead of ours."""
    current = Revision(number="2", deployed_at=1000 + ahead)
    deployment = DEPLOYMENT.model_copy(update={"current": current, "unchanged": True})
    rules = rule_set({"health": "pods"})
    order = AnalysisOrder(target=WEB, rules="http", parameters={}, access=None, wanted=Wanted())

    plan = make_plan(order, rules, deployment, PodSource(nobody), 1000)
    assert plan.upgraded_at == 1000 + seconds


@pytest.mark.parametrize(
    ("wanted", "words"),
    [(Revision(number="1"), "by hand first: helm rollback web 1 --namespace shop"), (None, "by hand first")],
)
def test_an_operation_in_progress_says_what_to_do(wanted: Revision | None, words: str) -> None:
    deployment = DEPLOYMENT.model_copy(update={"in_progress": "pending-rollback", "wanted": wanted})
    order = AnalysisOrder(target=WEB, rules="http", parameters={}, access=None, wanted=Wanted())
    with pytest.raises(PlatformError) as refused:
        make_plan(order, rule_set(ERRORS), deployment, PodSource(nobody), 1000)
    assert str(refused.value).endswith(words)


class Aborted(Rollout):
    """A Rollout whose newest revision was aborted, until it is retried."""

    def __init__(self, lacks: str = "", **more: object) -> None:
        super().__init__(WEB.model_copy(update={"kind": PlatformKind.ROLLOUT}), Cluster())
        self.retries = 0
        self.lacks = lacks
        self.more = {"unchanged": True, **more}

    async def look(self) -> Deployment:
        current = Revision(number="2", deployed_at=1000.0)
        back = "" if self.retries else "revision 2 was aborted already"
        return DEPLOYMENT.model_copy(update={"current": current, "taken_back": back, **self.more})

    async def lacking(self, _: Deployment) -> str:
        return self.lacks

    async def retry(self) -> None:
        self.retries += 1


@pytest.mark.parametrize(
    ("asked", "refused"),
    [
        ({"retry": True}, ""),
        ({}, "revision 2 was aborted already"),
        ({"retry": True, "acting": False}, "was not retried: that changes it, and here nothing may be done"),
        ({"retry": True, "actions_on": False}, "was not retried: that changes it, and here nothing may be done"),
    ],
)
def test_a_retry_clears_the_abort_and_counts_from_then(asked: dict[str, bool], refused: str) -> None:
    platform = Aborted()
    target = WEB.model_copy(update={"kind": PlatformKind.ROLLOUT})
    order = AnalysisOrder(target=target, rules="http", parameters={}, access=None, wanted=Wanted(), **asked)  # type: ignore[arg-type]
    began = time.time()

    async def plan() -> float:
        found = await planned(order, rule_set({"health": "pods"}), platform, PodSource(nobody), lambda _: None)
        return found.upgraded_at

    if refused:
        with pytest.raises(PlatformError, match=refused):
            asyncio.run(plan())
        assert platform.retries == 0
        return
    assert began <= asyncio.run(plan()) <= time.time()
    assert platform.retries == 1


@pytest.mark.parametrize(
    ("lacks", "now", "refused"),
    [
        ("rollouts may not be patched", {}, "rollouts may not be patched"),
        ("", {"wanted": None, "no_way_back": "there is no stable one"}, "there is no stable one"),
        ("", {"pods": None, "no_pods": "no pod is known"}, "no pod is known"),
    ],
    ids=["rights", "way back", "pods"],
)
def test_what_cannot_be_analysed_is_not_retried(lacks: str, now: dict[str, object], refused: str) -> None:
    platform = Aborted(lacks, **{"unchanged": False, "pods": PodSides(namespace="shop", canary="web-2"), **now})
    target = WEB.model_copy(update={"kind": PlatformKind.ROLLOUT})
    order = AnalysisOrder(target=target, rules="http", parameters={}, access=None, wanted=Wanted(), retry=True)
    rules = rule_set({"health": "pods"})
    rules = rules.model_copy(update={"spec": rules.spec.model_copy(update={"sides": Sides(label="pod")})})
    with pytest.raises(CanaryError, match=refused):
        asyncio.run(planned(order, rules, platform, PodSource(nobody), lambda _: None))
    assert platform.retries == 0


def test_an_application_is_taken_back_as_the_order_says() -> None:
    target = Target(kind=PlatformKind.APPLICATION, name="web")
    gitops = GitOps(mode=GitOpsMode.SUSPEND)
    order = AnalysisOrder(
        target=target, rules="http", parameters={}, access=None, wanted=Wanted(), to_revision=7, gitops=gitops
    )
    platform = platform_of(order, Cluster())
    assert isinstance(platform, Application)
    assert platform.settings == ApplicationSettings(timeout=300.0, to_revision=7, gitops=gitops)


@pytest.mark.parametrize(("kind", "by_hand"), [("helm", True), ("application", False)])
def test_an_operation_under_way_is_waited_for_by_a_person(kind: str, by_hand: bool) -> None:
    target = Target(kind=PlatformKind(kind), name="web")
    deployment = DEPLOYMENT.model_copy(update={"target": target, "in_progress": "Running"})
    order = AnalysisOrder(target=target, rules="http", parameters={}, access=None, wanted=Wanted())
    with pytest.raises(PlatformError, match=f"an operation on {kind}/web is in progress \\(Running\\)") as raised:
        make_plan(order, rule_set(ERRORS), deployment, None, 0.0)  # type: ignore[arg-type] # it is not asked
    assert ("roll back by hand first: helm rollback web 1" in str(raised.value)) is by_hand


@pytest.mark.parametrize(
    ("kind", "doing", "acting", "begins"),
    [
        ("helm", "pending-upgrade", False, True),  # a post-upgrade hook that judges the upgrade which waits for it
        ("helm", "pending-upgrade", True, False),
        ("helm", "pending-rollback", False, False),
        ("application", "Running", False, False),
    ],
)
def test_only_an_upgrade_is_looked_at_before_it_has_ended(kind: str, doing: str, acting: bool, begins: bool) -> None:
    target = Target(kind=PlatformKind(kind), name="web")
    deployment = DEPLOYMENT.model_copy(update={"target": target, "in_progress": doing, "unchanged": True})
    order = AnalysisOrder(target=target, rules="http", parameters={}, access=None, wanted=Wanted(), acting=acting)
    if begins:
        plan = make_plan(order, rule_set({"health": "pods"}), deployment, PodSource(nobody), 0.0)
        assert (plan.acting, superseding(plan, deployment)) == (False, "")
        assert "pending-rollback" in superseding(
            plan, deployment.model_copy(update={"in_progress": "pending-rollback"})
        )
    else:
        with pytest.raises(PlatformError, match="is in progress"):
            make_plan(order, rule_set(ERRORS), deployment, None, 0.0)  # type: ignore[arg-type] # it is not asked
