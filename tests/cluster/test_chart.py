"""The chart of deploy/chart: what Helm makes of each example is what canary serve, promtool and the API server take."""

import json
from pathlib import Path
from typing import Any

import pytest

from analyzer.composition.rules import finish_rules
from analyzer.model.document import read_rule_set
from analyzer.service.settings import Actions, Settings, load
from tests.cluster.bed import Bed
from tests.cluster.process import CommandError, run
from tests.cluster.rendering import GOOD, NAMESPACE, RELEASE, notes, one, render, rendered
from tests.deploy.chart import CHART, DEPLOY, EXAMPLES, VALUES, alerts, documents, merged, read

Json = dict[str, Any]

example = pytest.mark.parametrize("file", EXAMPLES, ids=lambda file: file.stem)


@example
def test_lint_has_nothing_to_say(bed: Bed, helm: int, file: Path) -> None:
    said = run([bed.programs[f"helm{helm}"], "lint", "--strict", CHART, f"--values={file}"])
    assert "1 chart(s) linted, 0 chart(s) failed" in said


@example
def test_both_helms_render_the_same(file: Path) -> None:
    assert rendered(3, f"--values={file}") == rendered(4, f"--values={file}")


def _settings(objects: list[Json], folder: Path, environment: dict[str, str] | None = None) -> Settings:
    name = one(objects, "Deployment")["metadata"]["name"]
    text = one(objects, "ConfigMap", name)["data"]["settings.yaml"]
    (folder / "ca.crt").write_text("")
    file = folder / "settings.yaml"
    file.write_text(text.replace("/etc/certificates/", f"{folder}/"))  # is looked for when settings are read
    return load(file, {}, environment or {})


@example
def test_canary_serve_takes_the_settings(file: Path, helm: int, tmp_path: Path) -> None:
    values = merged(VALUES, read(file))
    objects = rendered(helm, f"--values={file}")
    by_secret = (
        {"DATABASE_URL": "postgresql://canary@db/canary"} if values["database"]["postgresql"]["existingSecret"] else {}
    )
    settings = _settings(objects, tmp_path, by_secret)
    database = settings.database.get_secret_value()
    assert database == by_secret.get("DATABASE_URL", "sqlite:////data/canary.db")
    assert settings.replicas == values["replicas"]
    assert settings.listen.port == 8080
    assert list(settings.watch.namespaces) == values["watch"]["namespaces"]
    assert settings.watch.mode == values["watch"]["mode"]
    assert len(settings.watch.routes) == len(values["watch"]["routes"])
    said = values["settings"].get("actions", values["enforce"]["enabled"])
    assert (
        settings.actions == {True: Actions.ON, False: Actions.OFF}.get(said, said) or not values["enforce"]["enabled"]
    )
    if not values["enforce"]["enabled"]:
        assert settings.actions == Actions.DRY_RUN
    for name, text in _rule_sets(objects).items():
        finish_rules(read_rule_set(text, name), {})
        assert Path("/etc/canary-rules") in settings.rules


def _rule_sets(objects: list[Json]) -> dict[str, str]:
    found = [each["data"] for each in objects if each["metadata"]["name"] == f"{RELEASE}-rules"]
    return found[0] if found else {}


def test_large_numbers_and_short_words_survive_helm(helm: int, tmp_path: Path) -> None:
    settings = _settings(rendered(helm, f"--values={CHART / 'ci' / 'enforce.yaml'}"), tmp_path)
    assert settings.keep_most == 2_000_000
    assert settings.actions == Actions.ON
    assert _settings(rendered(helm, *GOOD, "--set=settings.actions=off"), tmp_path).actions == Actions.OFF


