"""A report as JUnit XML: one test case a rule, and one for the analysis itself."""

import re
from xml.etree import ElementTree as ET  # written only, never parsed

from analyzer.model.judgement import Judgement, Standing
from analyzer.model.report import Report, Verdict
from analyzer.rendering.text import action_line

_NOT_IN_XML = re.compile("[^\t\n\r\u0020-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


def junit(report: Report) -> str:
    """The XML document, with a declaration, ending with a line break."""
    cases = [_verdict_case(report), *(_rule_case(report, judgement) for judgement in report.judgements)]
    suite = ET.Element(
        "testsuite",
        name=_clean(f"canary {report.target}"),
        tests=str(len(cases)),
        failures=str(sum(case.find("failure") is not None for case in cases)),
        errors=str(sum(case.find("error") is not None for case in cases)),
        skipped=str(sum(case.find("skipped") is not None for case in cases)),
        time=f"{(report.ended_at or report.as_of) - report.started_at:.3f}",
    )
    suite.extend(cases)
    root = ET.Element("testsuites")
    root.append(suite)
    ET.indent(root)
    return '<?xml version="1.0" encoding="UTF-8"?>\n' + ET.tostring(root, encoding="unicode") + "\n"


def _case(report: Report, name: str) -> ET.Element:
    return ET.Element("testcase", classname=_clean(f"canary.{report.target}"), name=_clean(name))


def _verdict_case(report: Report) -> ET.Element:
    case = _case(report, f"revision {report.revision.number} serves no worse than before")
    kinds = {Verdict.FAIL: "failure", Verdict.ERROR: "error", Verdict.INCONCLUSIVE: "error", Verdict.PENDING: "error"}
    if kind := kinds.get(report.verdict):
        told = ET.SubElement(case, kind, message=_clean(report.reason), type=report.verdict.value)
        told.text = _clean(action_line(report))
    return case


def _rule_case(report: Report, judgement: Judgement) -> ET.Element:
    case = _case(report, judgement.rule)
    if judgement.standing == Standing.FAIL and not judgement.advisory:
        ET.SubElement(case, "failure", message=_clean(judgement.reason), type=judgement.standing.value)
    elif judgement.standing != Standing.PASS:
        ET.SubElement(case, "skipped", message=_clean(judgement.reason))
    queries = "\n".join(f"{role}: {query}" for role, query in judgement.evidence.queries.items())
    ET.SubElement(case, "system-out").text = _clean(f"{judgement.reason}\n{queries}")
    return case


def _clean(text: str) -> str:
    return _NOT_IN_XML.sub("\ufffd", text)
