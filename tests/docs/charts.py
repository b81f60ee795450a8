"""The charts of the cookbook, drawn from the results of its queries."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from tests.helpers.about import ROOT

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from tests.docs.cookbook import Result

_COLOURS: Final = ("#2f81f7", "#c8871f", "#2da44e")
_INK: Final = "#57606a"
_STYLE: Final[Any] = {
    "svg.fonttype": "none",
    "svg.hashsalt": "tap-cdp-export",
    "font.family": "sans-serif",
    "text.color": _INK,
    "axes.edgecolor": _INK,
    "axes.labelcolor": _INK,
    "xtick.color": _INK,
    "ytick.color": _INK,
    "axes.spines.top": False,
    "axes.spines.right": False,
}


class Chart(NamedTuple):
    """Horizontal bars.

    Attributes:
        name: of the file.
        query: number of the query on the page, from 0.
        bars: which columns are drawn; the first column names the groups.
        label: of the axis.
    """

    name: str
    query: int
    bars: tuple[str, ...]
    label: str

    @property
    def file(self) -> Path:
        """The picture."""
        return ROOT / "docs" / "charts" / self.name


CHARTS: Final = (
    Chart("churn.svg", 0, ("users", "with_address"), "users"),
    Chart("campaigns.svg", 2, ("received", "opened", "bought_within_7_days"), "users"),
)


def mark(chart: Chart, results: Sequence[Result]) -> str:
    """The last line of a picture, which says what it was drawn from."""
    return f"<!-- {hashlib.sha256(results[chart.query].markdown().encode()).hexdigest()} -->\n"


def draw(chart: Chart, results: Sequence[Result]) -> None:
    """Draw a chart into its file.

    Args:
        chart: the chart.
        results: of all queries of the page.
    """
    import matplotlib as mpl  # type: ignore[import-not-found,unused-ignore] # noqa: PLC0415 -- an extra
    from matplotlib.figure import Figure  # type: ignore[import-not-found,unused-ignore] # noqa: PLC0415

    names, rows = results[chart.query]
    groups = [str(row[0]) for row in rows]
    height = 0.8 / len(chart.bars)
    with mpl.rc_context(_STYLE):
        figure = Figure(figsize=(8, 1.2 + 0.7 * len(rows)), layout="constrained")
        axes = figure.add_subplot()
        for number, column in enumerate(chart.bars):
            places = [place + (number - (len(chart.bars) - 1) / 2) * height for place in range(len(rows))]
            values = [row[names.index(column)] for row in rows]
            bars = axes.barh(places, values, height * 0.9, color=_COLOURS[number], label=column.replace("_", " "))
            axes.bar_label(bars, padding=3, fontsize=9)
        axes.set_yticks(range(len(rows)), groups)
        axes.invert_yaxis()
        axes.set_xlabel(chart.label)
        figure.legend(frameon=False, loc="outside upper right", ncols=len(chart.bars))
        chart.file.parent.mkdir(exist_ok=True)
        figure.savefig(chart.file, format="svg", transparent=True, metadata={"Date": None})
    with chart.file.open("a", encoding="utf-8") as picture:
        picture.write(mark(chart, results))
