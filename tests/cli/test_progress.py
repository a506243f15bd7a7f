"""Which progress is shown where."""

import io
import sys

import pytest

from analyzer.cli.progress import Lines, Live, observer


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


@pytest.mark.parametrize(
    ("stream", "term", "kind"),
    [
        (Terminal(), "xterm", Live),
        (Terminal(), "dumb", Lines),
        (Terminal(), None, Lines),
        (io.StringIO(), "xterm", Lines),
    ],
)
def test_a_table_only_where_it_can_be_redrawn(
    monkeypatch: pytest.MonkeyPatch, stream: io.StringIO, term: str | None, kind: type
) -> None:
    monkeypatch.setattr(sys, "stderr", stream)
    monkeypatch.delenv("TERM", raising=False)
    if term is not None:
        monkeypatch.setenv("TERM", term)
    with observer() as shown:
        assert isinstance(shown, kind)
