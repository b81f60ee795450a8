"""`python -m tests.faults quick|full|broken|memory [CAMPAIGN] [REPORT]`: run the fault campaigns.

`quick` and `full` run the campaigns whose names start with CAMPAIGN, and fail on any finding. `broken` runs the
taps that are broken on purpose, and fails if one of them is not detected. These three also write their findings
to the JSON file REPORT, if given. `memory` measures peak memory, see `tests.faults.memory`.
"""

from __future__ import annotations

import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from tests.faults.campaigns import all_scenarios, as_markdown, broken_tap_scenarios, run_scenarios
from tests.faults.memory import measure

if TYPE_CHECKING:
    from tests.faults.scenarios import Outcome


def _show(table: dict[str, tuple[Outcome, float]]) -> int:
    findings = [finding for outcome, _ in table.values() for finding in outcome.findings]
    for finding in findings:
        sys.stdout.write(f"FINDING {finding}\n")
    sys.stdout.write(f"{as_markdown(table)}\n")
    return 1 if findings else 0


def _show_broken(table: dict[str, tuple[Outcome, float]]) -> int:
    sys.stdout.write("| broken tap | findings | first finding |\n|---|---:|---|\n")
    for name, (outcome, _) in table.items():
        first = outcome.findings[0].partition("\n")[0][:160] if outcome.findings else "**not detected**"
        sys.stdout.write(f"| {name} | {len(outcome.findings)} | {first} |\n")
    return 0 if all(outcome.findings for outcome, _ in table.values()) else 1


def main(command: str = "quick", campaign: str = "", report: str = "") -> int:
    """Run one of the four commands.

    Args:
        command: `quick`, `full`, `broken` or `memory`.
        campaign: Prefix of the names of the campaigns or broken taps to run.
        report: Path of the JSON file for all findings, by campaign or broken tap.

    Returns:
        Exit code: 0 without findings.
    """
    start_time = time.monotonic()
    if command == "memory":
        return measure()
    scenarios = broken_tap_scenarios() if command == "broken" else all_scenarios(full=command == "full")
    table = run_scenarios(scenario for scenario in scenarios if scenario.campaign.startswith(campaign))
    code = (_show_broken if command == "broken" else _show)(table)
    if report:
        findings = {name: outcome.findings for name, (outcome, _) in table.items()}
        Path(report).write_bytes(msgspec.json.encode(findings))
    sys.stdout.write(f"\n{command}: {time.monotonic() - start_time:.0f} s\n")
    return code


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
