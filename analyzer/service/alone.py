"""One process on an SQLite database: a second one would work on the same analyses without knowing of the first."""

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from analyzer.errors import StoreError
from analyzer.store.address import Address


@contextmanager
def alone(database: str) -> Iterator[None]:
    """While this lasts no other process serves from the same file; a PostgreSQL is shared, and nothing happens.

    The lock is the kernel's, on a file beside the database: it goes with the process, however that ends. Symbolic links
    are followed to the file itself, as SQLite does; a file with a second name would have a second lock, and for SQLite
    a second journal.

    Raises:
        UsageError: `database` is not such an URL.
        StoreError: another process does, the lock cannot be had, or the file has several names.
    """
    file = Address.read(database).file
    if not file:
        yield
        return
    descriptor = _opened(file)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(descriptor)
        raise StoreError(
            f"the SQLite file {file}: another canary serve works on it; stop that one, or share a PostgreSQL"
        ) from None
    except OSError as error:
        os.close(descriptor)
        raise StoreError(
            f"the SQLite file {file}: cannot be locked: {error.strerror}; put it on a local disk"
        ) from None
    try:
        _refuse_links(file)
        yield
    finally:
        os.close(descriptor)


def _opened(file: str) -> int:
    lock = f"{file}.lock"
    try:
        lock = f"{os.path.realpath(file)}.lock"
        return os.open(lock, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    except (OSError, ValueError) as error:  # ValueError: a NUL in the name
        why = getattr(error, "strerror", None) or error
        raise StoreError(f"the SQLite file {file}: its lock {lock} cannot be made: {why}") from None


def _refuse_links(file: str) -> None:
    try:
        names = Path(file).stat().st_nlink
    except OSError:
        return  # it is made when it is opened, or that says why it cannot be
    if names > 1:
        raise StoreError(
            f"the SQLite file {file}: it has {names} names (hard links), and what is written by one may be lost by "
            "another: leave one of them"
        )
