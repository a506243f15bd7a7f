"""A server that has samples only from the moment on at which they arrived: remote write, restarts, slow agents."""

import json
import re
import socket
from dataclasses import dataclass, field

from analyzer.sources.promql import matches, parse_selector
from tests.sources.misbehaving import Request, http

RANGE = re.compile(r"(.*)\[(\d+)(ms|s|m|h)\]", re.DOTALL)
UNITS = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0}


@dataclass
class Stored:
    """Samples as (time, value, arrival), all in seconds."""

    labels: dict[str, str]
    samples: list[tuple[float, float, float]]


@dataclass
class Ingestion:
    """Answers instant queries of range selectors; `now` decides what has arrived. Borders belong to a range."""

    series: list[Stored] = field(default_factory=list)
    now: float = 0.0
    asked: list[str] = field(default_factory=list)

    def store(self, labels: dict[str, str], *samples: tuple[float, float], arrival: float = 0.0) -> None:
        """Samples that arrive when they are taken, or all at once at `arrival`."""
        self.series.append(Stored(labels, [(at, value, max(at, arrival)) for at, value in samples]))

    def answer(self, request: Request, connection: socket.socket) -> None:
        query, end = request.parameters["query"], float(request.parameters["time"])
        self.asked.append(query)
        found = RANGE.fullmatch(query)
        assert found, query
        selector, start = parse_selector(found[1]), end - int(found[2]) * UNITS[found[3]]
        result = []
        for each in self.series:
            inside = [(at, str(value)) for at, value, here in each.samples if start <= at <= end and here <= self.now]
            if inside and each.labels["__name__"] == selector.name and matches(selector.matchers, each.labels):
                result.append({"metric": each.labels, "values": inside})
        body = json.dumps({"status": "success", "data": {"resultType": "matrix", "result": result}})
        connection.sendall(http(200, body))
