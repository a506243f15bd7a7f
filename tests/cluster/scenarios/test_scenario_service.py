"""`canary serve` beside a real cluster: a release is taken back with just its rights, for callers that it lets in."""

import json

import httpx

from tests.cluster.scenarios.conftest import Opening
from tests.cluster.scenarios.serving import RIGHTS, Serving, caller, roles, rolled_back, token_of
from tests.cluster.scenarios.shop import OF_ROLLOUTS
from tests.cluster.scenarios.shop import RIGHTS as OF_ONE_NAMESPACE

_AUDIENCE = "canary"


def test_a_bad_release_is_taken_back_by_the_service(opened: Opening) -> None:
    with opened(3) as shop, Serving(shop) as serving:
        shop.upgrade("errors-3")
        id_ = serving.order()
        ended = serving.ended(id_)
        events = serving.events(id_)
        assert serving.end() == 0
        assert ended.summary == ("ended", "fail", "rollback", "done", None), str(ended)
        assert ended.report["seconds_to_recovery"] is not None, str(ended)
        assert (events.count("intended"), events.count("acted")) == (1, 1)
        shop.serves("good", "good")
        assert shop.history() == [(1, "superseded"), (2, "superseded"), (3, "deployed")]
        assert rolled_back(shop) == ["1"]


def test_a_pipeline_is_known_by_its_service_account(opened: Opening) -> None:
    with opened(4) as shop:
        namespace = shop.namespace
        granted = {"subject": caller(namespace, "deployer"), "namespaces": [namespace.name], "role": "start"}
        caller(namespace, "stranger")
        accounts = {"enabled": True, "audiences": [_AUDIENCE], "grants": [granted]}
        serving = Serving(shop, access={"service_accounts": accounts})
        assert serving.looked() == 0, serving.said
        with serving:
            token = token_of(namespace, "deployer", _AUDIENCE)
            shop.upgrade("errors-3")
            with serving.checking(token=token) as checking:
                checking.until_it_says("analysis ")

                elsewhere = serving.check(token=token, namespace="kube-system")
                assert (elsewhere.code, elsewhere.report) == (4, {}), str(elsewhere)
                assert "start in the namespace kube-system" in elsewhere.stderr

                for other in (token_of(namespace, "deployer"), token_of(namespace, "deployer", "vault"), token[:-4]):
                    assert serving.ask("GET", "/api/v1/analyses", token=other).status_code == httpx.codes.UNAUTHORIZED
                stranger = token_of(namespace, "stranger", _AUDIENCE)
                order = {"target": "helm/shop", "namespace": namespace.name}
                refused = serving.ask("POST", "/api/v1/analyses", order, token=stranger)
                assert refused.status_code == httpx.codes.FORBIDDEN, refused.text

                checked = checking.result()
            (one,) = serving.ask("GET", "/api/v1/analyses", token=token).json()["items"]
            assert one["by"] == granted["subject"]
            assert token not in serving.said + json.dumps(one)
        assert checked.summary == (10, "fail", "rollback", "done", None), str(checked)
        shop.serves("good", "good")
        assert rolled_back(shop) == ["1"]


def test_a_service_that_may_only_observe_says_so_and_does_dry_runs(opened: Opening) -> None:
    with opened(3, rate=0) as shop, Serving(shop, acting=False) as serving:
        shop.upgrade("good-b")
        refused = serving.ended(serving.order())
        assert refused.summary == ("ended", "error", "none", "none", None), str(refused)
        assert "the way back is impossible" in refused.reason
        assert "deployments" in refused.reason
        looking = serving.order(shop.rules(schedule={"deadline": "20s", "minimum": "10s"}), dry_run=True)
        looked = serving.ended(looking)
        assert looked.summary == ("ended", "inconclusive", "none", "none", None), str(looked)
        assert shop.history() == [(1, "superseded"), (2, "deployed")]


def test_the_rights_of_the_service_are_those_of_a_check() -> None:
    ours, its = roles(RIGHTS), {**roles(OF_ONE_NAMESPACE), **roles(OF_ROLLOUTS)}
    assert {name: ours[name] for name in its} == its
    assert ours.keys() - its.keys() == {
        f"canary-analyzer-{name}" for name in ("callers", "watch", "annotate", "flagger-observe")
    }
