"""What is written into an Application to take it back, and what a person does afterwards. Pure.

One write does it all: automated sync off, the pin, the operation, and the mark that tells who has done it. A crash
leaves all of it or nothing.
"""

import copy
import json
import shlex
from typing import Any

from analyzer.model.gitops import GitOpsMode
from analyzer.model.target import Intent
from analyzer.platforms.application_state import AUTOMATED, INFO, TAKEN_BACK, Generation, State, mark
from analyzer.platforms.cluster import Object
from analyzer.platforms.parts import mapping

_LONGEST = 1000  # characters of a reason on the object


def taken_back(state: State, wanted: Generation, intent: Intent, mode: GitOpsMode) -> Object:
    """The Application as it is to be written, with the resourceVersion that was read.

    The operation is the one that `argocd app rollback` asks for: it applies, and runs no hooks.
    """
    found: Object = copy.deepcopy(state.live)
    annotations: dict[str, str] = found["metadata"].setdefault("annotations", {})
    annotations[TAKEN_BACK] = told_why(intent)
    policy = mapping(found, "spec").get("syncPolicy")
    prune = bool((state.automated or {}).get("prune"))
    if isinstance(policy, dict) and state.automated is not None:
        annotations[AUTOMATED] = json.dumps(policy.pop("automated"))
    if mode == GitOpsMode.SUSPEND:
        found["spec"]["source"] = {**wanted.source, "targetRevision": wanted.revision}
    return with_operation(found, intent, _sync(wanted, prune=prune), (policy or {}).get("syncOptions"))


def told_why(intent: Intent) -> str:
    """What is left in the annotation."""
    return mark(intent.analysis, intent.reason)[:_LONGEST]


def brought_out(state: State, revision: str, intent: Intent) -> Object:
    """The same where automated sync is off, and a commit is to be brought out that reverts."""
    found: Object = copy.deepcopy(state.live)
    options = mapping(found, "spec", "syncPolicy").get("syncOptions")
    return with_operation(found, intent, {"revision": revision}, options)


def with_operation(found: Object, intent: Intent, sync: Object, options: object) -> Object:
    """With an operation that tells for whom it is; what became of an earlier one is forgotten, as Argo CD does it."""
    found["operation"] = {
        "sync": {**sync, **({"syncOptions": options} if options else {})},
        "initiatedBy": {"username": INFO},
        "info": [{"name": INFO, "value": intent.analysis}],
    }
    found.get("status", {}).pop("operationState", None)
    return found


def _sync(wanted: Generation, *, prune: bool) -> dict[str, Any]:
    told: dict[str, Any] = {"prune": prune, "syncStrategy": {"apply": {}}}
    if wanted.has_several_sources:
        return {**told, "sources": wanted.entry["sources"], "revisions": wanted.entry.get("revisions") or []}
    return {**told, "source": dict(wanted.source), "revision": wanted.revision}


def done(wanted: Generation, mode: GitOpsMode, named: str) -> str:
    """What was done: a sentence's part. `named` is the target."""
    if mode == GitOpsMode.SUSPEND:
        return f"{named} was taken back: pinned to {wanted.number}, and Argo CD has synced that"
    return f"{named} was taken back: Argo CD has rolled it back to {wanted.number} (history id {wanted.ids[-1]})"


def next_steps(state: State, mode: GitOpsMode) -> str:
    """What a person must do, from what was left on the Application: a sentence's part."""
    metadata = mapping(state.live, "metadata")
    automated = _kept(mapping(metadata, "annotations").get(AUTOMATED))
    flags = ["--sync-policy", "automated"] if automated is not None else []
    flags += [
        flag for key, flag in (("selfHeal", "--self-heal"), ("prune", "--auto-prune")) if (automated or {}).get(key)
    ]
    if mode == GitOpsMode.SUSPEND:
        flags = ["--revision", _followed(state), *flags]
    if not flags:
        return "to do by hand: revert the change in Git"
    words = shlex.join(["argocd", "app", "set", qualified(state), *flags])
    off = "automated sync is off; " if automated is not None else ""
    return f"{off}to do by hand: revert the change in Git, then {words}"


def qualified(state: State) -> str:
    """The Application's name as the argocd program takes it."""
    metadata = mapping(state.live, "metadata")
    namespace, name = str(metadata.get("namespace") or "argocd"), str(metadata.get("name"))
    return name if namespace == "argocd" else f"{namespace}/{name}"


def _followed(state: State) -> str:
    """The revision that it followed before the pin, as its history tells."""
    pinned = str(mapping(state.live, "spec", "source").get("targetRevision") or "")
    followed = [str(each.source.get("targetRevision") or "HEAD") for each in reversed(state.generations)]
    return next((each for each in followed if each != pinned), "HEAD")


def _kept(text: object) -> Object | None:
    try:
        found = json.loads(str(text))
    except ValueError:
        return None
    return found if isinstance(found, dict) else None
