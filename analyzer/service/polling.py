"""A controller that polls: which analysis each question is about. The first one starts it."""

import asyncio
import time
from collections import OrderedDict
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Protocol

from analyzer.errors import PlatformError
from analyzer.platforms.cluster import Cluster
from analyzer.platforms.rollout_runs import Attempt, Purpose, attempt_of

PATIENCE = 3.0
"""Seconds for the API server: the controller waits for ten, with one of its thirty workers."""
FRESH = 15.0
"""Seconds after which an attempt that waits for its verdict is looked at again, beside the poll."""
AT_MOST = 5.0
"""Seconds that a poll waits for the start of its analysis: it goes on by itself, and a later poll finds it."""
IN_ALL = 8.0
"""Seconds in which a controller is answered, whatever is slow: it waits for ten, and takes silence for an error."""
MOST = 10_000
"""Attempts that are remembered."""


class Rollouts(Protocol):
    """Where attempts are looked up."""

    async def attempt(self, namespace: str, name: str, purpose: Purpose | None) -> Attempt:
        """What the Rollout says now.

        Raises:
            PlatformError: it cannot be asked.
        """
        ...


class RolloutsOf:
    """The Rollouts of a cluster."""

    def __init__(self, cluster: Cluster) -> None:
        self._cluster = cluster

    async def attempt(self, namespace: str, name: str, purpose: Purpose | None) -> Attempt:
        """See the port."""
        try:
            return await asyncio.wait_for(attempt_of(self._cluster, namespace, name, purpose), PATIENCE)
        except TimeoutError:
            raise PlatformError(f"the Kubernetes API server did not answer within {PATIENCE:g} s") from None


@dataclass(frozen=True)
class Poll:
    """Who asks: a Rollout, by the hashes of both revisions, and `rules`, a digest of what is to be judged and how."""

    namespace: str
    rollout: str
    stable: str
    canary: str
    purpose: Purpose | None
    rules: str

    def key(self, run: str) -> str:
        """The key of the analysis of one attempt: the same after a restart, and in every replica."""
        return f"argo/{self.rollout}/{self.stable}/{self.canary}/{run}/{self.rules}"


@dataclass
class _Known:
    run: str
    analysis: str
    seen_at: float
    looking: asyncio.Task[None] | None = None


class Polls:
    """Remembers which analysis belongs to which poll, so that an answer needs no other server."""

    def __init__(self, rollouts: Rollouts, now: Callable[[], float] = time.monotonic) -> None:
        self._rollouts = rollouts
        self._now = now
        self._known: OrderedDict[Poll, _Known] = OrderedDict()
        self._beginning: dict[Poll, asyncio.Task[str]] = {}

    async def analysis(self, poll: Poll, start: Callable[[str], Awaitable[str]]) -> str:
        """The id of the analysis that this poll is about; `start` orders it under a key.

        Raises:
            Waiting: there is no attempt to analyse now.
        """
        known = self._known.get(poll)
        if known is None:
            return await self._begin(poll, start, shared=True)
        self._known.move_to_end(poll)
        if self._now() - known.seen_at > FRESH and (known.looking is None or known.looking.done()):
            known.looking = asyncio.create_task(self._look_again(poll, known))
        return known.analysis

    async def confirmed(self, poll: Poll, start: Callable[[str], Awaitable[str]]) -> str:
        """As `analysis`, and asked now: before a verdict is told, for it may be of an attempt that is over.

        Raises:
            Waiting: there is no attempt to analyse now, or nobody can say.
        """
        return await self._begin(poll, start, shared=False)

    def forget(self, poll: Poll) -> None:
        """Its analysis is not there any more."""
        self._known.pop(poll, None)

    async def _begin(self, poll: Poll, start: Callable[[str], Awaitable[str]], *, shared: bool) -> str:
        """`shared`: one that another poll has begun is waited for."""
        task = self._beginning.get(poll) if shared else None
        if task is None:
            task = asyncio.create_task(self._begun(poll, start))
            self._beginning[poll] = task
            task.add_done_callback(lambda done: self._over(poll, done))
        done, _ = await asyncio.wait([task], timeout=AT_MOST)
        if not done:
            raise Waiting("its analysis is being started")
        return task.result()

    def _over(self, poll: Poll, task: asyncio.Task[str]) -> None:
        if self._beginning.get(poll) is task:
            del self._beginning[poll]
        if not task.cancelled():
            task.exception()  # where nobody waits any more, the next poll meets it

    async def _begun(self, poll: Poll, start: Callable[[str], Awaitable[str]]) -> str:
        run = await self._run(poll)
        known = self._known.get(poll)
        if known is None or known.run != run:
            known = _Known(run, await start(poll.key(run)), 0.0)
        known.seen_at = self._now()
        self._known[poll] = known
        if len(self._known) > MOST:
            self._known.popitem(last=False)
        return known.analysis

    async def _run(self, poll: Poll) -> str:
        try:
            attempt = await self._rollouts.attempt(poll.namespace, poll.rollout, poll.purpose)
        except PlatformError as error:
            raise Waiting(f"which attempt is under way is not known now: {error}") from error
        if not attempt.run:
            raise Waiting(attempt.why)
        if attempt.current != poll.canary or attempt.stable != poll.stable:
            raise Waiting(
                f"Rollout {poll.rollout} is at {attempt.current or 'no revision'} against "
                f"{attempt.stable or 'none'} now, not at {poll.canary} against {poll.stable}"
            )
        return attempt.run

    async def _look_again(self, poll: Poll, known: _Known) -> None:
        """One whose attempt is over is forgotten: the next poll begins anew."""
        try:
            run = await self._run(poll)
        except Waiting:
            run = known.run  # nothing is known that would be better
        if run == known.run:
            known.seen_at = self._now()
        elif self._known.get(poll) is known:
            del self._known[poll]


class Waiting(Exception):  # noqa: N818 -- no error: that is what the controller is to do
    """There is nothing to analyse (yet); the sentence says why."""
