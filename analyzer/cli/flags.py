"""Flags that several commands have, each with its one help text."""

from pathlib import Path
from typing import Annotated

import typer

from analyzer.cli.output import Output
from analyzer.model.gitops import GitOpsMode

WHERE = "Where readings come from"
SIDES = "What is compared"
PLATFORM = "The platform"
SERVER = "Through a server"

TARGETS = "helm/RELEASE, rollout/NAME, application/NAME, flagger/NAME or command/NAME"
NO_TARGET = f"Missing argument 'TARGET': write {TARGETS}"

RULES_HELP = "a rule set file, or the name of a shipped one, such as http"

PROMETHEUS = typer.Option(
    help="URL of Prometheus or what answers its API", envvar="CANARY_PROMETHEUS", rich_help_panel=WHERE
)
BearerTokenFile = Annotated[
    Path | None,
    typer.Option(
        help="file with a bearer token, read anew for each request (or CANARY_BEARER_TOKEN)", rich_help_panel=WHERE
    ),
]
Username = Annotated[
    str | None,
    typer.Option(
        help="for basic auth; the password comes from CANARY_PASSWORD", envvar="CANARY_USERNAME", rich_help_panel=WHERE
    ),
]
Header = Annotated[
    list[str] | None,
    typer.Option(help="extra header, such as 'X-Scope-OrgID: team-web'; repeatable", rich_help_panel=WHERE),
]
CaFile = Annotated[Path | None, typer.Option(help="certificates to trust (PEM)", rich_help_panel=WHERE)]
CertFile = Annotated[Path | None, typer.Option(help="client certificate (PEM)", rich_help_panel=WHERE)]
KeyFile = Annotated[Path | None, typer.Option(help="key of the client certificate (PEM)", rich_help_panel=WHERE)]
QueryTimeout = Annotated[str, typer.Option(help="for one query, or one scrape", rich_help_panel=WHERE)]

Canary = Annotated[
    str | None, typer.Option(help="""matchers of the new revision's series: 'version="2"'""", rich_help_panel=SIDES)
]
Baseline = Annotated[
    str | None,
    typer.Option(help="""matchers of the previous revision's series: 'version="1"'""", rich_help_panel=SIDES),
]

Release = Annotated[str, typer.Argument(help="the Helm release", metavar="RELEASE")]
Namespace = Annotated[
    str | None, typer.Option("--namespace", "-n", help="namespace of the release", rich_help_panel=PLATFORM)
]
Kubeconfig = Annotated[Path | None, typer.Option(help="which cluster; handed on to helm", rich_help_panel=PLATFORM)]
Context = Annotated[
    str | None,
    typer.Option("--context", "--kube-context", help="of the kubeconfig; handed on to helm", rich_help_panel=PLATFORM),
]
KubeContext = Annotated[str | None, typer.Option(help="of the kubeconfig; handed on to helm", rich_help_panel=PLATFORM)]
Helm = Annotated[
    Path | None,
    typer.Option(help="the helm program; default: the one on PATH", envvar="CANARY_HELM", rich_help_panel=PLATFORM),
]
ToRevision = Annotated[
    int | None,
    typer.Option(
        min=0,
        help="go back to this revision (of helm, or the id in Argo CD's history), not the last good one",
        rich_help_panel=PLATFORM,
    ),
]

GitOps = Annotated[
    GitOpsMode,
    typer.Option(
        help="what may be done through Argo CD, Git or Flux to take it back; for helm: hold or suspend",
        rich_help_panel=PLATFORM,
    ),
]
GitOpsRepository = Annotated[
    str | None,
    typer.Option(help="where a revert is pushed to; default: the Application's repoURL", rich_help_panel=PLATFORM),
]
GitOpsBranch = Annotated[
    str | None,
    typer.Option(help="which branch is reverted; default: the one the Application follows", rich_help_panel=PLATFORM),
]

Parameters = Annotated[
    list[str] | None, typer.Option("--set", help="NAME=VALUE for a parameter of the rule set; repeatable")
]
Record = Annotated[Path | None, typer.Option(help="write all that was seen and done into this file, for canary replay")]
Report = Annotated[Output | None, typer.Option(help="form of the report on standard output [default: text]")]
ReportFile = Annotated[Path | None, typer.Option(help="write the report into this file instead")]
