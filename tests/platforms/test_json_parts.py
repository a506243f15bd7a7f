"""Values out of a large JSON object: the same as a whole parser finds, whatever stands beside them."""

import contextlib
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from analyzer.platforms.json_parts import values

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=20,
)


@given(st.dictionaries(st.text(), JSON, max_size=6), st.sampled_from([None, 2]), st.booleans())
def test_the_same_as_a_parser(document: dict[str, object], indent: int | None, plain: bool) -> None:
    text = json.dumps(document, indent=indent, ensure_ascii=plain).encode()
    wanted = list(document)[::2]
    assert values(text, wanted, len(text)) == {name: document[name] for name in wanted}


@given(st.binary(max_size=200))
def test_garbage_is_a_value_error(text: bytes) -> None:
    with contextlib.suppress(ValueError):
        values(b'{"a":' + text, ["a"], 1000)


def test_what_is_too_large_is_not_built() -> None:
    with pytest.raises(ValueError, match="its a is too large"):
        values(b'{"b":1,"a":"' + b"x" * 100 + b'"}', ["a"], 50)
    assert values(b'{"b":1,"a":"' + b"x" * 100 + b'"}', ["b"], 50) == {"b": 1}
