"""`canary check --server`: the analysis runs on a server; this command orders it, shows it, and ends as it ends."""

import asyncio
import os
import re
import time
from pathlib import Path

from pydantic import ValidationError

from analyzer.cli import check
from analyzer.cli.exits import SIGNALS
from analyzer.cli.flags import NO_TARGET
from analyzer.cli.output import check_writable
from analyzer.cli.server_access import OnInterrupt, Server, ServerAccess, server_access
from analyzer.cli.visit import Wish, pay, say
from analyzer.errors import UsageError
from analyzer.model.order import Order

_LONGEST_RULES = 256 * 1024
_PLAIN = check.Options(
    target="", rules="", prometheus=None, bearer_token_file=None, username=None, headers=(), ca_file=None,
    cert_file=None, key_file=None, insecure=False, query_timeout="15s", scrape=(), canary=None, baseline=None,
    since=None, parameters=(), namespace=None, kubeconfig=None, context=None, helm=None, revision=None, previous=None,
    rollback_command=None, rollback_timeout="5m", rollback_hooks=True, force_conflicts=False, history_max=None,
    to_revision=None, dry_run=False, record=None, output=None, output_file=None,
)  # fmt: skip
"""As if no flag had been given."""


def run(options: check.Options, server: Server, url: str) -> int:
    """Order an analysis, or attach to one, and follow it; returns the exit code.

    Raises:
        CanaryError: a sentence for the user.
    """
    check_writable(options.output_file, "--output-file")
    wish = read_wish(options, server)
    access = _access(options, server, url)
    for caution in access.cautions:
        say(caution)
    report, stopped_by = asyncio.run(pay(access, wish))
    if report is None:
        return int(SIGNALS[stopped_by])
    return check.finish(options, report, stopped_by)


def read_wish(options: check.Options, server: Server) -> Wish:
    """What is wanted of the server, from the flags.

    Raises:
        UsageError: flags that contradict each other, do not fit a server, or cannot be understood.
    """
    _refuse(options, _HERE)
    patience = check.seconds_of(server.patience, "--server-patience")
    if server.attach is None:
        order, usual = _order(options, server), OnInterrupt.CANCEL
        if server.key is not None and not re.fullmatch(r"[\x21-\x7e]{1,200}", server.key):
            raise UsageError("--key: write 1 to 200 letters, digits and signs, such as the pipeline's number")
    else:
        _check_attached(options, server, server.attach)
        order, usual = None, OnInterrupt.DETACH  # it may be somebody else's
    return Wish(order, server.attach, server.key, server.on_interrupt or usual, patience)


def _access(options: check.Options, server: Server, url: str) -> ServerAccess:
    return server_access(
        url,
        headers=check.headers_of(options.headers),
        token_file=server.token_file,
        ca_file=options.ca_file,
        cert_file=options.cert_file,
        key_file=options.key_file,
        insecure=options.insecure,
    )


_SETTINGS = "is for an analysis that runs here; with --server the server's own settings say that"
_HERE = {
    "prometheus": ("--prometheus", "is for an analysis that runs here; --connection names one of the server's"),
    "bearer_token_file": ("--bearer-token-file", "is for Prometheus; the server's token is --token-file"),
    "username": ("--username", "is for Prometheus; the server knows you by a token: --token-file"),
    "query_timeout": ("--query-timeout", _SETTINGS),
    "scrape": ("--scrape", "is for an analysis that runs here; a server reads its Prometheus"),
    "kubeconfig": ("--kubeconfig", _SETTINGS),
    "context": ("--context", _SETTINGS),
    "helm": ("--helm", _SETTINGS),
    "rollback_command": ("--rollback-command", "is for an analysis that runs here; a server runs none but its own"),
    "rollback_timeout": ("--rollback-timeout", _SETTINGS),
    "rollback_hooks": ("--no-hooks", _SETTINGS),
    "force_conflicts": ("--force-conflicts", _SETTINGS),
    "history_max": ("--history-max", _SETTINGS),
    "gitops": ("--gitops", _SETTINGS),
    "gitops_repository": ("--gitops-repository", _SETTINGS),
    "gitops_branch": ("--gitops-branch", _SETTINGS),
    "record": ("--record", "is for an analysis that runs here; the server keeps a record of each"),
}
_NEW = {
    "target": ("TARGET", "names a new analysis"),
    "rules": ("--rules", "are those of the analysis already"),
    "canary": ("--canary", "is for a new analysis"),
    "baseline": ("--baseline", "is for a new analysis"),
    "since": ("--since", "is for a new analysis"),
    "parameters": ("--set", "is for a new analysis"),
    "namespace": ("--namespace", "is for a new analysis"),
    "revision": ("--revision", "is for a new analysis"),
    "previous": ("--previous", "is for a new analysis"),
    "to_revision": ("--to-revision", "is for a new analysis"),
    "retry": ("--retry", "is for a new analysis"),
    "dry_run": ("--dry-run", "is for a new analysis"),
}
_FROM_ENVIRONMENT = {
    "prometheus": "CANARY_PROMETHEUS",
    "username": "CANARY_USERNAME",
    "helm": "CANARY_HELM",
}


