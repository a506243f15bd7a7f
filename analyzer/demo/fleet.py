"""A small deployment of the simulated service: pods of revisions, side by side or one after the other.

Does in one process what a Deployment, its Service and Prometheus' service discovery do.
"""

import asyncio
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from random import Random
from typing import Final, Self

from analyzer.demo.behaviour import Behaviour
from analyzer.demo.instance import Instance
from analyzer.demo.tally import Tally
from analyzer.errors import DemoError

_ALPHABET: Final = "bcdfghjklmnpqrstvwxz2456789"  # as Kubernetes: no vowels, so that no words come about
_SUFFIX: Final = 5
_DRAIN: Final = 0.2  # seconds between leaving the Service and the end, as a preStop hook would wait


@dataclass(frozen=True, slots=True)
class Revision:
    """What was deployed at once: pods alike."""

    name: str
    behaviour: Behaviour
    replicas: int


@dataclass(frozen=True, slots=True)
class Pod:
    """An instance with a name."""

    name: str
    revision: str
    instance: Instance


class Fleet:
    """Revisions of one service. Use it as `async with`; all pods end on the way out.

    `targets` is the file that tells Prometheus where the pods are (`file_sd`), with labels `app`, `pod` and `version`
    and those of `labels`; it lies in `folder`, which is the caller's. `history` are the revisions deployed and not
    taken back, the newest last. `readiness_lag` is for how many seconds a dead pod still gets requests.
    """

    def __init__(
        self,
        folder: Path,
        *,
        name: str = "web",
        seed: int = 1,
        native_schema: int | None = None,
        labels: Mapping[str, str] | None = None,
        readiness_lag: float = 1.0,
    ) -> None:
        self.targets = folder / "targets.json"
        self.pods: list[Pod] = []
        self.ended: list[Pod] = []
        self.history: list[Revision] = []
        self._name, self._native_schema, self._labels = name, native_schema, dict(labels or {})
        self._random = Random(f"{seed}/{name}")  # noqa: S311 -- names and luck, no secrets
        self._readiness_lag = readiness_lag

    async def deploy(self, name: str, behaviour: Behaviour, replicas: int = 2, *, beside: bool = True) -> list[Pod]:
        """Start pods of a new revision, and return them when they serve.

        The pods of the revisions before go on `beside` them, or end as soon as the new ones serve. Raises DemoError if
        a revision of this name is there already.
        """
        if any(revision.name == name for revision in self.history):
            raise DemoError(f"revision {name} is deployed already")
        revision = Revision(name, behaviour, replicas)
        pods = await self._begin(revision)
        self.history.append(revision)
        if not beside:
            await self._end(pod for pod in self.pods if pod.revision != name)
        return pods

    async def take_back(self) -> Revision:
        """End the newest revision; return the one before it, which serves, in new pods if it had none any more.

        Raises DemoError if there is no revision before it.
        """
        if len(self.history) <= 1:
            raise DemoError("there is no revision to go back to")
        worse, better = self.history[-1], self.history[-2]
        if not self.pods_of(better.name):
            await self._begin(better)
        self.history.remove(worse)
        await self._end(self.pods_of(worse.name))
        return better

    def pods_of(self, revision: str) -> list[Pod]:
        """The pods of a revision that there are now, dead ones too."""
        return [pod for pod in self.pods if pod.revision == revision]

    def endpoints(self, revision: str | None = None) -> list[str]:
        """The URLs that requests go to: of one revision, or of all."""
        chosen = self.pods if revision is None else self.pods_of(revision)
        return [pod.instance.url for pod in chosen if self._is_routed(pod)]

    def urls(self, revision: str) -> list[str]:
        """The URLs of all pods that a revision has ever had."""
        return [pod.instance.url for pod in (*self.pods, *self.ended) if pod.revision == revision]

    def served(self, revision: str) -> Tally:
        """What all pods that a revision has ever had have served, in all their lives."""
        return Tally.sum(pod.instance.served for pod in (*self.pods, *self.ended) if pod.revision == revision)

    async def __aenter__(self) -> Self:
        self._tell()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._end(self.pods)

    async def _begin(self, revision: Revision) -> list[Pod]:
        pods = [self._pod(revision) for _ in range(revision.replicas)]
        self.pods += pods
        for pod in pods:
            await pod.instance.start()
        self._tell()
        return pods

    async def _end(self, pods: Iterable[Pod]) -> None:
        leaving = list(pods)
        self.pods = [pod for pod in self.pods if pod not in leaving]
        self.ended += leaving
        self._tell()
        if any(pod.instance.alive for pod in leaving):
            await asyncio.sleep(_DRAIN)
        results = await asyncio.gather(*(pod.instance.stop() for pod in leaving), return_exceptions=True)
        for result in results:  # all have ended, whatever one of them says
            if result is not None:
                raise result

    def _pod(self, revision: Revision) -> Pod:
        suffix = "".join(self._random.choices(_ALPHABET, k=_SUFFIX))
        name = f"{self._name}-{revision.name}-{suffix}"
        instance = Instance(revision.behaviour, seed=name, native_schema=self._native_schema)
        return Pod(name, revision.name, instance)

    def _is_routed(self, pod: Pod) -> bool:
        died_at = pod.instance.died_at
        if died_at is None:
            return pod.instance.alive
        return asyncio.get_running_loop().time() - died_at < self._readiness_lag

    def _tell(self) -> None:
        """Replaced in one step: Prometheus never reads half a file."""
        new = self.targets.with_suffix(".new")
        new.write_text(json.dumps([self._target(pod) for pod in self.pods], indent=1))
        new.replace(self.targets)

    def _target(self, pod: Pod) -> dict[str, Sequence[str] | Mapping[str, str]]:
        labels = {"app": self._name, "pod": pod.name, "version": pod.revision, **self._labels}
        return {"targets": [pod.instance.address], "labels": labels}
