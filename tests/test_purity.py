"""What import-linter cannot see: attributes of modules that are allowed, and words that no file may contain."""

import ast
import subprocess
from pathlib import Path

ROOT = Path(__file__).parents[1]
IMPURE = {("np", "random"), ("numpy", "random"), ("os", "environ"), ("os", "urandom"), ("uuid", "uuid4")}


def test_model_and_judge_use_no_randomness_and_no_environment() -> None:
    for room in ("model", "judge"):
        for file in (ROOT / "analyzer" / room).rglob("*.py"):
            for node in ast.walk(ast.parse(file.read_text())):
                if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name):
                    assert (node.value.id, node.attr) not in IMPURE, f"{file.name}:{node.lineno}"


def test_the_lock_file_has_versions_and_hashes_and_names_no_host() -> None:
    lines = (ROOT / "constraints.txt").read_text().splitlines()
    assert not [line for line in lines if "http://" in line or "https://" in line or line.startswith("--")]
    names = [line for line in lines if line[:1].isalpha()]
    assert len(names) > 40
    assert all("==" in line for line in names)
    assert sum("--hash=sha256:" in line for line in lines) > len(names)


def test_tracked_files_name_no_machine_path() -> None:
    words = ["/" + "root/", "/" + "work/", "." + "library"]
    tracked = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, check=True).stdout.split(b"\0")
    for name in filter(None, tracked):
        file = ROOT / name.decode()
        if file.is_file():
            text = file.read_bytes()
            assert not [word for word in words if word.encode() in text], file


def test_no_two_test_files_have_one_name() -> None:
    """pytest imports them by their names alone: the second one would not be collected."""
    names = [file.name for file in (ROOT / "tests").rglob("test_*.py")]
    assert sorted(names) == sorted(set(names))
