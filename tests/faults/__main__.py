"""`python -m tests.faults quick|full|broken|memory`: play the campaigns and print what they came to.

`quick` and `full` take the beginning of a campaign's name besides, and fail on any finding. `broken` plays the
taps that are broken on purpose, and fails on any that is not caught. All three write their findings to a JSON
file besides where a third argument names one. `memory` measures; see there.
"""

from __future__ import annotations

import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from tests.faults.campaigns import all_scenarios, as_markdown, broken_tap_scenarios, play
from tests.faults.memory import measure

if TYPE_CHECKING:
    from tests.faults.scenarios import Outcome


def _show(table: dict[str, tuple[Outcome, float]]) -> int:
    findings = [finding for outcome, _ in table.values() for finding in outcome.findings]
    for finding in findings:
        sys.stdout.write(f"FOUND {finding}\n")
    sys.stdout.write(f"{as_markdown(table)}\n")
    return 1 if findings else 0


def _show_broken(table: dict[str, tuple[Outcome, float]]) -> int:
    sys.stdout.write("| broken tap | findings | the first of them |\n|---|---:|---|\n")
    for name, (outcome, _) in table.items():
        first = outcome.findings[0].partition("\n")[0][:160] if outcome.findings else "**not caught**"
        sys.stdout.write(f"| {name} | {len(outcome.findings)} | {first} |\n")
    return 0 if all(outcome.findings for outcome, _ in table.values()) else 1


def main(what: str = "quick", campaign: str = "", report: str = "") -> int:
    """Do one of the four.

    Args:
        what: which.
        campaign: only those whose name begins so.
        report: where to write all findings, by campaign or broken tap.

    Returns:
        Exit code: 0 if all is as it must be.
    """
    began = time.monotonic()
    if what == "memory":
        return measure()
    scenarios = broken_tap_scenarios() if what == "broken" else all_scenarios(full=what == "full")
    table = play(scenario for scenario in scenarios if scenario.campaign.startswith(campaign))
    code = (_show_broken if what == "broken" else _show)(table)
    if report:
        findings = {name: outcome.findings for name, (outcome, _) in table.items()}
        Path(report).write_bytes(msgspec.json.encode(findings))
    sys.stdout.write(f"\n{what}: {time.monotonic() - began:.0f} s\n")
    return code


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
