import re
from typing import Any

import promql_parser as promql
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from analyzer.model.template import fill_matchers, fill_query, fill_selector


@pytest.mark.parametrize(
    ("text", "values", "filled"),
    [
        ("${m}", {"m": "http_requests_total"}, "http_requests_total"),
        ("${m}_count{a='b'}", {"m": "http:requests"}, "http:requests_count{a='b'}"),
        ("${a}_${b}", {"a": "x", "b": "total"}, "x_total"),
        ('x{a="${v}"}', {"v": "b"}, 'x{a="b"}'),
        ('x{a="${v}"}', {"v": 'b",c="d'}, r'x{a="b\",c=\"d"}'),
        ("x{a='${v}'}", {"v": 'it\'s "q"'}, r"""x{a='it\'s "q"'}"""),
        ('x{a="${v}"}', {"v": "a\\b\nc\td"}, r'x{a="a\\b\nc\td"}'),
        ("x{a=`${v}`}", {"v": 'b"c'}, 'x{a=`b"c`}'),
        ('x{a=~"${v}-.*"}', {"v": "a.b|c"}, r'x{a=~"a\\.b\\|c-.*"}'),
        ('x{a!~ "${v}"}', {"v": "a.b"}, r'x{a!~ "a\\.b"}'),
        ('x{a=~"${v:regex}"}', {"v": "5..|4.."}, 'x{a=~"5..|4.."}'),
        ('x{a=~"web-${v:regex}"}', {"v": "a|b"}, 'x{a=~"web-(?:a|b)"}'),
        ('x{a=~"${v:regex}"}', {"v": r"\d+"}, r'x{a=~"\\d+"}'),
        ('x{${l}="b"}', {"l": "code"}, 'x{code="b"}'),
        ('x{a="b",${m}}', {"m": 'c="d", e=~"f.*"'}, 'x{a="b",c="d", e=~"f.*"}'),
        ("x{${m}}", {"m": 'c="d",'}, 'x{c="d"}'),
        ("x{${m}}", {"m": ""}, "x{}"),
        ('x{a="b",${m}}', {"m": ""}, 'x{a="b"}'),
        ('x{a="b", ${m} }', {"m": ""}, 'x{a="b" }'),
        ('x{${m},a="b"}', {"m": " "}, 'x{a="b"}'),
        ('x{${m} , ${n}, a="b"}', {"m": "", "n": ""}, 'x{   a="b"}'),
        ('x{a="b",${m},${n},c="d"}', {"m": "", "n": ""}, 'x{a="b",c="d"}'),
        ("rate(x[${w}])", {"w": "1h30m"}, "rate(x[1h30m])"),
        ("rate(x[5m:${w}])", {"w": "1m"}, "rate(x[5m:1m])"),
        ("x > ${n}", {"n": "1.5e3"}, "x > 1.5e3"),
        ("x offset ${d}", {"d": "5m"}, "x offset 5m"),
        ("sum by (${l}) (x)", {"l": "pod"}, "sum by (pod) (x)"),
        ("x # ${nothing}", {}, "x "),
        ('x{a="$${v}"}', {}, r'x{a="\x24{v}"}'),
        ('x{a="$$5 $1"}', {}, 'x{a="$5 $1"}'),
        ('label_replace(x, "a", "$1", "b", "(.*)")', {}, 'label_replace(x, "a", "$1", "b", "(.*)")'),
        ('x{a="${v}"}', {"v": "${window} ${w} $"}, r'x{a="\x24{window} \x24{w} $"}'),
        ('x{a="$$${v}"}', {"v": "{window}"}, r'x{a="\x24{window}"}'),
        (r'x{a="\"${v}"}', {"v": "b"}, r'x{a="\"b"}'),
        ('x{a="# no ${v}"}', {"v": "b"}, 'x{a="# no b"}'),
    ],
)
def test_filled(text: str, values: dict[str, str], filled: str) -> None:
    result = fill_selector(text, values)
    assert (result.text, result.complaints) == (filled, [])


