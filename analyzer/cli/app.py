"""The commands and their flags. What they do stands in the module of the same name, imported when it is needed:
`canary --help` answers at once."""

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from analyzer.cli import flags
from analyzer.cli.output import Output
from analyzer.cli.server_access import OnInterrupt, Server
from analyzer.cli.wrapping import WrapsHelm
from analyzer.model.gitops import GitOpsMode

app = typer.Typer(
    name="canary",
    help="After each deploy: compares how the new revision serves with the one before it, and takes it back if worse.",
    no_args_is_help=True,
    add_completion=True,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 110},
)


class Scenario(StrEnum):
    """What the demo's second revision is like."""

    GOOD = "good"
    ERRORS = "errors"
    SLOW = "slow"
    CRASH = "crash"
    FLAKY = "flaky"
    NO_TRAFFIC = "no-traffic"


@app.command()
def check(  # noqa: PLR0913 -- each is a flag of the command
    target: Annotated[
        str | None,
        typer.Argument(
            help=flags.TARGETS,
            metavar="TARGET",
            show_default=False,
        ),
    ] = None,
    rules: Annotated[str | None, typer.Option(help=flags.RULES_HELP)] = None,
    prometheus: Annotated[str | None, flags.PROMETHEUS] = None,
    bearer_token_file: flags.BearerTokenFile = None,
    username: flags.Username = None,
    header: flags.Header = None,
    ca_file: flags.CaFile = None,
    cert_file: flags.CertFile = None,
    key_file: flags.KeyFile = None,
    insecure: Annotated[
        bool, typer.Option("--insecure", help="do not verify the server's certificate", rich_help_panel=flags.WHERE)
    ] = False,
    query_timeout: flags.QueryTimeout = "15s",
    scrape: Annotated[
        list[str] | None,
        typer.Option(
            help="without Prometheus: canary=URL or baseline=URL of a /metrics endpoint; repeatable",
            rich_help_panel=flags.WHERE,
        ),
    ] = None,
    canary: flags.Canary = None,
    baseline: flags.Baseline = None,
    since: Annotated[
        str | None,
        typer.Option(
            help="when the upgrade was: 2026-01-31T12:00:00Z, Unix seconds, or 5m (ago); default: from Helm, else now",
            rich_help_panel=flags.SIDES,
        ),
    ] = None,
    set_: flags.Parameters = None,
    namespace: flags.Namespace = None,
    kubeconfig: flags.Kubeconfig = None,
    context: flags.Context = None,
    helm: flags.Helm = None,
    revision: Annotated[
        str | None,
        typer.Option(help="for command/NAME: what the new revision is called", rich_help_panel=flags.PLATFORM),
    ] = None,
    previous: Annotated[
        str | None,
        typer.Option(help="for command/NAME: what the previous one is called", rich_help_panel=flags.PLATFORM),
    ] = None,
    rollback_command: Annotated[
        str | None,
        typer.Option(
            help="for command/NAME: takes the release back; run without a shell", rich_help_panel=flags.PLATFORM
        ),
    ] = None,
    to_revision: flags.ToRevision = None,
    rollback_timeout: Annotated[str, typer.Option(help="for the way back", rich_help_panel=flags.PLATFORM)] = "5m",
    no_hooks: Annotated[
        bool,
        typer.Option("--no-hooks", help="for helm: roll back without running hooks", rich_help_panel=flags.PLATFORM),
    ] = False,
    force_conflicts: Annotated[
        bool,
        typer.Option(
            "--force-conflicts",
            help="for Helm 4: override fields that others own, such as an autoscaler's replicas",
            rich_help_panel=flags.PLATFORM,
        ),
    ] = False,
    history_max: Annotated[
        int | None,
        typer.Option(min=0, help="for helm: how many revisions a rollback leaves", rich_help_panel=flags.PLATFORM),
    ] = None,
    retry: Annotated[
        bool,
        typer.Option(
            "--retry", help="for rollout/NAME: clear the abort of its revision first", rich_help_panel=flags.PLATFORM
        ),
    ] = False,
    gitops: flags.GitOps = GitOpsMode.HOLD,
    gitops_repository: flags.GitOpsRepository = None,
    gitops_branch: flags.GitOpsBranch = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="judge, and say what would be done; never act")] = False,
    record: flags.Record = None,
    output: Annotated[
        Output | None, typer.Option("--output", "-o", help="form of the report on standard output [default: text]")
    ] = None,
    output_file: flags.ReportFile = None,
    server: Annotated[
        str | None, typer.Option(help="URL of canary serve: the analysis runs there", rich_help_panel=flags.SERVER)
    ] = None,
    token_file: Annotated[
        Path | None, typer.Option(help="file with the server's token (or CANARY_TOKEN)", rich_help_panel=flags.SERVER)
    ] = None,
    connection: Annotated[
        str | None,
        typer.Option(
            help="which of the server's connections to Prometheus [default: default]", rich_help_panel=flags.SERVER
        ),
    ] = None,
    attach: Annotated[
        str | None,
        typer.Option(help="follow the analysis with this id instead of starting one", rich_help_panel=flags.SERVER),
    ] = None,
    key: Annotated[
        str | None,
        typer.Option(
            help="starts one analysis however often it is given [default: random]", rich_help_panel=flags.SERVER
        ),
    ] = None,
    on_interrupt: Annotated[
        OnInterrupt | None,
        typer.Option(
            help="on Ctrl-C or SIGTERM: cancel the analysis, or let it go on [default: cancel; with --attach detach]",
            rich_help_panel=flags.SERVER,
        ),
    ] = None,
    server_patience: Annotated[
        str, typer.Option(help="how long the server may be away in one go", rich_help_panel=flags.SERVER)
    ] = "5m",
) -> int:
    """Analyse a new revision: read, judge, and take it back when it is worse.

    Exit codes: 0 pass; 10 fail and taken back; 11 fail and not taken back; 2 usage; 3 inconclusive; 4 could not
    analyse; 130 and 143 stopped by Ctrl-C and SIGTERM.
    """
    from analyzer.cli import check as command

    return command.run(
        command.Options(
            target=target or "",
            rules=rules or "",
            prometheus=prometheus,
            bearer_token_file=bearer_token_file,
            username=username,
            headers=tuple(header or ()),
            ca_file=ca_file,
            cert_file=cert_file,
            key_file=key_file,
            insecure=insecure,
            query_timeout=query_timeout,
            scrape=tuple(scrape or ()),
            canary=canary,
            baseline=baseline,
            since=since,
            parameters=tuple(set_ or ()),
            namespace=namespace,
            kubeconfig=kubeconfig,
            context=context,
            helm=helm,
            revision=revision,
            previous=previous,
            rollback_command=rollback_command,
            rollback_timeout=rollback_timeout,
            rollback_hooks=not no_hooks,
            force_conflicts=force_conflicts,
            history_max=history_max,
            to_revision=to_revision,
            dry_run=dry_run,
            record=record,
            output=output,
            output_file=output_file,
            gitops=gitops,
            gitops_repository=gitops_repository,
            gitops_branch=gitops_branch,
            server=Server(server, token_file, connection, attach, key, on_interrupt, server_patience),
            retry=retry,
        )
    )


