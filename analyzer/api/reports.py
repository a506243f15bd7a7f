"""Reports in their forms."""

from collections.abc import AsyncIterator

from fastapi import APIRouter
from starlette.responses import Response, StreamingResponse

from analyzer import __version__
from analyzer.api.callers import Asking
from analyzer.api.parts import AnalysisId, Here, Parts
from analyzer.api.problem import Refused
from analyzer.api.representation import Trial
from analyzer.api.writing import json
from analyzer.model.report import Report
from analyzer.rendering.document import markdown
from analyzer.rendering.html import render
from analyzer.rendering.junit import junit
from analyzer.service.identity import Caller
from analyzer.store.entry import Entry
from analyzer.store.recording import heading

_PAGE = 200  # events in one piece of a recording

router = APIRouter(prefix="/api/v1/analyses/{analysis_id}", tags=["reports"])


@router.get("/report.json", response_model=Report, summary="The report as JSON")
async def as_json(analysis_id: AnalysisId, caller: Asking, parts: Here) -> Response:
    """As it stands; 404 before the plan is made."""
    return json(await _report(parts, caller, analysis_id))


@router.get(
    "/report.md",
    response_class=Response,
    responses={200: {"content": {"text/markdown": {"schema": {"type": "string"}}}}},
    summary="The report as Markdown",
)
async def as_markdown(analysis_id: AnalysisId, caller: Asking, parts: Here) -> Response:
    """As it stands; 404 before the plan is made."""
    return Response(markdown(await _report(parts, caller, analysis_id)), media_type="text/markdown")


@router.get(
    "/report.html",
    response_class=Response,
    responses={200: {"content": {"text/html": {"schema": {"type": "string"}}}}},
    summary="The report as a page",
)
async def as_html(analysis_id: AnalysisId, caller: Asking, parts: Here) -> Response:
    """One page that needs nothing else; 404 before the plan is made."""
    return Response(render(await _report(parts, caller, analysis_id)), media_type="text/html")


@router.get(
    "/report.xml",
    response_class=Response,
    responses={200: {"content": {"application/xml": {"schema": {"type": "string"}}}}},
    summary="The report as JUnit XML",
)
async def as_junit(analysis_id: AnalysisId, caller: Asking, parts: Here) -> Response:
    """As it stands; 404 before the plan is made."""
    return Response(junit(await _report(parts, caller, analysis_id)), media_type="application/xml")


@router.get(
    "/recording.jsonl",
    response_class=Response,
    responses={200: {"content": {"application/jsonl": {"schema": {"type": "string"}}}}},
    summary="The whole record, for canary replay",
)
async def recording(analysis_id: AnalysisId, caller: Asking, parts: Here) -> Response:
    """What `canary check --record` would have written: `canary replay` judges it again."""
    entry = await parts.entry(caller, analysis_id)
    return StreamingResponse(_lines(parts, entry), media_type="application/jsonl")


async def _lines(parts: Parts, entry: Entry) -> AsyncIterator[str]:
    """A page at a time: a long analysis is not held in memory."""
    yield f"{heading(f'canary-analyzer {__version__}')}\n"
    async for page in parts.service.analyses.pages(entry.id, limit=_PAGE):
        yield "".join(f"{numbered.event.model_dump_json()}\n" for numbered in page)


@router.post("/dry-run", response_model=Report, summary="Judge again by other rules")
async def dry_run(analysis_id: AnalysisId, body: Trial, caller: Asking, parts: Here) -> Response:
    """What another rule set says of the readings that were recorded. Nothing is asked, kept or done."""
    entry = await parts.entry(caller, analysis_id)
    if (body.rules is None) == (body.rule_set is None):
        raise Refused(
            422, "give either rules, the name of a rule set that the service has, or rule_set, the text of one"
        )
    name, text = body.rules or "rule_set", body.rule_set
    if text is None:
        text = await parts.placing.rule_sets.text(name)
    return json(await parts.reports.judged_by(entry, text, f"{name}.yaml", body.parameters))


async def _report(parts: Parts, caller: Caller, id_: str) -> Report:
    report = await parts.reports.of(await parts.entry(caller, id_))
    if report is None:
        raise Refused(404, f"analysis {id_} has no report yet: its plan is not made; look again in a moment")
    return report
