"""A report in every form, hostile words included."""

import json
import xml.etree.ElementTree as ET
from collections.abc import Callable

import pytest

from analyzer.model.judgement import Evidence, Interval, Judgement, Standing
from analyzer.model.report import Action, ActionResult, Guard, Report, Verdict
from analyzer.model.target import ActionKind, PlatformKind, Revision, Stage, Target
from analyzer.rendering.document import markdown
from analyzer.rendering.github import annotations, outputs
from analyzer.rendering.html import render
from analyzer.rendering.junit import junit
from analyzer.rendering.text import text

HOSTILE = "it\n::error::broke | <b>out</b> & ``` `x` \x00\x1b[31m ]]> $(id) %0A"


def report(**more: object) -> Report:
    values: dict[str, object] = {
        "verdict": Verdict.FAIL,
        "action": Action(kind=ActionKind.ROLLBACK, result=ActionResult.DONE),
        "reason": "errors 2 % (80 of 4000) against 0.1 %",
        "analysis": "abc",
        "target": Target(kind=PlatformKind.HELM, name="web", namespace="prod"),
        "revision": Revision(number="7"),
        "rule_set": "http",
        "upgraded_at": 100.0,
        "started_at": 101.0,
        "as_of": 160.0,
        "ended_at": 170.0,
        "deadline_at": 700.0,
        "seconds_to_verdict": 61.0,
        "seconds_to_recovery": 75.0,
        "judgements": (
            Judgement(rule="errors", metric="errors", standing=Standing.FAIL, reason="bad", critical=True),
            Judgement(rule="memory", metric="memory", standing=Standing.PENDING, reason="so so", advisory=True),
            Judgement(rule="latency", metric="latency", standing=Standing.PASS, reason="fine"),
        ),
    }
    return Report.model_validate(values | more)


def test_how_far_it_was_brought_out_stands_in_every_form() -> None:
    told = "step 2 of 4, traffic 25 % canary, 75 % stable"
    staged = report(stage=Stage(step=2, steps=4, canary=0.25, stable=0.75))
    for form in (text, markdown, render):
        assert told in form(staged)
        assert "step" not in form(report())
        assert "step" not in form(report(stage=Stage()))
    assert json.loads(staged.model_dump_json())["stage"] == {"step": 2, "steps": 4, "canary": 0.25, "stable": 0.75}


def hostile() -> Report:
    judgement = Judgement(
        rule=HOSTILE, metric="m", standing=Standing.FAIL, reason=HOSTILE, evidence=Evidence(queries={"total": HOSTILE})
    )
    return report(reason=HOSTILE, judgements=(judgement,), warnings=(HOSTILE,))


def test_the_first_four_fields_lead_in_json() -> None:
    assert list(json.loads(report().model_dump_json()))[:4] == ["verdict", "action", "held_by", "reason"]
    assert list(json.loads(report().model_dump_json())["action"]) == ["kind", "result"]


def test_json_has_no_nan_and_no_infinity() -> None:
    evidence = Evidence(ratio=Interval(low=0.0, estimate=None, high=float("inf")))
    odd = report(judgements=(Judgement(rule="r", metric="m", standing=Standing.PENDING, reason="", evidence=evidence),))

    def refuse(word: str) -> None:
        raise AssertionError(f"{word} is not JSON")

    loaded = json.loads(odd.model_dump_json(), parse_constant=refuse)
    assert loaded["judgements"][0]["evidence"]["ratio"]["high"] == "Infinity"


def test_text_says_verdict_reason_action_and_every_rule() -> None:
    lines = text(report()).splitlines()
    assert lines[0] == "FAIL  helm/web revision 7"
    assert lines[1].strip() == "errors 2 % (80 of 4000) against 0.1 %"
    assert lines[2].strip() == "action: rollback (done)"
    assert "verdict 1 min 1 s after the upgrade, recovered 1 min 15 s after the first bad window" in lines[3]
    assert [line.split()[0] for line in lines[4:]] == ["✗", "…", "✓"]


