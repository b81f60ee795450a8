"""C3: the reading end takes n bytes and kills the tap: at every kind of message boundary, one before, one behind."""

from __future__ import annotations

import random
from typing import TYPE_CHECKING, Final

from tests.faults.checker import findings
from tests.faults.history import History, dying_after, killed_at, slow
from tests.faults.scenarios import Outcome, Scenario, outcome
from tests.faults.scene import KINDS, Scene
from tests.faults.targets import TARGETS, Host, Killed, LateDrainer, MergingHost

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.faults.fork_server import ForkServer, Patch

NAME: Final = "C3 kill at byte n"
_SHARES: Final = 6
_SHARED_OUT: Final[Patch] = ("child_patches:share_out", {})


def _boundaries(out: bytes) -> list[int]:
    """Where messages begin: all but RECORD, and of those the first and the last of each run of them."""
    found, position, previous = [], 0, b""
    for line in out.splitlines(keepends=True):
        kind = line[:24]
        if kind != previous or not line.startswith(b'{"type":"RECORD"'):
            found.append(position)
        previous = kind
        position += len(line)
    return [*found, position]


def _offsets(out: bytes, *, full: bool, seed: str) -> list[int]:
    boundaries = _boundaries(out)
    exact = {max(0, place + step) for place in boundaries for step in (-1, 0, 1)}
    generator = random.Random(seed)  # noqa: S311 -- no secret
    drawn = [generator.randrange(len(out)) for _ in range(70)]
    if full:
        return sorted({*exact, *drawn})
    return sorted({*generator.sample(sorted(exact), 8), *drawn[:2]})


def _killed(fork_server: ForkServer, vendor: str, share: int, *, full: bool) -> Outcome:
    total = Outcome(scenarios=0)
    with Scene(fork_server, vendor) as calm, fork_server.honest():
        whole = calm.run().out
    offsets = _offsets(whole, full=full, seed=vendor)
    for number, offset in list(enumerate(offsets))[share :: _SHARES if full else 1]:
        model, target = list(TARGETS.items())[number % len(TARGETS)]
        with Scene(fork_server, vendor) as scene:
            history = History(scene, LateDrainer if target is Killed else target, MergingHost if number % 3 else Host)
            patches = [_SHARED_OUT] if number % 2 else []
            history.run(target=target, reader=killed_at(offset), patches=patches)
            history.until_clean(patches=patches)
            about = f"{vendor} killed at byte {offset} of {len(whole)} ({model})"
            total.add(outcome(history, [f"{about}: {text}" for text in findings(history)]))
    return total


def _target(fork_server: ForkServer, vendor: str, kind: str) -> Outcome:
    """Three whole-target disturbances: it reads slowly, it dies after some lines, its host dies with it."""
    with Scene(fork_server, vendor) as scene:
        history = History(scene)
        if kind == "slow":
            history.run(reader=slow(0.002))
        else:
            for lines in (1, 3, 40):
                run = history.run(reader=dying_after(lines))
                if run.code == 0 and len(run.out) < 1000:
                    return Outcome([f"{vendor}: exit 0 though the target died after {lines} lines"])
        history.until_clean()
        return outcome(history, [f"{vendor}, target {kind}: {text}" for text in findings(history)])


def scenarios(*, full: bool) -> Iterator[Scenario]:
    """All boundaries and 70 random bytes a vendor, or ten in all of each."""
    for vendor in KINDS:
        for share in range(_SHARES if full else 1):
            yield Scenario(
                NAME,
                f"{vendor}, share {share}",
                lambda fork_server, v=vendor, s=share: _killed(fork_server, v, s, full=full),  # type: ignore[misc]
            )
        for kind in ("slow", "dies"):
            yield Scenario(
                NAME,
                f"{vendor}, target {kind}",
                lambda fork_server, v=vendor, k=kind: _target(fork_server, v, k),  # type: ignore[misc]
            )
