"""Every mistake in the PromQL of a rule set, with its key."""

from analyzer.model.ruleset import RuleSet
from analyzer.sources.checking import check_rule_set


def rule_set(metrics: dict[str, object], **sides: str) -> RuleSet:
    return RuleSet.model_validate(
        {
            "apiVersion": "canary-analyzer.io/v1alpha1",
            "kind": "RuleSet",
            "metadata": {"name": "x"},
            "spec": {"sides": sides, "metrics": metrics, "rules": [{"metric": name} for name in metrics]},
        }
    )


def test_a_good_rule_set_has_no_mistakes() -> None:
    metrics: dict[str, object] = {
        "errors": {"ratio": {"bad": 'x{code=~"5.."}', "total": {"promql": "sum(increase(x{${selector}}[${window}]))"}}},
        "latency": {"histogram": "y_seconds"},
        "memory": {"gauge": 'max by (pod) (z{container!=""})'},
    }
    assert check_rule_set(rule_set(metrics, canary='version="2"', baseline='version="1"')) == []


def test_every_mistake_has_its_key() -> None:
    metrics: dict[str, object] = {
        "errors": {"ratio": {"bad": "rate(x[5m])", "total": {"promql": "sum(x)"}}},
        "latency": {"histogram": "y_seconds_sum"},
        "memory": {"gauge": "max by (pod) (z"},
    }
    mistakes = dict(check_rule_set(rule_set(metrics, canary="version=2", baseline='version="1"')))
    assert list(mistakes) == [
        "spec.sides.canary",
        "spec.metrics.errors.ratio.bad",
        "spec.metrics.errors.ratio.total.promql",
        "spec.metrics.latency.histogram",
        "spec.metrics.memory.gauge",
    ]
    assert "name the series itself: x" in mistakes["spec.metrics.errors.ratio.bad"]
