"""Parts of an object of the API or of a manifest, which may be missing or of another shape than they should. Pure."""

import math
from collections.abc import Mapping
from datetime import datetime
from typing import Any

from analyzer.platforms.cluster import Object


def mapping(found: Mapping[str, Any], *names: str) -> Mapping[str, Any]:
    """The mapping at these keys, empty if there is none."""
    for name in names:
        inner = found.get(name)
        found = inner if isinstance(inner, dict) else {}
    return found


def items(value: object) -> list[Object]:
    return [each for each in value if isinstance(each, dict)] if isinstance(value, list) else []


def number(value: object, otherwise: float) -> float:
    """What a manifest says, which may be anything: finite, or `otherwise`."""
    try:
        told = float(str(value))
    except ValueError:
        return otherwise
    return told if math.isfinite(told) else otherwise


def seconds(text: object) -> float | None:
    """A time of the API, in Unix seconds."""
    try:
        return datetime.fromisoformat(str(text)).timestamp()
    except (ValueError, OverflowError, OSError):  # the last two of moments that no clock has
        return None