@pytest.mark.parametrize(
    ("text", "values", "said"),
    [
        ("${reqests}", {"requests": "x"}, "nobody fills ${reqests}: did you mean requests?"),
        ("${m}", {}, "nobody fills ${m}: write it under spec.parameters, or give --set m=VALUE"),
        ("${a-b}", {}, "'${a-b}' is no variable: write ${name}, or $${ for the two signs themselves"),
        ('x{a="${"}', {}, "'${\"}' is no variable: write ${name}, or $${ for the two signs themselves"),
        ("${m}", {"m": "a b"}, "'a b' in the place of ${m} is no name, number or duration"),
        ("${m}", {"m": "x{a='b'}"}, """"x{a='b'}" in the place of ${m} is no name, number or duration"""),
        ("${m}", {"m": ""}, "'' in the place of ${m} is no name, number or duration"),
        ("x ${m} y", {"m": "or"}, "'or' in the place of ${m} is a word of PromQL itself: write a name or a number"),
        ("${f}(x)", {"f": "sum"}, "'sum' in the place of ${f} is a word of PromQL itself: write a name or a number"),
        ("x > ${n}", {"n": "NaN"}, "'NaN' in the place of ${n} is a word of PromQL itself: write a name or a number"),
        ("x > ${n}", {"n": "-5"}, "'-5' in the place of ${n} is no name, number or duration"),
        ("x{a=${v}}", {"v": "b"}, "${v} is the value of a matcher: put it in quotes"),
        ("x{${l}='b'}", {"l": "__name__"}, "'__name__' in the place of ${l} is no name of a label"),
        ("x{${l}='b'}", {"l": "a='c',d"}, """"a='c',d" in the place of ${l} is no name of a label"""),
        ("x{${m}}", {"m": "a"}, """'a' in the place of ${m} is no list of matchers such as job="web",code!="2\""""),
        ("x{${m}}", {"m": 'a="b"} or y{c="d"'}, '\'a="b"} or y{c="d"\' in the place of ${m} is no list of matchers'),
        ("x{${m}}", {"m": 'a="b" # c'}, "'a=\"b\" # c' in the place of ${m} is no list of matchers"),
        ("x{${m}}", {"m": 'a="b" or c="d"'}, '\'a="b" or c="d"\' in the place of ${m} is no list of matchers'),
        ("x{${m}}", {"m": '__name__="y"'}, "'__name__=\"y\"' in the place of ${m} is no list of matchers"),
        ("rate(x[${w}])", {"w": "x"}, "${w} is between brackets: write a duration, as 5m"),
        ('x{a=~"[${v}]"}', {"v": "a"}, "${v} stands in a class [...] of a regular expression: write it outside"),
        ('x{a=~"[]${v:regex}]"}', {"v": "a"}, "${v:regex} stands in a class [...] of a regular expression: write it"),
        (r'x{a=~"\\${v}"}', {"v": "d"}, "${v} stands after a backslash of a regular expression: write it outside"),
        ('x{a="${v:regex}"}', {"v": "a"}, "${v:regex} is for strings after =~ and !~: write the name alone"),
        ("${v:regex}", {"v": "a"}, ":regex is for strings after =~ and !~: write the name alone"),
        ('x{a=~"${v:regex}"}', {"v": "("}, "'(' in the place of ${v:regex} is no regular expression: missing )"),
        ("x{a=`${v}`}", {"v": "a`b"}, "'a`b' cannot stand in backticks: write the string of ${v} in double quotes"),
        ("x{a=`${v}`}", {"v": "a\\b"}, "'a\\\\b' cannot stand in backticks: write the string of ${v} in double quotes"),
        ("x{a=~`${v}`}", {"v": "a.b"}, "'a\\\\.b' cannot stand in backticks: write the string of ${v} in double"),
        ("x{a=`$${v}`}", {}, "a string in backticks cannot hold the two signs ${: write it in double quotes"),
        ("x$$", {}, "$$ is a dollar sign, and stands outside of a string: take it out"),
        ('x{a="${v}"}', {"v": "\x00"}, "the value of ${v} has the character U+0000 in it: take it out"),
        ('x{a="${v}"}', {"v": "\ud800"}, "the value of ${v} has the character U+D800 in it: take it out"),
        ('x{a="${v}"}', {"v": "a" * 4097}, "the value of ${v} is longer than 4096 characters: write a shorter one"),
        ("x" + "_${v}" * 100, {"v": "a" * 4096}, "is longer than 65536 characters when filled: write shorter values"),
        ("x{${selector}}", {"selector": "a"}, "${selector} is filled in promql: alone: take it out"),
        ('x{a="${window}"}', {}, "${window} is filled in promql: alone: take it out"),
        ("x\x00", {}, "has the character U+0000 in it: take it out"),
    ],
)
def test_refused(text: str, values: dict[str, str], said: str) -> None:
    complaints = fill_selector(text, values).complaints
    assert len(complaints) == 1
    assert complaints[0].startswith(said)


def test_a_query_keeps_what_the_source_fills() -> None:
    text = 'sum(increase(${m}{${selector},a="${v}"}[${window}]))'
    filled = fill_query(text, {"m": "x", "v": "${window}"})
    assert filled.text == r'sum(increase(x{${selector},a="\x24{window}"}[${window}]))'
    assert (filled.complaints, filled.used) == ([], {"m", "v"})