REFUSED = {
    "replicas on SQLite": (["replicas=2"], "replicas: 2 cannot share an SQLite database: name a Secret"),
    "a database in the settings": (["settings.database=x"], "settings.database: the chart fills it: write database."),
    "replicas in the settings": (["settings.replicas=2"], "settings.replicas: the chart fills it: write replicas"),
    "watch in the settings": (["settings.watch.mode=observe"], "settings.watch: the chart fills it: write watch"),
    "a port in the settings": (
        ["settings.listen.port=1"],
        "settings.listen.port: the chart fills it: write service.port",
    ),
    "two Prometheus": (["settings.prometheus=http://b:9090"], "prometheus.url and settings.prometheus: both say"),
    "a password in the settings": (
        ["prometheus.url=", "settings.prometheus.eu.password=x", "settings.prometheus.eu.url=http://p"],
        "in a ConfigMap, where everybody may read them: give it from a Secret, as the variable CANARY_",
    ),
    "a header in the settings": (
        ["prometheus.url=", "settings.prometheus.eu.headers.Authorization=x", "settings.prometheus.eu.url=http://p"],
        "settings.prometheus.eu.headers: settings are kept in a ConfigMap",
    ),
    "a password in an address": (
        ["prometheus.url=", "settings.prometheus.eu=http://me:secret@p"],
        "a user or a password in an address would be in a ConfigMap",
    ),
    "credentials of traces": (["settings.traces.headers.authorization=x"], "as the variable CANARY_TRACES__HEADERS"),
    "acting where nothing is looked at": (
        ["enforce.enabled=true", "enforce.namespaces={payments}"],
        "enforce.namespaces: payments is not looked at: name it in watch.namespaces",
    ),
    "an unknown setting": (["settings.rollback=5"], "at '/settings': additional properties 'rollback' not allowed"),
    "a route that is none": (["watch.routes[0].rule=http"], "additional properties 'rule' not allowed"),
    "no Prometheus": (["prometheus.url="], "watch.namespaces: there is no Prometheus to read from: set prometheus.url"),
    "all and some": (["watch.namespaces={*,shop}"], 'watch.namespaces: "*" is all of them: take the others out'),
    "two kinds of rule sets": (["ruleSets.a=b", "ruleSetsConfigMap=c"], "both give rule sets: keep one of them"),
    "two files of tokens": (
        ["tokens.existingSecret=a", "settings.access.tokens_file=b"],
        "both name the file of tokens",
    ),
    "enforcing nowhere": (["enforce.enabled=true", "watch.namespaces=null"], "enforce.enabled: in no namespace"),
    "enforcing everywhere": (["enforce.enabled=true", "watch.namespaces={*}"], "enforce.grantAllSecrets=true"),
    "enforcing without rights": (["watch.mode=enforce"], "watch.mode: enforce: the analyzer has no right to act"),
    "everywhere without ClusterRoles": (["rbac.clusterRoles=false", "watch.namespaces={*}"], "need ClusterRoles: name"),
    "callers without ClusterRoles": (
        ["rbac.clusterRoles=false", "settings.access.service_accounts.enabled=true"],
        "asks the API server whose a token is, which takes a ClusterRole",
    ),
    "no ServiceAccount": (["serviceAccount.create=false"], "serviceAccount.name: serviceAccount.create is false"),
    "a section with nothing in it": (["database=null"], "database: nothing is written below it: take the line out"),
    "settings with nothing in them": (["settings=null"], "settings: nothing is written below it: take the line out"),
    "a key with nothing in it": (["settings.access=null"], "settings.access: a mapping belongs here (docs/serve.md)"),
    "a word for a mapping": (["settings.listen=8080"], "settings.listen: a mapping belongs here (docs/serve.md)"),
    "an unknown value": (["replica=2"], "additional properties 'replica' not allowed"),
    "an unknown mode": (["watch.mode=act"], "value must be one of 'observe', 'enforce'"),
}


@pytest.mark.parametrize(("values", "sentence"), REFUSED.values(), ids=REFUSED)
def test_what_cannot_be_is_refused_in_a_sentence(helm: int, values: list[str], sentence: str) -> None:
    with pytest.raises(CommandError) as raised:
        render(helm, *GOOD, *(f"--set={value}" for value in values))
    assert sentence in str(raised.value)


def test_promtool_takes_the_alerts(helm: int, tmp_path: Path) -> None:
    rule = one(rendered(helm, "--set=prometheusRule.enabled=true"), "PrometheusRule")
    (group,) = rule["spec"]["groups"]
    assert group["rules"] == alerts()
    file = tmp_path / "rules.json"
    file.write_text(json.dumps(rule["spec"]))
    assert f"{len(alerts())} rules found" in run(
        ["promtool", "check", "rules", "--lint=all", "--lint-fatal", str(file)]
    )


def test_the_matchers_of_the_alerts_can_be_others(helm: int) -> None:
    rule = one(rendered(helm, f"--values={CHART / 'ci' / 'everywhere.yaml'}"), "PrometheusRule")
    assert rule["spec"]["groups"][0]["rules"] == alerts('container="canary"')


def test_the_dashboard_is_the_file(helm: int) -> None:
    found = one(rendered(helm, "--set=dashboard.enabled=true"), "ConfigMap", f"{RELEASE}-dashboard")
    assert json.loads(found["data"]["canary-analyzer.json"]) == json.loads(
        (CHART / "files" / "dashboard.json").read_text()
    )


@pytest.mark.parametrize(
    ("value", "name"),
    [("cluster=true", "cluster-analysis-templates.yaml"), ("namespaces={shop}", "analysis-templates.yaml")],
)
def test_the_templates_of_argo_are_those_that_are_shipped(helm: int, value: str, name: str) -> None:
    shipped = documents((DEPLOY / "argo" / name).read_text())
    found = [each for each in rendered(helm, f"--set=argoTemplates.{value}") if each["kind"] == shipped[0]["kind"]]
    assert [each["spec"] for each in found] == [each["spec"] for each in shipped]
    assert [each["metadata"]["name"] for each in found] == [each["metadata"]["name"] for each in shipped]


def test_the_templates_of_argo_ask_this_service(helm: int) -> None:
    text = render(helm, f"--values={CHART / 'ci' / 'own-objects.yaml'}")
    (url,) = {
        arg["value"]
        for each in documents(text)
        if each["kind"] == "AnalysisTemplate"
        for arg in each["spec"]["args"]
        if arg["name"] == "url"
    }
    assert url == "https://analyzer.canary.svc"


