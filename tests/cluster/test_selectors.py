"""Label selectors mean the same to a real API server as to our routes."""

import json
from urllib.parse import quote

from tests.cluster.namespace import Namespace
from tests.cluster.process import CommandError
from tests.model.test_selector import FITTING, LABELS, REFUSED

OURS_ALONE = (">", "\x00")
"""What is refused for reasons of our own: numbers are compared for nodes alone."""


def found(namespace: Namespace, selector: str) -> bool | None:
    """Whether the one ConfigMap with these labels fits; None: the API server refuses the selector."""
    where = f"/api/v1/namespaces/{namespace.name}/configmaps?fieldSelector=metadata.name%3Dlabelled"
    try:
        answer = namespace.kubectl("get", "--raw", f"{where}&labelSelector={quote(selector)}")
    except CommandError:
        return None
    return bool(json.loads(answer)["items"])


def test_they_fit_what_fits_there_and_are_refused_where_they_are(namespace: Namespace) -> None:
    metadata = {"name": "labelled", "labels": LABELS}
    namespace.apply(json.dumps({"apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata}))
    theirs = {text: found(namespace, text) for text, _ in FITTING}
    assert theirs == dict(FITTING)
    refused = [text for text, _ in REFUSED if text.strip() and not any(sign in text for sign in OURS_ALONE)]
    assert {text: found(namespace, text) for text in refused} == dict.fromkeys(refused)
