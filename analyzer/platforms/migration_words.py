"""What looks like a database migration: words of names, images and commands. Pure.

Words are compared whole, so that `immigrate-report` and `flywaycheck` are not taken for what they contain. In doubt it
looks like one: a false hold costs a page, a missed migration the data.
"""

import re
from collections.abc import Sequence

_WORD = re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+|\d+")
_GENERAL = frozenset(
    prefix + word
    for word in ("migrate", "migrates", "migrating", "migration", "migrations", "migrator")
    for prefix in ("", "db", "auto")
) | {"migratedb"}
_NAMES = {
    "flyway": "Flyway",
    "liquibase": "Liquibase",
    "alembic": "Alembic",
    "goose": "goose",
    "dbmate": "dbmate",
    "sqitch": "Sqitch",
    "mongock": "Mongock",
    "skeema": "Skeema",
    "gh ost": "gh-ost",
    "pt online schema change": "pt-online-schema-change",
    "pgroll": "pgroll",
    "schemahero": "SchemaHero",
    "sqldef": "sqldef",
    "dbup": "DbUp",
    "efbundle": "Entity Framework",
    "yoyo": "yoyo",
}
"""Tools that do nothing but migrate: their name is enough, wherever it stands."""
_IMAGES = {"arigaio atlas": "Atlas", "ariga atlas": "Atlas", "migrate migrate": "golang-migrate"}
_COMMANDS = {
    "atlas migrate": "Atlas",
    "atlas schema apply": "Atlas",
    "knex migrate": "Knex",
    "prisma migrate": "Prisma",
    "prisma db push": "Prisma",
    "sequelize db migrate": "Sequelize",
    "sequelize cli db migrate": "Sequelize",
    "typeorm migration run": "TypeORM",
    "typeorm schema sync": "TypeORM",
    "mikro orm migration up": "MikroORM",
    "drizzle kit push": "Drizzle",
    "manage py migrate": "Django",
    "django admin migrate": "Django",
    "rails db migrate": "Rails",
    "rake db migrate": "Rails",
    "db prepare": "Rails",
    "db schema load": "Rails",
    "artisan migrate": "Laravel",
    "doctrine migrations": "Doctrine",
    "doctrine schema update": "Doctrine",
    "ef database update": "Entity Framework",
    "ecto migrate": "Ecto",
    "diesel migration run": "Diesel",
    "flask db upgrade": "Flask-Migrate",
    "aerich upgrade": "Aerich",
    "phinx migrate": "Phinx",
    "mysqldef": "sqldef",
    "psqldef": "sqldef",
    "alter table": "ALTER TABLE",
    "create table": "CREATE TABLE",
    "drop table": "DROP TABLE",
}
_NEGATED = re.compile(
    r"(?<!\S)--?(?:no|skip|without|disable)-?[-a-z]*migrat[a-z]*|wait[-_]?for[-_](?:[a-z]+[-_]){0,2}migrat[a-z]*",
    re.IGNORECASE,
)
"""Said of a migration that does not happen here."""


def in_name(name: str) -> str:
    """What of the name of a Job or a container looks like a migration: words for a sentence, or empty."""
    words = _words(name)
    return _tool(words) or _general(words)


def in_image(image: str) -> str:
    """The same of an image. Of its tag only tools count: a tag may be a branch's name."""
    path, tag = split_image(image)
    repository = _words(path.rpartition("/")[2])
    whole = _words(path)
    return _among(_IMAGES, whole) or _tool(repository) or _general(repository) or _tool(_words(tag))


def in_command(command: Sequence[str]) -> str:
    """The same of a container's command and arguments, a shell's script among them."""
    words = _words(" ".join(command))
    return _among(_COMMANDS, words) or _tool(words) or _general(words)


def split_image(image: str) -> tuple[str, str]:
    """The path of an image without its registry's host, and its tag; its digest is left out."""
    named = image.partition("@")[0]
    first, slash, rest = named.partition("/")
    if slash and (first == "localhost" or "." in first or ":" in first):
        named = rest
    path, colon, tag = named.rpartition(":")
    return (path, tag) if colon and "/" not in tag else (named, "")


def is_fixed(image: str) -> bool:
    """Whether the same words always mean the same image: it has a digest, or a tag that is not made to move."""
    return "@" in image or split_image(image)[1] not in {"", "latest"}


def _words(text: str) -> str:
    """The words of a text, in lower case with one space around each: parts of camelCase are words of their own."""
    return f" {' '.join(_WORD.findall(_NEGATED.sub(' ', text))).lower()} "


def _tool(words: str) -> str:
    return _among(_NAMES, words)


def _among(known: dict[str, str], words: str) -> str:
    return next((f"names {tool}" for name, tool in known.items() if f" {name} " in words), "")


def _general(words: str) -> str:
    return next((f"has the word “{word}”" for word in words.split() if word in _GENERAL), "")
