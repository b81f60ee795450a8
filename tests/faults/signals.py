"""C7: SIGTERM and SIGINT, once and twice, while the tap asks, waits, polls, or writes into a pipe nobody empties."""

from __future__ import annotations

import signal
import time
from typing import TYPE_CHECKING, Any, Final, NamedTuple

import msgspec

from tap_cdp_export.sandbox.options import Fault
from tests.faults.checker import findings
from tests.faults.history import History, dying_after, signalled
from tests.faults.scenarios import Scenario, outcome
from tests.faults.scene import BUCKET, Scene
from tests.faults.targets import LateDrainer, Target

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.faults.fork_server import ForkServer
    from tests.faults.scenarios import Outcome
    from tests.faults.scene import Reader

NAME: Final = "C7 signals"

_LARGE: Final = {"personalization": {"raw_record": '{"name": "large", "note": "%s"}' % ("x" * 3_000_000)}}
_SIGNALS: Final = {
    "TERM": (signal.SIGTERM,),
    "INT": (signal.SIGINT,),
    "TERM and INT": (signal.SIGTERM, signal.SIGINT),
    "INT twice": (signal.SIGINT, signal.SIGINT),
    "TERM three times": (signal.SIGTERM, signal.SIGTERM, signal.SIGTERM),
}


class _Phase(NamedTuple):
    """What the tap is doing when the signal comes."""

    vendor: str
    when: bytes
    pause: float
    slowly: float = 0
    options: dict[str, Any] | None = None
    fault: dict[str, Any] | None = None
    asked: str = ""  # the path of the request for an export that the vendor must have received first


_APSIS_ASKED: Final = "/audience/profiles/exports"
_BRAZE_ASKED: Final = "/users/export/segment"
_PHASES: Final = {
    "waits for a page": _Phase(
        "personalization", b'"stream":"users"', 0.1, fault={"path": "/users.json", "kind": "slow", "seconds": 1.2}
    ),
    "polls": _Phase("apsis", b'"export":{', 0.1, options={"apsis": {"ready_after_seconds": 1.2}}),
    "waits for a busy segment": _Phase(
        "braze", b'"type":"SCHEMA"', 0.1, fault={"path": "/users/export", "status": 429, "times": 0}
    ),
    "writes into a full pipe": _Phase("personalization", b'"stream":"users"', 0.25, 0.001, options=_LARGE),
    "asks APSIS One": _Phase(
        "apsis", b"", 0.1, fault={"path": f"{_APSIS_ASKED}$", "kind": "slow", "seconds": 1.2}, asked=_APSIS_ASKED
    ),
    "asks Braze": _Phase(
        BUCKET, b"", 0.1, fault={"path": f"{_BRAZE_ASKED}$", "kind": "slow", "seconds": 1.2}, asked=_BRAZE_ASKED
    ),
    "emits": _Phase("apsis", b'"type":"RECORD"', 0.0, 0.002),
}  # fmt: skip


def _signalled(fork_server: ForkServer, phase: str, names: str, *, unbuffered: bool, real: bool) -> Outcome:
    about = f"{names} while it {phase}{', unbuffered' if unbuffered else ''}{', real' if real else ''}"
    vendor, when, pause, slowly, options, fault, asked = _PHASES[phase]
    env = {"PYTHONUNBUFFERED": "1"} if unbuffered else {}
    numbers = _SIGNALS[names]
    with Scene(fork_server, vendor, options=options) as scene:
        scene.options.faults = [Fault(**fault)] if fault else []
        history = History(scene, LateDrainer if unbuffered else Target)
        reader = signalled(*numbers, when=when, pause=pause, slowly=slowly)
        if asked:
            reader = _behind_a_request(scene, asked, reader)
        run = history.run(reader=reader, env=env, real=real)
        scene.options.faults = []
        found = []
        allowed = {128 + number for number in numbers} | ({0} if phase == "emits" else set())
        if run.code not in allowed:
            found.append(f"I3 exit code {run.code} in place of {sorted(allowed)}")
        history.until_clean(env=env)
        found += findings(history)
        if asked and len(numbers) == 1:  # a second signal does not wait for the vendor's answer
            bodies = [entry.body for entry in scene.sandbox.request_log.entries(method="POST", path=asked)]
            if len(bodies) != len({msgspec.json.encode(body, order="sorted") for body in bodies}):
                found.append("I7 an export was asked for twice")
        return outcome(history, [f"{about}: {text}" for text in found])


def _behind_a_request(scene: Scene, path: str, then: Reader) -> Reader:
    """Read once the vendor has received a request."""

    def reader(pid: int, received: bytearray) -> Iterator[int]:
        while not scene.sandbox.request_log.count(method="POST", path=path):
            time.sleep(0.005)
        yield from then(pid, received)

    return reader


def _dead_target(fork_server: ForkServer, *, real: bool) -> Outcome:
    """A closed pipe ends the run at once, quietly and not with 0."""
    with Scene(fork_server, "personalization", options=_LARGE) as scene:
        history = History(scene)
        run = history.run(reader=dying_after(1), real=real)
        found = []
        if run.code != 1:
            found.append(f"I3 exit code {run.code} in place of 1")
        if run.log.count(" CRITICAL ") != 1 or "BrokenPipe" in run.log:
            found.append("I3 not one quiet last line")
        history.until_clean()
        return outcome(history, [f"dead target: {text}" for text in found + findings(history)])


def scenarios(*, full: bool) -> Iterator[Scenario]:
    """All signals in all phases, buffered and not, some with the command itself; quick: TERM and one more in each."""
    for row, phase in enumerate(_PHASES):
        for column, names in enumerate(_SIGNALS):
            for unbuffered in (False, True):
                if full or (unbuffered and column in {0, 1 + row % 4}):
                    yield Scenario(
                        NAME,
                        f"{names} while it {phase}",
                        lambda fork_server, p=phase, n=names, u=unbuffered: _signalled(  # type: ignore[misc]
                            fork_server, p, n, unbuffered=u, real=False
                        ),
                    )
        for names in ("TERM", "INT"):
            if full or names == "TERM":
                yield Scenario(
                    NAME,
                    f"{names} while it {phase}, the command itself",
                    lambda fork_server, p=phase, n=names: _signalled(fork_server, p, n, unbuffered=True, real=True),  # type: ignore[misc]
                )
    for real in (False, True):
        yield Scenario(NAME, "dead target", lambda fork_server, r=real: _dead_target(fork_server, real=r))  # type: ignore[misc]