def test_matchers_without_braces() -> None:
    assert fill_matchers('version="${v}"', {"v": 'a"'}).text == r'version="a\""'
    assert fill_matchers("${m}", {"m": 'a="b"'}).text == 'a="b"'
    assert fill_matchers('${l}="b"', {"l": "a"}).text == 'a="b"'
    assert fill_matchers("${m}", {"m": 'a="b"}'}).complaints


hostile = (
    st.text(max_size=30)
    | st.text(alphabet="\"'`\\{}[](),=~!$#\n\t\r -+*.|^:0159abcdexnu", max_size=30)
    | st.lists(
        st.sampled_from(
            ['"', "'", "`", "\\", "}", "{", ",", "=", "=~", " or ", " # ", "a", '="', "${window}", "$", "x24", "\n"]
        ),
        max_size=12,
    ).map("".join)
)


def shape(node: Any) -> object:  # noqa: ANN401 -- the parser has no types
    """A tree of PromQL without what its matchers and numbers say: node types, names, labels and signs."""
    if isinstance(node, promql.VectorSelector):
        matchers = [(matcher.name, str(matcher.op)) for matcher in node.matchers.matchers]
        return ("selector", node.name, matchers, len(node.matchers.or_matchers), bool(node.offset))
    below = [getattr(node, name) for name in ("vector_selector", "expr", "lhs", "rhs") if hasattr(node, name)]
    named = [str(getattr(node, name)) for name in ("op",) if hasattr(node, name)]
    if isinstance(node, promql.Call):
        below, named = list(node.args), [node.func.name]
    return (type(node).__name__, named, [shape(part) for part in below])


def selector_in(node: Any) -> promql.VectorSelector:  # noqa: ANN401 -- as above
    """The first selector of a tree."""
    while not isinstance(node, promql.VectorSelector):
        below = [getattr(node, name) for name in ("vector_selector", "expr", "lhs") if hasattr(node, name)]
        node = below[0] if below else node.args[0]
    return node


def test_the_shape_sees_every_selector() -> None:
    tree = promql.parse('sum by (pod) (rate(x{a="b"}[5m])) > (y{c!="d"} * 2)')
    assert str(shape(tree)).count("selector") == 2
    assert shape(tree) != shape(promql.parse('sum by (pod) (rate(x{e="b"}[5m])) > (y{c!="d"} * 2)'))
    assert shape(tree) != shape(promql.parse('sum by (pod) (rate(x{a="b"}[5m])) > (y{c="d"} * 2)'))


LITERALS = [
    ('x{a="${v}"}', "", ""),
    ("x{a='${v}'}", "", ""),
    ("x{a=`${v}`}", "", ""),
    ('x{a="b-${v}/c",d!="e"}', "b-", "/c"),
    (r'x{a="\"${v}\\"}', '"', "\\"),
    ("sum by (pod) (rate(x{a='${v}'}[5m])) > 0.5", "", ""),
    ('x{a="$$${v}"}', "$", ""),
]


@given(value=hostile, case=st.sampled_from(LITERALS))
@example(value='",b="c', case=LITERALS[0])
@example(value="{window}", case=LITERALS[6])
def test_in_a_string_any_value_is_that_literal_or_refused(value: str, case: tuple[str, str, str]) -> None:
    text, before, after = case
    for fill in (fill_selector, fill_query):
        filled = fill(text, {"v": value})
        if not filled.complaints:
            assert "${" not in filled.text
            parsed = promql.parse(filled.text)
            assert shape(parsed) == shape(promql.parse(text.replace("${v}", "safe")))
            assert selector_in(parsed).matchers.matchers[0].value == before + value + after


PATTERNS = [('x{a=~"${v}"}', "", ""), ("x{a!~'b-${v}-c'}", "b-", "-c"), ('x{a=~"(${v})|q+",d="e"}', "", "")]


@given(value=hostile, case=st.sampled_from(PATTERNS))
@example(value="a|b", case=PATTERNS[1])
def test_in_a_pattern_any_value_matches_itself_alone_or_is_refused(value: str, case: tuple[str, str, str]) -> None:
    text, before, after = case
    filled = fill_selector(text, {"v": value})
    if not filled.complaints:
        parsed = promql.parse(filled.text)
        assert shape(parsed) == shape(promql.parse(text.replace("${v}", "safe")))
        pattern = re.compile(selector_in(parsed).matchers.matchers[0].value)
        assert pattern.fullmatch(before + value + after)
        for other in (value + "x", value[:-1], value.swapcase(), "x"):
            if other != value and not re.fullmatch("q+", other):
                assert not pattern.fullmatch(before + other + after)


