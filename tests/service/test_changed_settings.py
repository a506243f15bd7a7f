"""What was ordered before the settings were changed."""

import asyncio
from pathlib import Path

import pytest

from analyzer.errors import UsageError
from analyzer.model.order import Order, Ordered
from analyzer.service.assembly import Assembly
from analyzer.service.ordering import resolve, rules_text
from analyzer.service.settings import Settings
from analyzer.service.telemetry import Telemetry
from analyzer.store.entry import Entry

NOW = 1_790_000_000.0
ORDER = Order(target="command/web", namespace="shop", canary='version="2"', baseline='version="1"')


def settings(rules: tuple[Path, ...] = (), **prometheus: object) -> Settings:
    return Settings.model_validate({
        "prometheus": {"default": {"url": "http://127.0.0.1:9", **prometheus}},
        "targets": {"web": {"rollback": "true", "namespace": "shop"}},
        "rules": rules,
    })  # fmt: skip


def test_a_connection_that_is_for_other_namespaces_now() -> None:
    order = resolve(ORDER, settings(namespaces=["shop"]), NOW)
    ordered = Ordered(order=order, by="ci").model_dump_json()
    entry = Entry("0123456789ab", "key", "shop", "command", "web", ordered, NOW)

    async def prepare(given: Settings) -> None:
        async with Assembly.opened(given, Telemetry()) as assembly, assembly.prepared(entry, dry_run=False):
            pass

    asyncio.run(prepare(settings(namespaces=["bank", "shop"])))
    with pytest.raises(UsageError, match="'default': is not for that namespace any more"):
        asyncio.run(prepare(settings(namespaces=["bank"])))


def test_a_folder_of_rules_that_is_gone(tmp_path: Path) -> None:
    """A shipped rule set of the same name would be another one."""
    folder = tmp_path / "rules"
    with pytest.raises(UsageError, match="a folder of the service with rule sets is not there") as refused:
        rules_text("http", settings((folder,)))
    assert str(folder) not in str(refused.value)
    folder.mkdir()
    assert rules_text("http", settings((folder,)))
