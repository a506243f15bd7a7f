"""What the tests of the store keep."""

from collections.abc import Sequence
from typing import Any

from analyzer.model.event import Event, Troubled
from analyzer.model.reading import Absence
from analyzer.store.analyses import Analyses
from analyzer.store.entry import Claim, Entry


def entry(id_: str, **other: object) -> Entry:
    values: dict[str, Any] = {
        "key": f"key of {id_}",
        "namespace": "shop",
        "kind": "helm",
        "name": "web",
        "created_at": 100.0,
    }
    return Entry(**{"id": id_, "ordered": '{"rules": "http"}', **values, **other})


def event(number: int, detail: str = "") -> Event:
    return Troubled(at=float(number), metric="errors", why=Absence.TIMEOUT, detail=detail or f"event {number}")


async def begun(analyses: Analyses, *ids: str, owner: str = "first") -> list[Claim]:
    """Ordered and claimed, in this order."""
    for number, id_ in enumerate(ids):
        await analyses.create(entry(id_, created_at=100.0 + number))
    return list(await analyses.claim(owner, 1000.0, 30.0, len(ids)))


async def numbers(analyses: Analyses, id_: str) -> Sequence[int]:
    return [numbered.seq for numbered in await analyses.events(id_)]
