"""Kubeconfig files: one cluster, one user with a token."""

import base64
import json
from pathlib import Path


def write_kubeconfig(path: Path, *, server: str, authority: Path, user: str, token: str, namespace: str) -> Path:
    """Write one that needs no other file; only its owner may read it. `authority` is a PEM file."""
    cluster = {"server": server, "certificate-authority-data": base64.b64encode(authority.read_bytes()).decode()}
    content = {
        "apiVersion": "v1",
        "kind": "Config",
        "clusters": [{"name": "bed", "cluster": cluster}],
        "users": [{"name": user, "user": {"token": token}}],
        "contexts": [{"name": "bed", "context": {"cluster": "bed", "user": user, "namespace": namespace}}],
        "current-context": "bed",
    }
    path.touch(mode=0o600)
    path.write_text(json.dumps(content))  # JSON is YAML
    return path
