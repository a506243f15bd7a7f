import json
import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from analyzer.errors import RuleSetError
from analyzer.model.outline import MAX_DEPTH, outline, plain


def test_values_and_lines() -> None:
    read, wrong = outline("a:\n  - b: 1\n    c: [x, 'y']\n  - |\n    text\nd: 1.10\n", "f")
    assert read.value == {"a": [{"b": 1, "c": ["x", "y"]}, "text\n"], "d": 1.1}
    assert read.lines == {
        "": 1, "a": 1, "a[0]": 2, "a[0].b": 2, "a[0].c": 3, "a[0].c[0]": 3, "a[0].c[1]": 3, "a[1]": 4, "d": 6,
    }  # fmt: skip
    assert read.written == {"a[0].b": "1", "a[0].c[0]": "x", "d": "1.10"}
    assert wrong == []


@pytest.mark.parametrize(
    ("text", "value"),
    [
        *[(word, word) for word in ("no", "yes", "on", "off", "y", "1:30", "2024-01-01", "1_000", "0b1", "10%", "2s")],
        *[(word, None) for word in ("", "~", "null", "Null")],
        *[("true", True), ("False", False), ("010", 10), ("0x1F", 31), ("0o17", 15), ("-3", -3), ("+3", 3)],
        *[("1e3", 1000.0), (".5", 0.5), ("3.", 3.0), ("9" * 400, math.inf), (".inf", math.inf), ("-.INF", -math.inf)],
    ],
)
def test_scalars_are_those_of_yaml_1_2(text: str, value: object) -> None:
    assert plain(text) == value
    assert type(plain(text)) is type(value)


def test_not_a_number() -> None:
    assert math.isnan(plain(".nan"))  # type: ignore[arg-type] # it is a float


BOMB = "a: &a [x, x]\nb: &b [*a, *a]\nc: &c [*b, *b]\nd: [*c, *c]\n"


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (BOMB, "f:1: a: anchors (&a) are not read: write the value out where it is needed"),
        ("a: 1\nb: *a\n", "f:2: b: aliases (*name) are not read: write the value out"),
        ("a: !!python/object:os.system x", "f:1: a: tags (!…) are not read: write the value alone, a text in quotes"),
        ("!!map {a: 1}", "f:1: tags (!…) are not read: write the value alone, a text in quotes"),
        ("%YAML 1.1\n---\na: no\n", "f:1: directives (%YAML, %TAG) are not read: start with the rule set itself"),
        ("a: 1\n---\nb: 2\n", "f:2: a second document starts here: write one rule set a file"),
        ("", "f: the file is empty: a rule set starts with apiVersion: canary-analyzer.io/v1alpha1"),
        ("# only a comment\n", "f: the file is empty: a rule set starts with apiVersion: canary-analyzer.io/v1alpha1"),
        ("a: 1\n\tb: 2", "f:2: a tab stands here: YAML indents by spaces"),
        ("a:\n  b: [1, 2\n", "f:3: the file ends in the middle of a value: a quote or a bracket is not closed"),
        ('a: "x', "f:1: the file ends in the middle of a value: a quote or a bracket is not closed"),
        ("a: b: c", "f:1: a second colon, or a wrong indentation: put text with a colon in quotes, and keys of one"),
        ("a: @x", "f:1: this is not YAML: found character '@' that cannot start any token: put the text in quotes"),
        ("a: x\nb: \x00\n", "f:2: the character U+0000 stands here: this is not a text file"),
        ("? [a, b]\n: 1", "f:1: a key here is not a plain text: write name: value"),
        ("&a a: 1", "f:1: a key here is not a plain text: write name: value"),
        ("[" * (MAX_DEPTH + 1), "f:1: nested more than 50 deep: this is not a rule set"),
        ("[" * 500_000, "f:1: nested more than 50 deep: this is not a rule set"),
        ("{a: " * 200_000, "f:1: nested more than 50 deep: this is not a rule set"),
        ("- x\n" * 20_001, "f:20000: more than 20000 values: this is not a rule set"),
        ('a: "\\U7fffffff"', "f"),
        ('a: "\\e[31m"', "f:1: a: an escape makes the character U+001B here: take it out"),
        ('a:\n  "\\ud800": 1', "f:2: a: an escape makes the character U+D800 here: take it out"),
    ],
)
def test_what_is_refused_is_one_sentence(text: str, said: str) -> None:
    with pytest.raises(RuleSetError) as caught:
        outline(text, "f")
    assert len(caught.value.mistakes) == 1
    assert str(caught.value).startswith(said)
    assert "\n" not in str(caught.value)


def test_a_key_twice_is_told_with_both_lines_and_read_on() -> None:
    read, wrong = outline("a: 1\nb:\n  c: 2\n  c: {d: 3}\na: 4\n", "f")
    assert read.value == {"a": 1, "b": {"c": 2}}
    assert [str(mistake) for mistake in wrong] == [
        "f:4: b.c: stands here twice, first in line 3: keep one of them",
        "f:5: a: stands here twice, first in line 1: keep one of them",
    ]


def test_a_byte_order_mark_and_windows_lines_are_read() -> None:
    assert outline("\ufeffa: 1\r\nb: x\r\n", "f")[0].value == {"a": 1, "b": "x"}


texts = st.text(
    st.characters(max_codepoint=0xFFFD, exclude_categories=["Cs", "Cc"]) | st.sampled_from("\n\t"), max_size=20
)
values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(10**17), 10**17)
    | st.floats(allow_nan=False, allow_infinity=False, width=32)
    | texts,
    lambda below: st.lists(below, max_size=4) | st.dictionaries(texts, below, max_size=4),
    max_leaves=20,
)


@given(st.dictionaries(texts, values, min_size=1, max_size=5))
def test_reads_what_was_written(value: dict[str, object]) -> None:
    assert outline(json.dumps(value), "f")[0].value == value


@given(st.text(max_size=60) | st.text(alphabet="ab:-[]{}&*!|>'\"%#@`\n \t,?", max_size=60))
def test_any_text_is_read_or_refused_in_a_sentence(text: str) -> None:
    said = "f:"
    try:
        outline(text, "f")
    except RuleSetError as error:
        said = str(error)
    assert said.startswith("f:")
    assert "\n" not in said
