"""Which analysis a workload wants: annotations, routes, precedence, contradictions, and what cannot be used."""

import json
import re
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from analyzer.errors import UsageError
from analyzer.model.route import Route
from analyzer.model.ruleset import OnFail
from analyzer.model.wish import Marked, Mode, Wish, wish_of


@dataclass
class Settings:
    """What the settings of a test say."""

    routes: tuple[Route, ...] = ()
    mode: Mode = Mode.OBSERVE
    prometheus: str = "default"


def web(labels: Mapping[str, str] | None = None, kind: str = "Deployment", name: str = "web", **says: str) -> Marked:
    return Marked(kind, "shop", name, labels or {}, ours(says))


def shop(**says: str) -> Marked:
    return Marked("Namespace", "", "shop", {}, ours(says))


def ours(says: Mapping[str, str]) -> dict[str, str]:
    return {f"canary-analyzer.io/{name.replace('_', '-')}": value for name, value in says.items()}


def settings(*routes: Mapping[str, Any], mode: Mode = Mode.OBSERVE, prometheus: str = "default") -> Settings:
    return Settings(tuple(Route.model_validate(each) for each in routes), mode, prometheus)


def wish(*workloads: Marked, namespace: Marked | None = None, watch: Settings | None = None) -> Wish | None:
    return wish_of(workloads, namespace or shop(), watch or settings())


def wanted(*workloads: Marked, namespace: Marked | None = None, watch: Settings | None = None) -> Wish:
    found = wish(*workloads, namespace=namespace, watch=watch)
    assert found is not None
    return found


def test_what_says_nothing_is_left_alone() -> None:
    assert wish(web()) is None
    assert wish(web({"tier": "web"}), watch=settings({"match": {"labels": {"tier": "api"}}, "rules": "http"})) is None
    assert wish() is None
    assert wish(namespace=shop(rules="http")) is None  # a release without workloads
    assert wish(web(mode="enforce")) is None


def test_observe_is_the_default() -> None:
    assert wish(web(rules="http")) == Wish(
        "http", {}, Mode.OBSERVE, None, "default", "annotation of Deployment shop/web"
    )


def test_all_of_it() -> None:
    said = web(rules="http", parameters="{requests: hits, limit: 5}", on_fail="pause", mode="enforce", prometheus="b")
    assert wish(said) == Wish(
        "http",
        {"requests": "hits", "limit": "5"},
        Mode.ENFORCE,
        OnFail.PAUSE,
        "b",
        "annotation of Deployment shop/web",
    )


ROUTES = (
    {"match": {"namespace": "other"}, "rules": "never"},
    {
        "match": {"namespace": "shop"},
        "rules": "http",
        "parameters": {"requests": "hits", "duration": "d"},
        "prometheus": "shops",
        "routes": [
            {"match": {"kind": "StatefulSet"}, "rules": "none"},
            {"match": {"selector": "tier in (web,api),!legacy"}, "mode": "enforce", "parameters": {"requests": "web"}},
            {"match": {"labels": {"tier": "web"}}, "mode": "observe", "rules": "grpc"},
        ],
    },
    {"rules": "later"},
)


@pytest.mark.parametrize(
    ("labels", "kind", "expected"),
    [
        ({}, "Deployment", ("http", "hits", Mode.OBSERVE, "watch.routes[1] of the settings (Deployment shop/web)")),
        ({}, "StatefulSet", None),
        ({"tier": "api"}, "Deployment", ("http", "web", Mode.ENFORCE, "watch.routes[1] of the settings")),
        ({"tier": "web"}, "Rollout", ("http", "web", Mode.ENFORCE, "watch.routes[1] of the settings")),
        ({"tier": "web", "legacy": ""}, "Rollout", ("grpc", None, Mode.OBSERVE, "watch.routes[1].routes[2] of the")),
    ],
)
def test_the_first_route_and_within_it_the_first(
    labels: dict[str, str], kind: str, expected: tuple[object, ...] | None
) -> None:
    found = wish(web(labels, kind), watch=settings(*ROUTES))
    if expected is None:
        assert found is None
        return
    rules, requests, mode, because = expected
    assert found is not None
    assert (found.rules, found.parameters.get("requests"), found.mode) == (rules, requests, mode)
    assert found.because.startswith(str(because))
    assert found.prometheus == "shops"


