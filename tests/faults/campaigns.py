"""Runs campaigns in a few processes, each with its own fork server."""

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
    host_faults,
    input_fuzz,
    random_histories,
    reader_fuzz,
    replays,
    signals,
    single_faults,
    vendor_modes,
)
from tests.faults.broken_taps import BROKEN_TAPS
from tests.faults.scenarios import Outcome, Scenario
from tests.helpers.fork_server import ForkServer

if TYPE_CHECKING:
    from collections.abc import Iterable

CAMPAIGNS: Final = (
    expected_rows,
    single_faults,
    vendor_modes,
    crash_points,
    byte_kills,
    random_histories,
    replays,
    reader_fuzz,
    signals,
    host_faults,
    input_fuzz,
)

_scenarios: list[Scenario] = []
_fork_servers: list[ForkServer] = []
_PRELOADED: Final = ("tap_cdp_export.config.sandbox", "tests.faults.broken_taps", "tests.faults.child_patches")


def all_scenarios(*, full: bool) -> list[Scenario]:
    """Return the scenarios of every campaign; unless `full`, those of the quick set."""
    return list(itertools.chain.from_iterable(campaign.scenarios(full=full) for campaign in CAMPAIGNS))


def run_scenarios(scenarios: Iterable[Scenario]) -> dict[str, tuple[Outcome, float]]:
    """Run scenarios in as many processes as there are processors.

    Args:
        scenarios: Scenarios to run.

    Returns:
        By campaign, its outcome and the seconds of work.
    """
    _scenarios[:] = scenarios
    table: dict[str, tuple[Outcome, float]] = {scenario.campaign: (Outcome(scenarios=0), 0) for scenario in _scenarios}
    processes = os.cpu_count() or 2
    with multiprocessing.get_context("fork").Pool(processes, _start_fork_server) as pool:
        for number, outcome, seconds in pool.imap_unordered(_run_scenario, range(len(_scenarios))):
            total, earlier_seconds = table[_scenarios[number].campaign]
            total.add(outcome)
            table[_scenarios[number].campaign] = (total, earlier_seconds + seconds)
    return table


def _start_fork_server() -> None:
    _fork_servers[:] = [ForkServer("tap_cdp_export", *_PRELOADED)]


def _run_scenario(number: int) -> tuple[int, Outcome, float]:
    scenario = _scenarios[number]
    began = time.monotonic()
    try:
        outcome = scenario.run(_fork_servers[0])
    except Exception:  # noqa: BLE001 -- an error in a scenario is a finding; the others continue
        outcome = Outcome([f"{scenario.name}: {traceback.format_exc()}"])
    return number, outcome, time.monotonic() - began


def broken_tap_scenarios() -> list[Scenario]:
    """Return the scenarios that must detect each broken tap; their campaign is the name of the tap."""
    quick = all_scenarios(full=False)
    return [
        Scenario(name, scenario.name, lambda fork_server, n=name, c=scenario: _run_with_broken_tap(fork_server, n, c))  # type: ignore[misc]
        for name, catcher in BROKEN_TAPS.items()
        for scenario in quick
        if scenario.campaign.startswith(catcher.campaign) and catcher.words in scenario.name
    ]


def _run_with_broken_tap(fork_server: ForkServer, broken_tap: str, scenario: Scenario) -> Outcome:
    fork_server.broken = [(f"tests.faults.broken_taps:{broken_tap}", {})]
    try:
        return scenario.run(fork_server)
    finally:
        fork_server.broken = []


_COLUMNS: Final = ("scenarios", "histories", "runs", "kills", "signals", "faults", "states", "inputs")


def as_markdown(table: dict[str, tuple[Outcome, float]]) -> str:
    """Format the result of `run_scenarios` as a Markdown table."""
    total, seconds = Outcome(scenarios=0), 0.0
    for outcome, campaign_seconds in table.values():
        total.add(outcome)
        seconds += campaign_seconds
    rows = [*table.items(), ("all", (total, seconds))]
    lines = [
        f"| campaign | {' | '.join(_COLUMNS)} | findings | seconds of work |",
        f"|---|{'---:|' * (len(_COLUMNS) + 2)}",
    ]
    for name, (outcome, campaign_seconds) in rows:
        numbers = [f"{getattr(outcome, column):,}" for column in _COLUMNS]
        lines.append(f"| {name} | {' | '.join(numbers)} | {len(outcome.findings)} | {campaign_seconds:.0f} |")
    return "\n".join(lines)
