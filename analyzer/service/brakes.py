"""What holds all acts, in every replica: the settings, the switch that people set, and so many acts an hour."""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, replace
from datetime import UTC, datetime

from analyzer.errors import CanaryError, StoreUnavailable
from analyzer.model.target import ActionKind
from analyzer.service.settings import Actions, Settings
from analyzer.store.switch import Act, Setting, Switch

HOUR = 3600.0
"""Seconds in which `rollbacks_per_hour` acts are allowed."""
PAUSES = (0.5, 1.0, 2.0, 4.0, *[5.0] * 22)
"""Seconds between two tries of a database that is away, two minutes in all: as long as a platform is waited for. A
restart of the database is no reason to leave a bad release in place."""
MARGIN = 300.0
"""Seconds after its time limit in which an act's receipt is waited for, before it holds no other act on its target."""
LONGEST = 500
"""Signs of what a person has written that are repeated in a sentence."""

_SEVERITY = (Actions.ON, Actions.DRY_RUN, Actions.OFF)
_IN_SETTINGS = "the settings"


@dataclass(frozen=True)
class BrakeState:
    """Whether analyses act: the stricter of the settings and the switch. `at` in Unix seconds, None for the settings.

    `word` is what the switch says, also where this version does not know it, which counts as off. `begun` acts have
    been allowed within the last hour, of `most`.
    """

    actions: Actions
    word: str
    by: str
    why: str
    at: float | None
    begun: int
    most: int


class Brakes:
    """Asked before each act. `now` is a clock that all replicas share, in Unix seconds: the database's own.

    Every act counts against `rollbacks_per_hour`, also an abort or a pause: many at once are an incident.
    """

    def __init__(
        self,
        switch: Switch,
        settings: Settings,
        now: Callable[[], Awaitable[float]],
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        self._switch = switch
        self._settings = settings
        self._now = now
        self._sleep = sleep

    async def withheld(
        self, analysis_id: str, namespace: str, target: str, kind: str, *, ordered_at: float | None = None
    ) -> str:
        """Why this act (`kind`: rollback, …) must not be done now, a sentence; empty: it may, and it is counted.

        To be asked last, right before the intent is kept. The same analysis may ask again: it is counted once an hour.
        `ordered_at` is when the analysis was ordered: what another has taken back since then is not taken back again.
        Nor is what another is at now, unless its process died so long ago that the act must be over.
        While the database is away it is waited for, but not for ever.
        """
        if self._settings.actions != Actions.ON:
            return _told(self._standing(None))
        try:
            return await self._patiently(
                lambda: self._asked(Act(0.0, analysis_id, namespace, kind, target), ordered_at)
            )
        except CanaryError as error:
            return f"nothing is done that cannot be recorded: {error}"

    async def dry_run(self) -> bool:
        """Whether analyses that start now are dry runs: the settings say so, or the switch.

        Raises:
            StoreError: the switch cannot be seen; StoreUnavailable: not now.
        """
        if self._settings.actions == Actions.DRY_RUN:
            return True
        setting = await self._switch.get()
        return setting is not None and setting.actions == Actions.DRY_RUN

    async def state(self) -> BrakeState:
        """What holds now.

        Raises:
            StoreError: as for `dry_run`.
        """
        setting, now = await self._switch.get(), await self._now()
        return self._standing(setting, await self._switch.taken(now - HOUR))

    async def _patiently(self, ask: Callable[[], Awaitable[str]]) -> str:
        for pause in PAUSES:
            try:
                return await ask()
            except StoreUnavailable:
                await self._sleep(pause)
        return await ask()

    async def _asked(self, act: Act, ordered_at: float | None) -> str:
        standing = self._standing(await self._switch.get())
        if standing.actions != Actions.ON:
            return _told(standing)
        if act.kind == ActionKind.PROMOTE:
            return ""  # many good releases are no incident: they are not counted
        now, most = await self._now(), self._settings.rollbacks_per_hour
        begun_since = now - self._longest_act
        if await self._switch.take(
            replace(act, at=now), most, now - HOUR, once_since=ordered_at, begun_since=begun_since
        ):
            return ""
        if ordered_at is not None and (other := await self._switch.acted(act, ordered_at)):
            return f"analysis {other} has begun to take {act.target} back since this one was ordered: it is done once"
        if other := await self._switch.under_way(act, begun_since):
            return f"analysis {other} is at taking {act.target} back, and two at a time would be in each other's way"
        begun = await self._switch.taken(now - HOUR)
        return _too_many(begun, most) if begun >= most else await self._asked(act, ordered_at)

    @property
    def _longest_act(self) -> float:
        """Seconds. What is no command's own time limit is a platform's, and far below an hour."""
        return max([HOUR, *(target.timeout + MARGIN for target in self._settings.targets.values())])

    def _standing(self, setting: Setting | None, begun: int = 0) -> BrakeState:
        own, most = self._settings.actions, self._settings.rollbacks_per_hour
        switched = Actions.ON if setting is None else _read(setting.actions)
        if setting is None or _SEVERITY.index(switched) < _SEVERITY.index(own):
            return BrakeState(own, own.value, _IN_SETTINGS, "", None, begun, most)
        return BrakeState(switched, setting.actions, setting.by, setting.why, setting.at, begun, most)


def _read(word: str) -> Actions:
    """What a later version has written may be a reason not to act."""
    return Actions(word) if word in set(Actions) else Actions.OFF


def _told(state: BrakeState) -> str:
    if state.at is None:
        return f"actions are switched {_way(state)} in the settings of the service (actions: {state.word})"
    when = datetime.fromtimestamp(state.at, UTC).strftime("%Y-%m-%d %H:%M:%S UTC")
    why = f": {_one_line(state.why)}" if state.why.strip() else ""
    return f"actions were switched {_way(state)} by {_one_line(state.by)} at {when}{why}"


def _way(state: BrakeState) -> str:
    if state.word == Actions.OFF:
        return "off"
    unknown = "" if state.word in set(Actions) else ", which this version does not know and takes for off,"
    return f"to {_one_line(state.word)}{unknown}"


def _too_many(begun: int, most: int) -> str:
    if most == 0:
        return "the settings allow no act at all (rollbacks_per_hour: 0)"
    return (
        f"{begun} acts were begun within the last hour, and the settings allow {most} (rollbacks_per_hour): "
        "so many at once are an incident rather than a bad release"
    )


def _one_line(text: str) -> str:
    """What a person has written, in a sentence: no line of its own, and no sign that does something to a terminal."""
    line = " ".join(text.split())
    line = line if len(line) <= LONGEST else f"{line[: LONGEST - 1]}…"
    return "".join(sign if sign.isprintable() else repr(sign)[1:-1] for sign in line)
