"""All campaigns, played by a few processes; each of them has a nursery of its own."""

from __future__ import annotations

import itertools
import multiprocessing
import os
import time
import traceback
from typing import TYPE_CHECKING, Final

from tests.faults import (
    byte_kills,
    crash_points,
    expected_rows,
    pairs,
    reader_fuzz,
    replays,
    signals,
    single_faults,
    state_hosts,
    vendor_modes,
)
from tests.faults.broken_taps import BROKEN_TAPS
from tests.faults.fork_server import Nursery
from tests.faults.scenarios import Cell, Outcome

if TYPE_CHECKING:
    from collections.abc import Iterable

CAMPAIGNS: Final = (
    expected_rows,
    single_faults,
    vendor_modes,
    crash_points,
    byte_kills,
    pairs,
    replays,
    reader_fuzz,
    signals,
    state_hosts,
)

_cells: list[Cell] = []
_nursery: list[Nursery] = []


def all_cells(*, full: bool) -> list[Cell]:
    """Give the cells of every campaign.

    Args:
        full: all of them; else the quick set.

    Returns:
        The cells.
    """
    return list(itertools.chain.from_iterable(campaign.cells(full=full) for campaign in CAMPAIGNS))


def play(cells: Iterable[Cell]) -> dict[str, tuple[Outcome, float]]:
    """Play cells, in as many processes as there are processors.

    Args:
        cells: to play.

    Returns:
        For each campaign its outcome, and the seconds of work it took.
    """
    _cells[:] = cells
    table: dict[str, tuple[Outcome, float]] = {cell.campaign: (Outcome(cells=0), 0) for cell in _cells}
    processes = os.cpu_count() or 2
    with multiprocessing.get_context("fork").Pool(processes, _open_nursery) as pool:
        for number, outcome, seconds in pool.imap_unordered(_play, range(len(_cells))):
            total, spent = table[_cells[number].campaign]
            total.add(outcome)
            table[_cells[number].campaign] = (total, spent + seconds)
    return table


def _open_nursery() -> None:
    _nursery[:] = [Nursery()]


def _play(number: int) -> tuple[int, Outcome, float]:
    cell = _cells[number]
    began = time.monotonic()
    try:
        outcome = cell.play(_nursery[0])
    except Exception:  # noqa: BLE001 -- a cell that cannot be played is a finding, and the others go on
        outcome = Outcome([f"{cell.name}: {traceback.format_exc()}"])
    return number, outcome, time.monotonic() - began


def broken_tap_cells() -> list[Cell]:
    """Give, for each broken tap, the cells that must catch it; their campaign is the tap's name.

    Returns:
        The cells.
    """
    quick = all_cells(full=False)
    return [
        Cell(name, cell.name, lambda nursery, n=name, c=cell: _with(nursery, n, c))  # type: ignore[misc]
        for name, catcher in BROKEN_TAPS.items()
        for cell in quick
        if cell.campaign.startswith(catcher.campaign) and catcher.words in cell.name
    ]


def _with(nursery: Nursery, broken_tap: str, cell: Cell) -> Outcome:
    nursery.broken = [(f"broken_taps:{broken_tap}", {})]
    try:
        return cell.play(nursery)
    finally:
        nursery.broken = []


_COLUMNS: Final = ("cells", "histories", "runs", "kills", "signals", "faults", "states", "inputs")


def as_markdown(table: dict[str, tuple[Outcome, float]]) -> str:
    """Write the table of campaigns.

    Args:
        table: of `play`.

    Returns:
        Markdown.
    """
    total, seconds = Outcome(cells=0), 0.0
    for outcome, spent in table.values():
        total.add(outcome)
        seconds += spent
    rows = [*table.items(), ("all", (total, seconds))]
    lines = [
        f"| campaign | {' | '.join(_COLUMNS)} | losses and surprises | seconds of work |",
        f"|---|{'---:|' * (len(_COLUMNS) + 2)}",
    ]
    for name, (outcome, spent) in rows:
        numbers = [f"{getattr(outcome, column):,}" for column in _COLUMNS]
        lines.append(f"| {name} | {' | '.join(numbers)} | {len(outcome.findings)} | {spent:.0f} |")
    return "\n".join(lines)
