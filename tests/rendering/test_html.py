"""The HTML page: whole, self-contained, and nobody's words become markup in it."""

import re
from html.parser import HTMLParser

import pytest

from analyzer.model.judgement import Evidence, Interval, Judgement, SideEvidence, Standing
from analyzer.model.report import Action, ActionResult, Guard, Report, Verdict
from analyzer.model.target import ActionKind, PlatformKind, Receipt, Revision, Target
from analyzer.rendering.html import render

HOSTILE = (
    "</style></pre><script>alert(1)</script> <img src=x onerror=alert(1)> \" ' & \x00\x1b[2J \u202e \ud800 ]]> <!--"
)
VOID = {"meta", "br", "hr", "img", "link", "input"}


class Page(HTMLParser):
    """What a browser would see: the elements in order, their attributes, and the texts."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.attributes: list[tuple[str, str, str]] = []
        self.texts: list[str] = []
        self.open: list[str] = []
        self.feed(text)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.attributes += [(tag, name, value or "") for name, value in attrs]
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        if self.open and self.open[-1] != "style":
            self.texts.append(data)

    @property
    def text(self) -> str:
        return "\n".join(self.texts)


def report(**more: object) -> Report:
    evidence = Evidence(
        canary=SideEvidence(total=4000, bad=80, value=0.02),
        baseline=SideEvidence(total=40000, bad=40, value=0.001),
        unit="share",
        ratio=Interval(low=12.5, estimate=20.0, high=float("inf")),
        tolerated="1.1 times + 0.05 %",
        limit=0.05,
        towards_fail=1.2,
        towards_pass=-0.4,
        p_value=0.00012,
        windows=8,
        queries={"bad/canary": 'http_requests_total{code=~"5..",version="2"}[15s]'},
    )
    values: dict[str, object] = {
        "verdict": Verdict.FAIL,
        "action": Action(kind=ActionKind.ROLLBACK, result=ActionResult.HELD),
        "held_by": Guard.SUPERSEDED,
        "reason": "errors 2 % (80 of 4000) against 0.1 %",
        "analysis": "abc123",
        "target": Target(kind=PlatformKind.HELM, name="web", namespace="prod"),
        "revision": Revision(number="7", chart="web-1.2.3", app_version="4"),
        "baseline": Revision(number="6"),
        "rule_set": "http",
        "upgraded_at": 1_750_000_000.0,
        "started_at": 1_750_000_001.0,
        "as_of": 1_750_000_060.0,
        "deadline_at": 1_750_000_600.0,
        "seconds_to_verdict": 61.0,
        "seconds_to_recovery": 75.0,
        "judgements": (
            Judgement(
                rule="errors", metric="errors", standing=Standing.FAIL, reason="bad", critical=True, evidence=evidence
            ),
            Judgement(rule="memory", metric="memory", standing=Standing.PENDING, reason="so so", advisory=True),
        ),
        "receipt": Receipt(ok=True, detail="taken back", command=("helm", "rollback", "web"), output="one\ntwo\n"),
        "warnings": ("the clock is late",),
    }
    return Report.model_validate(values | more)


def test_the_answer_comes_first_and_in_the_order_of_all_reports() -> None:
    text = Page(render(report())).text
    words = [
        "FAIL  helm/web revision 7",
        "errors 2 % (80 of 4000) against 0.1 %",
        "action: rollback (held), held by: superseded",
        "verdict 1 min 1 s after the upgrade, recovered 1 min 15 s after the first bad window",
        "✗ errors",
        "fail (critical)",
        "… memory",
        "pending (advisory)",
        "the clock is late",
        "taken back",
    ]
    places = [text.index(word, text.index("\nFAIL") if word == words[0] else 0) for word in words]
    assert places == sorted(places)


@pytest.mark.parametrize(
    "words",
    [
        "2 %, 80 of 4000",
        "0.1 %, 40 of 40000",
        "20, between 12.5 and any",
        "1.1 times + 0.05 %",
        "120 %",
        "-40 %",
        "0.00012",
        'bad/canary: http_requests_total{code=~"5..",version="2"}[15s]',
        "helm/web in prod",
        "7 (web-1.2.3, app 4)",
        "2025-06-15 15:06:40 UTC",
        "helm rollback web",
        "one\ntwo",
        "abc123",
    ],
)
def test_all_evidence_is_on_the_page(words: str) -> None:
    assert words in Page(render(report())).text


def test_the_page_needs_nothing_else() -> None:
    page = Page(render(report()))
    assert not {"script", "link", "img", "iframe", "object", "form", "a", "base"} & set(page.tags)
    assert not {"src", "href", "action"} & {name for _, name, _ in page.attributes}
    style = re.search(r"<style>(.*?)</style>", render(report()), re.DOTALL)
    assert style is not None
    assert not re.search(r"url\(|@import|http|[<&]", style[1])
    policy = [value for _, name, value in page.attributes if name == "content" and "default-src" in value]
    assert policy == ["default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'"]


def test_it_is_for_phones_and_for_the_night() -> None:
    page = render(report())
    assert ("meta", "content", "width=device-width, initial-scale=1") in Page(page).attributes
    assert "prefers-color-scheme: dark" in page
    assert page.startswith('<!DOCTYPE html>\n<html lang="en">')


def test_nobody_s_words_become_markup() -> None:
    evidence = Evidence(tolerated=HOSTILE, queries={HOSTILE: HOSTILE})
    revision = Revision(number=HOSTILE, chart=HOSTILE, app_version=HOSTILE)
    page = Page(
        render(
            report(
                reason=HOSTILE,
                analysis=HOSTILE,
                target=Target(kind=PlatformKind.COMMAND, name=HOSTILE, namespace=HOSTILE),
                revision=revision,
                baseline=revision,
                rule_set=HOSTILE,
                warnings=(HOSTILE,),
                receipt=Receipt(ok=False, detail=HOSTILE, command=(HOSTILE,), output=HOSTILE),
                judgements=(
                    Judgement(rule=HOSTILE, metric="m", standing=Standing.FAIL, reason=HOSTILE, evidence=evidence),
                ),
            )
        )
    )
    assert page.open == []
    assert set(page.tags) <= set(Page(render(report())).tags)
    assert not [name for _, name, _ in page.attributes if name.startswith("on")]
    assert page.text.count("<script>alert(1)</script>") >= 12
    assert "\\x1b[2J" in page.text
    assert all(sign.isprintable() or sign == "\n" for sign in page.text)


def test_it_can_be_sent_whatever_the_words() -> None:
    assert render(report(reason="\ud800 ü ✓ 😀")).encode()


@pytest.mark.parametrize("number", [float("inf"), float("-inf"), float("nan"), 1e300, -1e300, 0.0])
@pytest.mark.parametrize("unit", ["seconds", "bytes", "share", None])
def test_numbers_beyond_all_bounds_are_shown(number: float, unit: str | None) -> None:
    interval = Interval(low=number, estimate=number, high=number)
    side = SideEvidence(total=number, bad=number, value=number)
    evidence = Evidence(
        canary=side,
        baseline=side,
        unit=unit,
        ratio=interval,
        rate=interval,
        limit=number,
        towards_fail=number,
        towards_pass=number,
        p_value=number,
        seconds_left=number,
    )
    rule = Judgement(rule="r", metric="m", standing=Standing.NO_DATA, reason="", evidence=evidence)
    times = dict.fromkeys(("upgraded_at", "as_of", "ended_at", "seconds_to_verdict", "seconds_to_recovery"), number)
    assert Page(render(report(judgements=(rule,), **times))).open == []


@pytest.mark.parametrize("verdict", list(Verdict))
def test_a_report_with_nothing_in_it(verdict: Verdict) -> None:
    bare = report(verdict=verdict, judgements=(), warnings=(), receipt=None, seconds_to_verdict=None, held_by=None)
    page = Page(render(bare))
    assert page.open == []
    assert "Rules" not in page.texts
