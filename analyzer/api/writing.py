"""Answers in JSON, written as records and reports are; and the examples of what is sent."""

from collections.abc import Mapping

from starlette.responses import Response

from analyzer.model.base import Model

EXAMPLE_ORDERS = {
    "release": {
        "summary": "the release web, by the shipped rule set http",
        "value": {"target": "helm/web", "namespace": "shop", "rules": "http", "parameters": {"requests": "requests"}},
    },
    "command": {
        "summary": "a target of the settings; versions are told apart by a label",
        "value": {
            "target": "command/search",
            "rules": "http",
            "canary": 'version="2"',
            "baseline": 'version="1"',
            "dry_run": True,
        },
    },
}


def json(model: Model, status: int = 200, headers: Mapping[str, str] | None = None) -> Response:
    """An answer; infinities are strings in it."""
    return Response(model.model_dump_json(), status, dict(headers or {}), "application/json")
