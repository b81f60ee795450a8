"""C2: the tap is killed at its 1st, 2nd, 3rd … step, until a run completes; the next run must make it whole."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from tests.faults.checker import findings
from tests.faults.history import History
from tests.faults.scenarios import Scenario, outcome
from tests.faults.scene import BUCKET, KINDS, Scene
from tests.faults.targets import Host, LateDrainer, MergingHost, Target

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.faults.fork_server import ForkServer
    from tests.faults.scenarios import Outcome

NAME: Final = "C2 crash points"
_FAR: Final = 1_000
_MODELS: Final[tuple[tuple[type[Target], type[Host]], ...]] = (
    (Target, Host),
    (Target, MergingHost),
    (LateDrainer, Host),
)


def _killed(fork_server: ForkServer, vendor: str, first: int, stride: int) -> Outcome:
    """Play every `stride`-th point from `first` on, until a run completes."""
    total: Outcome | None = None
    for point in range(first, _FAR, stride):
        target, host = _MODELS[point % len(_MODELS)]
        with Scene(fork_server, vendor) as scene:
            history = History(scene, target, host)
            run = history.run(patches=[("child_patches:crash", {"at": point})])
            if run.code != 0:
                history.until_clean()
            one = outcome(history, [f"{vendor} killed at step {point}: {text}" for text in findings(history)])
            if total is None:
                total = one
            else:
                total.add(one)
        if run.code == 0:
            return total
    raise AssertionError(f"{vendor} has no end within {_FAR} steps")


def scenarios(*, full: bool) -> Iterator[Scenario]:
    """Every point of every vendor, or about thirty in all."""
    spread = 6
    strides = {"personalization": 24, "apsis": 24, "braze": 9, BUCKET: 24}
    for vendor in KINDS:
        stride = spread if full else strides[vendor]
        for first in range(1, spread + 1) if full else (2,):
            yield Scenario(
                NAME,
                f"{vendor} from step {first}, every {stride}",
                lambda fork_server, v=vendor, f=first, s=stride: _killed(fork_server, v, f, s),  # type: ignore[misc]
            )
