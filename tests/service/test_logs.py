"""The log: one line each, of which every field is safe to show, whoever writes it and whatever it quotes."""

import asyncio
import io
import json
import logging
import warnings
from collections.abc import Iterator
from typing import Any

import pytest
import structlog
from hypothesis import assume, given
from hypothesis import strategies as st

from analyzer.service import repeats
from analyzer.service.logs import ACCESS, OURS, bound, configure_logs, logger
from analyzer.service.masking import LONGEST, MASK, MOST, clean, masked

Lines = list[dict[str, Any]]
JWT = "eyJhbGciOiJSUzI1NiIsImtpZCI6IjEifQ.eyJpc3MiOiJrdWJlcm5ldGVzIn0.c2lnbmF0dXJl"
OWN = "canary_ci_3vQB7B6MrGQZaxCuFg4oh3vQB7B6MrGQ"


class Log:
    def __init__(self) -> None:
        self.stream = io.StringIO()

    def text(self) -> str:
        return self.stream.getvalue()

    def lines(self) -> Lines:
        return [json.loads(line) for line in self.text().splitlines()]

    def only(self) -> dict[str, Any]:
        (line,) = self.lines()
        return line


@pytest.fixture
def log() -> Iterator[Log]:
    """A log in memory; what logging was before is put back."""
    names = ("", *OURS, ACCESS, "uvicorn.error")
    before = {
        name: (each.level, each.handlers[:], each.filters[:], each.propagate)
        for name in names
        for each in [logging.getLogger(name)]
    }
    made = Log()
    configure_logs("json", "info", made.stream)
    yield made
    structlog.reset_defaults()
    logging.captureWarnings(capture=False)
    for name, (level, handlers, filters, propagate) in before.items():
        each = logging.getLogger(name)
        each.setLevel(level)
        each.handlers[:], each.filters[:], each.propagate = handlers, filters, propagate


def test_a_line_begins_with_time_level_event_and_analysis(log: Log) -> None:
    with bound(analysis="0123456789ab"):
        logger("analyzer.service.worker").info("claimed", lease=3)
    line = log.only()
    assert list(line) == ["time", "level", "event", "analysis", "lease", "logger"]
    assert line["time"].endswith("Z")
    assert (line["level"], line["event"], line["analysis"]) == ("info", "claimed", "0123456789ab")


def test_a_library_s_line_looks_the_same(log: Log) -> None:
    with bound(analysis="a"):
        logging.getLogger("uvicorn.error").info("Application %s complete.", "startup")
    line = log.only()
    assert line["event"] == "Application startup complete."
    assert (line["level"], line["logger"], line["analysis"]) == ("info", "uvicorn.error", "a")


def test_each_task_has_its_own_analysis(log: Log) -> None:
    async def work(name: str) -> None:
        with bound(analysis=name):
            await asyncio.sleep(0)
            await asyncio.create_task(say(name))
        logger("analyzer.x").info("after", of=name)

    async def say(name: str) -> None:
        logger("analyzer.x").info("said", of=name)

    async def both() -> None:
        await asyncio.gather(work("a"), work("b"))

    asyncio.run(both())
    said = [line for line in log.lines() if line["event"] == "said"]
    assert len(said) == 2
    assert all(line["analysis"] == line["of"] for line in said)
    assert all("analysis" not in line for line in log.lines() if line["event"] == "after")


def test_a_level_is_a_floor(log: Log) -> None:
    logger("analyzer.x").debug("no")
    logging.getLogger("analyzer.x").debug("no")
    logging.getLogger("uvicorn.error").debug("no")
    assert log.lines() == []
    configure_logs("json", "warning", log.stream)
    logger("analyzer.x").info("no")
    logger("analyzer.x").warning("yes")
    assert log.only()["event"] == "yes"


def test_libraries_only_warn_even_while_we_debug(log: Log) -> None:
    configure_logs("json", "debug", log.stream)
    logging.getLogger("httpx").info("HTTP Request: GET http://prometheus/api/v1/query?query=secret")
    logging.getLogger("aiosqlite").debug("INSERT …")
    logging.getLogger("sqlalchemy.pool").warning("a connection was lost")
    assert log.only()["event"] == "a connection was lost"


def test_requests_are_lines_for_debugging_without_their_query(log: Log) -> None:
    arguments = ("10.0.0.1:5000", "GET", "/api/v1/analyses?after=c2VjcmV0", "1.1", 200)
    logging.getLogger(ACCESS).info('%s - "%s %s HTTP/%s" %d', *arguments)
    assert log.lines() == []
    configure_logs("json", "debug", log.stream)
    logging.getLogger(ACCESS).info('%s - "%s %s HTTP/%s" %d', *arguments)
    assert log.only()["event"] == '10.0.0.1:5000 - "GET /api/v1/analyses HTTP/1.1" 200'
    assert log.only()["level"] == "debug"


