"""The migration trap: which hooks have migrated a database, which only sound like it, and which have brought nothing
new."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from analyzer.platforms.migration import BACKWARD_COMPATIBLE, MIGRATION, trap
from analyzer.platforms.migration_words import in_command, in_image, in_name, is_fixed, split_image

Annotations = dict[str, object]


def hook(
    name: str = "web-prepare",
    image: str = "acme/web:1.2",
    command: list[str] | None = None,
    events: str = "pre-upgrade",
    annotations: Annotations | None = None,
    of_pod: Annotations | None = None,
    kind: str = "Job",
    **container: object,
) -> str:
    """One hook as `helm get hooks` prints it (JSON is YAML)."""
    spec = {"containers": [{"name": "main", "image": image, "command": command or ["./run"], **container}]}
    template = {"metadata": {"annotations": of_pod}, "spec": {**spec, "restartPolicy": "Never"}}
    document = {
        "apiVersion": "batch/v1" if kind == "Job" else "v1",
        "kind": kind,
        "metadata": {"name": name, "annotations": {"helm.sh/hook": events, **(annotations or {})}},
        "spec": {"template": template} if kind == "Job" else spec,
    }
    return f"---\n# Source: web/templates/hook.yaml\n{json.dumps(document)}\n"


def config(name: str, sql: str) -> str:
    document = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name}, "data": {"V2.sql": sql}}
    return f"---\n# Source: web/templates/sql.yaml\n{json.dumps(document)}\n"


@pytest.mark.parametrize(
    ("name", "why"),
    [
        ("web-migrate", "has the word “migrate”"),
        ("web-migrate-3", "has the word “migrate”"),
        ("db-migrations", "has the word “migrations”"),
        ("runMigrations", "has the word “migrations”"),
        ("web-dbmigrate", "has the word “dbmigrate”"),
        ("DBMigrator", "has the word “migrator”"),
        ("web-flyway", "names Flyway"),
        ("liquibase2", "names Liquibase"),
        ("gh-ost-orders", "names gh-ost"),
        ("immigrate-report", ""),
        ("flywaycheck", ""),
        ("mongoose-cache", ""),
        ("emigration-statistics", ""),
        ("ghost-blog", ""),
        ("atlas-maps", ""),
        ("wait-for-migrations", ""),
        ("warm-cache", ""),
    ],
)
def test_what_a_name_says(name: str, why: str) -> None:
    assert in_name(name) == why


@pytest.mark.parametrize(
    ("image", "why"),
    [
        ("flyway/flyway:10", "names Flyway"),
        ("registry.example:5000/mirror/redgate/flyway@sha256:00", "names Flyway"),
        ("liquibase/liquibase", "names Liquibase"),
        ("migrate/migrate:v4.17.0", "names golang-migrate"),
        ("arigaio/atlas:0.20", "names Atlas"),
        ("ghcr.io/pressly/goose:3", "names goose"),
        ("acme/web-migrations:1.2", "has the word “migrations”"),
        ("acme/tools:flyway-10", "names Flyway"),
        ("acme/web:fix-migrations", ""),  # a branch's name
        ("flyway.example.com/acme/report:1", ""),  # a registry's host
        ("flyway-team/report:1", ""),
        ("acme/atlas:1", ""),
        ("acme/immigrate:1", ""),
        ("", ""),
    ],
)
def test_what_an_image_says(image: str, why: str) -> None:
    assert in_image(image) == why


@pytest.mark.parametrize(
    ("command", "why"),
    [
        ("python manage.py migrate --noinput", "names Django"),
        ("bundle exec rake db:migrate", "names Rails"),
        ("bin/rails db:prepare", "names Rails"),
        ("npx prisma migrate deploy", "names Prisma"),
        ("npx prisma db push", "names Prisma"),
        ("npx sequelize-cli db:migrate", "names Sequelize"),
        ("npx typeorm migration:run -d dist/source.js", "names TypeORM"),
        ("npx knex migrate:latest", "names Knex"),
        ("dotnet ef database update", "names Entity Framework"),
        ("atlas schema apply --auto-approve", "names Atlas"),
        ("alembic -c /app/alembic.ini upgrade head", "names Alembic"),
        ("flask db upgrade", "names Flask-Migrate"),
        ("php artisan migrate --force", "names Laravel"),
        ("pt-online-schema-change --execute", "names pt-online-schema-change"),
        ("bin/app eval App.Release.migrate", "has the word “migrate”"),
        ("psql -c 'alter table orders drop column note'", "names ALTER TABLE"),
        ("wait-for-db && ./migrate up", "has the word “migrate”"),
        ("wait-for-db migrate", "has the word “migrate”"),
        ("python manage.py showmigrations", ""),
        ("python manage.py collectstatic", ""),
        ("./serve --skip-migrations", ""),
        ("./serve --no-migrate", ""),
        ("wait-for-db-migrations", ""),
        ("atlas sync", ""),
        ("flywaycheck", ""),
    ],
)
def test_what_a_command_says(command: str, why: str) -> None:
    assert in_command(command.split()) == why
    assert in_command(["/bin/sh", "-c", command]) == why


@pytest.mark.parametrize(
    ("image", "parts", "fixed"),
    [
        ("web", ("web", ""), False),
        ("web:latest", ("web", "latest"), False),
        ("web:1.2", ("web", "1.2"), True),
        ("registry:5000/web", ("web", ""), False),
        ("registry:5000/shop/web:1.2@sha256:00", ("shop/web", "1.2"), True),
        ("localhost/web@sha256:00", ("web", ""), True),
    ],
)
def test_the_parts_of_an_image(image: str, parts: tuple[str, str], fixed: bool) -> None:
    assert split_image(image) == parts
    assert is_fixed(image) == fixed


@pytest.mark.parametrize(
    ("image", "fixed"),
    [
        ("web", False),
        ("web:latest", False),
        ("registry.example:5000/web", False),
        ("registry.example:5000/web:1", True),
        ("registry.example/web:1.2.3", True),
        ("web@sha256:aa", True),
        ("web:latest@sha256:aa", True),
        ("web:latest-2026", True),
    ],
)
def test_an_image_that_may_be_another_tomorrow(image: str, fixed: bool) -> None:
    assert is_fixed(image) == fixed


@pytest.mark.parametrize(
    ("ran", "words"),
    [
        (hook("web-migrate"), "the hook Job web-migrate (pre-upgrade) looks like a database migration: its name has"),
        (hook(image="flyway/flyway:10"), "its image flyway/flyway:10 names Flyway"),
        (hook(command=["alembic", "upgrade", "head"]), "the command of its container main names Alembic"),
        (hook(command=["python"], args=["manage.py", "migrate"]), "the command of its container main names Django"),
        (hook(events="post-install, post-upgrade", image="x/goose:1"), "web-prepare (post-upgrade)"),
        (hook(kind="Pod", image="x/dbmate:1"), "the hook Pod web-prepare"),
        (hook(annotations={MIGRATION: "true"}), f"is a database migration ({MIGRATION})"),
        (hook(of_pod={MIGRATION: "true"}), f"is a database migration ({MIGRATION})"),
        (hook("web-migrate", annotations={BACKWARD_COMPATIBLE: "yes"}), "says “yes”, which is not “true”"),
        (hook("web-migrate", annotations={BACKWARD_COMPATIBLE: "false"}), "does not say that"),
        (hook("a-migrate") + hook("b-migrate") + hook("c"), "(and so with hook Job b-migrate (pre-upgrade))"),
    ],
)
def test_a_migration_is_a_trap(ran: str, words: str) -> None:
    said = trap(ran, "")
    assert words in said
    assert f'{BACKWARD_COMPATIBLE}: "true"' in said


@pytest.mark.parametrize(
    "ran",
    [
        "",
        hook(),
        hook("web-migrate", events="pre-rollback"),
        hook("web-migrate", events="test"),
        hook("web-migrate", events="pre-install"),
        hook("web-migrate", annotations={BACKWARD_COMPATIBLE: "true"}),
        hook("web-migrate", annotations={BACKWARD_COMPATIBLE: True}),
        hook("web-migrate", of_pod={BACKWARD_COMPATIBLE: " True "}),
        hook("web-migrate", annotations={MIGRATION: "false"}),
        hook("web-migrate", annotations={MIGRATION: "false"}, of_pod={MIGRATION: "true"}),  # the Job's own wins
        hook(annotations={MIGRATION: "true", BACKWARD_COMPATIBLE: "true"}),
        config("flyway", "alter table"),
        "kind: Job\nmetadata: {name: migrate}\nspec: {}\n",  # no hook
        "kind: Cleaner\nmetadata: {name: migrate, annotations: {helm.sh/hook: pre-upgrade}}\nspec: {template: text}\n",
    ],
)
def test_no_migration_is_no_trap(ran: str) -> None:
    assert trap(ran, "") == ""


def test_install_hooks_count_where_the_release_was_installed() -> None:
    ran = hook("web-migrate", events="pre-install")
    assert "(pre-install)" in trap(ran, "", installed=True)
    assert trap(hook("web-migrate", events="pre-upgrade"), "", installed=True) == ""


def test_the_releases_own_name_says_nothing() -> None:
    ran = hook("migration-service-warm-cache")
    assert trap(ran, "")
    assert trap(ran, "", release="migration-service") == ""
    assert trap(hook("migrate-migrate"), "", release="migrate")
    assert trap(hook("migrated-migrate"), "", release="migrate")


@pytest.mark.parametrize(
    ("ran", "before", "is_trap"),
    [
        (hook("web-migrate"), hook("web-migrate"), False),
        (hook("web-migrate-3"), hook("web-migrate-2"), False),  # named after its revision
        (hook("web-migrate"), hook("web-migrate", events="pre-install,pre-upgrade"), False),
        (hook("web-migrate"), "", True),
        (hook("web-migrate", image="acme/web:1.3"), hook("web-migrate"), True),
        (hook("web-migrate", args=["up", "2"]), hook("web-migrate", args=["up", "1"]), True),
        (hook("web-migrate", env=[{"name": "TO", "value": "2"}]), hook("web-migrate"), True),
        (hook("web-migrate", image="acme/web"), hook("web-migrate", image="acme/web"), True),  # may be another by now
        (hook("web-migrate", image="acme/web:latest"), hook("web-migrate", image="acme/web:latest"), True),
        (hook("web-migrate") + hook("b-migrate", image="b:2"), hook("web-migrate") + hook("b-migrate"), True),
        (hook("web-migrate"), "{", True),  # nothing is known to be the same
    ],
)
def test_what_the_revision_to_go_back_to_has_run_as_well_is_no_trap(ran: str, before: str, is_trap: bool) -> None:
    assert bool(trap(ran, before)) == is_trap


def test_statements_that_a_hook_mounts_are_part_of_it() -> None:
    ran = hook("web-flyway", image="flyway/flyway:10", envFrom=[{"configMapRef": {"name": "web-sql"}}])
    assert trap(ran + config("web-sql", "one"), ran + config("web-sql", "one")) == ""
    assert trap(ran + config("web-sql", "two"), ran + config("web-sql", "one"))
    assert trap(ran + config("other", "two"), ran + config("other", "one")) == ""


MISSHAPEN = hook("web-migrate").replace('"containers": [', '"containers": "x", "others": [')


@pytest.mark.parametrize("broken", ["kind: [", "kind: Job\nmetadata: text\n", "a: 2024-13-45\n", MISSHAPEN])
def test_what_cannot_be_read_cannot_be_ruled_out(broken: str) -> None:
    said = trap(broken, hook())
    assert "cannot be ruled out" in said
    assert "\n" not in said
    assert trap(broken, broken + "\n") == ""


WORDS = ["metadata", "annotations", "spec", "template", "containers", "initContainers", "image", "command", "volumes"]
SHAPES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.sampled_from([*WORDS, "web:1"]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(WORDS), inner, max_size=4),
    max_leaves=12,
)


@given(SHAPES)
def test_a_hook_of_any_shape_is_a_sentence_or_nothing(spec: object) -> None:
    annotations = {"helm.sh/hook": "pre-upgrade", MIGRATION: "true"}
    text = json.dumps({"kind": "Job", "metadata": {"name": "x", "annotations": annotations}, "spec": spec})
    said = trap(text, "")
    assert ("cannot be ruled out" in said) or ("is a database migration" in said) or not isinstance(spec, dict)
