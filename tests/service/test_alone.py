"""One process on an SQLite database."""

import subprocess
import sys
from pathlib import Path

import pytest

from analyzer.errors import StoreError
from analyzer.service.alone import alone


def test_a_second_one_is_refused_while_the_first_lasts(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path}/canary.db"
    with alone(url):
        with pytest.raises(StoreError, match="another canary serve works on it"), alone(url):
            pass
        with pytest.raises(StoreError, match="another canary serve works on it"), alone(f" {url} "):
            pass
        with alone(f"sqlite:///{tmp_path}/other.db"):
            pass
    with alone(url):
        pass


def test_a_symbolic_link_is_the_same_file(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path}/canary.db"
    (tmp_path / "linked.db").symlink_to(tmp_path / "canary.db")
    (tmp_path / "folder").symlink_to(tmp_path)
    for other in ("linked.db", "folder/canary.db", "folder/linked.db"):
        with alone(url), pytest.raises(StoreError, match=f"{other}: another canary serve works on it"):  # noqa: SIM117 -- as it is used
            with alone(f"sqlite:///{tmp_path}/{other}"):
                pass


def test_a_file_with_two_names_is_refused_by_both(tmp_path: Path) -> None:
    (tmp_path / "canary.db").touch()
    (tmp_path / "linked.db").hardlink_to(tmp_path / "canary.db")
    for name in ("canary.db", "linked.db"):
        with (
            pytest.raises(StoreError, match=rf"{name}: it has 2 names \(hard links\)"),
            alone(f"sqlite:///{tmp_path}/{name}"),
        ):
            pass
    (tmp_path / "linked.db").unlink()
    with alone(f"sqlite:///{tmp_path}/canary.db"):
        pass


def test_the_lock_goes_with_a_process_that_is_killed(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path}/canary.db"
    program = f"from analyzer.service.alone import alone\nwith alone({url!r}): print('here', flush=True); input()"
    with subprocess.Popen(
        [sys.executable, "-c", program], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as other:
        assert other.stdout is not None
        assert other.stdout.readline() == "here\n"
        with pytest.raises(StoreError), alone(url):
            pass
        other.kill()
        other.wait()
        with alone(url):
            pass


def test_a_shared_database_is_not_locked() -> None:
    with alone("postgresql://db/canary"), alone("postgresql://db/canary"):
        pass


def test_a_folder_that_is_not_there() -> None:
    with pytest.raises(StoreError, match=r"its lock /no/such/x\.db\.lock cannot be made: No such file"):  # noqa: SIM117 -- as it is used
        with alone("sqlite:////no/such/x.db"):
            pass
