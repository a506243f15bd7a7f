"""What the service costs under load.

`python -m bench load [live|engine]`: `live` is `canary serve` on a real Prometheus, with 10, 100 and 1,000 analyses of
four rules at once over 50 services; `engine` are 10,000 analyses in one process over a source that answers at once.
"""

from bench.load import engine, live


def run(arguments: list[str]) -> bool:
    """Print the costs; whether each is within its limit."""
    parts = {"live": live.run, "engine": engine.run}
    chosen = [parts[name] for name in arguments if name in parts] or list(parts.values())
    results = [part() for part in chosen]  # each is to be run, also after one that failed
    return all(results)
