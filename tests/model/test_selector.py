"""Label selectors are read as Kubernetes reads them."""

import re
from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from analyzer.model.selector import Requirement, Selector, check_label_name, check_label_value, parse_selector

LABELS = {"tier": "web", "release": "stable", "app.kubernetes.io/name": "shop", "empty": ""}


FITTING = [
    ("tier=web", True),
    ("tier==web", True),
    (" tier = web , release=stable ", True),
    ("tier=api", False),
    ("tier!=api", True),
    ("tier!=web", False),
    ("zone!=a", True),  # what is not there is not equal
    ("tier in (web, api)", True),
    ("tier in(web,api)", True),
    ("tier in (api)", False),
    ("tier notin (api)", True),
    ("zone notin (a,b)", True),
    ("tier notin (web)", False),
    ("tier", True),
    ("zone", False),
    ("!zone", True),
    ("! zone", True),
    ("!tier", False),
    ("app.kubernetes.io/name=shop,!legacy,release in (stable)", True),
    ("app.kubernetes.io/name=shop,legacy", False),
    ("empty=", True),
    ("empty=,tier=web", True),
    ("tier=", False),
    ("empty in (a,)", True),
    ("empty in ()", True),
    ("in=x", False),
    ("notin", False),
]
"""Selectors, and whether they fit these labels: the test bed asks a real API server the same."""
REFUSED = [
    ("", "is empty"),
    ("  ", "is empty"),
    ("tier in web", "at sign 9 '(' is meant"),
    ("tier in (web", "at its end ')' is meant"),
    ("tier,", "at its end the name of a label is meant"),
    (",tier", "at sign 1 the name of a label is meant"),
    ("tier,,release", "at sign 6 the name of a label is meant"),
    ("tier web", "at sign 6 =, !=, in (…) or notin (…) is meant"),
    ("tier=web release=stable", "at sign 10 ',' is meant"),
    ("tier=web=api", "at sign 9 ',' is meant"),
    ("replicas > 3", "at sign 10 =, !=, in (…) or notin (…) is meant"),
    ("-tier=web", "what begins at sign 1 is no name of a label"),
    ("Example.com/tier=web", "what begins at sign 1 is no name of a label"),
    ("web, /tier", "what begins at sign 6 is no name of a label"),
    ("example.com/", "is no name of a label"),
    (f"{'a' * 64}=b", "is no name of a label"),
    (f"{'a' * 254}/b", "is no name of a label"),
    ("tier=-web", "what begins at sign 6 is no value of a label"),
    ("tier in (we$b)", "is no value of a label"),
    (f"tier={'a' * 64}", "is no value of a label"),
    ("!", "at its end the name of a label is meant"),
    ("!tier=web", "at sign 6 ',' is meant"),
    ("()", "at sign 1 the name of a label is meant"),
    ("tier\n=\x00web", "is no value of a label"),
]
"""What is no selector, and what is said of it."""


@pytest.mark.parametrize(("text", "fits"), FITTING)
def test_it_says_which_labels_fit(text: str, fits: bool) -> None:
    assert parse_selector(text).matches(LABELS) is fits


@pytest.mark.parametrize(("text", "said"), REFUSED)
def test_what_is_none_is_told(text: str, said: str) -> None:
    with pytest.raises(ValueError, match=re.escape(said)) as error:
        parse_selector(text)
    assert str(error.value).isprintable()


@given(st.text(alphabet="ab!=(),<> in\n-./", max_size=40))
def test_whatever_is_written_is_read_or_refused(text: str) -> None:
    with suppress(ValueError):
        parse_selector(text).matches(LABELS)


WORDS = st.from_regex(r"\A[a-z]([a-z0-9._-]{0,10}[a-z0-9])?\Z")
REQUIREMENTS = st.builds(
    Requirement, WORDS, st.none() | st.frozensets(WORDS | st.just(""), min_size=1, max_size=3), st.booleans()
)


def _written(each: Requirement) -> str:
    if each.values is None:
        return f"{'!' if each.negated else ''}{each.key}"
    return f"{each.key} {'notin' if each.negated else 'in'} ({','.join(sorted(each.values))})"


@given(st.lists(REQUIREMENTS, min_size=1, max_size=4))
def test_what_is_written_is_what_is_read(requirements: list[Requirement]) -> None:
    assert parse_selector(",".join(map(_written, requirements))) == Selector(tuple(requirements))


def test_labels_that_cannot_be() -> None:
    assert check_label_value("") == ""
    with pytest.raises(ValueError, match="is no name of a label"):
        check_label_name("tier of it")
    with pytest.raises(ValueError, match="is no value of a label"):
        check_label_value("the web")
