"""Orders that are given because a controller asked: the same question again means the same analysis."""

import hashlib
from http import HTTPStatus

from analyzer.api.analyses import place
from analyzer.api.parts import Parts
from analyzer.api.problem import Refused
from analyzer.model.order import Order
from analyzer.service.identity import Caller
from analyzer.service.placing import OURS


def digest_of(order: Order) -> str:
    """What tells this order from another one on the same target."""
    return hashlib.sha256(order.model_dump_json().encode()).hexdigest()[:16]


async def id_of(parts: Parts, caller: Caller, order: Order, key: str, wait: type[Exception]) -> str:
    """The id of the analysis that is kept under this key, which no client can name.

    Raises:
        wait: with a sentence: too many run now, and whoever asks will ask again.
        Refused: the caller may not.
        UsageError: the order cannot be done.
    """
    try:
        entry, _ = await place(parts, caller, order, OURS + key)
    except Refused as refused:
        if refused.status != HTTPStatus.TOO_MANY_REQUESTS:
            raise
        raise wait(str(refused)) from refused
    return entry.id
