"""A cell is one disturbance and what is expected of it; a campaign is a list of cells."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.faults.fork_server import ForkServer
    from tests.faults.history import History


@dataclass
class Outcome:
    """What a cell, or a campaign of them, came to.

    Attributes:
        findings: everything that is wrong.
        scenarios: how many cells.
        histories: run, disturbed, run again to a clean end.
        runs: of the tap.
        kills: runs that ended by SIGKILL.
        signals: runs that ended by SIGTERM or SIGINT.
        faults: requests that were answered wrongly on purpose.
        states: STATE lines from which a new run was started.
        inputs: byte strings given to the readers.
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
        """Count another one in."""
        self.findings += other.findings
        for name in ("scenarios", "histories", "runs", "kills", "signals", "faults", "states", "inputs"):
            setattr(self, name, getattr(self, name) + getattr(other, name))


@dataclass(frozen=True)
class Scenario:
    """One disturbance.

    Attributes:
        campaign: it belongs to.
        name: what is disturbed.
        play: does it, in a process of its own.
    """

    campaign: str
    name: str
    play: Callable[[ForkServer], Outcome]


def outcome(history: History, findings: list[str], *, states: int = 0) -> Outcome:
    """Sum up a history.

    Args:
        history: ended.
        findings: of the checker, and of the cell itself.
        states: replayed besides.

    Returns:
        The cell's outcome.
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
