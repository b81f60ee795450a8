"""C3: kills the tap after n bytes of output, at, before and after every kind of message boundary."""

from __future__ import annotations

import random
from typing import TYPE_CHECKING, Final

from tests.faults.checker import findings
from tests.faults.history import History, close_after, kill_at_byte, read_slowly
from tests.faults.scenarios import Outcome, Scenario, outcome
from tests.faults.scene import KINDS, Scene
from tests.faults.targets import TARGETS, Killed, LateDrainer, MergingStateStore, StateStore

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.helpers.fork_server import ForkServer, Patch

NAME: Final = "C3 kill at byte n"
_SHARES: Final = 6
_ENCODE_IN_WORKERS: Final[Patch] = ("tests.faults.child_patches:share_out", {})


def _boundaries(out: bytes) -> list[int]:
    """Return the offsets of messages; of consecutive RECORD messages, only the first and the end."""
    offsets, position, previous = [], 0, b""
    for line in out.splitlines(keepends=True):
        kind = line[:24]
        if kind != previous or not line.startswith(b'{"type":"RECORD"'):
            offsets.append(position)
        previous = kind
        position += len(line)
    return [*offsets, position]


def _offsets(out: bytes, *, full: bool, seed: str) -> list[int]:
    boundaries = _boundaries(out)
    boundary_offsets = {max(0, boundary + step) for boundary in boundaries for step in (-1, 0, 1)}
    generator = random.Random(seed)  # noqa: S311 -- no secret
    random_offsets = [generator.randrange(len(out)) for _ in range(70)]
    if full:
        return sorted({*boundary_offsets, *random_offsets})
    return sorted({*generator.sample(sorted(boundary_offsets), 8), *random_offsets[:2]})


def _kill_at_offsets(fork_server: ForkServer, vendor: str, share: int, *, full: bool) -> Outcome:
    total = Outcome(scenarios=0)
    with Scene(fork_server, vendor) as undisturbed_scene, fork_server.unbroken():
        full_output = undisturbed_scene.run().out
    offsets = _offsets(full_output, full=full, seed=vendor)
    for number, offset in list(enumerate(offsets))[share :: _SHARES if full else 1]:
        target_name, target = list(TARGETS.items())[number % len(TARGETS)]
        with Scene(fork_server, vendor) as scene:
            history = History(
                scene, LateDrainer if target is Killed else target, MergingStateStore if number % 3 else StateStore
            )
            patches = [_ENCODE_IN_WORKERS] if number % 2 else []
            history.run(target=target, reader=kill_at_byte(offset), patches=patches)
            history.run_until_clean(patches=patches)
            about = f"{vendor} killed at byte {offset} of {len(full_output)} ({target_name})"
            total.add(outcome(history, [f"{about}: {text}" for text in findings(history)]))
    return total


def _disturb_target(fork_server: ForkServer, vendor: str, kind: str) -> Outcome:
    """The target reads slowly, or closes the pipe after some lines."""
    with Scene(fork_server, vendor) as scene:
        history = History(scene)
        if kind == "slow":
            history.run(reader=read_slowly(0.002))
        else:
            for lines in (1, 3, 40):
                run = history.run(reader=close_after(lines))
                if run.code == 0 and len(run.out) < 1000:
                    return Outcome([f"{vendor}: exit 0 though the target died after {lines} lines"])
        history.run_until_clean()
        return outcome(history, [f"{vendor}, target {kind}: {text}" for text in findings(history)])


def scenarios(*, full: bool) -> Iterator[Scenario]:
    """Yield all boundaries and 70 random offsets of each vendor; in the quick set, ten offsets."""
    for vendor in KINDS:
        for share in range(_SHARES if full else 1):
            yield Scenario(
                NAME,
                f"{vendor}, share {share}",
                lambda fork_server, v=vendor, s=share: _kill_at_offsets(fork_server, v, s, full=full),  # type: ignore[misc]
            )
        for kind in ("slow", "dies"):
            yield Scenario(
                NAME,
                f"{vendor}, target {kind}",
                lambda fork_server, v=vendor, k=kind: _disturb_target(fork_server, v, k),  # type: ignore[misc]
            )