@app.command(cls=WrapsHelm)
def upgrade(  # noqa: PLR0913 -- each is a flag of the command
    context: typer.Context,
    release: Annotated[str, typer.Argument(help="the release")],
    chart: Annotated[str, typer.Argument(help="the chart")],
    rules: Annotated[str, typer.Option(help=flags.RULES_HELP)],
    prometheus: Annotated[str, flags.PROMETHEUS],
    bearer_token_file: flags.BearerTokenFile = None,
    prometheus_username: flags.Username = None,
    header: flags.Header = None,
    prometheus_ca_file: flags.CaFile = None,
    prometheus_cert_file: flags.CertFile = None,
    prometheus_key_file: flags.KeyFile = None,
    prometheus_insecure: Annotated[
        bool,
        typer.Option(
            "--prometheus-insecure", help="do not verify the server's certificate", rich_help_panel=flags.WHERE
        ),
    ] = False,
    query_timeout: flags.QueryTimeout = "15s",
    canary: flags.Canary = None,
    baseline: flags.Baseline = None,
    parameter: Annotated[
        list[str] | None, typer.Option(help="NAME=VALUE for a parameter of the rule set; repeatable")
    ] = None,
    namespace: flags.Namespace = None,
    kubeconfig: flags.Kubeconfig = None,
    kube_context: flags.KubeContext = None,
    helm: flags.Helm = None,
    to_revision: flags.ToRevision = None,
    values: Annotated[
        list[str] | None, typer.Option("--values", "-f", help="handed on to helm", rich_help_panel=flags.PLATFORM)
    ] = None,
    no_action: Annotated[
        bool, typer.Option("--no-action", help="upgrade and judge; say what would be done, and do not take back")
    ] = False,
    record: flags.Record = None,
    report: flags.Report = None,
    report_file: flags.ReportFile = None,
) -> int:
    """Upgrade a Helm release, analyse the new revision, and take it back when it is worse or does not get ready.

    Runs helm upgrade --install RELEASE CHART with every flag that is not one of these, then does what canary check
    does. Exit codes as those of canary check; 4 also if helm fails and has changed nothing.
    """
    from analyzer.cli import check, upgrade

    options = check.Options(
        target=f"helm/{release}",
        rules=rules,
        prometheus=prometheus,
        bearer_token_file=bearer_token_file,
        username=prometheus_username,
        headers=tuple(header or ()),
        ca_file=prometheus_ca_file,
        cert_file=prometheus_cert_file,
        key_file=prometheus_key_file,
        insecure=prometheus_insecure,
        query_timeout=query_timeout,
        scrape=(),
        canary=canary,
        baseline=baseline,
        since=None,
        parameters=tuple(parameter or ()),
        namespace=namespace,
        kubeconfig=kubeconfig,
        context=kube_context,
        helm=helm,
        revision=None,
        previous=None,
        rollback_command=None,
        rollback_timeout="5m",
        rollback_hooks=True,
        force_conflicts=False,
        history_max=None,
        to_revision=to_revision,
        dry_run=no_action,
        record=record,
        output=report,
        output_file=report_file,
    )
    files = [word for file in values or () for word in ("--values", file)]
    return upgrade.run(options, chart, (*files, *context.args))


