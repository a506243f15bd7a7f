"""Tables of the benchmark, printed row by row as they are measured, and whether any cell failed."""

from collections.abc import Sequence


class Table:
    """Prints rows of cells; a cell that `failed` is marked with an exclamation mark and remembered."""

    def __init__(self, title: str, columns: Sequence[str], *, first: int = 28, width: int = 21) -> None:
        self.failures: list[str] = []
        self._title = title
        self._first, self._width = first, width
        print(f"\n{title}")
        print(self._line("", columns))

    def row(self, name: str, cells: Sequence[str], failed: Sequence[bool] | None = None) -> None:
        marks = failed or [False] * len(cells)
        shown = [f"{cell} !" if mark else cell for cell, mark in zip(cells, marks, strict=True)]
        print(self._line(name, shown), flush=True)
        self.failures += [f"{self._title}: {name}: {cell}" for cell, mark in zip(cells, marks, strict=True) if mark]

    def note(self, text: str) -> None:
        print(f"  {text}", flush=True)

    def _line(self, name: str, cells: Sequence[str]) -> str:
        return f"  {name:<{self._first}}" + "".join(f"{cell:>{self._width}}" for cell in cells)
