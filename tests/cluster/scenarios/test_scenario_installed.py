"""The chart is installed, and releases are upgraded by plain `helm upgrade`, with nobody calling the analyzer."""

from tests.cluster.scenarios.conftest import Opening
from tests.cluster.scenarios.installed import Installed

_BAD = "errors-10"


def annotated(**more: str) -> tuple[str, ...]:
    """Flags of Helm: the shop's workloads are annotated so."""
    values = {"rules": "shop", **more}
    names = {name: f"annotations.canary-analyzer\\.io/{name.replace('_', '-')}" for name in values}
    return tuple(f"--set-string={names[name]}={value}" for name, value in values.items())


def test_an_installed_analyzer_is_ready(opened: Opening) -> None:
    with opened(4, rate=0) as shop, Installed(shop) as analyzer:
        assert analyzer.ask("GET", "/readyz").is_success
        assert analyzer.analyses() == []
        assert "Traceback" not in analyzer.said
