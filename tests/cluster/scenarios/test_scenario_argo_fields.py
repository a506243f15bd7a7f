"""Every field of the shipped templates, honoured by the real controller: a server answers what a test tells it to.

Runs are made of the templates' own text, without a Rollout, and go on side by side. Where a test shortens something, it
says so: `interval` is a second instead of twenty, but for the run that is about the interval.
"""

import json
import threading
import time
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from itertools import pairwise
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
from ruamel.yaml import YAML

from tests.cluster.namespace import Namespace
from tests.cluster.scenarios.argo import TEMPLATES

Json = dict[str, Any]

STEP, BACKGROUND = "canary-analyzer", "canary-analyzer-background"
TOKEN = "canary_argo_0123456789abcdef"
PASS = {"pass": True, "fail": False}
FAIL = {"pass": False, "fail": True}
NEITHER = {"pass": False, "fail": False}
RETRY = 10.0
"""Seconds after which the controller asks again when an answer was none, whatever the interval."""
WITHIN = 85.0
COUNT = 45
"""`count` and `inconclusiveLimit` as they are shipped."""


@dataclass(frozen=True)
class Answer:
    """`status` and `body` after so many seconds."""

    body: Json = field(default_factory=dict)
    status: int = 200
    after: float = 0.0


@dataclass(frozen=True)
class Asked:
    """One question: when it came (seconds), with which arguments and which header."""

    at: float
    query: Mapping[str, str]
    authorization: str


class Server:
    """Answers each Rollout (the argument says which) in turn what it was told, the last of it for ever."""

    def __init__(self) -> None:
        self.answers: dict[str, Sequence[Answer]] = {}
        self.asked: defaultdict[str, list[Asked]] = defaultdict(list)
        self.url = ""

    def answer(self, path: str, authorization: str) -> Answer:
        place = urlsplit(path)
        assert place.path == "/api/v1/argo/verdict"
        query = {name: value for name, (value,) in parse_qs(place.query, strict_parsing=True).items()}
        name = query["rollout"]
        self.asked[name].append(Asked(time.monotonic(), query, authorization))
        turn = min(len(self.asked[name]), len(self.answers[name])) - 1
        return self.answers[name][turn]