def test_each_value_by_itself_workload_before_namespace_before_routes_before_settings() -> None:
    watch = settings(
        {"rules": "r", "mode": "observe", "on_fail": "none", "prometheus": "r", "parameters": {"a": "r", "b": "r"}},
        mode=Mode.ENFORCE,
        prometheus="s",
    )
    assert wanted(web(), watch=watch) == Wish(
        "r",
        {"a": "r", "b": "r"},
        Mode.OBSERVE,
        OnFail.NONE,
        "r",
        "watch.routes[0] of the settings (Deployment shop/web)",
    )
    around = shop(mode="enforce", prometheus="n", parameters="{b: n, c: n}")
    found = wanted(web(prometheus="w", parameters="c: w"), namespace=around, watch=watch)
    assert found.parameters == {"a": "r", "b": "n", "c": "w"}
    assert (found.rules, found.mode, found.on_fail, found.prometheus) == ("r", Mode.ENFORCE, OnFail.NONE, "w")
    assert wanted(web(rules="w"), watch=settings(mode=Mode.ENFORCE, prometheus="s")).prometheus == "s"


def test_parameters_of_another_rule_set_are_not_taken_over() -> None:
    watch = settings({"rules": "http", "parameters": {"requests": "r"}})
    around = shop(rules="http", parameters="requests: n")
    assert wanted(web(rules="grpc"), namespace=around, watch=watch).parameters == {}
    assert wanted(web(rules="http"), namespace=around, watch=watch).parameters == {"requests": "n"}
    assert wanted(web(parameters="duration: w"), namespace=around).parameters == {"requests": "n", "duration": "w"}


def test_none_leaves_alone_what_namespace_or_routes_want() -> None:
    assert wish(web(rules="none"), namespace=shop(rules="http"), watch=settings({"rules": "http"})) is None
    assert wish(web(), namespace=shop(rules="none"), watch=settings({"rules": "http"})) is None
    assert wanted(web(rules="http"), namespace=shop(rules="none")).rules == "http"
    assert wish(web(rules="none", mode="strange")) is None


def test_workloads_of_one_release_that_agree_or_say_nothing() -> None:
    found = wanted(web(rules="http"), web(name="cache"), web(name="api", rules="http", mode="enforce"))
    assert (found.rules, found.mode) == ("http", Mode.ENFORCE)
    # What one of them says counts before what the namespace says for the other.
    assert (
        wanted(web(mode="enforce"), web(name="cache"), namespace=shop(rules="http", mode="observe")).mode == "enforce"
    )


@pytest.mark.parametrize(
    ("one", "other", "about"),
    [
        ({"rules": "http"}, {"rules": "grpc"}, "rules is http in the first and grpc in the second"),
        ({"rules": "http"}, {"rules": "none"}, "rules is http in the first and none in the second"),
        ({"rules": "http", "mode": "observe"}, {"mode": "enforce"}, "mode is observe in the first and enforce in"),
        ({"rules": "http", "on_fail": "none"}, {"on_fail": "rollback"}, "on-fail is none in the first"),
        ({"rules": "http", "prometheus": "a"}, {"prometheus": "b"}, "prometheus is a in the first and b in the second"),
        (
            {"rules": "http", "parameters": "a: 1"},
            {"parameters": "{a: 2}"},
            "parameters, a, is 1 in the first and 2 in the second",
        ),
    ],
)
def test_contradictions_are_told_with_both_names(one: dict[str, str], other: dict[str, str], about: str) -> None:
    with pytest.raises(UsageError) as error:
        wish(web(**one), web(name="api", **other))
    assert about in str(error.value)
    assert "Deployment shop/web and annotation of Deployment shop/api contradict one another" in str(error.value)


def test_routes_may_contradict_one_another_too() -> None:
    watch = settings(
        {"match": {"labels": {"tier": "web"}}, "rules": "http"}, {"match": {"labels": {"tier": "api"}}, "rules": "grpc"}
    )
    with pytest.raises(UsageError, match=r"watch\.routes\[0\].*Deployment shop/web.* and watch\.routes\[1\].*shop/api"):
        wish(web({"tier": "web"}), web({"tier": "api"}, name="api"), watch=watch)