def fail() -> None:
    try:
        json.loads("{}")["token"]
    except KeyError as error:
        raise ValueError(f"Authorization: Bearer {OWN}\nand a second line") from error


@pytest.mark.parametrize("foreign", [False, True])
def test_an_exception_is_one_line_with_type_message_and_frames(log: Log, foreign: bool) -> None:
    speaker: Any = logging.getLogger("analyzer.x") if foreign else logger("analyzer.x")
    try:
        fail()
    except ValueError:
        speaker.exception("broken")
    error = log.only()["error"]
    assert error["type"] == "ValueError"
    assert OWN not in log.text()
    assert error["message"] == f"Authorization: Bearer {MASK}\\nand a second line"
    assert error["frames"][-1].startswith("service/test_logs.py:")
    assert error["frames"][-1].endswith(" fail")
    assert error["cause"]["type"] == "KeyError"


def test_a_deep_recursion_is_a_short_line(log: Log) -> None:
    def deeper(left: int) -> None:
        if left == 0:
            raise RuntimeError("x" * 10_000)
        deeper(left - 1)

    try:
        deeper(500)
    except RuntimeError:
        logger("analyzer.x").exception("broken")
    error = log.only()["error"]
    assert len(error["frames"]) <= 20
    assert len(error["message"]) == LONGEST


def test_an_exception_in_a_group_is_told(log: Log) -> None:
    both = ExceptionGroup("two", [OSError("one"), ValueError("other")])
    logger("analyzer.x").error("broken", exc_info=both)
    assert [each["message"] for each in log.only()["error"]["errors"]] == ["one", "other"]


@pytest.mark.parametrize("key", ["token", "Authorization", "db_password", "client-secret", "api_key", "Set-Cookie"])
def test_what_stands_under_a_secret_s_name_is_masked(log: Log, key: str) -> None:
    logger("analyzer.x").info("x", **{key: "hunter2"}, nested={key: {"deep": "hunter2"}, "list": [{key: "hunter2"}]})
    assert "hunter2" not in log.text()
    assert log.only()[key] == MASK


@pytest.mark.parametrize(
    "text",
    [
        "Authorization: Bearer hunter2hunter2",
        "authorization=Basic aHVudGVyMmh1bnRlcjI=",
        "postgresql://canary:hunter2hunter2@database/canary cannot be reached",
        "GET /x?token=hunter2hunter2&y=1",
        '{"password": "hunter2 hunter2, with signs"}',
        "{'X-Api-Key': 'hunter2hunter2'}",
        "PGPASSWORD=hunter2hunter2 psql",
        f"refused {JWT} of hunter2".replace(" of hunter2", ""),
        f"unknown {OWN}",
        "x" * (LONGEST - 20) + " Bearer hunter2hunter2hunter2hunter2",
    ],
)
def test_what_looks_like_a_credential_is_masked_wherever_it_stands(log: Log, text: str) -> None:
    logger("analyzer.x").info(text, why=text, things=[text])
    logging.getLogger("some.package").warning(text)
    for secret in ("hunter2", "aHVudGVy", JWT, JWT[:30], OWN, OWN[10:]):
        assert secret not in log.text()


@given(st.text(max_size=2000), st.integers(10**20, 10**40))
def test_no_text_around_it_unmasks_a_bearer_token(before: str, secret: int) -> None:
    assume(str(secret)[:12] not in before)
    assert str(secret)[:12] not in masked(f"{before} Bearer {secret}")


@pytest.mark.parametrize("text", ["passed: 12 of 12 rules", "the token is unknown", "http://prometheus:9090/graph?x=a"])
def test_plain_words_stay(text: str) -> None:
    assert masked(text) == text


@given(st.text(max_size=3000))
def test_any_text_is_one_bounded_printable_line(text: str) -> None:
    shown = masked(text)
    assert shown.isprintable()
    assert len(shown) <= 10 * LONGEST  # a sign that is not printable takes up to ten


def test_a_terminal_is_not_spoken_to(log: Log) -> None:
    logger("analyzer.x").info("\x1b[2Jgone\r\n{}\u2028\u202e\ud800", why="\x9b31m")
    assert len(log.text().splitlines()) == 1
    assert log.only()["event"] == "\\x1b[2Jgone\\r\\n{}\\u2028\\u202e\\ud800"
    assert log.only()["why"] == "\\x9b31m"


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text() | st.binary(),
    lambda children: st.lists(children) | st.dictionaries(st.text(), children),
    max_leaves=12,
)