@app.command()
def replay(
    recording: Annotated[
        Path, typer.Argument(help="what canary check --record has written; with --database the id of an analysis")
    ],
    rules: Annotated[str | None, typer.Option(help="judge by this rule set instead of the recorded one")] = None,
    set_: Annotated[
        list[str] | None, typer.Option("--set", help="NAME=VALUE for a parameter of --rules; repeatable")
    ] = None,
    output: Annotated[Output, typer.Option("--output", "-o", help="form of the report")] = Output.TEXT,
    database: Annotated[
        str | None, typer.Option(help="the database of canary serve, which may be running; it is only read")
    ] = None,
) -> int:
    """Judge a recorded analysis again: the same rules give the same report, byte for byte. Nothing is done.

    The exit code is the one that the analysis had, or would have had by the other rules.
    """
    from analyzer.cli import replay as command

    return command.run(recording, rules, tuple(set_ or ()), output, database)


@app.command()
def lint(
    files: Annotated[list[Path], typer.Argument(help="rule sets")],
    set_: Annotated[list[str] | None, typer.Option("--set", help="NAME=VALUE for a parameter; repeatable")] = None,
) -> int:
    """Check rule sets: every mistake with its file, line and key, and what would be right."""
    from analyzer.cli import lint as command

    return command.run(files, tuple(set_ or ()))


class HistoryForm(StrEnum):
    """The forms that a history can take."""

    TEXT = "text"
    JSON = "json"


