"""What settings are made of, and their values as people write them.

What is no text stays as it is: pydantic judges it.
"""

import math
import re
from datetime import timedelta
from pathlib import Path
from typing import Annotated

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field

from analyzer.model.suggestion import did_you_mean, listed
from analyzer.model.units import BYTES, parse_duration
from analyzer.service.identity import Role


class Part(BaseModel):
    """A part of the settings."""

    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True)


_NUMBER = re.compile(r"[0-9]+(\.[0-9]*)?|\.[0-9]+")


def seconds(value: object) -> object:
    """A time in seconds: `10s`, `1m30s`; a bare number is in seconds."""
    if not isinstance(value, str) or _NUMBER.fullmatch(value.strip()):
        return value
    return _duration(value)


def period(value: object) -> object:
    """A long time, such as `90d`. A bare number is refused: 90 days and 90 seconds are not to be confused."""
    if isinstance(value, timedelta):
        return value
    if isinstance(value, str) and _NUMBER.fullmatch(value.strip()):
        raise ValueError(f"{value.strip()} has no unit: write {value.strip()}d")
    if isinstance(value, int | float):
        raise ValueError(f"{value} has no unit: write {value}d")  # noqa: TRY004 -- pydantic collects ValueError
    try:
        return timedelta(seconds=_duration(value))
    except OverflowError:
        raise ValueError("is longer than anything is kept: write less") from None


def _duration(value: object) -> float:
    try:
        return parse_duration(value)
    except ValueError:  # it repeats the text, which may be a secret that has slipped
        raise ValueError("is no time: write a number with a unit, such as 10s or 90d") from None


def count_of_bytes(value: object) -> object:
    """A size: `1MiB`, `500kB`; a bare number is in bytes."""
    if not isinstance(value, str) or _NUMBER.fullmatch(value.strip()):
        return value
    match = re.fullmatch(r"([0-9]+(?:\.[0-9]*)?)\s*([A-Za-z]+)", value.strip())
    if not match or match[2] not in BYTES:
        raise ValueError("is no size: write a number with a unit, such as 1MiB")
    size = float(match[1]) * BYTES[match[2]]
    return int(size) if math.isfinite(size) else value


def in_lower_case(value: object) -> object:
    """A word of a fixed list, whatever its case. YAML of old reads `on` and `off` as truth: they are words here."""
    return value.strip().lower() if isinstance(value, str) else value


def listed_text(value: object) -> object:
    """A list, or a text with commas."""
    if isinstance(value, str):
        return [part.strip() for part in value.split(",") if part.strip()]
    return value


def named_role(value: object) -> Role:
    """A role by its name: read, start, decide or admin."""
    if isinstance(value, Role):
        return value
    names = [role.name.lower() for role in Role]
    name = value.strip().lower() if isinstance(value, str) else ""
    if name not in names:
        raise ValueError(f"a role is one of {listed(names)}{did_you_mean(name, names) if name else ''}")
    return Role[name.upper()]


_NAME = r"^[A-Za-z0-9]([A-Za-z0-9._-]{0,98}[A-Za-z0-9])?$"
_NAMESPACE = r"^(\*|[a-z0-9]([a-z0-9.-]{0,61}[a-z0-9])?)$"

Seconds = Annotated[float, BeforeValidator(seconds), Field(gt=0, le=86400, allow_inf_nan=False)]
Bytes = Annotated[int, BeforeValidator(count_of_bytes), Field(ge=1024)]
Name = Annotated[str, Field(pattern=_NAME)]
Namespace = Annotated[str, Field(pattern=_NAMESPACE)]
Namespaces = Annotated[tuple[Namespace, ...], BeforeValidator(listed_text), Field(min_length=1, max_length=1000)]
Texts = Annotated[tuple[Annotated[str, Field(min_length=1, max_length=500)], ...], BeforeValidator(listed_text)]
Paths = Annotated[tuple[Path, ...], BeforeValidator(listed_text), Field(max_length=100)]
Held = Annotated[Role, BeforeValidator(named_role)]