@given(st.dictionaries(st.text(), JSON))
def test_anything_becomes_json_that_every_reader_takes(values: dict[str, object]) -> None:
    def refuse(constant: str) -> None:
        raise AssertionError(constant)

    json.loads(json.dumps(clean(values)), parse_constant=refuse)


def test_a_line_is_bounded_whatever_it_is_given() -> None:
    endless: list[object] = []
    endless.append(endless)
    wide: dict[str, object] = {f"token {number}": "x" * 1000 for number in range(10_000)}
    text = json.dumps(clean({"endless": endless, "wide": wide, "many": ["x" * 1000] * 10_000, "n": 10**400}))
    assert len(text) < MOST * (LONGEST + 100)


def test_a_thing_that_cannot_be_told_does_not_lose_the_line(log: Log) -> None:
    class Broken:
        def __str__(self) -> str:
            raise RuntimeError("no")

    logger("analyzer.x").info("still here", thing=Broken())
    assert log.only()["thing"] == "a Broken that cannot be shown (RuntimeError)"


def test_a_wrong_call_of_a_library_is_a_line_and_no_error(log: Log) -> None:
    configure_logs("json", "info", log.stream)  # without the test runner's own handlers, which would raise it
    wrong: Any = ("one",)
    logging.getLogger("some.package").warning("%d and %d", *wrong)
    assert log.only()["event"] == "a line could not be formatted"


class Full(io.StringIO):
    def write(self, _: str) -> int:
        raise OSError(28, "No space left on device")


@pytest.mark.parametrize("stream", [Full(), io.StringIO()])
def test_a_stream_that_takes_nothing_stops_nothing(
    log: Log, stream: io.StringIO, capsys: pytest.CaptureFixture[str]
) -> None:
    configure_logs("json", "info", stream)
    if not isinstance(stream, Full):
        stream.close()
    logger("analyzer.x").info("lost")
    logging.getLogger("some.package").warning("lost")
    assert log.text() == ""
    assert capsys.readouterr().err == ""


def test_text_is_one_line_as_well(log: Log) -> None:
    configure_logs("text", "info", log.stream)
    with bound(analysis="a"):
        logger("analyzer.x").warning("Prometheus is away", why="no answer\nin time", tries=3)
    (line,) = log.text().splitlines()
    assert line.split(" ", 1)[1] == (
        'warning  Prometheus is away  analysis=a why="no answer\\\\nin time" tries=3 logger=analyzer.x'
    )


def test_warnings_of_python_are_lines(log: Log) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("always")
        configure_logs("json", "info", log.stream)
        logging.captureWarnings(capture=True)
        warnings.warn("this will go away", DeprecationWarning, stacklevel=1)
    assert "this will go away" in log.only()["event"]


def test_what_a_thousand_analyses_say_at_once_is_said_a_few_times(log: Log) -> None:
    for number in range(1000):
        logger("analyzer.x").warning("trouble", analysis=f"{number:012}", detail="the database cannot be reached")
        logging.getLogger("some.package").error("analysis %d has lost its connection", number)
    logger("analyzer.x").warning("trouble", analysis="a", detail="another database cannot be reached")
    shown = [line.get("detail", line["event"]) for line in log.lines()]
    assert shown.count("the database cannot be reached") == repeats.MOST
    assert shown.count("another database cannot be reached") == 1
    assert len(shown) == 2 * repeats.MOST + 1


def test_what_was_held_back_is_told_with_the_next_one() -> None:
    now = 0.0
    held = repeats.Repeats(lambda: now)

    def say() -> dict[str, Any] | None:
        values = {"event": "trouble", "detail": "x"}
        record = logging.makeLogRecord({"name": "analyzer.x", "levelno": logging.WARNING, "msg": values})
        return values if held.filter(record) else None

    assert [say() for _ in range(repeats.MOST + 7)].count(None) == 7
    now += repeats.EACH
    assert say() == {"event": "trouble", "detail": "x", "held_back": 7}
    assert say() == {"event": "trouble", "detail": "x"}


def test_what_is_counted_stays_bounded() -> None:
    held = repeats.Repeats()
    for number in range(5 * repeats.KNOWN):
        assert held.filter(logging.makeLogRecord({"levelno": logging.ERROR, "msg": f"{number}"}))
    assert len(held._counts) <= repeats.KNOWN


def test_information_is_never_held_back(log: Log) -> None:
    for _ in range(3 * repeats.MOST):
        logger("analyzer.x").info("planned")
    assert len(log.lines()) == 3 * repeats.MOST


def test_setting_up_twice_writes_each_line_once(log: Log) -> None:
    configure_logs("json", "info", log.stream)
    logger("analyzer.x").info("once")
    assert log.only()["event"] == "once"
