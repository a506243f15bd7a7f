"""What is watched, and the routes, as the settings have them: each mistake is told with its place."""

from pathlib import Path

import pytest

from analyzer.errors import UsageError
from analyzer.model.route import Mode, Route
from analyzer.model.ruleset import OnFail
from analyzer.service.settings import Settings, load

WHOLE = """\
prometheus: {default: http://one, other: http://two}
watch:
  namespaces: [shop, search]
  mode: Enforce
  prometheus: other
  catch_up: 90m
  events: false
  annotate: true
  routes:
    - match: {namespace: shop, kind: Deployment, labels: {tier: web}, selector: "!legacy"}
      rules: http
      parameters: {requests: hits}
      mode: enforce
      on_fail: none
      prometheus: default
      routes:
        - match: {labels: {tier: cache}}
          rules: none
"""


def read(tmp_path: Path, text: str) -> Settings:
    file = tmp_path / "canary.yaml"
    file.write_text(text)
    return load(file, {}, {})


def test_nothing_is_watched_unless_somebody_says_so() -> None:
    watch = Settings().watch
    assert not watch.is_on
    assert not watch.sees("shop")
    assert (watch.mode, watch.prometheus, watch.catch_up, watch.events, watch.annotate, watch.routes) == (
        Mode.OBSERVE,
        "default",
        3600,
        True,
        False,
        (),
    )


def test_all_of_it(tmp_path: Path) -> None:
    watch = read(tmp_path, WHOLE).watch
    assert (watch.mode, watch.prometheus, watch.catch_up) == (Mode.ENFORCE, "other", 5400)
    assert watch.is_on
    assert [watch.sees(name) for name in ("shop", "search", "other")] == [True, True, False]
    (route,) = watch.routes
    assert (route.rules, route.mode, route.on_fail) == ("http", Mode.ENFORCE, OnFail.NONE)
    assert route.match.fits("Deployment", "shop", {"tier": "web"})
    assert not route.match.fits("Deployment", "shop", {"tier": "web", "legacy": ""})
    assert not route.match.fits("Rollout", "shop", {"tier": "web"})
    assert route.routes[0].rules == "none"


def test_a_variable_for_namespaces() -> None:
    assert load(None, {}, {"CANARY_WATCH__NAMESPACES": ""}).watch.namespaces == ()
    given = {"CANARY_WATCH__NAMESPACES": "shop,search", "CANARY_PROMETHEUS": "http://one"}
    assert load(None, {}, given).watch.namespaces == ("shop", "search")
    watch = load(None, {}, {"CANARY_WATCH__NAMESPACES": "*", "CANARY_PROMETHEUS": "http://one"}).watch
    assert watch.sees("anything")


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("namespaces: ['*', shop]", "canary.yaml:3: watch.namespaces: '*' is all of them: take the others out"),
        ("namespaces: [Shop]", "canary.yaml:3: watch.namespaces[0]: is no namespace"),
        ("mode: enforced", "canary.yaml:3: watch.mode: enforced is not known: write observe or enforce: did you mean"),
        ("catch_up: 1x", "canary.yaml:3: watch.catch_up: is no time"),
        ("catch_up: 60d", "canary.yaml:3: watch.catch_up: 60d is out of range: at most 2592000 is meant"),
        ("route: []", "canary.yaml:3: watch.route: is not known: did you mean watch.routes?"),
        (
            "routes: [{}, {}, {match: {selector: 'tier in web'}}]",
            "canary.yaml:3: watch.routes[2].match.selector: at sign 9 '(' is meant",
        ),
        ("routes: [{match: {selector: ''}}]", "canary.yaml:3: watch.routes[0].match.selector: is empty"),
        ("routes: [{match: {labels: {-x: y}}}]", "watch.routes[0].match.labels.-x: is no name of a label"),
        ("routes: [{match: {labels: {x: y z}}}]", "watch.routes[0].match.labels.x: is no value of a label"),
        (
            "routes: [{match: {kind: Pod}}]",
            "watch.routes[0].match.kind: Pod is not known: write Deployment, StatefulSe",
        ),
        ("routes: [{match: {namespace: '*'}}]", "watch.routes[0].match.namespace: is no namespace"),
        ("routes: [{rule: http}]", "watch.routes[0].rule: is not known: did you mean watch.routes[0].rules?"),
        ("routes: [{rules: a/b}]", "watch.routes[0].rules: is no name"),
        (
            "routes: [{on_fail: page}]",
            "watch.routes[0].on_fail: page is not known: write rollback, abort, pause or none",
        ),
        ("routes: [{routes: [{mode: x}]}]", "watch.routes[0].routes[0].mode: x is not known"),
        ("routes: [{parameters: {a: 1}}]", "watch.routes[0].parameters.a: is no text"),
        ("routes: {}", "watch.routes: is no list"),
    ],
)
def test_each_mistake_has_its_place(tmp_path: Path, text: str, told: str) -> None:
    with pytest.raises(UsageError) as error:
        read(tmp_path, f"prometheus: http://one\nwatch:\n  {text}\n")
    assert told in str(error.value)


def test_routes_have_an_end(tmp_path: Path) -> None:
    deep = "{}"
    for _ in range(20):
        deep = f"{{routes: [{deep}]}}"
    with pytest.raises(UsageError, match="routes: are more than 20 deep"):
        read(tmp_path, f"watch: {{routes: [{deep}]}}\n")


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("{namespaces: [shop], prometheus: third}", "watch.prometheus: there is no connection of that name"),
        (
            "{namespaces: [shop], routes: [{routes: [{prometheus: third}]}]}",
            "watch.routes[0].routes[0].prometheus: there is no connection of that name: write default or other",
        ),
    ],
)
def test_connections_that_are_not_there(tmp_path: Path, text: str, told: str) -> None:
    with pytest.raises(UsageError) as error:
        read(tmp_path, f"prometheus: {{default: http://one, other: http://two}}\nwatch: {text}\n")
    assert told in str(error.value)


def test_an_outermost_route_is_a_part_of_the_settings() -> None:
    assert Settings.model_validate({"watch": {"routes": [{"rules": "http"}]}}).watch.routes == (Route(rules="http"),)
