"""What happens to analyses, as a stream of server-sent events that may be gone on with where it broke off."""

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from typing import Annotated

from fastapi import APIRouter, Header, Query
from starlette.responses import StreamingResponse
from starlette.types import Receive, Scope, Send

from analyzer.api.callers import Asking, need_anywhere
from analyzer.api.hub import Subscription
from analyzer.api.parts import Here, Parts
from analyzer.api.problem import Refused
from analyzer.api.representation import Analysis
from analyzer.errors import StoreError
from analyzer.model.base import Model
from analyzer.service.identity import Caller, Role
from analyzer.store.entry import Entry, State

HEARTBEAT = 15.0
"""Seconds without a word, after which a comment says that the stream is alive."""
LONGEST = 900.0
"""Seconds after which a stream ends, and is to be gone on with: whoever reads it shows anew who they are."""
RETRY = 2000
"""Milliseconds after which a browser goes on with a stream that broke off."""
PAGE = 100
"""Analyses in one look at what happened before."""
LAST = 2**63 - 1

router = APIRouter(tags=["changes"])


class Which(Model):
    """Which changes."""

    analysis: str | None = Query(
        default=None, pattern=r"^[0-9a-f]{12}$", description="of this one alone; the stream ends with it"
    )
    after: int | None = Query(default=None, ge=0, le=LAST, description="after this position; default: from now on")


class EventStream(StreamingResponse):
    """A stream, and the subscription that it ends with, whatever happens to the connection."""

    def __init__(self, subscription: Subscription, content: AsyncIterator[str]) -> None:
        super().__init__(
            content, media_type="text/event-stream", headers={"Cache-Control": "no-store", "X-Accel-Buffering": "no"}
        )
        self._subscription = subscription

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer with it."""
        with self._subscription:
            await super().__call__(scope, receive, send)


@router.get(
    "/api/v1/changes",
    status_code=200,
    summary="What changes, as server-sent events",
    response_class=EventStream,
    response_model=None,
    responses={
        200: {
            "description": "`id` is the position, `event` is `analysis`, and `data` the analysis as it is now",
            "content": {"text/event-stream": {"schema": {"type": "string"}}},
        },
        404: {},
    },
)
async def changes(
    caller: Asking,
    parts: Here,
    which: Annotated[Which, Query()],
    last_event_id: Annotated[str | None, Header(pattern=r"^[0-9]{1,18}$")] = None,
) -> EventStream:
    """Each analysis that changes, as it is then; of very many changes in a moment the last one.

    Goes on after `Last-Event-ID`, or `after`. With `analysis`, its present state comes first, and the stream ends
    after its last one. A comment comes every 15 s in which nothing happens; after 15 minutes the stream ends, and is to
    be gone on with.
    """
    need_anywhere(caller, Role.READ)
    _refuse_too_many(parts, caller)
    after = int(last_event_id) if last_event_id is not None else which.after
    if which.analysis is None:
        return await _of_all(caller, parts, after)
    return await _of_one(caller, parts, which.analysis, -1 if after is None else after)


def _refuse_too_many(parts: Parts, caller: Caller) -> None:
    most = parts.service.settings.limits.streams_per_caller
    if parts.hub.streams(caller.name) >= most:
        raise Refused(429, f"{caller.name} has {most} streams open already: close one", {"Retry-After": "15"})
    if parts.hub.is_closed:
        raise Refused(503, "the service is stopping: try again", {"Retry-After": "5"})


async def _of_one(caller: Caller, parts: Parts, id_: str, after: int) -> EventStream:
    await parts.entry(caller, id_)  # there is one, and this caller may read it
    subscription = await parts.hub.subscribe(caller.name, lambda entry: entry.id == id_)
    with _closed_on_failure(subscription):
        entry = await parts.entry(caller, id_)
    before = [entry] if entry.position > after else []

    async def content() -> AsyncIterator[str]:
        yield f"retry: {RETRY}\n\n"
        for each in before:
            yield _message(each)
        if entry.state == State.ENDED:
            return
        async for heard in _heard(subscription, entry.position):
            yield _message(heard) if isinstance(heard, Entry) else heard
            if isinstance(heard, Entry) and heard.state == State.ENDED:
                return

    return EventStream(subscription, content())


async def _of_all(caller: Caller, parts: Parts, after: int | None) -> EventStream:
    may_read = _readable(caller)
    subscription = await parts.hub.subscribe(caller.name, may_read)
    start = subscription.since if after is None else after
    with _closed_on_failure(subscription):
        first = await _page(parts, subscription, start)

    async def content() -> AsyncIterator[str]:
        yield f"retry: {RETRY}\n\n"
        position, page = start, first
        while page:
            for each in page:
                position = each.position
                if may_read(each):
                    yield _message(each)
            try:
                page = await _page(parts, subscription, position)
            except StoreError:
                return  # they go on from the last position
        async for heard in _heard(subscription, position):
            yield _message(heard) if isinstance(heard, Entry) else heard

    return EventStream(subscription, content())


async def _page(parts: Parts, subscription: Subscription, position: int) -> Sequence[Entry]:
    """What changed after that position, up to where the subscription hears of it."""
    if position >= subscription.since:
        return ()
    entries = await parts.service.analyses.changes(position, PAGE)
    return [entry for entry in entries if entry.position <= subscription.since]


async def _heard(subscription: Subscription, position: int) -> AsyncIterator[Entry | str]:
    """Changes after that position, and comments in between, until the stream is cut off or has lasted long enough."""
    loop = asyncio.get_running_loop()
    end = loop.time() + LONGEST
    while (left := end - loop.time()) > 0:
        try:
            entry = await subscription.next(min(HEARTBEAT, left))
        except TimeoutError:
            yield ": nothing new\n\n"
            continue
        if entry is None:
            return
        if entry.position > position:
            position = entry.position
            yield entry


def _message(entry: Entry) -> str:
    return f"id: {entry.position}\nevent: analysis\ndata: {Analysis.of(entry).model_dump_json()}\n\n"


def _readable(caller: Caller) -> Callable[[Entry], bool]:
    readable = caller.namespaces(Role.READ)
    return lambda entry: readable is None or entry.namespace in readable


class _closed_on_failure:  # noqa: N801 -- reads as a sentence where it is used
    """Close a subscription that no stream takes over."""

    def __init__(self, subscription: Subscription) -> None:
        self._subscription = subscription

    def __enter__(self) -> None:
        pass

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        if kind is not None:
            self._subscription.close()
