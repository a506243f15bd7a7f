"""Fixtures of the scenarios."""

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import Any

import pytest

from tests.cluster.namespace import Namespace
from tests.cluster.scenarios.shop import Shop, open_shop
from tests.store.postgresql import postgresql

__all__ = ["postgresql"]

Opening = Callable[..., AbstractContextManager[Shop]]


@pytest.fixture
def opened(namespace: Namespace, record_property: Callable[[str, object], None]) -> Opening:
    """Opens a shop, and notes for the summary how long its customers got bad answers from the upgrade's pods."""

    @contextmanager
    def opening(helm: int, *flags: str, **wanted: Any) -> Iterator[Shop]:  # noqa: ANN401 -- those of open_shop
        with open_shop(namespace, helm, *flags, **wanted) as shop:
            yield shop
            felt = shop.felt()
        if felt.first_bad is not None and felt.last_bad is not None:
            seconds = felt.last_bad - felt.first_bad
            record_property("felt", f"{seconds:.1f} s from the first to the last of {felt.bad} bad answers")

    return opening


@pytest.fixture
def shop(opened: Opening, helm: int) -> Iterator[Shop]:
    """A shop that good pods serve, with both versions of Helm."""
    with opened(helm) as shop:
        yield shop
