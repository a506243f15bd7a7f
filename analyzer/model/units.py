"""Percentages, durations and sizes as people write them: `10%`, `800ms`, `1.5GiB`, `10m`."""

import math
import re
from typing import Annotated

from pydantic import BeforeValidator, Field, PlainSerializer, WithJsonSchema

_NUMBER = r"[+-]?(?:\d+(?:\.\d*)?|\.\d+)(?:[eE][+-]?\d+)?"
_DURATION_PART = re.compile(rf"({_NUMBER})\s*(ns|us|µs|ms|s|m|h|d|w)")
_QUANTITY = re.compile(rf"({_NUMBER})\s*([a-zA-Zµ%]*)")

SECONDS = {
    "ns": 1e-9,
    "us": 1e-6,
    "µs": 1e-6,
    "ms": 1e-3,
    "s": 1.0,
    "m": 60.0,
    "h": 3600.0,
    "d": 86400.0,
    "w": 604800.0,
}
BYTES = {
    "B": 1.0,
    **{f"{prefix}B": 1000.0**power for power, prefix in enumerate(["k", "M", "G", "T", "P"], start=1)},
    "KB": 1000.0,
    **{f"{prefix}iB": 1024.0**power for power, prefix in enumerate(["K", "M", "G", "T", "P"], start=1)},
    **{f"{prefix}i": 1024.0**power for power, prefix in enumerate(["K", "M", "G", "T", "P"], start=1)},
}


def _finite(text: str, number: float) -> float:
    if not math.isfinite(number):
        raise ValueError(f"{text!r} is not a finite number")
    return number


def parse_share(value: object) -> float:
    """A share as a fraction: `10%` is 0.1, and so is 0.1. A bare number above 1 is refused: 5 could mean 5 %."""
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        raise ValueError(f"{value!r} is not a share: write a percentage, such as 10%")  # noqa: TRY004 -- pydantic collects ValueError
    text = str(value).strip()
    match = _QUANTITY.fullmatch(text)
    if not match or match[2] not in {"", "%"}:
        raise ValueError(f"{text!r} is not a share: write a percentage, such as 10%")
    number = _finite(text, float(match[1]))
    if match[2] == "%":
        return number / 100
    if number > 1:
        raise ValueError(f"{text} is a share above 1: write {text}% if percent is meant")
    return number


def parse_duration(value: object) -> float:
    """A duration in seconds: `10m`, `1h30m`, `800ms`. A bare number is refused, except 0."""
    if isinstance(value, int | float) and not isinstance(value, bool):
        if value == 0:
            return 0.0
        raise ValueError(f"{value} has no unit: write {value:g}s or {value:g}m")
    if not isinstance(value, str):
        raise ValueError(f"{value!r} is not a duration: write a number with a unit, such as 30s, 10m or 1h30m")  # noqa: TRY004 -- as above
    text = value.strip()
    if re.fullmatch(_NUMBER, text):
        if float(text) == 0:
            return 0.0
        raise ValueError(f"{text} has no unit: write {text}s or {text}m")
    seconds, position = 0.0, 0
    while match := _DURATION_PART.match(text, position):
        seconds += float(match[1]) * SECONDS[match[2]]
        position = match.end()
    if position == 0 or position != len(text):
        raise ValueError(f"{text!r} is not a duration: write a number with a unit, such as 30s, 10m or 1h30m")
    if seconds < 0:
        raise ValueError(f"{text!r} is negative: a duration is not")
    return _finite(text, seconds)


def parse_quantity(value: object) -> float:
    """A level in base units (seconds, bytes, fraction or plain): `2s`, `1.5GiB`, `90%`, `42`."""
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        raise ValueError(f"{value!r} is not a level: write a number with a unit, such as 2s, 1.5GiB, 90% or 42")  # noqa: TRY004 -- as above
    text = str(value).strip()
    match = _QUANTITY.fullmatch(text)
    factors = {"": 1.0, "%": 0.01, **SECONDS, **BYTES}
    if not match or match[2] not in factors:
        raise ValueError(f"{text!r} is not a level: write a number with a unit, such as 2s, 1.5GiB, 90% or 42")
    return _finite(text, float(match[1]) * factors[match[2]])


