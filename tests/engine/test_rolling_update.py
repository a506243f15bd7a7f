"""An upgrade that rolls while it is analysed: pods of both revisions, then of the new one alone."""

import pytest
from world import DEPLOYMENT, START, Platform, World, rates, rule_set

from analyzer.engine.planning import tell_sides
from analyzer.engine.replay import judge_again
from analyzer.errors import UsageError
from analyzer.model.event import Regrouped, WindowRead
from analyzer.model.plan import SideMatchers
from analyzer.model.reading import Absence, Missing
from analyzer.model.report import ActionResult, Verdict
from analyzer.model.ruleset import Comparison, Sides
from analyzer.model.target import Deployment, PodSides

PODS = {"label": "pod"}
BOTH = PodSides(namespace="prod", canary="web-b-.{5}", baseline="web-a-.{5}", past="web-a-.{5}")
ALONE = BOTH.model_copy(update={"baseline": "", "alone_since": START + 42})


def deployment(pods: PodSides) -> Deployment:
    return DEPLOYMENT.model_copy(update={"pods": pods})


def world(*looks: PodSides, bad: float = 0.02, past: float | None = 0.001) -> World:
    first, *later = looks
    return World(
        rates(bad, requests=100),  # so few that a verdict takes some windows
        rule_set(sides=PODS),
        deployment=deployment(first),
        platform=Platform(looks=[deployment(each) for each in (later or [first])]),
        past=None if past is None else rates(past, requests=100),
    )


def test_both_are_read_while_both_serve_and_then_the_new_one_alone() -> None:
    rolling = world(BOTH, BOTH, BOTH, ALONE, bad=0.001)
    rolling.run()
    told = {
        window.start - START: sides.comparison
        for window, sides in zip(rolling.source.read_windows, rolling.source.read_sides, strict=True)
    }
    assert {start for start, how in told.items() if how == Comparison.SIDE_BY_SIDE} == {0, 10, 20, 30, 40}
    assert {how for start, how in told.items() if start >= 50} == {Comparison.BEFORE_AFTER}


def test_a_bad_release_is_found_by_both_kinds_of_evidence_and_taken_back() -> None:
    report = world(BOTH, BOTH, ALONE).run()
    assert (report.verdict, report.action.result) == (Verdict.FAIL, ActionResult.UNVERIFIED)


def test_an_upgrade_that_is_through_when_it_is_looked_at_is_compared_with_the_history() -> None:
    through = world(ALONE)
    assert through.run().verdict == Verdict.FAIL
    assert not [event for event in through.record.events if isinstance(event, Regrouped)]
    assert {sides.comparison for sides in through.source.read_sides[5:8]} == {Comparison.BEFORE_AFTER}


def test_after_the_way_back_both_are_read_again() -> None:
    back = world(ALONE)
    back.run()
    last = back.source.read_sides[-1]
    assert last.comparison == Comparison.SIDE_BY_SIDE
    assert last.baseline == 'pod=~"web-a-.{5}",namespace="prod"'


def test_after_the_way_back_the_pods_may_be_new_ones() -> None:
    """A rollback may make a ReplicaSet of its own: any pod of the workload is read."""
    back = world(ALONE.model_copy(update={"whole": "web-[a-z0-9]+-.{5}"}))
    back.run()
    assert back.source.read_sides[-1].baseline == 'pod=~"web-[a-z0-9]+-.{5}",namespace="prod"'


def test_a_change_of_the_pods_is_kept_once_and_replayed_the_same() -> None:
    rolling = world(BOTH, BOTH, ALONE)
    report = rolling.run()
    (regrouped,) = [event for event in rolling.record.events if isinstance(event, Regrouped)]
    assert regrouped.sides.alone_since == START + 42
    assert judge_again(rolling.record.events).model_dump_json() == report.model_dump_json()


class TestReplacedPods:
    """The canary's pods are replaced by others, after it serves alone."""

    AGAIN = ALONE.model_copy(update={"canary": "web-c-.{5}", "alone_since": None})

    def test_after_a_restart_the_new_ones_are_read(self) -> None:
        restarted = world(ALONE, self.AGAIN, bad=0.001)
        restarted.run()
        (regrouped,) = [event for event in restarted.record.events if isinstance(event, Regrouped)]
        assert regrouped.sides.canary == 'pod=~"web-c-.{5}",namespace="prod"'
        assert (regrouped.sides.alone_since, restarted.source.read_sides[-1].comparison) == (
            START + 42,
            Comparison.BEFORE_AFTER,
        )

    def test_those_that_are_not_what_the_revision_says_are_not_followed(self) -> None:
        changed = world(ALONE, self.AGAIN.model_copy(update={"foreign": "somebody has set another image"}), bad=0.001)
        changed.run()
        assert not [event for event in changed.record.events if isinstance(event, Regrouped)]

    def test_it_is_told_when_they_are_not_from_the_start(self) -> None:
        foreign = ALONE.model_copy(update={"foreign": "somebody has set another image"})
        assert "somebody has set another image" in world(foreign).run().warnings


