"""From the workloads of a revision to what they want, and from that to an order in the store."""

import asyncio
import os
from collections.abc import Sequence
from typing import Final

from pydantic import ValidationError

from analyzer.concurrency import together
from analyzer.controller.sighting import Candidate, Outcome, Place, Settled
from analyzer.errors import PlatformForbidden, UsageError
from analyzer.model.marks import PREFIX
from analyzer.model.order import CONTROLLER, Order
from analyzer.model.suggestion import listed
from analyzer.model.wish import Marked, Mode, Wish, wish_of
from analyzer.platforms.cluster import Cluster, path
from analyzer.platforms.helm_program import storage_of
from analyzer.platforms.parts import mapping
from analyzer.platforms.telling import tell_refused
from analyzer.platforms.workloads import Workload
from analyzer.service.logs import logger
from analyzer.service.placing import Placing, Who
from analyzer.service.watch_settings import Watch

LOG = logger(__name__)

ASKED_AT_ONCE: Final = 4
"""Workloads of one release."""


class Refused(Exception):  # noqa: N818 -- no error of ours: an answer
    """An analysis is wanted that cannot be ordered: a sentence, and the workloads of which it is told."""

    def __init__(self, why: str, workloads: tuple[str, ...]) -> None:
        super().__init__(why)
        self.workloads = workloads


class Ordering:
    """Orders what workloads want. `watch` is what the settings say of it."""

    def __init__(self, cluster: Cluster, placing: Placing, watch: Watch) -> None:
        self._cluster = cluster
        self._placing = placing
        self._watch = watch

    async def order(self, candidate: Candidate) -> Settled:
        """What became of it: ORDERED, KNOWN, LEFT_ALONE or OVER.

        Raises:
            Refused: what they want cannot be ordered.
            PlatformUnavailable, StoreUnavailable, TooManyAnalyses: not now.
        """
        mine = [each for each in candidate.workloads if each.namespace == candidate.place.namespace]
        if not mine:
            return Settled(Outcome.NO_PODS, "all of its workloads are in other namespaces")
        names = tuple(str(_marked(each, {})) for each in mine)
        try:
            workloads, namespace = await together(self._workloads(mine), self._namespace(candidate))
            if not workloads:
                return Settled(Outcome.OVER, "its workloads are not there any more")
            names = tuple(map(str, workloads))
            # In a thread: hundreds of workloads may each say a lot, and analyses go on beside it.
            wish = await asyncio.to_thread(wish_of, workloads, namespace, self._watch)
            if wish is None:
                return Settled(Outcome.LEFT_ALONE, "neither annotation nor route wants an analysis")
            _check_storage(candidate.place)
            _check_reach(candidate)
            who = Who(CONTROLLER, why=wish.because, workloads=names)
            entry, before = await self._placing.place(_order(candidate, wish), who, candidate.key)
        except (UsageError, PlatformForbidden) as error:
            raise Refused(str(error), names) from None
        if before is not None:
            return Settled(Outcome.KNOWN)
        LOG.info(
            "ordered",
            analysis=entry.id,
            target=str(candidate.place),
            revision=candidate.revision,
            rules=wish.rules,
            mode=wish.mode.value,
            because=wish.because,
        )
        return Settled(Outcome.ORDERED)

    async def tell(self, candidate: Candidate, refused: Refused) -> str:
        """Tell it on the workloads, if the settings say so; why that could not be, or empty.

        Raises:
            PlatformUnavailable: not now.
        """
        if not self._watch.events:
            return ""
        try:
            await tell_refused(self._cluster, refused.workloads, candidate.key, str(refused))
        except PlatformForbidden as error:
            return str(error)
        return ""

    async def _workloads(self, of: Sequence[Workload]) -> list[Marked]:
        """As they are now; those that are gone are left out."""
        turn = asyncio.Semaphore(ASKED_AT_ONCE)

        async def asked(each: Workload) -> Marked | None:
            async with turn:
                where = path(each.api_version, each.resource, each.namespace, each.name)
                found = await self._cluster.get(where, metadata_only=True)
            return _marked(each, found) if found else None

        return [each for each in await together(*map(asked, of)) if each]

    async def _namespace(self, candidate: Candidate) -> Marked:
        """One that may not be read says nothing."""
        name = candidate.place.namespace
        try:
            found = await self._cluster.get(path("v1", "namespaces", name=name), metadata_only=True)
        except PlatformForbidden:
            found = None
        return Marked("Namespace", "", name, _texts(found or {}, "labels"), _ours(found or {}))


def _check_storage(place: Place) -> None:
    """The analysis asks helm, which reads one storage alone: of the same name there may be another release in it.

    Raises:
        UsageError: the release is kept in another one.
    """
    if place.storage and place.storage != (ours := storage_of(os.environ)):
        raise UsageError(
            f"release {place.name} is kept in {place.storage}, and the HELM_DRIVER of the service means "
            f"{ours or 'a database'}: give the service the HELM_DRIVER of those who bring the release out"
        )


def _check_reach(candidate: Candidate) -> None:
    """Whoever may write Secrets in one namespace may say there that a release reaches into all others: what is asked,
    told and changed in those is not for him to say.

    Raises:
        UsageError: it reaches into another namespace.
    """
    place = candidate.place
    if others := sorted({each.namespace for each in candidate.workloads} - {place.namespace}):
        raise UsageError(
            f"release {place.name} has workloads in other namespaces than its own ({listed(others[:3], 'and')}): what "
            f"is seen by itself stays within {place.namespace}; order its analysis where it is brought out"
        )


def _marked(each: Workload, found: dict[str, object]) -> Marked:
    return Marked(each.kind, each.namespace, each.name, _texts(found, "labels"), _ours(found))


def _ours(found: dict[str, object]) -> dict[str, str]:
    """The annotations that may be meant for us: others may be large, and are not kept."""
    return {name: value for name, value in _texts(found, "annotations").items() if name.startswith(PREFIX)}


def _texts(found: dict[str, object], part: str) -> dict[str, str]:
    return {str(name): str(value) for name, value in mapping(found, "metadata", part).items()}


def _order(candidate: Candidate, wish: Wish) -> Order:
    """The order of a wish.

    Raises:
        UsageError: a value in it cannot be.
    """
    place = candidate.place
    try:
        return Order(
            target=f"{place.kind.value}/{place.name}",
            namespace=place.namespace,
            rules=wish.rules,
            parameters=wish.parameters,
            prometheus=wish.prometheus,
            expected_revision=str(candidate.revision),
            on_fail=wish.on_fail,
            pods=True,
            dry_run=wish.mode != Mode.ENFORCE,
        )
    except ValidationError as error:
        wrong = error.errors()[0]
        key = ".".join(map(str, wrong["loc"]))
        raise UsageError(f"{key}: {wrong['msg']} ({wish.because})") from None
