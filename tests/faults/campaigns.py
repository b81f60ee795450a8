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
from tests.faults.fork_server import ForkServer
from tests.faults.scenarios import Outcome, Scenario

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

_cells: list[Scenario] = []
_nursery: list[ForkServer] = []


def all_scenarios(*, full: bool) -> list[Scenario]:
    """Give the cells of every campaign.

    Args:
        full: all of them; else the quick set.

    Returns:
        The cells.
    """
    return list(itertools.chain.from_iterable(campaign.scenarios(full=full) for campaign in CAMPAIGNS))


def play(scenarios: Iterable[Scenario]) -> dict[str, tuple[Outcome, float]]:
    """Play cells, in as many processes as there are processors.

    Args:
        scenarios: to play.

    Returns:
        For each campaign its outcome, and the seconds of work it took.
    """
    _cells[:] = scenarios
    table: dict[str, tuple[Outcome, float]] = {scenario.campaign: (Outcome(scenarios=0), 0) for scenario in _cells}
    processes = os.cpu_count() or 2
    with multiprocessing.get_context("fork").Pool(processes, _open_nursery) as pool:
        for number, outcome, seconds in pool.imap_unordered(_play, range(len(_cells))):
            total, spent = table[_cells[number].campaign]
            total.add(outcome)
            table[_cells[number].campaign] = (total, spent + seconds)
    return table


def _open_nursery() -> None:
    _nursery[:] = [ForkServer()]


def _play(number: int) -> tuple[int, Outcome, float]:
    scenario = _cells[number]
    began = time.monotonic()
    try:
        outcome = scenario.play(_nursery[0])
    except Exception:  # noqa: BLE001 -- a cell that cannot be played is a finding, and the others go on
        outcome = Outcome([f"{scenario.name}: {traceback.format_exc()}"])
    return number, outcome, time.monotonic() - began


def broken_tap_scenarios() -> list[Scenario]:
    """Give, for each broken tap, the cells that must catch it; their campaign is the tap's name.

    Returns:
        The cells.
    """
    quick = all_scenarios(full=False)
    return [
        Scenario(name, scenario.name, lambda fork_server, n=name, c=scenario: _with(fork_server, n, c))  # type: ignore[misc]
        for name, catcher in BROKEN_TAPS.items()
        for scenario in quick
        if scenario.campaign.startswith(catcher.campaign) and catcher.words in scenario.name
    ]


def _with(fork_server: ForkServer, broken_tap: str, scenario: Scenario) -> Outcome:
    fork_server.broken = [(f"broken_taps:{broken_tap}", {})]
    try:
        return scenario.play(fork_server)
    finally:
        fork_server.broken = []


_COLUMNS: Final = ("scenarios", "histories", "runs", "kills", "signals", "faults", "states", "inputs")


def as_markdown(table: dict[str, tuple[Outcome, float]]) -> str:
    """Write the table of campaigns.

    Args:
        table: of `play`.

    Returns:
        Markdown.
    """
    total, seconds = Outcome(scenarios=0), 0.0
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
