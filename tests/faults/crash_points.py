"""C2: kills the tap at its 1st, 2nd, 3rd … step, until a run completes; the next run must be complete."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from tests.faults.checker import findings
from tests.faults.history import History
from tests.faults.scenarios import Scenario, outcome
from tests.faults.scene import BUCKET, KINDS, TABLES, Scene
from tests.faults.targets import LateDrainer, MergingStateStore, StateStore, Target

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.faults.scenarios import Outcome
    from tests.helpers.fork_server import ForkServer

NAME: Final = "C2 crash points"
_MAX_STEPS: Final = 1_000
_TARGETS_AND_STORES: Final[tuple[tuple[type[Target], type[StateStore]], ...]] = (
    (Target, StateStore),
    (Target, MergingStateStore),
    (LateDrainer, StateStore),
)


def _kill_at_steps(fork_server: ForkServer, vendor: str, first: int, stride: int) -> Outcome:
    """Kill the tap at every `stride`-th step from `first` on, until a run completes."""
    total: Outcome | None = None
    for step in range(first, _MAX_STEPS, stride):
        target, state_store = _TARGETS_AND_STORES[step % len(_TARGETS_AND_STORES)]
        with Scene(fork_server, vendor) as scene:
            history = History(scene, target, state_store)
            run = history.run(patches=[("tests.faults.child_patches:crash", {"at": step})])
            if run.code != 0:
                history.run_until_clean()
            step_outcome = outcome(history, [f"{vendor} killed at step {step}: {text}" for text in findings(history)])
            if total is None:
                total = step_outcome
            else:
                total.add(step_outcome)
        if run.code == 0:
            return total
    raise AssertionError(f"{vendor} has no end within {_MAX_STEPS} steps")


def scenarios(*, full: bool) -> Iterator[Scenario]:
    """Yield every step of every vendor; in the quick set, about thirty in all."""
    shares = 6
    strides = {"personalization": 24, "apsis": 24, "braze": 9, BUCKET: 24, TABLES: 41}
    for vendor in (*KINDS, TABLES):
        stride = shares if full else strides[vendor]
        for first in range(1, shares + 1) if full else (2,):
            yield Scenario(
                NAME,
                f"{vendor} from step {first}, every {stride}",
                lambda fork_server, v=vendor, f=first, s=stride: _kill_at_steps(fork_server, v, f, s),  # type: ignore[misc]
            )
