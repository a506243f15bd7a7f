"""After each deploy: compares how the new revision serves with the one before it, and takes it back if worse."""

from importlib.metadata import version

__all__ = ["__version__"]


def __getattr__(name: str) -> str:
    if name == "__version__":  # looked up on demand: metadata costs milliseconds at each start
        return version("canary-analyzer")
    raise AttributeError(name)
