"""What a ServiceAccount may not do is said at the start, by name."""

from dataclasses import replace

from tests.cluster.scenarios.conftest import Opening
from tests.cluster.scenarios.rights import named

_READS_HELM = '[{apiGroups: [""], resources: [secrets], verbs: [get, list]}]'


def test_a_missing_permission_is_named(opened: Opening) -> None:
    with opened(3, rate=0) as shop:
        shop.upgrade("good-b")
        stranger = replace(shop, kubeconfig=shop.namespace.service_account("stranger")).check()
        assert stranger.code == 4, str(stranger)
        assert "stranger may not list secrets" in stranger.stderr
        reader = replace(shop, kubeconfig=shop.namespace.service_account("reader", _READS_HELM)).check()
        assert reader.code in {2, 4}, str(reader)
        assert "reader may not" in reader.stderr
        assert "deployments" in reader.stderr


def test_who_may_only_observe_is_told_before_the_analysis(opened: Opening) -> None:
    with opened(4, rate=0) as shop:
        shop.upgrade("good-b")
        kubeconfig, namespace = shop.namespace.service_account("observer"), shop.namespace.name
        observing = (f"--role={named('observe')}", f"--serviceaccount={namespace}:observer")
        shop.namespace.kubectl("create", "rolebinding", "observer", *observing)
        observer = replace(shop, kubeconfig=kubeconfig)
        checked = observer.check()
        assert checked.summary == (4,), str(checked)
        assert "the way back is impossible" in checked.stderr
        assert "deployments" in checked.stderr
        assert "canary rbac" in checked.stderr
        looked = observer.check("--dry-run", rules=shop.rules(schedule={"deadline": "20s", "minimum": "10s"}))
        assert looked.summary == (3, "inconclusive", "none", "none", None), str(looked)
