"""Reports that are folded from the store."""

import asyncio
import json
from collections.abc import Sequence
from pathlib import Path

import pytest

from analyzer.api import reports as answers
from analyzer.cli import replay
from analyzer.cli.output import Output
from analyzer.engine.replay import judge_again
from analyzer.errors import StoreError
from analyzer.model.report import Report, Verdict
from analyzer.service import reporting
from analyzer.service.reporting import Reports
from analyzer.store.entry import Numbered
from analyzer.store.recording import read_recording
from tests.api.house import House, events_of_a_failure

pytestmark = pytest.mark.anyio


async def test_folding_on_is_the_same_as_folding_anew(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reporting, "PAGE", 3)
    service, reports = house.service, Reports(house.service.analyses)
    id_ = await house.ordered()
    assert await reports.of(await service.analyses.get(id_)) is None
    events = await events_of_a_failure()
    (claim,) = await service.analyses.claim("worker", 0.0, 1e12, 10)
    for at in range(0, len(events), 4):
        await service.analyses.append(id_, claim.lease, events[at : at + 4])
        entry = await service.analyses.get(id_)
        assert await reports.of(entry) == await Reports(service.analyses).of(entry)
    assert await reports.of(entry) == judge_again(events)


async def test_an_event_is_folded_once_however_many_ask(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    read: list[int] = []
    really = house.service.analyses.events

    async def counted(id_: str, after: int = 0, limit: int = 1000) -> Sequence[Numbered]:
        events = await really(id_, after, limit)
        read.extend(each.seq for each in events)
        return events

    id_ = await house.failed()
    monkeypatch.setattr(house.service.analyses, "events", counted)
    answers = await asyncio.gather(*(house.get(f"/api/v1/analyses/{id_}/report.json") for _ in range(5)))
    assert {answer.status_code for answer in answers} == {200}
    assert len({answer.text for answer in answers}) == 1
    assert read == list(range(1, len(await events_of_a_failure()) + 1))


async def test_what_is_kept_is_bounded(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reporting, "KEPT", 2)
    reports = Reports(house.service.analyses)
    for _ in range(4):
        await reports.of(await house.service.analyses.get(await house.failed()))
    assert len(reports._kept) == 2
    assert reports._asked == {}


@pytest.mark.parametrize("form", ["json", "md", "html", "xml"])
async def test_before_the_plan_there_is_no_report(house: House, form: str) -> None:
    id_ = await house.ordered()
    answer = await house.get(f"/api/v1/analyses/{id_}/report.{form}")
    assert answer.status_code == 404
    assert "its plan is not made" in answer.json()["detail"]


@pytest.mark.parametrize("form", ["json", "md", "html", "xml"])
async def test_one_that_could_not_begin_has_every_form(house: House, form: str) -> None:
    id_ = await house.ordered()
    await house.end(id_)
    answer = await house.get(f"/api/v1/analyses/{id_}/report.{form}")
    assert answer.status_code == 200
    assert "it ended before it began" in answer.text
    if form == "json":
        report = Report.model_validate_json(answer.text)
        assert (report.analysis, str(report.target), report.ended_at) == (id_, "command/search", 2e9)
        assert report.verdict == Verdict.ERROR


async def test_the_leading_fields_are_those_of_the_row(house: House) -> None:
    detail = (await house.get(f"/api/v1/analyses/{await house.failed()}")).json()
    leading = ("verdict", "action", "held_by", "reason")
    assert {name: detail[name] for name in leading} == {name: detail["report"][name] for name in leading}
    events = await events_of_a_failure()
    assert detail["report"] == json.loads(judge_again(events).model_dump_json())


async def test_a_recording_is_judged_again_from_a_file_and_from_the_database(
    house: House, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(answers, "_PAGE", 3)
    id_ = await house.failed()
    answer = await house.get(f"/api/v1/analyses/{id_}/recording.jsonl")
    (tmp_path / "a.jsonl").write_text(answer.text)
    assert list(read_recording(tmp_path / "a.jsonl")) == list(await events_of_a_failure())
    url = f"sqlite:///{tmp_path / 'canary.db'}"
    codes = [
        await asyncio.to_thread(replay.run, source, None, (), Output.JSON, database)
        for source, database in ((tmp_path / "a.jsonl", None), (Path(id_), url))
    ]
    assert codes == [10, 10]
    printed = capsys.readouterr().out
    assert printed[: len(printed) // 2] == printed[len(printed) // 2 :] != ""


async def test_what_is_no_database_of_ours_is_left_as_it_is(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path / 'none.db'}"
    with pytest.raises(StoreError, match="there is no analysis in it"):
        await asyncio.to_thread(replay.run, Path("3f2a9c0d1e4b"), None, (), Output.JSON, url)
    assert not (tmp_path / "none.db").exists()