TEXTS = [
    "  a: b\nc: d\n",
    "---\na: b\n---\n",
    "\n\na: b",
    "a: |\n  ${x}\n",
    "{{ .Values }}",
    "a: 'ö ☂'\r\nb: c",
    "# a\n",
    "null",
]


@pytest.mark.parametrize("text", TEXTS)
def test_a_rule_set_arrives_as_it_was_written(helm: int, text: str, tmp_path: Path) -> None:
    values = tmp_path / "values.yaml"
    values.write_text(json.dumps({"ruleSets": {"a": text}}))
    found = one(rendered(helm, *GOOD, f"--values={values}"), "ConfigMap", f"{RELEASE}-rules")
    assert found["data"] == {"a.yaml": text}


def test_one_pod_on_sqlite_is_never_two(helm: int) -> None:
    deployment = one(rendered(helm, *GOOD), "Deployment")["spec"]
    assert (deployment["replicas"], deployment["strategy"]) == (1, {"type": "Recreate"})


def test_replicas_on_postgresql_are_replaced_one_by_one(helm: int) -> None:
    objects = rendered(helm, f"--values={CHART / 'ci' / 'postgresql.yaml'}")
    deployment = one(objects, "Deployment")["spec"]
    assert deployment["strategy"] == {"type": "RollingUpdate", "rollingUpdate": {"maxUnavailable": 0, "maxSurge": 1}}
    assert len(deployment["template"]["spec"]["topologySpreadConstraints"]) == 2
    assert one(objects, "PodDisruptionBudget")["spec"]["maxUnavailable"] == 1
    assert not [each for each in objects if each["kind"] == "PersistentVolumeClaim"]


def test_new_settings_make_new_pods_and_new_rule_sets_do_not(helm: int) -> None:
    def pods(*values: str) -> Json:
        found: Json = one(rendered(helm, *GOOD, *values), "Deployment")["spec"]["template"]
        return found

    assert pods("--set=ruleSets.a=b") == pods("--set=ruleSets.a=c")
    assert pods() != pods("--set=settings.rollbacks_per_hour=3")


WIDE = {"apiGroups": ["*"], "resources": ["pods"], "verbs": ["get"]}
NOTES = {
    "nothing is watched": ([], "It may look at nothing yet: name the namespaces"),
    "observing": (GOOD, "It OBSERVES shop: it tells what it would have done, and changes nothing."),
    "what Secrets are": (GOOD, "may read EVERY Secret in shop."),
    "next step": (GOOD, "kubectl annotate -n shop deployment/NAME canary-analyzer.io/rules=http"),
    "enforcing": ((*GOOD, "--set=enforce.enabled=true"), "MAY ACT in shop."),
    "all Secrets": ((*GOOD, "--set=watch.namespaces={*}"), "WARNING: it may read every Secret of the cluster."),
    "admin": ((f"--values={CHART}/ci/all-secrets.yaml",), "WARNING: it may change every Secret and every workload"),
    "annotate": (
        (f"--values={CHART}/ci/enforce.yaml",),
        "WARNING: watch.annotate lets it patch the workloads in payments, where it only observes",
    ),
    "emptyDir": ((f"--values={CHART}/ci/everywhere.yaml",), "WARNING: the database is in an emptyDir"),
    "metrics": ((f"--values={CHART}/ci/everywhere.yaml",), "WARNING: /metrics needs no token"),
    "no Prometheus": ([], "WARNING: no Prometheus is named"),
    "no tokens": (GOOD, "Nobody may use it yet: no tokens are given"),
    "plain HTTP": (GOOD, "The Service speaks HTTP"),
    "wide rules": (
        (*GOOD, "--set=enforce.enabled=true", f"--set-json=enforce.extraRules=[{json.dumps(WIDE)}]"),
        'WARNING: enforce.extraRules has a "*" in it',
    ),
}


@pytest.mark.parametrize(("values", "sentence"), NOTES.values(), ids=NOTES)
def test_the_notes_tell(helm: int, values: tuple[str, ...], sentence: str) -> None:
    assert sentence in notes(helm, *values)


def test_the_notes_of_a_careful_installation_have_no_warning(helm: int) -> None:
    for file in ("observe", "postgresql"):
        assert "WARNING" not in notes(helm, f"--values={CHART}/ci/{file}.yaml")


def test_a_package_of_it_is_whole(bed: Bed, helm: int, tmp_path: Path) -> None:
    run([bed.programs[f"helm{helm}"], "package", CHART, f"--destination={tmp_path}"])
    (package,) = tmp_path.glob("*.tgz")
    file = CHART / "ci" / "enforce.yaml"
    arguments = [RELEASE, package, f"--namespace={NAMESPACE}", f"--values={file}"]
    assert documents(run([bed.programs[f"helm{helm}"], "template", *arguments])) == rendered(helm, f"--values={file}")
