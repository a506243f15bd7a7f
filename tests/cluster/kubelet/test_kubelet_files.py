"""Files of volumes, fields, probes and images: what real processes are put together from."""

from pathlib import Path
from typing import Any

import pytest

from tests.cluster.kubelet.fields import resource_of
from tests.cluster.kubelet.files import Unready, chosen, content_of, swap
from tests.cluster.kubelet.image import Identity, Image, Mount
from tests.cluster.kubelet.plan import helm_of, is_analyzer
from tests.cluster.kubelet.probe import Probe, Streak

Json = dict[str, Any]
MAP = {"kind": "ConfigMap", "metadata": {"name": "m"}, "data": {"a": "1"}, "binaryData": {"b": "Mg=="}}
SECRET = {"kind": "Secret", "metadata": {"name": "s"}, "data": {"a": "MQ=="}}


def test_what_is_in_an_object() -> None:
    assert content_of(MAP) == {"a": b"1", "b": b"2"}
    assert content_of(SECRET) == {"a": b"1"}
    assert content_of({"kind": "Secret"}) == {}


def test_which_keys_of_it_become_files() -> None:
    assert chosen(MAP, {"items": [{"key": "b", "path": "deep/c"}]}) == {"deep/c": b"2"}
    with pytest.raises(Unready, match="ConfigMap m has no key x, y"):
        chosen(MAP, {"items": [{"key": "x", "path": "x"}, {"key": "y", "path": "y"}]})
    assert chosen(MAP, {"items": [{"key": "x", "path": "x"}], "optional": True}) == {}


def test_files_are_swapped_all_at_once(tmp_path: Path) -> None:
    assert swap(tmp_path, {"a": b"1", "deep/b": b"2"})
    first = (tmp_path / "..data").resolve()
    assert (tmp_path / "a").readlink() == Path("..data/a")
    assert (tmp_path / "deep" / "b").read_bytes() == b"2"
    assert not swap(tmp_path, {"a": b"1", "deep/b": b"2"})
    assert swap(tmp_path, {"a": b"3", "c": b"4"}, 0o600)
    assert not first.exists()
    assert sorted(path.name for path in tmp_path.iterdir() if not path.name.startswith("..")) == ["a", "c"]
    assert (tmp_path / "a").read_bytes() == b"3"
    assert (tmp_path / "a").stat().st_mode & 0o777 == 0o600
    assert swap(tmp_path, {})
    assert sorted(path.name for path in tmp_path.iterdir()) == ["..3", "..data"]


def test_an_empty_folder_is_made_once(tmp_path: Path) -> None:
    assert swap(tmp_path / "new", {})
    assert not swap(tmp_path / "new", {})


@pytest.mark.parametrize(
    ("limit", "divisor", "told"),
    [("1Gi", "1Mi", "1024"), ("100m", "1", "1"), ("250m", "1m", "250"), ("1500k", None, "1500000"), (None, "1Mi", "0")],
)
def test_a_limit_in_units_of_its_divisor(limit: str | None, divisor: str | None, told: str) -> None:
    container = {"resources": {"limits": {"x": limit}} if limit else {}}
    assert resource_of(container, {"resource": "limits.x", "divisor": divisor}) == told


@pytest.mark.parametrize(
    ("image", "analyzer", "helm"),
    [
        ("canary-analyzer", True, "helm4"),
        ("registry.example:5000/team/canary-analyzer:1.0-helm3", True, "helm3"),
        ("canary-analyzer@sha256:0123", True, "helm4"),
        ("canary-analyzer-docs:1", False, "helm4"),
        ("registry.example/canary-analyzer/shop:helm3", False, "helm3"),
    ],
)
def test_what_the_name_of_an_image_says(image: str, analyzer: bool, helm: str) -> None:
    assert (is_analyzer(image), helm_of(image)) == (analyzer, helm)


@pytest.mark.parametrize(
    ("answers", "turns"),
    [
        ("+", "+"),
        ("-+--", " +  "),
        ("+---", "+  -"),
        ("+----", "+  --"),
        ("--+--", "  +  "),
    ],
)
def test_answers_in_a_row(answers: str, turns: str) -> None:
    streak = Streak(successes=1, failures=3)
    shown = {True: "+", False: "-", None: " "}
    assert "".join(shown[streak.add(answer == "+")] for answer in answers) == turns


def test_a_probe_has_the_defaults_of_kubernetes() -> None:
    container: Json = {"ports": [{"name": "http", "containerPort": 8080}]}
    container["livenessProbe"] = {"httpGet": {"port": "http"}}
    container["startupProbe"] = {"tcpSocket": {"port": 81}}
    assert Probe.of(container, "livenessProbe") == Probe("http", 8080, "/", 0, 10, 1, 1, 3)
    assert Probe.of(container, "startupProbe") == Probe("http", 81, None, 0, 10, 1, 1, 3)
    assert Probe.of(container, "readinessProbe") is None


def test_what_is_under_a_volume_is_mounted_after_it(tmp_path: Path) -> None:
    deep, flat = Mount(tmp_path, "/a/b c"), Mount(tmp_path, "/a/", read_only=True)
    image = Image(tmp_path / "image", {}, [deep, flat], Identity(7, 8, (9,)))
    script = " ".join(image.command(["echo", "it's"]))
    assert script.index(f"--rbind {tmp_path} {tmp_path}/image/a/") < script.index(f"{tmp_path}/image/a/b c")
    assert "--reuid=7 --regid=8 --groups=9" in script