@pytest.mark.parametrize(
    ("says", "told"),
    [
        (
            {"mode": "enforced"},
            'web: annotation canary-analyzer.io/mode: "enforced" is neither observe nor enforce: write one of them',
        ),
        ({"mode": ""}, "mode: is empty: write observe or enforce, or take it out"),
        (
            {"on_fail": "rollbak"},
            'on-fail: "rollbak" is not known: write rollback, abort, pause or none: did you mean rollback?',
        ),
        ({"rules": "../http"}, 'rules: "../http" is no name of a rule set: write one such as http, or none'),
        ({"rules": ""}, "rules: is empty: write the name of a rule set, or none, or take it out"),
        ({"rules": "a" * 101}, "is no name of a rule set"),
        ({"prometheus": "http://evil"}, 'prometheus: "http://evil" is no name of a connection'),
        ({"parameters": "requests"}, "parameters: is no mapping: write names and values, such as {requests: http_"),
        ({"parameters": "[a, b]"}, "parameters: is no mapping"),
        ({"parameters": "{a: b"}, "parameters: is no mapping"),
        ({"parameters": "a: &x b\nc: *x"}, "parameters: is no mapping"),
        ({"parameters": "a: {b: c}"}, 'parameters: "a" has no text as its value'),
        ({"parameters": "a:"}, 'parameters: "a" has no text as its value'),
        ({"parameters": "a: 1\na: 2"}, 'parameters: has "a" twice: keep one of them'),
        ({"parameters": json.dumps({str(n): "x" for n in range(101)})}, "has 101 values: at most 100 are meant"),
        ({"parameters": "a: " + "x" * 16_384}, "has more than 16 KiB: write fewer or shorter values"),
        ({"rule": "http"}, "annotation canary-analyzer.io/rule: is not known: did you mean canary-analyzer.io/rules?"),
        ({"onFail": "none"}, "is not known: did you mean canary-analyzer.io/on-fail?"),
        ({"mode": "obs\nerve\x1b[31m" + "e" * 200}, r'"obs\nerve\x1b[31meee'),
    ],
)
def test_what_cannot_be_used_is_told_and_never_guessed(says: dict[str, str], told: str) -> None:
    marked = web(**{"rules": "http", **says})
    with pytest.raises(UsageError, match=re.escape(told)) as error:
        wish(marked)
    assert str(error.value).isprintable()
    with pytest.raises(UsageError, match="Namespace shop: annotation"):
        wish(web(rules="http"), namespace=shop(**says))


def test_every_mistake_is_told_at_once() -> None:
    with pytest.raises(UsageError, match=r"web: annotation .*mode.*; Deployment shop/api: annotation .*on-fail"):
        wish(web(rules="http", mode="x"), web(name="api", on_fail="y"))


def test_annotations_of_others_and_our_own_results_are_no_mistakes() -> None:
    annotations = {
        "deployment.kubernetes.io/revision": "3",
        "example.com/rules": "",
        **ours({"verdict": "pass", "judged": "web.v7/pass", "reason": "x", "analysis": "y", "hold": "true"}),
        **ours({"taken_back": "z", "backward_compatible": "true", "something-quite-different": "1", "rules": "http"}),
    }
    assert wanted(Marked("Deployment", "shop", "web", {}, annotations)).rules == "http"


@pytest.mark.parametrize(
    "text", ["requests: hits", "{requests: hits}", '{"requests": "hits"}', "\n  requests:   hits\n"]
)
def test_parameters_are_written_in_lines_yaml_or_json(text: str) -> None:
    assert wanted(web(rules="http", parameters=text)).parameters == {"requests": "hits"}


WORDS = st.sampled_from(["http", "grpc", "none", "observe", "enforce", "rollback", "a: b", "{a: c}", "", "x y"])
SAYS = st.dictionaries(st.sampled_from(["rules", "parameters", "on_fail", "mode", "prometheus"]), WORDS | st.text())


@given(st.lists(SAYS, max_size=3), SAYS)
def test_whatever_is_written_is_a_wish_or_none_or_refused(says: list[dict[str, str]], around: dict[str, str]) -> None:
    workloads = [web(name=f"w{number}", **each) for number, each in enumerate(says)]
    watch = settings({"match": {"namespace": "shop"}, "parameters": {"a": "r"}})
    with suppress(UsageError):
        found = wish(*workloads, namespace=shop(**around), watch=watch)
        again = wish(*reversed(workloads), namespace=shop(**around), watch=watch)
        assert (found is None) == (again is None)
        # An act is never wanted unless somebody has written so.
        if found is not None and found.mode == Mode.ENFORCE:
            assert "enforce" in [each.get("mode", "").strip() for each in (*says, around)]
