"""What a rule on a ratio can still say: how long a verdict will take, what waiting costs at worst, and what will not
be found by the deadline at this traffic. Method: judge.md §5 and §10."""

from dataclasses import dataclass
from math import inf, isfinite

from analyzer.judge.null import Null
from analyzer.judge.planner import Service, smallest_ratio, until_fail, until_pass
from analyzer.model.judgement import Interval

ENOUGH_WINDOWS = 4
"""Windows after which the traffic is taken for known."""


@dataclass(frozen=True)
class Outlook:
    """A service as the run has seen it, and the two lines that its rule is judged against.

    `counts` are n_c, e_c, n_b, e_b over `seconds`; `alpha` is the rule's share, `beta` the whole; `phi` the design
    effect in use; `interval` the seconds between looks.
    """

    counts: tuple[float, float, float, float]
    seconds: float
    tolerated: Null
    within: Null
    alpha: float
    beta: float
    phi: float
    interval: float

    @property
    def _service(self) -> Service | None:
        n_c, _, n_b, e_b = self.counts
        if self.seconds <= 0 or not n_c or not n_b:
            return None
        return Service(
            canary=n_c / self.seconds,
            baseline=n_b / self.seconds,
            rate=(e_b + 0.5) / (n_b + 1),
            phi=max(1.0, self.phi),
            interval=self.interval,
        )

    def seconds_left(self, ratio: Interval | None, done: tuple[float, float]) -> float | None:
        """Seconds until a verdict, in the mean, if the ratio is what it is estimated at; None if there will be none.

        `done` is how far the evidence has come towards a fail and a pass.
        """
        service = self._service
        if service is None or ratio is None or ratio.estimate is None or not isfinite(ratio.estimate):
            return None
        fail = until_fail(service, self.tolerated, ratio.estimate, self.alpha).mean
        passing = until_pass(service, self.within, ratio.estimate, self.beta).mean
        left = [whole * (1 - min(1.0, max(0.0, way))) for whole, way in zip((fail, passing), done, strict=True)]
        soonest = min(left)
        return soonest if isfinite(soonest) else None

    def extra_bad(self, ratio: Interval | None) -> float | None:
        """Bad events per second more than the baseline would have, at worst; None where nothing is known."""
        service = self._service
        if service is None or ratio is None or not isfinite(ratio.high):
            return None
        return max(0.0, ratio.high - 1) * service.rate * service.canary

    def found_by(self, deadline: float) -> float | None:
        """The smallest ratio that four runs of five find within `deadline` seconds; infinite if none is."""
        service = self._service
        return None if service is None else smallest_ratio(service, self.tolerated, self.alpha, deadline)


def note(metric: str, found: float | None, requests_per_second: float) -> str:
    """What the deadline allows to find, in words; empty while the traffic is unknown."""
    if found is None:
        return ""
    traffic = f"{metric}: at {requests_per_second:.3g} requests per second to the canary"
    if found == inf:
        return f"{traffic} no regression is found by the deadline in four of five runs: give it longer, or more traffic"
    return f"{traffic} a regression of {found:.3g} times is found by the deadline in four of five runs"
