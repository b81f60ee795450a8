"""A scenario is one disturbance and the expected behaviour; a campaign is a list of scenarios."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.faults.history import History
    from tests.helpers.fork_server import ForkServer


@dataclass
class Outcome:
    """Result of a scenario or a campaign.

    Attributes:
        findings: Violations of the expected behaviour.
        scenarios: Number of scenarios.
        histories: Number of histories: disturbed runs, then further runs until one is clean.
        runs: Number of runs of the tap.
        kills: Number of runs that ended by SIGKILL.
        signals: Number of runs that ended by SIGTERM or SIGINT.
        faults: Number of requests that were answered wrongly on purpose.
        states: Number of STATE lines from which a new run was started.
        inputs: Number of byte strings given to the readers.
    """

    findings: list[str] = field(default_factory=list)
    scenarios: int = 1
    histories: int = 0
    runs: int = 0
    kills: int = 0
    signals: int = 0
    faults: int = 0
    states: int = 0
    inputs: int = 0

    def add(self, other: Outcome) -> None:
        """Add another outcome to this one."""
        self.findings += other.findings
        for name in ("scenarios", "histories", "runs", "kills", "signals", "faults", "states", "inputs"):
            setattr(self, name, getattr(self, name) + getattr(other, name))


@dataclass(frozen=True)
class Scenario:
    """One disturbance.

    Attributes:
        campaign: Name of its campaign.
        name: Description of the disturbance.
        run: Runs the scenario, with the fork server of the current process.
    """

    campaign: str
    name: str
    run: Callable[[ForkServer], Outcome]


def outcome(history: History, findings: list[str], *, states: int = 0) -> Outcome:
    """Build the outcome of a scenario with one history.

    Args:
        history: The history, after its last run.
        findings: Findings of the checker and of the scenario itself.
        states: Number of STATE lines that were replayed.
    """
    return Outcome(
        findings,
        histories=1,
        runs=len(history.runs),
        kills=sum(run.code == -9 for run in history.runs),
        signals=sum(run.code in {130, 143} for run in history.runs),
        faults=sum(bool(entry.fault) for run in history.runs for entry in run.requests),
        states=states,
    )
