"""Arrays of the judge: their type, sums in log space, and their way to JSON and back, exact to the last bit."""

from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

Array = NDArray[np.float64]
"""A number or an array of numbers; 0-dimensional in a single analysis."""

TINY = 1e-300
"""Smallest rate and smallest divisor."""


def array(values: ArrayLike) -> Array:
    """`values` as an array of floats."""
    return np.asarray(values, dtype=np.float64)


def logsumexp(values: Array, axis: int | tuple[int, ...] = -1) -> Array:
    """The logarithm of Σ exp(values) over `axis`; at least one of the values must be finite.

    SciPy's own costs tens of microseconds a call, which an update in a fraction of a millisecond cannot afford.
    """
    top = values.max(axis=axis, keepdims=True)
    return array(np.log(np.exp(values - top).sum(axis=axis)) + top.reshape(np.delete(values.shape, axis)))


def plain(values: Array) -> Any:  # noqa: ANN401 -- nested lists of floats, as deep as the array has dimensions
    """`values` as floats in nested lists, for JSON: `repr` of a float is exact."""
    return values.tolist()