class TestSharedNames:
    """Pods of a StatefulSet: both revisions' bear the same names."""

    NOW = PodSides(namespace="prod", canary="web-2", baseline="web-0|web-1", past="web-[0-9]+", shares_names=True)
    THROUGH = NOW.model_copy(update={"canary": "web-0|web-1|web-2", "baseline": "", "alone_since": START + 42})

    def test_windows_in_which_names_change_hands_are_left_out(self) -> None:
        rolling = world(self.NOW, self.NOW, self.THROUGH)
        assert rolling.run().verdict == Verdict.FAIL
        windows = [event.reading for event in rolling.record.events if isinstance(event, WindowRead)]
        mixed = [each for each in windows if isinstance(each.canary, Missing) and each.canary.why == Absence.MIXED]
        assert [each.window.start - START for each in mixed] == [20, 30, 40]

    def test_one_that_is_through_begins_when_its_last_pod_was_ready(self) -> None:
        rolling = world(self.THROUGH)
        rolling.run()
        assert min(window.start for window in rolling.source.read_windows) == START + 50


class TestSides:
    def test_by_the_name_of_the_pod_in_its_namespace(self) -> None:
        assert tell_sides(Sides(label="pod"), deployment(BOTH), START) == SideMatchers(
            canary='pod=~"web-b-.{5}",namespace="prod"',
            baseline='pod=~"web-a-.{5}",namespace="prod"',
            comparison=Comparison.ROLLING,
            past='pod=~"web-a-.{5}",namespace="prod"',
        )

    @pytest.mark.parametrize(
        ("sides", "matchers"),
        [
            (Sides(label="k8s_pod_name"), 'k8s_pod_name=~"web-b-.{5}",k8s_namespace_name="prod"'),
            (Sides(label="pod", namespace_label=""), 'pod=~"web-b-.{5}"'),
            (Sides(label="pod", namespace_label="ns"), 'pod=~"web-b-.{5}",ns="prod"'),
        ],
    )
    def test_by_other_labels(self, sides: Sides, matchers: str) -> None:
        assert tell_sides(sides, deployment(BOTH), START).canary == matchers

    @pytest.mark.parametrize("pods", [BOTH, None])
    def test_by_a_label_that_the_platform_fills(self, pods: PodSides | None) -> None:
        """In the namespace: one pod template has one hash wherever it is brought out."""
        filled = DEPLOYMENT.model_copy(update={"pods": pods, "labels": {"hash": ("b", 'a"')}})
        within = pods.namespace if pods else DEPLOYMENT.target.namespace
        assert tell_sides(Sides(label="hash"), filled, START) == SideMatchers(
            canary=f'hash="b",namespace="{within}"',
            baseline=f'hash="a\\"",namespace="{within}"',
            comparison=Comparison.SIDE_BY_SIDE,
        )
        assert tell_sides(Sides(label="hash", namespace_label=""), filled, START).canary == 'hash="b"'

    def test_a_backslash_is_escaped(self) -> None:
        pods = BOTH.model_copy(update={"canary": r"we\.b"})
        assert tell_sides(Sides(label="pod"), deployment(pods), START).canary == r'pod=~"we\\.b",namespace="prod"'

    def test_no_pod_so_far_matches_nothing(self) -> None:
        pods = BOTH.model_copy(update={"canary": ""})
        assert tell_sides(Sides(label="pod"), deployment(pods), START).canary.startswith('pod=~"-"')

    def test_an_upgrade_that_changes_no_pod_needs_none_told_apart(self) -> None:
        unchanged = DEPLOYMENT.model_copy(update={"unchanged": True})
        assert tell_sides(Sides(label="pod"), unchanged, START).canary.startswith('pod=~"-"')

    def test_why_pods_are_not_known_is_told(self) -> None:
        unknown = DEPLOYMENT.model_copy(update={"no_pods": "user ci may not list pods"})
        with pytest.raises(UsageError, match="cannot be told apart: user ci may not list pods"):
            tell_sides(Sides(label="pod"), unknown, START)


def test_the_history_ends_when_the_wanted_revision_was_replaced() -> None:
    replaced = world(ALONE)
    replaced.deployment = replaced.deployment.model_copy(update={"served_until": START - 900})
    spans = []
    past = replaced.past
    assert past is not None

    def spied(metric: str, window: object) -> object:
        spans.append(window)
        return past(metric, window)

    replaced.past = spied
    replaced.run()
    assert max(window.end for window in spans) == START - 900
