"""The JSON of an answer into series. Pure."""

import json
import re
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any, TypeVar

from analyzer.errors import MalformedAnswer
from analyzer.sources.counting import Series
from analyzer.sources.native import Native, parse_native

V = TypeVar("V")

_HALF_A_SIGN = re.compile(r"\\u[dD][89a-fA-F]")
"""What may be the escape of a surrogate. Two of them are one sign; one alone is none, and no text can hold it."""


@dataclass(frozen=True)
class Answer:
    """A success: `result` as the API gives it for this `kind` (`vector`, `matrix`, `scalar` or `string`).

    `notes` are what the server's PromQL engine remarked on the query itself; `size` is that of the JSON in bytes.
    Several readers may have the same answer: neither it nor the series in it are changed by anybody.
    """

    kind: str
    result: Any
    notes: tuple[str, ...] = ()
    size: int = field(default=0, compare=False)
    _read: dict[str, list[Series[Any]]] = field(default_factory=dict, compare=False, repr=False)

    def prepared(self) -> "Answer":
        """The same, its numbers read already: where that takes long, it is done in the thread that fetched it."""
        with suppress(MalformedAnswer):  # who reads it is told
            float_series(self)
        return self


def content_of(body: bytes) -> Any:  # noqa: ANN401 -- JSON
    """What an answer says. Every text in it can be written down: half a sign becomes a question mark.

    Raises:
        ValueError: it is no JSON.
        RecursionError: it is too deep.
    """
    text = body.decode("utf-8-sig")
    content = json.loads(text)
    if _HALF_A_SIGN.search(text):
        content = json.loads(json.dumps(content, ensure_ascii=False).encode(errors="replace"))
    return content


def float_series(answer: Answer) -> list[Series[float]]:
    """The series of plain numbers in an answer, with all their samples; times in Unix milliseconds. Read once.

    Raises:
        MalformedAnswer: it has another shape.
    """
    return _once(answer, "value", "values", _number)


def native_series(answer: Answer) -> list[Series[Native]]:
    """The series of native histograms in an answer, likewise."""
    return _once(answer, "histogram", "histograms", parse_native)


def single_values(answer: Answer) -> list[tuple[dict[str, str], float]]:
    """The labels and the value of each series of an instant answer; a scalar is one without labels.

    Raises:
        MalformedAnswer: it has another shape, or is of another kind.
    """
    if answer.kind == "scalar":
        try:
            return [({}, _number(answer.result[1]))]
        except (TypeError, ValueError, IndexError, KeyError) as error:
            raise _malformed(answer) from error
    if answer.kind != "vector":
        raise MalformedAnswer(f"a {answer.kind} came where one value for each series was asked for")
    return [(dict(series.labels), series.values[-1]) for series in float_series(answer) if series.values]


def _once(answer: Answer, single: str, several: str, parse: Callable[[Any], V]) -> list[Series[V]]:
    if single not in answer._read:  # noqa: SLF001 -- this module's own
        answer._read[single] = _series(answer, single, several, parse)  # noqa: SLF001 -- as above
    return answer._read[single]  # noqa: SLF001 -- as above


def _series(answer: Answer, single: str, several: str, parse: Callable[[Any], V]) -> list[Series[V]]:
    try:
        return [_one(raw, single, several, parse) for raw in answer.result]
    except (TypeError, ValueError, KeyError, AttributeError, OverflowError) as error:
        raise _malformed(answer) from error


def _one(raw: Any, single: str, several: str, parse: Callable[[Any], V]) -> Series[V]:  # noqa: ANN401 -- JSON
    samples = [raw[single]] if single in raw else raw.get(several, [])
    labels = raw["metric"]
    if not isinstance(labels, dict) or not all(isinstance(value, str) for value in labels.values()):
        raise ValueError("labels are texts")
    times = [round(time * 1000) for time, _ in samples]
    return Series(labels, times, [parse(value) for _, value in samples])


def _number(text: object) -> float:
    if not isinstance(text, str):
        raise ValueError(f"{text!r} is no value of a sample")  # noqa: TRY004 -- one error for every wrong shape
    return float(text)


def _malformed(answer: Answer) -> MalformedAnswer:
    text = str(answer.result)[:200]
    return MalformedAnswer(f"the server answers a {answer.kind} of another shape: {text}")
