"""The figures to reach: what the method's prototype measured (judge.md §15)."""

from dataclasses import dataclass

TRAFFIC = (1, 10, 100, 1000)
"""Canary's requests per second."""

BASES = (0.001, 0.01)
"""Error rates of the baseline."""

FALSE_RUNS, DETECTION_RUNS, LATENCY_RUNS = 10_000, 2_000, 1_000
"""Runs a cell that the prototype's figures rest on."""

FALSE = {
    "stationary": (0.0, 0.1, 0.0, 0.0, 0.1, 0.0, 0.0, 0.0),
    "shared": (0.0, 0.1, 0.0, 0.0, 0.1, 0.0, 0.0, 0.0),
    "cluster": (0.0, 0.1, 0.1, 0.1, 0.1, 0.1, 0.0, 0.0),
    "shared+cluster": (0.0, 0.0, 0.1, 0.1, 0.1, 0.1, 0.0, 0.0),
    "one-sided noise": (0.0, 0.1, 0.1, 0.1, 0.0, 0.1, 0.0, 0.2),
    "one-sided autocorrelated": (0.0, 0.1, 1.1, 2.4, 0.2, 1.3, 2.9, 1.3),
    "unequal pods": (0.0, 0.1, 0.1, 1.2, 0.1, 0.2, 1.2, 8.2),
}
"""False rollbacks in percent: four traffics at the first base rate, four at the second."""

BOUNDARY = 0.4
"""False rollbacks in percent at the boundary itself, at most, in the streams that §3 is calibrated for."""

CALIBRATED = ("stationary", "shared", "cluster", "shared+cluster", "one-sided noise")


@dataclass(frozen=True)
class Found:
    """Share found, in percent, and median time in seconds; a share that the method's text leaves out is None."""

    share: float | None
    median: float


@dataclass(frozen=True)
class Detection:
    """One row of the table of detections, by traffic of the canary."""

    stream: str
    traffic: int  # of the baseline, as a multiple of the canary's
    base: float
    ratio: float
    found: dict[int, Found]


def _row(stream: str, traffic: int, base: float, ratio: float, *cells: tuple[int, float, float]) -> Detection:
    return Detection(stream, traffic, base, ratio, {rate: Found(share, median) for rate, share, median in cells})


DETECTIONS = (
    _row("stationary", 1, 0.001, 2, (1, 0, 1718), (10, 10, 1208), (100, 99, 600), (1000, 100, 90)),
    _row("stationary", 1, 0.001, 10, (1, 59, 1290), (10, 100, 225), (100, 100, 30), (1000, 100, 15)),
    _row("stationary", 1, 0.01, 1.5, (1, 2, 1275), (10, 31, 1170), (100, 100, 330), (1000, 100, 45)),
    _row("stationary", 1, 0.01, 5, (1, 100, 555), (10, 100, 75), (100, 100, 15), (1000, 100, 15)),
    _row("stationary", 9, 0.001, 2, (1, 1, 975), (10, 29, 1155), (100, 100, 300)),
    _row("stationary", 9, 0.001, 10, (1, 96, 630), (10, 100, 90), (100, 100, 15)),
    _row("stationary", 9, 0.01, 1.5, (1, 3, 1020), (10, 79, 945), (100, 100, 195)),
    _row("stationary", 9, 0.01, 5, (1, 100, 255), (10, 100, 45), (100, 100, 15)),
    _row("shared", 1, 0.001, 2, (100, 99, 495)),
    _row("shared", 1, 0.001, 10, (100, 100, 45)),
    _row("shared", 1, 0.01, 1.5, (100, 100, 285)),
    _row("shared", 1, 0.01, 5, (100, 100, 15)),
    _row("cluster", 1, 0.001, 2, (100, 24, 1095)),
    _row("cluster", 1, 0.001, 10, (100, 100, 180)),
    _row("cluster", 1, 0.01, 1.5, (100, 48, 1140)),
    _row("cluster", 1, 0.01, 5, (100, 100, 75)),
    _row("one-sided noise", 1, 0.001, 2, (100, 97, 675)),
    _row("one-sided noise", 1, 0.001, 10, (100, 100, 30)),
    _row("one-sided noise", 1, 0.01, 1.5, (100, 91, 825)),
    _row("one-sided noise", 1, 0.01, 5, (100, 100, 30)),
)

LATENCY_TRAFFIC = (10, 100, 1000)
LATENCY_FALSE = 0.4
LATENCY = {
    ("whole", 1.1): (Found(90, 1185), Found(100, 165), Found(100, 30)),
    ("whole", 1.3): (Found(None, 75), Found(None, 15), Found(None, 15)),
    ("whole", 2.0): (Found(None, 15), Found(None, 15), Found(None, 15)),
    ("tail", 1.3): (Found(None, 300), Found(None, 45), Found(None, 15)),
    ("tail", 2.0): (Found(None, 45), Found(None, 15), Found(None, 15)),
}
"""What is stretched and by how much: at each traffic."""

GAUGE_RHO = (0.0, 0.7, 0.9, 0.97)
GAUGE_FALSE, GAUGE_BOUNDARY = 0.1, 2.8
GAUGE_MEDIANS = (45, 150, 345, 450)

LATE_ONSET = (
    # base, ratio, requests/s, seconds with restarts, seconds without
    (0.001, 2.0, 1000, 135, 345),
    (0.001, 10.0, 100, 60, 90),
    (0.01, 1.5, 100, 435, 810),
)

PASSES = (
    # base, requests/s, median seconds
    (0.01, 100, 180),
    (0.01, 1000, 30),
    (0.001, 100, 885),
    (0.001, 1000, 180),
)
PASSES_AT_MARGIN = 3.5
