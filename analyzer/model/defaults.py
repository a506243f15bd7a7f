"""What a rule says that says nothing, by the kind of its metric. Source: judge.md §13 of the method."""

from analyzer.model.ruleset import Tolerance

QUANTILE = 0.99
"""Of a histogram."""

TOLERANCES = {
    "ratio": (Tolerance(relative=0.10, absolute=0.0005), Tolerance(relative=0.50, absolute=0.001)),
    "histogram": (Tolerance(relative=0.05), Tolerance(relative=0.30)),
    "gauge": (Tolerance(relative=0.10), Tolerance(relative=0.30)),
}
"""By the kind of the metric: what is tolerated, and the margin to pass within."""
