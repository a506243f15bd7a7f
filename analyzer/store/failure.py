"""What a database's failure is called here: the one place that knows the errors of both drivers."""

import re
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager

import asyncpg
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.exc import TimeoutError as PoolTimeout

from analyzer.errors import StoreError, StoreFull, StoreUnavailable, StoreUnusable
from analyzer.store.address import Address

_SQLITE: dict[str, tuple[type[StoreError], str]] = {
    "SQLITE_BUSY": (StoreUnavailable, "locked by another process for too long"),
    "SQLITE_LOCKED": (StoreUnavailable, "locked by another connection"),
    "SQLITE_FULL": (StoreFull, "no room left on its disk: nothing is kept until there is some"),
    "SQLITE_IOERR": (StoreUnavailable, "its disk cannot be read or written now (full, over a quota, or failing)"),
    "SQLITE_READONLY": (StoreUnusable, "may only be read: give this user the right to write the file and its folder"),
    "SQLITE_PERM": (StoreUnusable, "may not be opened by this user"),
    "SQLITE_CANTOPEN": (StoreUnusable, "cannot be opened: is there the folder, and may this user write in it?"),
    "SQLITE_NOTADB": (StoreUnusable, "not an SQLite database"),
    "SQLITE_CORRUPT": (StoreUnusable, "damaged: restore it from a backup"),
}
_POSTGRESQL: dict[str, tuple[type[StoreError], str]] = {
    "53100": (StoreFull, "no room left on its disk: nothing is kept until there is some"),
    "53": (StoreUnavailable, "it has no resources left"),
    "08": (StoreUnavailable, "the connection was lost"),
    "57": (StoreUnavailable, "it is stopping or starting, or took too long"),
    "58": (StoreUnavailable, "its system fails"),
    "55P03": (StoreUnavailable, "another process holds a lock for too long"),
    "40": (StoreUnavailable, "another process was faster"),
    "25P03": (StoreUnavailable, "this process stood still in a transaction for too long"),
    "25006": (StoreUnavailable, "it may only be read now: a standby?"),
    "XX001": (StoreUnusable, "damaged: restore it from a backup"),
    "XX002": (StoreUnusable, "damaged: an index must be made anew, or the database restored from a backup"),
    "28": (StoreError, "it refuses this user, or the password is wrong"),
    "3D000": (StoreError, "there is no such database"),
    "42501": (StoreError, "this user lacks a right"),
    "3F000": (StoreError, "this user may use no schema of it"),
    "42P01": (StoreError, "a table is missing: was it upgraded?"),
}
_WAYS: dict[type[BaseException], tuple[type[StoreError], str]] = {
    PoolTimeout: (StoreUnavailable, "all connections are in use"),
    TimeoutError: (StoreUnavailable, "no answer in time"),
    asyncpg.InterfaceError: (StoreUnavailable, "the connection was lost"),
    # What the driver says where a connection was ended while its process stood still in the middle of a statement.
    asyncpg.InternalClientError: (StoreUnavailable, "the connection was lost"),
}


@contextmanager
def told(address: Address) -> Iterator[None]:
    """Every error of a database, its driver or the way to it leaves as a StoreError: a sentence, without a password.

    Raises:
        StoreError: of the kind that `analyzer.errors` lists.
    """
    try:
        yield
    except (SQLAlchemyError, sqlite3.Error, asyncpg.PostgresError, asyncpg.InterfaceError, OSError) as error:
        kind, sentence = _kind(error)
        sentence = f"{address.place}: {sentence}"
        for secret in address.secrets:
            sentence = sentence.replace(secret, "…")
        # The driver's own error may show what was written, or the whole address: it is not handed on.
        raise kind(sentence) from None


def _kind(error: BaseException) -> tuple[type[StoreError], str]:
    causes = list(_causes(error))
    for cause in causes:
        if isinstance(cause, sqlite3.Error):
            return _of_sqlite(cause)
        if state := getattr(cause, "sqlstate", None):
            return _of_postgresql(str(state), cause)
    for kind, told_as in _WAYS.items():
        if any(isinstance(cause, kind) for cause in causes):
            return told_as
    away = next((cause for cause in causes if isinstance(cause, OSError)), None)
    if away is not None:
        return StoreUnavailable, f"cannot be reached: {away.strerror or type(away).__name__}"
    return StoreError, type(error).__name__


def _causes(error: BaseException) -> Iterator[BaseException]:
    """The error, and those that it was made of."""
    rest: BaseException | None = error
    while rest is not None:
        yield rest
        rest = getattr(rest, "orig", None) or rest.__cause__


def _of_sqlite(error: sqlite3.Error) -> tuple[type[StoreError], str]:
    name = getattr(error, "sqlite_errorname", "")
    for beginning, told_as in _SQLITE.items():
        if name.startswith(beginning):
            return told_as
    if not name and "closed database" in str(error):  # a connection that was closed under its user
        return StoreUnavailable, "the connection was lost"
    return StoreError, f"{name or type(error).__name__}: {_one_line(error)}"


def _of_postgresql(state: str, error: BaseException) -> tuple[type[StoreError], str]:
    for beginning in (state, state[:2]):
        if beginning in _POSTGRESQL:
            kind, sentence = _POSTGRESQL[beginning]
            return kind, f"{sentence} ({_one_line(error)})"
    return StoreError, f"error {state}: {_one_line(error)}"


def _one_line(error: BaseException) -> str:
    text = str(error).removeprefix(f"{type(error)}: ").split("\n", maxsplit=1)[0]
    return re.sub(r"\s+", " ", text)[:300]