def re2_knows(pattern: str) -> bool:
    """Whether a pattern that Python knows is one for PromQL too, by a string that needs no escaping here."""
    escaped = pattern.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n").replace("\r", "\\r")
    try:
        promql.parse(f'x{{a=~"(?:{escaped})"}}')
    except ValueError:
        return False
    return True


@given(value=hostile, text=st.sampled_from(['x{a=~"${v:regex}"}', "x{a!~'b-${v:regex}-c',d=\"e\"}"]))
def test_a_pattern_of_the_users_own_stays_in_its_string(value: str, text: str) -> None:
    filled = fill_selector(text, {"v": value})
    if not filled.complaints:
        if not re2_knows(value):
            return
        parsed = promql.parse(filled.text)
        assert shape(parsed) == shape(promql.parse(text.replace("${v:regex}", "safe")))


OUTSIDE = [
    "${v}",
    '${v}{a="b"}',
    "${v}_total",
    "x > ${v}",
    "sum by (${v}) (x)",
    "rate(x[${v}])",
    "x offset ${v}",
    "x + ${v} * y",
]
FITTING = re.compile(
    r"[A-Za-z_:][A-Za-z0-9_:]*|([0-9]+(ms|[smhdwy]))+|([0-9]+\.?[0-9]*|\.[0-9]+)([eE][+-]?[0-9]+)?", re.ASCII
)


@given(
    value=hostile | st.sampled_from(["or", "5m", "1e-5", "up", "x y", "sum", "bool", "0x1F", "Inf"]),
    text=st.sampled_from(OUTSIDE),
)
@settings(max_examples=300)
def test_outside_of_strings_a_value_is_one_word_or_refused(value: str, text: str) -> None:
    filled = fill_selector(text, {"v": value})
    if not filled.complaints:
        whole = f"{value}_total" if "_total" in text else value
        assert FITTING.fullmatch(whole)
        assert filled.text == text.replace("${v}", value)
        assert whole.lower() not in {"or", "and", "unless", "by", "bool", "offset", "sum", "inf", "nan"}


@given(value=hostile, text=st.sampled_from(['x{a="b",${v}}', 'x{${v},a="b"}', "x{${v}}", 'sum(x{a="b",${v}})']))
@example(value='c="d"', text='x{a="b",${v}}')
@example(value="", text='x{${v},a="b"}')
@settings(max_examples=300)
def test_between_braces_a_value_adds_matchers_or_is_refused(value: str, text: str) -> None:
    filled = fill_query(text, {"v": value})
    if not filled.complaints:
        assert "${" not in filled.text
        try:
            selector = selector_in(promql.parse(filled.text))
        except ValueError:
            return  # an escape or a pattern that PromQL refuses
        assert selector.name == "x"
        assert not selector.matchers.or_matchers
        written = [matcher for matcher in selector.matchers.matchers if matcher.name == "a" and matcher.value == "b"]
        assert len(written) >= ('a="b"' in text)
        assert all(matcher.name != "__name__" for matcher in selector.matchers.matchers)


@given(value=hostile, text=st.sampled_from(['a="${v}"', 'b!="c",a=~"d${v}"']))
def test_matchers_of_a_side_stay_matchers(value: str, text: str) -> None:
    filled = fill_matchers(text, {"v": value})
    if not filled.complaints:
        parsed = promql.parse(f"x{{{filled.text}}}")
        assert shape(parsed) == shape(promql.parse(f"x{{{text.replace('${v}', 'safe')}}}"))


@pytest.mark.parametrize("variable", ["${v}", "${v:regex}"])
def test_no_work_on_what_is_too_long_anyway(variable: str) -> None:
    filled = fill_selector('x{a=~"' + variable * 1500 + '"}', {"v": "a" * 4000})
    assert filled.complaints == ["is longer than 65536 characters when filled: write shorter values"]


def test_many_spaces_in_a_list_of_matchers() -> None:
    blank = " " * 4000
    assert fill_selector("x{${v}}", {"v": f'a="1"{blank},b="2" , '}).text == f'x{{a="1"{blank},b="2" }}'
    for _ in range(15):
        assert fill_selector("x{${v}}", {"v": f'a="1"{blank}!'}).complaints


def test_where_a_value_stands_in_a_pattern_of_many_pieces() -> None:
    assert not fill_selector('x{a=~"[]a^]${v}[^]a]${v}(${v})"}', {"v": "1"}).complaints
    for pattern in (r"[]${v}]", r"[^]${v}]", r"[a${v}]", r"\\${v}", r"[\\]${v}]", r"${v}[${v}]"):
        assert fill_selector(f'x{{a=~"{pattern}"}}', {"v": "1"}).complaints, pattern
