"""An installed analyzer is scaled to nothing, killed and evicted: what it has missed is analysed, and acted on once."""

from tests.cluster.scenarios.conftest import Opening
from tests.cluster.scenarios.installed import BAD, ENFORCE, TAKEN_BACK, Installed, annotated, told
from tests.cluster.scenarios.serving import rolled_back


def test_upgrades_made_while_it_was_away_are_analysed_and_kills_change_nothing(opened: Opening) -> None:
    with opened(4, "--set", "minReadySeconds=3") as shop, Installed(shop, **ENFORCE) as analyzer:
        analyzer.scale(0)
        shop.upgrade(BAD, *annotated())
        analyzer.scale(1)
        (id_,) = analyzer.seen(1)
        analyzer.kill()
        analyzer.watched(id_)
        analyzer.delete_pod()
        taken_back = analyzer.judged(1)
        assert taken_back.summary == ("ended", "fail", "rollback", "done", None), str(taken_back)
        assert analyzer.events(id_).count("acted") == 1
        assert rolled_back(shop) == ["1"]
        shop.serves("good", "good")
        shop.namespace.until(lambda: told(shop) == {"shop.v2": TAKEN_BACK}, "what is told, once each")
        assert "Traceback" not in analyzer.said
