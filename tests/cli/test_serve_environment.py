"""What `canary serve` is told in variables stays with it: helm and the commands of targets do not find it."""

import os

import pytest

from analyzer.cli import serve, serving
from analyzer.service.settings import Settings


def test_settings_in_variables_are_not_handed_on(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [name for name in os.environ if name.startswith("CANARY_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("DATABASE_URL", "postgresql://canary:s3cret@db/canary")
    monkeypatch.setenv("CANARY_BEARER_TOKEN", "s3cret")
    monkeypatch.setenv("CANARY_PROMETHEUS", "http://prometheus")
    monkeypatch.setenv("HELM_DRIVER", "secret")
    found: list[tuple[Settings, dict[str, str]]] = []

    def serving_now(settings: Settings) -> int:
        found.append((settings, dict(os.environ)))
        return 0

    monkeypatch.setattr(serving, "serve", serving_now)
    options = dict.fromkeys(("config", "host", "port", "database", "actions", "log_format", "log_level"))
    assert serve.run(serve.Options(**options, check=False)) == 0
    ((settings, environment),) = found
    assert settings.prometheus["default"].url == "http://prometheus"
    assert "s3cret" not in " ".join(environment.values())
    assert environment["HELM_DRIVER"] == "secret"