@pytest.fixture
def server() -> Iterator[Server]:
    told = Server()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            answer = told.answer(self.path, self.headers.get("Authorization", ""))
            time.sleep(answer.after)
            body = json.dumps(answer.body).encode()
            try:
                self.send_response(answer.status)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)
            except OSError:
                pass  # who asked has waited long enough

        def log_message(self, *_: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as http:
        http.daemon_threads = True
        thread = threading.Thread(target=http.serve_forever, daemon=True)
        thread.start()
        told.url = f"http://127.0.0.1:{http.server_port}"
        yield told
        http.shutdown()
        thread.join()


class Runs:
    """AnalysisRuns of the shipped templates."""

    def __init__(self, namespace: Namespace, server: Server) -> None:
        self.namespace, self.server = namespace, server
        self.templates = {
            each["metadata"]["name"]: each["spec"] for each in YAML(typ="safe").load_all(TEMPLATES.read_text())
        }

    def start(self, name: str, answers: Sequence[Answer], template: str = STEP, **changed: object) -> None:
        """`changed` are fields of the metric that this test shortens."""
        spec = json.loads(json.dumps(self.templates[template]))
        (metric,) = spec["metrics"]
        metric["provider"]["web"] |= {"timeoutSeconds": changed.pop("timeoutSeconds", 10)}
        spec["metrics"] = [metric | {"interval": "1s"} | changed]
        given = {"namespace": self.namespace.name, "rollout": name, "stable": "5d4f8", "canary": "6c9b7"}
        given["url"] = self.server.url
        spec["args"] = [arg | ({"value": given[arg["name"]]} if arg["name"] in given else {}) for arg in spec["args"]]
        self.server.answers[name] = answers
        run = {"apiVersion": "argoproj.io/v1alpha1", "kind": "AnalysisRun", "metadata": {"name": name}, "spec": spec}
        self.namespace.apply(json.dumps(run))

    def status(self, name: str) -> Json:
        found: Json = self.namespace.get("analysisrun", name).get("status", {})
        return found

    def result(self, name: str) -> Json:
        """What the controller has counted."""
        (found,) = self.status(name)["metricResults"]
        assert isinstance(found, dict)
        return found

    def ends(self, name: str, phase: str) -> Json:
        """The result of a run that has come to this end."""
        try:
            self.namespace.until(lambda: self.status(name).get("completedAt"), f"the end of {name}", seconds=WITHIN)
        except TimeoutError as error:
            raise TimeoutError(f"{error}\n{json.dumps(self.status(name), indent=1)}") from None
        assert self.status(name)["phase"] == phase, (name, self.status(name))
        return self.result(name)

    def gaps(self, name: str) -> list[float]:
        """Seconds between two questions."""
        times = [each.at for each in self.server.asked[name]]
        return [after - before for before, after in pairwise(times)]


def test_every_field_is_honoured(namespace: Namespace, server: Server) -> None:
    namespace.bed.start("argo-rollouts")
    namespace.kubectl("create", "secret", "generic", "canary-analyzer", f"--from-literal=token={TOKEN}")
    runs = Runs(namespace, server)
    started, checks = time.monotonic(), [each(runs) for each in FIELDS]
    for check in checks:
        check()
    assert time.monotonic() - started < WITHIN + 30


Check = Callable[[], None]


def interval(runs: Runs) -> Check:
    """Twenty seconds, as they are shipped."""
    runs.start("interval", [Answer(NEITHER), Answer(PASS)], interval="20s")

    def check() -> None:
        runs.ends("interval", "Successful")
        (gap,) = runs.gaps("interval")
        assert 19 < gap < 30

    return check


def success_condition_and_consecutive_success_limit(runs: Runs) -> Check:
    """The first pass ends a step's run."""
    runs.start("passing", [Answer(NEITHER), Answer(NEITHER), Answer(PASS)])

    def check() -> None:
        found = runs.ends("passing", "Successful")
        assert (found["inconclusive"], found["successful"], found["count"]) == (2, 1, 3)
        assert len(runs.server.asked["passing"]) == 3

    return check


def a_background_run_goes_on_after_a_pass(runs: Runs) -> Check:
    """And fails when a failure comes later."""
    runs.start("background", [*[Answer(PASS)] * 3, Answer(FAIL)], BACKGROUND)

    def check() -> None:
        found = runs.ends("background", "Failed")
        assert (found["successful"], found["failed"]) == (3, 1)

    return check


def failure_condition(runs: Runs) -> Check:
    """One failure is enough."""
    runs.start("failing", [Answer(NEITHER), Answer(FAIL)])

    def check() -> None:
        found = runs.ends("failing", "Failed")
        assert (found["inconclusive"], found["failed"]) == (1, 1)

    return check


def count(runs: Runs) -> Check:
    """A step's run without a verdict is inconclusive after so many answers, and neither passed nor failed."""
    runs.start("undecided", [Answer(NEITHER)])

    def check() -> None:
        assert runs.ends("undecided", "Inconclusive")["inconclusive"] == COUNT

    return check


def inconclusive_limit(runs: Runs) -> Check:
    """Without a count, as in the background, it is the limit that ends it: with the answer after it."""
    runs.start("undecided-background", [Answer(NEITHER)], BACKGROUND)

    def check() -> None:
        assert runs.ends("undecided-background", "Inconclusive")["inconclusive"] == COUNT + 1

    return check


def consecutive_error_limit(runs: Runs) -> Check:
    """Thirty are shipped, and would take five minutes: two are allowed here, and the third one in a row is too many."""
    runs.start("away", [Answer(status=503)], consecutiveErrorLimit=2)

    def check() -> None:
        found = runs.ends("away", "Error")
        assert (found["consecutiveError"], found["error"]) == (3, 3)
        assert all(gap > RETRY - 1 for gap in runs.gaps("away"))

    return check


def errors_that_are_not_consecutive(runs: Runs) -> Check:
    """Two are allowed here as well: a service that comes back costs nothing."""
    away = [Answer(status=503)] * 2
    runs.start("restarted", [*away, Answer(NEITHER), *away, Answer(PASS)], consecutiveErrorLimit=2)

    def check() -> None:
        found = runs.ends("restarted", "Successful")
        assert (found["error"], found.get("consecutiveError", 0)) == (4, 0)

    return check


def timeout_seconds(runs: Runs) -> Check:
    """Two seconds instead of ten: a slower answer is an error, and no failure."""
    runs.start("slow", [Answer(PASS, after=6), Answer(PASS)], timeoutSeconds=2)
    runs.start("slower-than-usual", [Answer(PASS, after=8)])  # ten, as they are shipped

    def check() -> None:
        found = runs.ends("slow", "Successful")
        assert (found["error"], found["successful"]) == (1, 1)
        assert RETRY + 1 < runs.gaps("slow")[0] < RETRY + 5
        assert runs.ends("slower-than-usual", "Successful").get("error", 0) == 0

    return check


def headers_and_arguments(runs: Runs) -> Check:
    """The token of the Secret, and every argument in its place."""
    runs.start("arguments", [Answer(PASS)])
    runs.start("arguments-background", [Answer(FAIL)], BACKGROUND)

    def check() -> None:
        for name, end, purpose in (
            ("arguments", "Successful", "step"),
            ("arguments-background", "Failed", "background"),
        ):
            runs.ends(name, end)
            (asked,) = runs.server.asked[name]
            assert asked.authorization == f"Bearer {TOKEN}"
            assert asked.query == {
                "namespace": runs.namespace.name,
                "rollout": name,
                "stable": "5d4f8",
                "canary": "6c9b7",
                "rules": "http",
                "purpose": purpose,
            }

    return check


FIELDS = [
    interval,
    success_condition_and_consecutive_success_limit,
    a_background_run_goes_on_after_a_pass,
    failure_condition,
    count,
    inconclusive_limit,
    consecutive_error_limit,
    errors_that_are_not_consecutive,
    timeout_seconds,
    headers_and_arguments,
]
TOLD = {
    *("interval", "successCondition", "failureCondition", "consecutiveSuccessLimit", "count", "inconclusiveLimit"),
    *("consecutiveErrorLimit", "provider", "name"),
}


def test_no_field_is_left_out() -> None:
    """A field that is added to a template is added here."""
    metrics = [
        metric for each in YAML(typ="safe").load_all(TEMPLATES.read_text()) for metric in each["spec"]["metrics"]
    ]
    assert {name for metric in metrics for name in metric} == TOLD
    assert {name for metric in metrics for name in metric["provider"]["web"]} == {"url", "timeoutSeconds", "headers"}
    assert {metric["inconclusiveLimit"] for metric in metrics} == {COUNT}
