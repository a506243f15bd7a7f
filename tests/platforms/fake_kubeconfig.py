"""Kubeconfigs for tests, as JSON: that is YAML too."""

import json
from pathlib import Path


def content(server: str, *, namespace: str = "shop", cluster: object = None, **user: object) -> dict[str, object]:
    """A kubeconfig with one context. A user has the token `t` unless told otherwise; None takes a key away."""
    given = {"token": "t", **user}
    return {
        "apiVersion": "v1",
        "kind": "Config",
        "clusters": [{"name": "fake", "cluster": {"server": server, **(cluster or {})}}],  # type: ignore[dict-item]
        "users": [{"name": "ci", "user": {name: value for name, value in given.items() if value is not None}}],
        "contexts": [{"name": "fake", "context": {"cluster": "fake", "user": "ci", "namespace": namespace}}],
        "current-context": "fake",
    }


def written(folder: Path, server: str, **more: object) -> Path:
    """The same, in a file."""
    file = folder / "fake.kubeconfig"
    file.write_text(json.dumps(content(server, **more)))  # type: ignore[arg-type]
    return file