def _refuse(options: check.Options, flags: dict[str, tuple[str, str]], why: str = "") -> None:
    """Refuse flags that were given. What the environment says for analyses that run here is left alone."""
    for name, (flag, sentence) in flags.items():
        value = getattr(options, name)
        if value != getattr(_PLAIN, name) and str(value) != os.environ.get(_FROM_ENVIRONMENT.get(name, "")):
            raise UsageError(f"{flag} {sentence}{why}")
    if os.environ.get("CANARY_ACTIONS", "on").strip().lower() != "on":
        raise UsageError("CANARY_ACTIONS is for an analysis that runs here; with --server give --dry-run")


def _check_attached(options: check.Options, server: Server, id_: str) -> None:
    if not re.fullmatch(r"[A-Za-z0-9_-]{1,100}", id_):
        raise UsageError("--attach: write the id of an analysis, such as 3f2a9c0d1e4b")
    _refuse(options, _NEW, "; --attach follows one that runs")
    for flag, value in (("--key", server.key), ("--connection", server.connection)):
        if value is not None:
            raise UsageError(f"{flag} is for a new analysis; --attach follows one that runs")


def _order(options: check.Options, server: Server) -> Order:
    if not options.target:
        raise UsageError(f"{NO_TARGET}, or --attach ID")
    if not options.rules:
        raise UsageError("Missing option '--rules': name a rule set file, or one that the server has, such as http")
    since = None if options.since is None else check.moment(options.since, time.time())
    given = {
        "target": options.target,
        "namespace": options.namespace,
        "parameters": check.pairs(options.parameters, "--set"),
        "prometheus": server.connection,
        "canary": options.canary,
        "baseline": options.baseline,
        "since": since,
        "revision": options.revision,
        "previous": options.previous,
        "to_revision": options.to_revision,
        "retry": options.retry or None,  # a server of an earlier version does not know it
        "dry_run": options.dry_run,
        **_rules(options.rules),
    }
    try:
        return Order.model_validate({name: value for name, value in given.items() if value is not None})
    except ValidationError as error:
        first = error.errors(include_input=False, include_url=False)[0]
        flag = _FLAGS.get(str(first["loc"][0]), "--" + str(first["loc"][0]))
        raise UsageError(f"{flag}: {first['msg']}") from None


_FLAGS = {"target": "TARGET", "parameters": "--set", "prometheus": "--connection", "rule_set": "--rules"}


def _rules(name: str) -> dict[str, str]:
    """The text of a rule set file, or the name of one that the server has.

    Raises:
        UsageError: the file cannot be read.
    """
    path = Path(name)
    if not path.exists() and "/" not in name and not path.suffix:
        return {"rules": name}
    try:
        if not path.is_file():
            raise UsageError(f"--rules {name}: no such file, or none that can be sent")
        with path.open("rb") as file:
            text = file.read(_LONGEST_RULES + 1)
    except OSError as error:
        raise UsageError(f"--rules {name}: cannot be read: {error.strerror}") from None
    if len(text) > _LONGEST_RULES:
        raise UsageError(f"--rules {name}: is longer than {_LONGEST_RULES // 1024} KiB: no server takes that")
    try:
        return {"rule_set": text.decode()}
    except UnicodeDecodeError:
        raise UsageError(f"--rules {name}: is not UTF-8") from None
