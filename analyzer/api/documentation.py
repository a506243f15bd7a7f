"""The OpenAPI document: every status that can come, problems among them, and who needs rights."""

from typing import Any

from fastapi import FastAPI
from fastapi.openapi.utils import get_openapi

from analyzer.api.callers import OPEN
from analyzer.api.problem import MEDIA_TYPE
from analyzer.api.representation import Problem, Wrong

_PROBLEM = {MEDIA_TYPE: {"schema": {"$ref": "#/components/schemas/Problem"}}}
_MEANINGS = {
    400: "The body is not JSON",
    401: "Nobody known asks",
    403: "Who asks may not do that",
    404: "There is no such thing, or who asks may not look at it",
    408: "The body did not arrive in time",
    409: "It is over, or another decision waits; of a gate: it is closed",
    413: "The body is too large",
    422: "What was sent cannot be used",
    429: "Too many requests, streams or analyses",
    500: "The service has failed; its log says more",
    503: "Something that is needed is away; try again",
}
_MAY_BE_INFINITE = ("Interval", "Evidence", "SideEvidence")
_RETRY = {"Retry-After": {"description": "Seconds", "schema": {"type": "string"}}}
_INTRODUCTION = (
    "Orders analyses, shows what they say, and takes decisions by hand. Errors are problems (RFC 9457) with a sentence "
    "for a person in `detail`. Times are Unix seconds."
)


def document(app: FastAPI) -> dict[str, Any]:
    """The document of this application; made once."""
    if app.openapi_schema is None:
        made = get_openapi(title=app.title, version=app.version, description=_INTRODUCTION, routes=app.routes)
        schemas = made.setdefault("components", {}).setdefault("schemas", {})
        for name in ("HTTPValidationError", "ValidationError"):
            schemas.pop(name, None)
        schemas["Problem"] = Problem.model_json_schema(ref_template="#/components/schemas/{model}")
        schemas["Problem"].pop("$defs", None)
        schemas["Wrong"] = Wrong.model_json_schema()
        for name in _MAY_BE_INFINITE:
            schemas[name] = _with_infinities(schemas[name])
        made["components"]["securitySchemes"] = {"token": {"type": "http", "scheme": "bearer"}}
        for path, operations in made["paths"].items():
            for operation in operations.values():
                _complete(path, operation)
        app.openapi_schema = made
    return app.openapi_schema


def _with_infinities(schema: object) -> object:
    """A schema whose numbers are strings where they are infinite: JSON has no word for it."""
    if isinstance(schema, list):
        return [_with_infinities(each) for each in schema]
    if not isinstance(schema, dict):
        return schema
    if schema.get("type") == "number":
        infinite = {"type": "string", "enum": ["Infinity", "-Infinity", "NaN"]}
        return {"anyOf": [{"type": "number"}, infinite]}
    return {key: _with_infinities(value) for key, value in schema.items()}


def _complete(path: str, operation: dict[str, Any]) -> None:
    statuses = {500, 503}
    if path not in OPEN:
        operation["security"] = [{"token": []}]
        statuses |= {401, 403, 429}
    if "requestBody" in operation:
        statuses |= {400, 408, 413, 422}
    if operation.get("parameters"):
        statuses |= {422}
    if "{" in path:
        statuses |= {404}
    responses = operation.setdefault("responses", {})
    statuses |= {int(status) for status in responses if int(status) >= 400}  # noqa: PLR2004 -- an error
    for status in sorted(statuses):
        responses[str(status)] = {"description": _MEANINGS[status], "content": _PROBLEM}
        if status in {429, 503}:
            responses[str(status)]["headers"] = _RETRY