def write_share(share: float) -> float | str:
    """A share as `parse_share` reads it back exactly: a fraction, or above 1 a percentage such as `150%`."""
    if share <= 1:
        return share
    near = share * 100
    for percent in (near, math.nextafter(near, math.inf), math.nextafter(near, 0.0)):
        if percent / 100 == share:
            return f"{_digits(percent)}%"
    return f"{_digits(near)}%"  # never what `parse_share` returned: that is some number divided by 100


def write_duration(seconds: float) -> str:
    """A duration as `parse_duration` reads it back exactly, such as `30s`."""
    return f"{_digits(seconds)}s"


def _digits(number: float) -> str:
    return repr(float(number)).removesuffix(".0")


def _written(pattern: str, example: str, description: str, *, bare: dict[str, object] | None = None) -> WithJsonSchema:
    return WithJsonSchema(
        {
            "anyOf": [bare or {"type": "number"}, {"type": "string", "pattern": pattern}],
            "description": description,
            "examples": [example],
        }
    )


Share = Annotated[
    float,
    BeforeValidator(parse_share),
    PlainSerializer(write_share, when_used="json"),
    Field(ge=0),
    _written(rf"^\s*{_NUMBER}\s*%?\s*$", "10%", "a share: a percentage such as 10%, or a fraction of at most 1"),
]
Duration = Annotated[
    float,
    BeforeValidator(parse_duration),
    PlainSerializer(write_duration, when_used="json"),
    _written(
        rf"^\s*(({_NUMBER}\s*(ns|us|µs|ms|s|m|h|d|w))+|0)\s*$",
        "10m",
        "a duration: a number with a unit, such as 30s",
        bare={"const": 0},
    ),
]
Quantity = Annotated[
    float,
    BeforeValidator(parse_quantity),
    _written(rf"^\s*{_NUMBER}\s*[a-zA-Zµ%]*\s*$", "2s", "a level: a number with a unit, such as 2s, 1.5GiB, 90% or 42"),
]


def show_share(share: float) -> str:
    """A share for people, with about three significant digits: 0.0193 is `1.93 %`."""
    return f"{_significant(share * 100)} %"


def show_duration(seconds: float) -> str:
    """A duration for people: `850 ms`, `42 s`, `3 min 20 s`, `2 h 5 min`."""
    if seconds < 1:
        return f"{_significant(seconds * 1000)} ms"
    if seconds < 10:  # noqa: PLR2004 -- below ten seconds a decimal still tells something
        return f"{_significant(seconds)} s"
    whole = round(seconds)
    if whole < 60:  # noqa: PLR2004 -- seconds in a minute
        return f"{whole} s"
    minutes, rest = divmod(whole, 60)
    if minutes < 60:  # noqa: PLR2004 -- minutes in an hour
        return f"{minutes} min {rest} s" if rest else f"{minutes} min"
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes} min" if minutes else f"{hours} h"


def show_level(level: float, unit: str | None) -> str:
    """A level in base units for people; `unit` is `seconds`, `bytes`, `share` or None for a plain number."""
    if unit == "seconds":
        return show_duration(level)
    if unit == "share":
        return show_share(level)
    if unit == "bytes":
        for name in ("PiB", "TiB", "GiB", "MiB", "KiB"):
            if abs(level) >= BYTES[name]:
                return f"{_significant(level / BYTES[name])} {name}"
        return f"{_significant(level)} B"
    return _significant(level)


def _significant(number: float) -> str:
    if number == 0 or not math.isfinite(number):
        return f"{number:g}"
    if abs(number) >= 100:  # noqa: PLR2004 -- three digits before the point need none after it
        return f"{number:.0f}"
    return f"{float(f'{number:.3g}'):g}"
