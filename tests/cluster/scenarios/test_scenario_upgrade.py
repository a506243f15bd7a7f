"""`canary upgrade`: the upgrade, its analysis and the way back in one command."""

from dataclasses import replace

from tests.cluster.scenarios.checking import Checked
from tests.cluster.scenarios.shop import CHART, Shop


def upgrade(shop: Shop, tag: str) -> Checked:
    """As the admin: a pipeline may do what helm upgrade needs."""
    shop.note_pods()
    words = ["upgrade", "shop", str(CHART), *shop.where(), "--report=json", "--set", f"image.tag={tag}"]
    with replace(shop, kubeconfig=None).running(*words) as running:
        return running.result()


def test_a_good_upgrade_stays(shop: Shop) -> None:
    checked = upgrade(shop, "good-b")
    assert checked.summary == (0, "pass", "none", "none", None), str(checked)
    shop.serves("good-b", "good-b")
    assert shop.history() == [(1, "superseded"), (2, "deployed")]


def test_an_upgrade_with_errors_is_taken_back(shop: Shop) -> None:
    checked = upgrade(shop, "errors-2")
    assert checked.summary == (10, "fail", "rollback", "done", None), str(checked)
    shop.serves("good", "good")
    assert shop.history() == [(1, "superseded"), (2, "superseded"), (3, "deployed")]
