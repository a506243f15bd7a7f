"""What is analysed: four rules on three metrics of a service, in intervals of 15 seconds."""

from typing import Any

INTERVAL = 15.0
"""Seconds."""


def rule_set(service: str) -> dict[str, Any]:
    """Rules that pass at the deadline at the earliest: nothing ends while it is measured."""
    of_it = f'svc="{service}"'
    return {
        "apiVersion": "canary-analyzer.io/v1alpha1",
        "kind": "RuleSet",
        "metadata": {"name": "load"},
        "spec": {
            "schedule": {
                "warmup": "0s",
                "interval": f"{INTERVAL:g}s",
                "minimum": "30m",
                "deadline": "30m",
                "baseline": "2m",
            },
            "sides": {"canary": 'version="2"', "baseline": 'version="1"'},
            "metrics": {
                "errors": {
                    "ratio": {"bad": f'requests_total{{{of_it},code="500"}}', "total": f"requests_total{{{of_it}}}"}
                },
                "latency": {"histogram": f"request_seconds{{{of_it}}}"},
                "load": {"gauge": f"in_flight{{{of_it}}}"},
            },
            "rules": [
                {"metric": "errors", "limit": "50%", "critical": True},
                {"metric": "latency", "quantile": 0.99, "limit": "10s"},
                {"metric": "latency", "quantile": 0.5, "limit": "10s"},
                {"metric": "load", "limit": 1000},
            ],
            "onFail": "none",
        },
    }
