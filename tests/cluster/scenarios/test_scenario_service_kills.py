"""`canary serve` is killed in the middle of `helm rollback`: it goes on where the cluster is, and acts once."""

import base64
import gzip
import json
import os
import signal
import time
from datetime import UTC, datetime

from tests.cluster.scenarios.conftest import Opening
from tests.cluster.scenarios.serving import Serving, kept_in_cluster, rollback_under, rolled_back
from tests.cluster.scenarios.shop import RELEASE, Shop

_SLOWLY = ("--set", "minReadySeconds=3")
"""So that a rollback takes long enough to be met."""
_LONG_AGO = 20 * 60.0  # seconds; helm has given up long since


def test_a_rollback_that_goes_on_without_the_service_is_waited_for(opened: Opening, helm: int) -> None:
    with opened(helm, *_SLOWLY) as shop, Serving(shop) as serving:
        shop.upgrade("errors-5")
        id_ = serving.order()
        # As early as can be: Helm may not have written yet that it has begun.
        shop.namespace.until(lambda: rollback_under(serving.pid), "a rollback", seconds=90)
        orphan = rollback_under(serving.pid)
        serving.kill()
        os.kill(orphan, 0)  # it lives
        serving.start()
        ended = serving.ended(id_)
        events = serving.events(id_)
        assert ended.summary == ("ended", "fail", "rollback", "done", None), str(ended)
        assert (events.count("intended"), events.count("acted")) == (1, 1)
        assert kept_in_cluster(shop) == ["fail, rollback done, recovered"]
        shop.serves("good", "good")
        assert shop.history() == [(1, "superseded"), (2, "superseded"), (3, "deployed")], str(ended)
        assert rolled_back(shop) == ["1"]


def test_a_rollback_that_was_killed_with_the_service_is_finished(opened: Opening) -> None:
    with opened(4, *_SLOWLY) as shop, Serving(shop) as serving:
        shop.upgrade("errors-5")
        id_ = serving.order()
        shop.namespace.until(lambda: shop.history()[-1] == (3, "pending-rollback"), "a rollback", seconds=90)
        rollback = rollback_under(serving.pid)
        serving.kill()
        os.kill(rollback, signal.SIGKILL)
        begun_long_ago(shop, revision=3)
        serving.start()
        ended = serving.ended(id_)
        events = serving.events(id_)
        assert ended.summary == ("ended", "fail", "rollback", "done", None), str(ended)
        assert (events.count("intended"), events.count("acted")) == (1, 1)
        assert kept_in_cluster(shop) == ["fail, rollback done, recovered"]
        shop.serves("good", "good")
        # The first never came to its end; what it has left is the second's to clear away.
        assert shop.history()[-1] == (4, "deployed"), str(ended)
        assert [status for _, status in shop.history()].count("deployed") == 1
        assert rolled_back(shop) == ["1", "1"]


def begun_long_ago(shop: Shop, revision: int) -> None:
    """As if the service had been away for so long: Helm's revision says when it was begun."""
    name = f"sh.helm.release.v1.{RELEASE}.v{revision}"
    kept = shop.namespace.get("secret", name)["data"]["release"]
    release = json.loads(gzip.decompress(base64.b64decode(base64.b64decode(kept))))
    release["info"]["last_deployed"] = datetime.fromtimestamp(time.time() - _LONG_AGO, UTC).isoformat()
    changed = base64.b64encode(base64.b64encode(gzip.compress(json.dumps(release).encode()))).decode()
    shop.namespace.kubectl("patch", "secret", name, "--patch", json.dumps({"data": {"release": changed}}))
