"""What a rule tolerates: a line in the plane of the two sides' rates, and the projection of an alternative on it."""

from dataclasses import dataclass

import numpy as np

from analyzer.judge.arrays import TINY, Array


@dataclass(frozen=True)
class Null:
    """The line p_c = a·p_b + d. For the fail side the null is p_c ≤ a·p_b + d, for the pass side p_c ≥ a·p_b + d.

    Relative tolerance r: (1 + r, 0). Absolute: (1, d). Both: (1 + r, d). A limit, whatever the baseline: (0, limit).
    Both may be arrays over the batch; `a` is then zero everywhere or nowhere, and so is `d`.

    Raises:
        ValueError: for negative or non-finite numbers, for the line (0, 0), and for a mixture of limits and others.
    """

    a: Array | float
    d: Array | float = 0.0

    def __post_init__(self) -> None:
        if not (np.all(np.isfinite(self.a)) and np.all(np.isfinite(self.d))):
            raise ValueError("a tolerance is not a finite number")
        if np.any(np.less(self.a, 0)) or np.any(np.less(self.d, 0)):
            raise ValueError("a tolerance is negative")
        if np.any(np.equal(self.d, 0)) and np.any(np.greater(self.d, 0)):
            raise ValueError("one batch mixes relative tolerances with absolute ones")
        if np.any(np.equal(self.a, 0)):
            if np.any(np.greater(self.a, 0)):
                raise ValueError("one batch mixes limits with comparisons")
            if np.any(np.equal(self.d, 0)):
                raise ValueError("a limit of zero tolerates nothing: no evidence can be weighed against it")

    @property
    def is_limit(self) -> bool:
        """Whether the baseline does not matter (a = 0)."""
        return not np.any(self.a)

    @property
    def is_relative(self) -> bool:
        """Whether only the ratio of the rates matters (d = 0)."""
        return not np.any(self.d)

    def line(self, p_b: Array | float) -> Array | float:
        """The canary's rate on the line at the baseline's rate `p_b`."""
        return self.a * p_b + self.d

    def lifted(self) -> "Null":
        """The same line with a trailing axis, to be broadcast over bets."""
        return Null(_lifted(self.a), _lifted(self.d))

    def project(
        self, n_c: Array | float, n_b: Array | float, p_c: Array | float, p_b: Array | float
    ) -> tuple[Array | float, Array | float]:
        """The point of the line nearest to (p_c, p_b) in Poisson Kullback-Leibler divergence, by n_c and n_b requests.

        Rates are events per request. All arguments are broadcast together. Method: judge.md §2; the root of the
        quadratic is taken in the form that does not cancel, so that d → 0 is continuous.
        """
        if self.is_limit:
            return np.broadcast_to(self.d, np.shape(p_c)), p_b
        if self.is_relative:
            mu = (n_c * p_c + n_b * p_b) / np.maximum(self.a * n_c + n_b, TINY)
        else:
            mu = self._root(n_c, n_b, p_c, p_b)
        mu = np.maximum(mu, TINY)
        return self.line(mu), mu

    def _root(self, n_c: Array | float, n_b: Array | float, p_c: Array | float, p_b: Array | float) -> Array | float:
        """The positive root of Aμ² + Bμ + C, with C ≤ 0: where the derivative of the divergence is zero.

        Without a baseline (the planner asks that too) C = 0, and the root is (p_c − d)/a, or 0 inside the null.
        """
        a, d = self.a, self.d
        quadratic = a * (a * n_c + n_b)
        linear = a * n_c * (d - p_c) + n_b * (d - a * p_b)
        constant = -n_b * d * p_b
        spread = np.abs(linear) + np.sqrt(linear * linear - 4 * quadratic * constant)
        falling = np.maximum(quadratic * 2, TINY)
        return np.where(linear >= 0, -2 * constant / np.maximum(spread, TINY), spread / falling)


def _lifted(value: Array | float) -> Array | float:
    return value if isinstance(value, float | int) else np.expand_dims(value, -1)
