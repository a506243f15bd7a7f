"""docs/rules.md: every key is in it, every rule set in it is read, and what it says of defaults is so."""

import re
from pathlib import Path
from typing import Any

import pytest

from analyzer.composition.rules import finish_rules
from analyzer.errors import RuleSetError
from analyzer.model.defaults import QUANTILE, TOLERANCES
from analyzer.model.document import read_rule_set
from analyzer.model.editor import json_schema
from analyzer.model.units import parse_duration, parse_share

DOCUMENT = (Path(__file__).parents[2] / "docs" / "rules.md").read_text()
BLOCKS = re.findall(r"^```(\S+)( wrong)?\n(.*?)^```$", DOCUMENT, re.MULTILINE | re.DOTALL)
GOOD = [text for language, wrong, text in BLOCKS if language == "yaml" and not wrong]
SCHEMA = json_schema()
PARTS: dict[str, dict[str, Any]] = {"RuleSet": SCHEMA, **SCHEMA["$defs"]}
KEYS = sorted({key for part in PARTS.values() for key in part.get("properties", {})})
WORDS = sorted({word for part in PARTS.values() for word in part.get("enum", [])})


def row(key: str) -> list[str]:
    """The cells of the first table row of this key."""
    found = re.search(rf"^\| `{key}` \|(.*)\|$", DOCUMENT, re.MULTILINE)
    assert found, f"no row for {key}"
    return [cell.strip() for cell in found[1].split(" | ")]


@pytest.mark.parametrize("key", KEYS)
def test_every_key_is_described(key: str) -> None:
    assert re.search(rf"`{key}[`:]", DOCUMENT)


@pytest.mark.parametrize("word", WORDS)
def test_every_word_that_a_key_takes_is_described(word: str) -> None:
    assert re.search(rf"`(judge: )?{word}`|{word}, |`{word}`", DOCUMENT)


@pytest.mark.parametrize("text", GOOD, ids=lambda text: re.findall(r"name: ([\w-]+)", text)[0])
def test_every_rule_set_is_good(text: str) -> None:
    document = read_rule_set(text)
    assert document.warnings == ()
    finish_rules(document, {})


def test_there_are_rule_sets() -> None:
    assert len(GOOD) == 3
    used = " ".join(GOOD)
    assert [key for key in KEYS if f"{key}:" not in used] == [
        "comparison",
        "direction",
        "namespaceLabel",
        "onFail",
        "onPass",
    ]


def test_the_mistakes_are_told_as_the_document_says() -> None:
    (wrong,) = [text for _, mark, text in BLOCKS if mark]
    (told,) = [text for language, _, text in BLOCKS if language == "text"]
    with pytest.raises(RuleSetError) as caught:
        read_rule_set(wrong)
    assert str(caught.value) == told.strip()


def test_defaults_of_the_schedule_and_of_the_confidence() -> None:
    for name, parse in (("Schedule", parse_duration), ("Confidence", parse_share)):
        for key, value in PARTS[name]["properties"].items():
            assert parse(row(key)[0].strip("`")) == parse(value["default"])


def test_defaults_of_rules() -> None:
    assert row("onFail")[0].strip("`") == PARTS["RuleSetSpec"]["properties"]["onFail"]["default"]
    assert row("onInconclusive")[0].strip("`") == PARTS["RuleSetSpec"]["properties"]["onInconclusive"]["default"]
    assert f"`{QUANTILE}` for histograms" in DOCUMENT
    for kind, margins in TOLERANCES.items():
        rows = re.findall(rf"^\| `{kind}` \| (relative .*?) \| (relative .*?) \|$", DOCUMENT, re.MULTILINE)
        assert len(rows) == 1
        for text, margin in zip(rows[0], margins, strict=True):
            assert f"relative {margin.relative * 100:g}%" in text
            assert (f"absolute {margin.absolute * 100:g}%" in text) == bool(margin.absolute)
