"""`canary serve --check`: looks whether everything is there that the service needs, and changes nothing."""

import os
import shutil
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path

from analyzer.cli.exits import Exit
from analyzer.cli.serving import bound, cautions, check_tls, cluster_of
from analyzer.cli.streams import tell
from analyzer.controller.watching import watching_rights
from analyzer.errors import CanaryError, UsageError
from analyzer.model.document import read_rule_file
from analyzer.model.gitops import IN_GIT
from analyzer.model.target import PlatformKind, Target
from analyzer.platforms.command import Command
from analyzer.platforms.rights import Right, missing, sentence
from analyzer.rendering.text import printable
from analyzer.service.assembly import access_of
from analyzer.service.ordering import rules_text
from analyzer.service.settings import PrometheusSettings, Settings
from analyzer.service.tokens import TokensOf
from analyzer.service.watch_settings import rules_of
from analyzer.sources.prometheus.client import PrometheusClient
from analyzer.store.address import Address
from analyzer.store.inspection import Schema, inspect

_REVIEWS = Right("authentication.k8s.io", "tokenreviews", "create", "")
_SCHEMAS = {
    Schema.NONE: "can be used; its tables are made at the start",
    Schema.OLDER: "can be used; its tables are of an earlier version, and are upgraded at the start",
    Schema.CURRENT: "can be used; its tables are there",
}


@dataclass(frozen=True)
class Finding:
    """What was found of one part: good, or how the exit code tells of it."""

    sentence: str
    code: Exit = Exit.PASS


async def check(settings: Settings) -> int:
    """Print a line for each part; returns the exit code, that of a mistake before that of something that is away."""
    codes = set()
    async for finding in _findings(settings):
        codes.add(finding.code)
        sentence = printable(finding.sentence)
        if finding.code == Exit.PASS:
            print(sentence, flush=True)
        else:
            tell(f"canary: {sentence}")
    for caution in cautions(settings):
        tell(f"caution: {printable(caution)}")
    return int(next((code for code in (Exit.USAGE, Exit.ERROR) if code in codes), Exit.PASS))


async def _findings(settings: Settings) -> AsyncIterator[Finding]:
    yield Finding("settings: good")
    yield _of_listening(settings)
    yield _of_tokens(settings)
    yield await _of_database(settings)
    for name, each in settings.prometheus.items():
        yield await _of_prometheus(name, each)
    for folder in settings.rules:
        for finding in _of_rules(folder):
            yield finding
    for key, rules in rules_of(settings.watch.routes):
        yield _of_route(key, rules, settings)
    for name, target in settings.targets.items():
        yield await _of_target(name, target.rollback)
    yield _of_helm(settings)
    if settings.gitops in IN_GIT:
        yield _of_git()
    if settings.access.service_accounts.enabled:
        yield await _of_accounts(settings)
    if settings.watch.is_on:
        yield await _of_watching(settings)


def _failed(part: str, error: CanaryError) -> Finding:
    return Finding(f"{part}: {error}", Exit.USAGE if isinstance(error, UsageError) else Exit.ERROR)


def _of_listening(settings: Settings) -> Finding:
    listen = settings.listen
    try:
        check_tls(listen)
        bound(listen).close()
    except UsageError as error:
        return Finding(str(error), Exit.USAGE)
    return Finding(f"listen: good: port {listen.port} of {listen.host}{', with TLS' if listen.tls_key else ''}")


def _of_tokens(settings: Settings) -> Finding:
    try:
        count = TokensOf(settings.access).count
    except UsageError as error:
        return _failed("access", error)
    return Finding(f"access: good: {count} token{'' if count == 1 else 's'}")


async def _of_database(settings: Settings) -> Finding:
    url = settings.database.get_secret_value()
    try:
        found = await inspect(url)
    except CanaryError as error:
        return _failed("database", error)
    if found.schema == Schema.LATER:
        return Finding(
            f"database: {found.place}: is of a later version of the canary analyzer: use that one, or a new database",
            Exit.USAGE,
        )
    if (file := Address.read(url).file) and not _writable(Path(file)):
        return Finding(
            f"database: {found.place}: may not be written by this user, or its folder is missing", Exit.USAGE
        )
    return Finding(f"database: good: {found.place} {_SCHEMAS[found.schema]}")


def _writable(file: Path) -> bool:
    return os.access(file if file.exists() else file.parent, os.W_OK)


async def _of_prometheus(name: str, settings: PrometheusSettings) -> Finding:
    part = f"prometheus.{name}"
    try:
        async with PrometheusClient(access_of(settings)) as client:
            await client.instant("vector(1)", None)
    except CanaryError as error:
        return _failed(part, error)
    return Finding(f"{part}: good: {settings.url} answers")


def _of_rules(folder: Path) -> list[Finding]:
    try:
        files = sorted(file for file in folder.iterdir() if file.suffix == ".yaml")
    except OSError as error:
        return [Finding(f"rules: {folder}: cannot be read: {error.strerror}", Exit.USAGE)]
    found = [] if files else [Finding(f"rules: {folder}: has no rule set (*.yaml) in it", Exit.USAGE)]
    for file in files:
        try:
            document = read_rule_file(file)
        except UsageError as error:
            found.append(Finding(str(error), Exit.USAGE))
        else:
            found.append(Finding(f"rules: good: {file}, {len(document.rule_set.spec.rules)} rules"))
    return found


def _of_route(key: str, rules: str, settings: Settings) -> Finding:
    try:
        rules_text(rules, settings)
    except UsageError as error:
        return _failed(key, error)
    return Finding(f"{key}: good: {rules}")


async def _of_target(name: str, rollback: str) -> Finding:
    target = Target(kind=PlatformKind.COMMAND, name=name)
    if lacking := (await Command(target, rollback).look()).no_way_back:
        return Finding(f"targets.{name}: {lacking}", Exit.USAGE)
    return Finding(f"targets.{name}: good: its command is there")


def _of_helm(settings: Settings) -> Finding:
    found = shutil.which(str(settings.helm or "helm"))
    if found:
        return Finding(f"helm: good: {found}")
    if settings.helm:
        return Finding(f"helm: {settings.helm} is no program that can be run", Exit.USAGE)
    return Finding("helm: none on PATH: orders for helm/NAME will fail")


def _of_git() -> Finding:
    found = shutil.which("git")
    if found:
        return Finding(f"gitops: good: {found}")
    return Finding("gitops: there is no program git on PATH, which a revert needs", Exit.ERROR)


async def _of_watching(settings: Settings) -> Finding:
    cluster = cluster_of(settings)
    try:
        lacking = await missing(cluster, watching_rights(settings.watch.namespaces))
    except CanaryError as error:
        return _failed("watch", error)
    finally:
        await cluster.close()
    if lacking:
        grant = "bind the ClusterRole canary-analyzer-watch of deploy/serve/rbac.yaml"
        return Finding(f"watch: {sentence(lacking, grant=grant)}", Exit.ERROR)
    return Finding(f"watch: good: releases and Rollouts in {', '.join(settings.watch.namespaces)[:200]}")


async def _of_accounts(settings: Settings) -> Finding:
    cluster = cluster_of(settings)
    try:
        lacking = await missing(cluster, (_REVIEWS,))
    except CanaryError as error:
        return _failed("access.service_accounts", error)
    finally:
        await cluster.close()
    if lacking:
        return Finding(
            "access.service_accounts: this user may not create tokenreviews (API group authentication.k8s.io): grant "
            "it with the ClusterRole system:auth-delegator",
            Exit.ERROR,
        )
    return Finding("access.service_accounts: good: tokens can be shown to the API server")
