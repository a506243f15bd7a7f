"""Two replicas of an installed analyzer see the same upgrade: each thing is done once."""

import asyncio

import pytest

from tests.cluster.scenarios.conftest import Opening
from tests.cluster.scenarios.installed import BAD, ENFORCE, TAKEN_BACK, Installed, annotated, told
from tests.cluster.scenarios.serving import rolled_back
from tests.store.postgresql import PostgreSQL


@pytest.mark.postgresql
def test_two_replicas_do_each_thing_once(opened: Opening, postgresql: PostgreSQL) -> None:
    url = asyncio.run(postgresql.new_database())
    with opened(3) as shop:
        shop.namespace.kubectl("create", "secret", "generic", "database", f"--from-literal=url={url}")
        database = {"postgresql": {"existingSecret": "database"}}
        with Installed(shop, replicas=2, database=database, **ENFORCE) as analyzer:
            shop.upgrade(BAD, *annotated())
            (id_,) = analyzer.seen(1)
            taken_back = analyzer.judged(1)
            assert taken_back.summary == ("ended", "fail", "rollback", "done", None), str(taken_back)
            for pod in analyzer.pods():
                found = analyzer.at(pod, "/api/v1/analyses").json()["items"]
                assert [each["id"] for each in found] == [id_], pod["metadata"]["name"]
            assert (analyzer.events(id_).count("intended"), analyzer.events(id_).count("acted")) == (1, 1)
            assert rolled_back(shop) == ["1"]
            shop.serves("good", "good")
            shop.namespace.until(lambda: told(shop) == {"shop.v2": TAKEN_BACK}, "what is told, once each")
            assert "Traceback" not in analyzer.said