def test_text_says_what_held_the_action() -> None:
    held = report(action=Action(kind=ActionKind.ROLLBACK, result=ActionResult.HELD), held_by=Guard.SUPERSEDED)
    assert "action: rollback (held), held by: superseded" in text(held)


@pytest.mark.parametrize(
    ("verdict", "failures", "errors"),
    [(Verdict.PASS, 0, 0), (Verdict.FAIL, 1, 0), (Verdict.INCONCLUSIVE, 0, 1), (Verdict.ERROR, 0, 1)],
)
def test_junit_counts(verdict: Verdict, failures: int, errors: int) -> None:
    suite = ET.fromstring(junit(report(verdict=verdict, judgements=()))).find("testsuite")
    assert suite is not None
    assert (suite.get("tests"), suite.get("failures"), suite.get("errors")) == ("1", str(failures), str(errors))


def test_junit_has_a_case_for_each_rule() -> None:
    suite = ET.fromstring(junit(report())).find("testsuite")
    assert suite is not None
    cases = {case.get("name"): [child.tag for child in case] for case in suite.iter("testcase")}
    assert "failure" in cases["errors"]
    assert "skipped" in cases["memory"]
    assert cases["latency"] == ["system-out"]
    assert suite.get("time") == "69.000"


def test_junit_stays_xml_whatever_the_words() -> None:
    assert ET.fromstring(junit(hostile())) is not None


def test_markdown_keeps_its_table_whatever_the_words() -> None:
    rows = [line for line in markdown(hostile()).splitlines() if line.startswith("|")]
    assert len(rows) == 3
    assert all(row.replace("\\|", "").count("|") == 6 for row in rows)
    assert "<b>" not in markdown(hostile()).split("````")[0]


def test_annotations_are_one_line_each_whatever_the_words() -> None:
    lines = annotations(hostile()).splitlines()
    assert len(lines) == 2
    assert all(line.startswith("::error title=") for line in lines)
    assert lines[0].count("::") >= 2
    assert "%0A" in lines[0]


@pytest.mark.parametrize(
    ("verdict", "level"),
    [(Verdict.PASS, "notice"), (Verdict.FAIL, "error"), (Verdict.INCONCLUSIVE, "warning"), (Verdict.ERROR, "error")],
)
def test_annotation_levels(verdict: Verdict, level: str) -> None:
    assert annotations(report(verdict=verdict, judgements=())).startswith(f"::{level} title=")


def test_outputs_are_a_line_each_whatever_the_words() -> None:
    told = report(reason="a\nverdict=pass\r\nresult<<END\u2028x \x85 END", held_by=Guard.STORM)
    lines = dict(line.split("=", 1) for line in outputs(told).splitlines())
    assert outputs(told).count("\n") == len(lines) == 5
    assert [lines[name] for name in ("verdict", "action", "result", "held-by")] == ["fail", "rollback", "done", "storm"]
    assert lines["reason"].startswith("a verdict=pass  result<<END")
    assert "held-by=\n" in outputs(report())


@pytest.mark.parametrize("form", [text, markdown, annotations])
def test_no_terminal_obeys_what_a_server_said(form: Callable[[Report], str]) -> None:
    said = "\x1b[2J\x07 \u202e \u2028\r::error::x ##[stop-commands]x \ud800 ü ✓"
    rule = Judgement(rule="r", metric="m", standing=Standing.FAIL, reason=said)
    printed = form(report(reason=said, judgements=(rule,), warnings=(said,)))
    assert "\\x1b" in printed
    assert "ü ✓" in printed
    assert "##[" not in printed.replace("\\", "")
    assert all(sign.isprintable() or sign == "\n" for sign in printed)
    assert sum(line.lstrip().startswith("::") for line in printed.split("\n")) == (2 if form is annotations else 0)
