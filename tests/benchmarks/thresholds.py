"""The goals of the benchmarks, and whether they were met."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple

from tests.benchmarks.peers.environments import DLT, MSDK, SINGER_PYTHON
from tests.benchmarks.suite import KINDS, PAGED, PAGES, SCALES, TITLES
from tests.benchmarks.taps import ALONE, PLAIN, RIGHT

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from tests.benchmarks.compare import Table

_RATIOS: Final = (
    ("users", PLAIN, 12.0),
    ("csv", PLAIN, 6.5),
    ("apsis", PLAIN, 10.0),
    ("braze", PLAIN, 13.0),
    ("events", PLAIN, 10.0),
    ("children", PLAIN, 5.0),
    ("users", SINGER_PYTHON, 4.0),
    ("users", DLT, 10.0),
    ("users", MSDK, 10.0),
    ("batch", RIGHT, 15.0),
    ("batch-braze", RIGHT, 15.0),
    ("maps-records", PLAIN, 3.0),
    ("whole-users-0", ALONE, 3.0),
    ("whole-apsis-0", ALONE, 3.0),
)
_STARTUP_SECONDS: Final = 0.5
_PEAK_MB: Final = 100.0
_NOISE: Final = 1.15
"""Tolerance factor for the growth of a series, because its largest size is timed only once."""


class Bar(NamedTuple):
    """One goal.

    Attributes:
        what: description.
        reached: the measured value.
        goal: the required value.
        is_met: whether the measured value meets the goal.
    """

    what: str
    reached: str
    goal: str
    is_met: bool


def thresholds(tables: Sequence[Table]) -> Iterator[Bar]:
    """Check the measurements against the goals; benchmarks that were not run are skipped.

    Args:
        tables: the tables of one run.

    Yields:
        One result per goal.
    """
    by_name = {table.name: table for table in tables}
    for name, other, goal in _RATIOS:
        ratio = by_name[name].ratio(other) if name in by_name else None
        if ratio is not None:
            yield Bar(f"{by_name[name].title}: against {other}", f"{ratio:.1f} x", f"≥ {goal:g} x", ratio >= goal)
    for name in ("--version", "--discover"):
        if name in by_name:
            seconds = by_name[name].rows[0].seconds
            yield Bar(by_name[name].title, f"{seconds:.2f} s", f"< {_STARTUP_SECONDS} s", seconds < _STARTUP_SECONDS)
    for kind in KINDS:
        yield from _growth(kind, by_name)
    for kind in PAGED:
        peaks = [by_name[name].rows[0].peak_mb for page in PAGES if (name := f"{kind}-pages-{page}") in by_name]
        if peaks:
            what = f"{TITLES[kind]}: peak from {PAGES[0]} to {PAGES[-1]:,} a page"
            yield Bar(what, f"{max(peaks):.0f} MB", f"< {_PEAK_MB:g} MB", max(peaks) < _PEAK_MB)
    for kind in KINDS:
        usual, large = (
            by_name[name].ratio(PLAIN) if name in by_name else None for name in (f"{kind}-usual", f"{kind}-large")
        )
        if usual is not None and large is not None:
            what = f"{by_name[f'{kind}-large'].title}: against {PLAIN}"
            yield Bar(what, f"{large:.1f} x", f"≥ {usual:.1f} x, as usual", large * _NOISE >= usual)


def _growth(kind: str, by_name: Mapping[str, Table]) -> Iterator[Bar]:
    """Check memory and linear growth: the step to 100 x may cost ten times as much as the step to 10 x."""
    series = [by_name[f"{kind}-{scale}"] for scale in SCALES if f"{kind}-{scale}" in by_name]
    if len(series) != len(SCALES):
        return
    peak = max(table.rows[0].peak_mb for table in series)
    yield Bar(f"{TITLES[kind]}: peak from 1 x to 100 x", f"{peak:.0f} MB", f"< {_PEAK_MB:g} MB", peak < _PEAK_MB)
    small, middle, large = (table.rows[0].seconds for table in series)
    growth = (large - middle) / max(middle - small, 0.001)
    what = f"{TITLES[kind]}: (time of 100 x - of 10 x) / (of 10 x - of 1 x)"
    yield Bar(what, f"{growth:.1f}", f"≤ {10 * _NOISE:g}", growth <= 10 * _NOISE)
