"""What speaks against a rollback, and what one does not bring back."""

from tests.cluster.namespace import Namespace
from tests.cluster.scenarios.conftest import Opening

_MIGRATION = ("--set", "migration.enabled=true")


def test_a_migration_holds_the_rollback(opened: Opening) -> None:
    with opened(3) as shop:
        shop.upgrade("errors-3", *_MIGRATION)
        checked = shop.check()
        assert checked.summary == (11, "fail", "rollback", "held", "migration"), str(checked)
        assert "shop-migrate" in checked.reason
        shop.serves("errors-3", "errors-3")
        assert shop.history()[-1] == (2, "deployed")


def test_a_migration_that_is_declared_backward_compatible_does_not(opened: Opening) -> None:
    with opened(4) as shop:
        shop.upgrade("errors-3", *_MIGRATION, "--set", "migration.backwardCompatible=true")
        checked = shop.check()
        assert checked.summary == (10, "fail", "rollback", "done", None), str(checked)
        shop.serves("good", "good")
        assert shop.history()[-1] == (3, "deployed")


def test_a_changed_config_map_of_others_is_told_and_does_not_hold(namespace: Namespace, opened: Opening) -> None:
    namespace.kubectl("create", "configmap", "settings", "--from-literal=mode=safe")
    with opened(4, "--set", "externalConfig=settings") as shop:
        namespace.kubectl("patch", "configmap", "settings", "--patch", '{"data": {"mode": "fast"}}')
        shop.upgrade("errors-3", "--set", "externalConfig=settings")
        checked = shop.check()
        assert checked.summary == (10, "fail", "rollback", "done", None), str(checked)
        assert "settings" in checked.warnings
        assert "does not bring" in checked.warnings
        shop.serves("good", "good")


def test_of_two_analyses_at_once_one_takes_it_back(opened: Opening) -> None:
    with opened(3) as shop:
        shop.upgrade("errors-3")
        with shop.checking() as one, shop.checking() as other:
            first, second = sorted((one.result(), other.result()), key=lambda checked: checked.code != 10)
        assert first.summary == (10, "fail", "rollback", "done", None), str(first)
        assert second.report["held_by"] in {"once", "superseded"}, str(second)
        shop.serves("good", "good")
        assert shop.history()[-1] == (3, "deployed")