@app.command()
def history(
    release: flags.Release,
    namespace: flags.Namespace = None,
    kubeconfig: flags.Kubeconfig = None,
    context: flags.Context = None,
    helm: flags.Helm = None,
    output: Annotated[HistoryForm, typer.Option("--output", "-o", help="form on standard output")] = HistoryForm.TEXT,
) -> int:
    """Show Helm's history with the verdicts beside it, and what makes upgrades of this release go wrong."""
    from analyzer.cli import history as command
    from analyzer.cli.release import Order

    return command.run(Order(release, namespace, kubeconfig, context, helm), as_json=output == HistoryForm.JSON)


class Mode(StrEnum):
    """What the analyzer may do to a release."""

    OBSERVE = "observe"
    ENFORCE = "enforce"


@app.command()
def rbac(
    release: flags.Release,
    namespace: flags.Namespace = None,
    service_account: Annotated[
        str, typer.Option(help="who gets the rights: NAME in the release's namespace, or NAMESPACE/NAME")
    ] = "canary-analyzer",
    mode: Annotated[
        Mode, typer.Option(help="observe only reads; enforce keeps verdicts and rolls back")
    ] = Mode.ENFORCE,
    kubeconfig: flags.Kubeconfig = None,
    context: flags.Context = None,
    helm: flags.Helm = None,
) -> int:
    """Write the Role that the analyzer needs for a release: canary rbac web | kubectl apply -f -"""
    from analyzer.cli import rbac as command
    from analyzer.cli.release import Order

    order = Order(release, namespace, kubeconfig, context, helm)
    return command.run(order, service_account, acting=mode == Mode.ENFORCE)


@app.command()
def schema() -> None:
    """Print the JSON Schema of a rule set, for editors."""
    from analyzer.cli import lint as command

    command.print_schema()


@app.command()
def version() -> None:
    """Print the version."""
    from analyzer import __version__

    print(f"canary-analyzer {__version__}")


@app.command()
def serve(
    config: Annotated[
        Path | None, typer.Option(help="file with settings (YAML)", envvar="CANARY_CONFIG", show_envvar=True)
    ] = None,
    host: Annotated[str | None, typer.Option(help="address to listen at [default: 127.0.0.1]")] = None,
    port: Annotated[int | None, typer.Option(help="port to listen at; 0: any that is free [default: 8080]")] = None,
    database: Annotated[
        str | None, typer.Option(help="sqlite:///FILE or postgresql://… [default: sqlite:///canary.db]")
    ] = None,
    actions: Annotated[
        str | None, typer.Option(help="on; off: every act is held; dry-run: nothing is ever done [default: on]")
    ] = None,
    log_format: Annotated[str | None, typer.Option(help="json or text [default: json]")] = None,
    log_level: Annotated[str | None, typer.Option(help="debug, info, warning or error [default: info]")] = None,
    check: Annotated[
        bool, typer.Option("--check", help="only look whether everything is there that the service needs")
    ] = False,
) -> int:
    """Serve an HTTP API through which analyses are ordered, run and watched, thousands at once.

    SIGTERM or Ctrl-C hands the analyses on and ends it (exit code 0); a second one ends it at once.
    """
    from analyzer.cli import serve as command

    return command.run(command.Options(config, host, port, database, actions, log_format, log_level, check))


@app.command()
def token(
    name: Annotated[str, typer.Argument(help="whose token it is, such as ci", metavar="NAME")],
    grant: Annotated[
        list[str] | None,
        typer.Option(
            help="NAMESPACE=ROLE: read, start, decide or admin, '*' for all namespaces; repeatable [default: *=read]"
        ),
    ] = None,
    add: Annotated[Path | None, typer.Option(help="add it to this file of tokens (access.tokens_file)")] = None,
) -> int:
    """Make a token for canary serve: printed once, on standard output; the settings get its hash."""
    from analyzer.cli import token as command

    return command.run(name, tuple(grant or ()), add)


@app.command()
def demo(
    scenario: Annotated[Scenario, typer.Option(help="what the second revision is like")] = Scenario.ERRORS,
    json_: Annotated[bool, typer.Option("--json", help="end with the result as one line of JSON")] = False,
) -> int:
    """Upgrade a simulated service, watch it by a real Prometheus, and take it back when it is worse."""
    from analyzer.cli import demo as command

    return command.run(scenario.value, as_json=json_)
