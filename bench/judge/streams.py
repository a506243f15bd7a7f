"""Simulated services: counts of both sides over a history and a run. All numbers are parameters (judge.md §15)."""

from dataclasses import dataclass

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray

Floats = NDArray[np.float64]

INTERVAL = 15.0
"""Seconds."""


@dataclass(frozen=True)
class Stream:
    """How traffic and errors behave. Log-normal factors are given by their sd in logs; all have mean 1."""

    name: str
    swing: float = 0.0  # amplitude of the daily curve of traffic
    period: float = 120.0  # its period, in intervals
    traffic_sd: float = 0.0  # AR(1), common to both sides
    rate_sd: float = 0.0  # AR(1), common to both sides
    common_rho: float = 0.9
    outage_begin: float = 0.0  # probability per interval, when none is running
    outage_length: float = 3.0  # mean, geometric
    outage_factor: float = 20.0
    cluster: float = 1.0  # mean events per cluster
    side_sd: float = 0.0  # of each side's rate, per interval
    side_rho: float = 0.0
    pod_sd: float = 0.0  # of the canary's rate, constant


_SHARED = {"swing": 0.6, "traffic_sd": 0.3, "rate_sd": 0.8, "outage_begin": 0.03}
STREAMS = {
    stream.name: stream
    for stream in (
        Stream("stationary"),
        Stream("shared", **_SHARED),
        Stream("cluster", cluster=5.0),
        Stream("shared+cluster", cluster=5.0, **_SHARED),
        Stream("one-sided noise", side_sd=0.4),
        Stream("one-sided autocorrelated", side_sd=0.4, side_rho=0.8),
        Stream("unequal pods", pod_sd=0.1),
    )
}


@dataclass(frozen=True)
class Scenario:
    """A service, a release, and how long it is looked at. Traffic in requests per second.

    The canary's rate is `ratio` times the baseline's from the interval `onset` on. The history's two halves have half
    of the baseline's traffic each.
    """

    stream: Stream
    canary: float
    baseline: float
    base: float
    ratio: float = 1.0
    checks: int = 120
    history: int = 160
    onset: int = 0


@dataclass(frozen=True)
class Sample:
    """Counts, shape (runs, intervals): `history` are n1, e1, n2, e2 and `run` are n_c, e_c, n_b, e_b."""

    history: tuple[Floats, Floats, Floats, Floats]
    run: tuple[Floats, Floats, Floats, Floats]


def sample(scenario: Scenario, rng: Generator, runs: int) -> Sample:
    """`runs` independent histories, each followed by its run."""
    stream, past = scenario.stream, scenario.history
    length = past + scenario.checks
    traffic, rate = common(stream, rng, runs, length, scenario.base, scenario.ratio)
    half = scenario.baseline / 2
    first, second = (
        side(stream, rng, half * traffic[:, :past], rate[:, :past] * noise(stream, rng, runs, past)) for _ in range(2)
    )
    now, then = traffic[:, past:], rate[:, past:]
    worse = np.where(np.arange(scenario.checks) >= scenario.onset, scenario.ratio, 1.0)
    pods = unit_mean(stream.pod_sd, rng.standard_normal((runs, 1)))
    canary = side(stream, rng, scenario.canary * now, then * worse * pods * noise(stream, rng, runs, scenario.checks))
    baseline = side(stream, rng, scenario.baseline * now, then * noise(stream, rng, runs, scenario.checks))
    return Sample((*first, *second), (*canary, *baseline))


def common(stream: Stream, rng: Generator, runs: int, length: int, base: float, ratio: float) -> tuple[Floats, Floats]:
    """What both sides share: a factor of traffic, and the baseline's error rate, shape (runs, intervals) each."""
    phase = rng.random((runs, 1))
    traffic = 1 + stream.swing * np.sin(2 * np.pi * (np.arange(length) / stream.period + phase))
    traffic = traffic * unit_mean(stream.traffic_sd, autoregression(rng, runs, length, stream.common_rho))
    rate = base * unit_mean(stream.rate_sd, autoregression(rng, runs, length, stream.common_rho))
    rate = rate * np.where(outages(stream, rng, runs, length), stream.outage_factor, 1.0)
    return traffic, np.minimum(rate, 0.9 / max(ratio, 1.0))


def unit_mean(sd: float, normal: Floats) -> Floats:
    """A log-normal factor of mean 1 out of standard normal values."""
    return np.exp(sd * normal - sd * sd / 2)


def autoregression(rng: Generator, runs: int, length: int, rho: float) -> Floats:
    """A stationary AR(1) of variance 1, shape (runs, length)."""
    values = rng.standard_normal((length, runs))
    step = np.sqrt(1 - rho * rho)
    for t in range(1, length):
        values[t] = rho * values[t - 1] + step * values[t]
    return values.T


def outages(stream: Stream, rng: Generator, runs: int, length: int) -> NDArray[np.bool_]:
    """Whether an outage is running, shape (runs, length)."""
    draws = rng.random((length, runs))
    running = np.zeros((length, runs), dtype=np.bool_)
    for t in range(length):
        stays = draws[t] < 1 - 1 / stream.outage_length
        begins = draws[t] < stream.outage_begin
        running[t] = np.where(running[t - 1], stays, begins) if t else begins
    return running.T


def noise(stream: Stream, rng: Generator, runs: int, length: int) -> Floats:
    """One side's own factor on its rate, shape (runs, length)."""
    return unit_mean(stream.side_sd, autoregression(rng, runs, length, stream.side_rho))


def side(stream: Stream, rng: Generator, traffic: Floats, rate: Floats) -> tuple[Floats, Floats]:
    """Requests and errors of one side; `traffic` in requests per second."""
    requests = rng.poisson(traffic * INTERVAL)
    return requests.astype(np.float64), errors(stream, rng, requests, np.minimum(rate, 0.95)).astype(np.float64)


def errors(stream: Stream, rng: Generator, requests: NDArray[np.int64], rate: Floats) -> NDArray[np.int64]:
    """Binomial errors, or clusters of them: a Poisson number of clusters of geometric size."""
    if stream.cluster == 1:
        return rng.binomial(requests, rate)
    clusters = rng.poisson(requests * rate / stream.cluster)
    more = rng.negative_binomial(np.maximum(clusters, 1), 1 / stream.cluster)
    return np.minimum(np.where(clusters > 0, clusters + more, 0), requests)


def seeded(*names: object) -> Generator:
    """A generator of its own for each cell, from the cell's name: fixed beforehand, whatever else is run."""
    words = "|".join(str(name) for name in names).encode()
    return np.random.default_rng(np.frombuffer(words, dtype=np.uint8).astype(np.uint32))
