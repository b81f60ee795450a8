"""C7: SIGTERM and SIGINT, once or repeatedly, while the tap requests, waits, polls or writes into a full pipe."""

from __future__ import annotations

import signal
import time
from typing import TYPE_CHECKING, Any, Final, NamedTuple

import msgspec

from tap_cdp_export.sandbox.options import Fault
from tests.faults.checker import findings
from tests.faults.history import History, close_after, send_signals
from tests.faults.scenarios import Scenario, outcome
from tests.faults.scene import BUCKET, Scene
from tests.faults.targets import LateDrainer, Target

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.faults.scenarios import Outcome
    from tests.faults.scene import Reader
    from tests.helpers.fork_server import ForkServer

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
    """Activity of the tap at the time of the signal."""

    vendor: str
    marker: bytes
    pause: float
    read_pause: float = 0
    options: dict[str, Any] | None = None
    fault: dict[str, Any] | None = None
    request_path: str = ""  # path of the export request that the vendor must have received first


_APSIS_EXPORTS: Final = "/audience/profiles/exports"
_BRAZE_EXPORTS: Final = "/users/export/segment"


def _slow(path: str) -> dict[str, Any]:
    """Let the answer to a request take longer than it takes a signal to arrive."""
    return {"path": f"{path}$", "kind": "slow", "seconds": 1.2}


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
        "apsis", b"", 0.1, fault=_slow(_APSIS_EXPORTS), request_path=_APSIS_EXPORTS
    ),
    "asks Braze": _Phase(
        BUCKET, b"", 0.1, fault=_slow(_BRAZE_EXPORTS), request_path=_BRAZE_EXPORTS
    ),
    "emits": _Phase("apsis", b'"type":"RECORD"', 0.0, 0.002),
}  # fmt: skip


def _signal_run(fork_server: ForkServer, phase: str, names: str, *, unbuffered: bool, real: bool) -> Outcome:
    about = f"{names} while it {phase}{', unbuffered' if unbuffered else ''}{', real' if real else ''}"
    vendor, marker, pause, read_pause, options, fault, request_path = _PHASES[phase]
    env = {"PYTHONUNBUFFERED": "1"} if unbuffered else {}
    numbers = _SIGNALS[names]
    with Scene(fork_server, vendor, options=options) as scene:
        scene.options.faults = [Fault(**fault)] if fault else []
        history = History(scene, LateDrainer if unbuffered else Target)
        reader = send_signals(*numbers, marker=marker, pause=pause, read_pause=read_pause)
        if request_path:
            reader = _read_after_request(scene, request_path, reader)
        run = history.run(reader=reader, env=env, real=real)
        scene.options.faults = []
        problems = []
        allowed_codes = {128 + number for number in numbers} | ({0} if phase == "emits" else set())
        if run.code not in allowed_codes:
            problems.append(f"I3 exit code {run.code} in place of {sorted(allowed_codes)}")
        history.run_until_clean(env=env)
        problems += findings(history)
        if request_path and len(numbers) == 1:  # a second signal does not wait for the vendor's answer
            bodies = [entry.body for entry in scene.sandbox.request_log.entries(method="POST", path=request_path)]
            if len(bodies) != len({msgspec.json.encode(body, order="sorted") for body in bodies}):
                problems.append("I7 an export was requested twice")
        return outcome(history, [f"{about}: {text}" for text in problems])


def _read_after_request(scene: Scene, path: str, reader: Reader) -> Reader:
    """Wait until the vendor has received a request, then read."""

    def delayed_reader(pid: int, received: bytearray) -> Iterator[int]:
        while not scene.sandbox.request_log.count(method="POST", path=path):
            time.sleep(0.005)
        yield from reader(pid, received)

    return delayed_reader


def _dead_target(fork_server: ForkServer, *, real: bool) -> Outcome:
    """A closed pipe ends the run at once, with exit code 16 and one line in the log."""
    with Scene(fork_server, "personalization", options=_LARGE) as scene:
        history = History(scene)
        run = history.run(reader=close_after(1), real=real)
        problems = []
        if run.code != 16:
            problems.append(f"I3 exit code {run.code} in place of 16")
        if run.log.count(" CRITICAL ") != 1 or "BrokenPipe" in run.log:
            problems.append("I3 the log does not end with a single CRITICAL line")
        history.run_until_clean()
        return outcome(history, [f"dead target: {text}" for text in problems + findings(history)])


def scenarios(*, full: bool) -> Iterator[Scenario]:
    """Yield all signals in all phases, buffered or not, some with the real command; in the quick set, two of each."""
    for row, phase in enumerate(_PHASES):
        for column, names in enumerate(_SIGNALS):
            for unbuffered in (False, True):
                if full or (unbuffered and column in {0, 1 + row % 4}):
                    yield Scenario(
                        NAME,
                        f"{names} while it {phase}",
                        lambda fork_server, p=phase, n=names, u=unbuffered: _signal_run(  # type: ignore[misc]
                            fork_server, p, n, unbuffered=u, real=False
                        ),
                    )
        for names in ("TERM", "INT"):
            if full or names == "TERM":
                yield Scenario(
                    NAME,
                    f"{names} while it {phase}, the command itself",
                    lambda fork_server, p=phase, n=names: _signal_run(fork_server, p, n, unbuffered=True, real=True),  # type: ignore[misc]
                )
    for real in (False, True):
        yield Scenario(NAME, "dead target", lambda fork_server, r=real: _dead_target(fork_server, real=r))  # type: ignore[misc]
