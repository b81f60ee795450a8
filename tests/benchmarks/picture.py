"""The chart for the performance page: records per second, and time and memory against the size of the data.

All axes of bars begin at 0. The inks are chosen to be read on white and on black alike, on no ground of their own.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import matplotlib as mpl  # type: ignore[import-not-found,unused-ignore]
from matplotlib.figure import Figure  # type: ignore[import-not-found,unused-ignore]

from tests.benchmarks.suite import KINDS, SCALES
from tests.benchmarks.taps import OURS, PLAIN

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from tests.benchmarks.compare import Table

FILE: Final = Path(__file__).with_name("results.svg")

_INK: Final = "#757d87"
_COLOURS: Final = {OURS: "#2f81f7", PLAIN: "#c8871f"}
_OTHERS: Final = "#8b949e"
_LABELS: Final = {
    "users": "users, JSON",
    "csv": "users, CSV",
    "apsis": "apsis_profiles\nand _events",
    "braze": "braze_users",
}
_SERIES: Final = {"users": "#2f81f7", "csv": "#a371f7", "apsis": "#2da44e", "braze": "#d1607b"}
_BASES: Final = "1 x = 20,000 users, 20 MB of an APSIS One export, 10,000 Braze users"
_STYLE: Final[Any] = {
    "svg.fonttype": "none",
    "svg.hashsalt": "tap-cdp-export",
    "font.family": "sans-serif",
    "font.size": 10,
    "text.color": _INK,
    "axes.edgecolor": _INK,
    "axes.labelcolor": _INK,
    "xtick.color": _INK,
    "ytick.color": _INK,
    "axes.spines.top": False,
    "axes.spines.right": False,
}


def draw(tables: Sequence[Table]) -> None:
    """Draw the measurements into `FILE`.

    Args:
        tables: of one run, or of several.
    """
    by_name = {table.name: table for table in tables}
    with mpl.rc_context(_STYLE):
        figure = Figure(figsize=(9, 8.2), layout="constrained")
        grid = figure.add_gridspec(2, 2, height_ratios=(3, 2))
        _bars(figure.add_subplot(grid[0, :]), by_name)
        _times(figure.add_subplot(grid[1, 0]), by_name)
        _memory(figure.add_subplot(grid[1, 1]), by_name)
        figure.supxlabel(_BASES, fontsize=9)
        figure.savefig(FILE, format="svg", transparent=True, metadata={"Date": None, "Creator": None})


def _bars(axes: Any, by_name: Mapping[str, Table]) -> None:
    """Draw one bar per variant, grouped by stream."""
    place, longest = 0.0, 0.0
    for kind in KINDS:
        if kind not in by_name:
            continue
        table = by_name[kind]
        axes.text(-0.01, place - 0.75, _LABELS[kind].replace("\n", " "), transform=axes.get_yaxis_transform(),
                  ha="right", va="center", fontweight="bold")  # fmt: skip
        for row in sorted(table.rows, key=lambda row: row.seconds):
            speed = (row.records or 0) / row.seconds
            longest = max(longest, speed)
            axes.barh(place, speed, height=0.8, color=_COLOURS.get(row.name, _OTHERS))
            ratio = row.seconds / table.rows[0].seconds
            told = f" {speed:,.0f}" + (f"   {ratio:.1f} x as long" if row.name != OURS else "")
            axes.text(speed, place, told, va="center")
            axes.text(-0.01, place, row.name, transform=axes.get_yaxis_transform(), ha="right", va="center")
            place += 1
        place += 1
    axes.set_ylim(place - 1.4, -1.4)
    axes.set_xlim(0, longest * 1.12)
    axes.set_yticks([])
    axes.spines["left"].set_visible(False)
    axes.xaxis.set_major_formatter(lambda value, _: f"{value:,.0f}")
    axes.set_title("Records a second, from the start of the process to its end", loc="left")


def _series(by_name: Mapping[str, Table], kind: str) -> list[Table]:
    return [by_name[f"{kind}-{scale}"] for scale in SCALES if f"{kind}-{scale}" in by_name]


def _scales(axes: Any, title: str) -> None:
    axes.set_xscale("log")
    axes.set_xticks(SCALES, [f"{scale} x" for scale in SCALES])
    axes.minorticks_off()
    axes.set_title(title, loc="left")


def _times(axes: Any, by_name: Mapping[str, Table]) -> None:
    """Draw seconds by size, both logarithmic, so that a line of slope 1 is linear growth."""
    slowest = 0.0
    for kind in KINDS:
        series = _series(by_name, kind)
        seconds = [table.rows[0].seconds for table in series]
        slowest = max([slowest, *seconds])
        label = _LABELS[kind].replace("\n", " ")
        axes.plot([table.scale for table in series], seconds, marker="o", color=_SERIES[kind], label=label)
    axes.set_yscale("log")
    _scales(axes, "Seconds by size (both axes logarithmic)")
    if slowest:
        axes.plot((SCALES[0], SCALES[-1]), (slowest / SCALES[-1], slowest), linestyle=":", color=_INK, label="linear")
    axes.yaxis.set_major_formatter(lambda value, _: f"{value:g}")
    axes.legend(frameon=False, fontsize=8)


def _memory(axes: Any, by_name: Mapping[str, Table]) -> None:
    """Draw peak memory by size, with the axis starting at 0."""
    for kind in KINDS:
        series = _series(by_name, kind)
        peaks = [table.rows[0].peak_mb for table in series]
        axes.plot([table.scale for table in series], peaks, marker="o", color=_SERIES[kind])
    _scales(axes, "Peak memory in MB by size")
    axes.axhline(100, linestyle=":", color=_INK)
    axes.set_ylim(0, max(110.0, axes.get_ylim()[1]))
