"""Histories: run, disturb, keep what the target made durable, start again, until a run is clean."""

from __future__ import annotations

import copy
import os
import signal
import time
from typing import TYPE_CHECKING, Any, Final

import msgspec

from tests.faults.strict_lines import parsed
from tests.faults.targets import Host, Killed, Tables, Target

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.faults.scene import Reader, Run, Scene

MOST_ROUNDS: Final = 12


class History:
    """The runs of one scene, the warehouse they fill, and the host between them.

    Attributes:
        runs: in order.
        keys_before: for each run, the keys that were durable when it began.
        false_ends: runs that ended with 0 though not every row was there.
        lossy: for each run, whether its reader left some of the output behind.
        foreign_state: whether the first run's state was written against another address, whose exports are not resumed.
    """

    def __init__(self, scene: Scene, target: type[Target] = Target, host: type[Host] = Host) -> None:
        """Begin with an empty warehouse."""
        self.scene = scene
        self.tables: Tables = {}
        self.host = host()
        self.runs: list[Run] = []
        self.keys_before: list[dict[str, set[Any]]] = []
        self.lossy: list[bool] = []
        self.false_ends: list[str] = []
        self.foreign_state = False
        self._target = target

    def run(self, *, target: type[Target] | None = None, **how: Any) -> Run:
        """Add a run.

        Args:
            target: in place of the history's.
            how: as `Scene.run` takes it.

        Returns:
            The run.
        """
        self.keys_before.append({stream: set(rows) for stream, rows in self.tables.items()})
        self.lossy.append(isinstance(how.get("reader"), _Lossy))
        run = self.scene.run(state=self.host.state, **how)
        self.runs.append(run)
        chosen = (target or self._target)(self.tables)
        for line in run.lines:
            try:
                chosen.take(parsed(line))
            except (ValueError, TypeError, KeyError):
                break  # a target stops at such a line; the checker tells of it
        chosen.end()
        self.host.keep(chosen.state)
        if run.code == 0 and not self.lossy[-1] and not isinstance(chosen, Killed):
            self._remember_false_end(len(self.runs))
        return run

    def _remember_false_end(self, number: int) -> None:
        for stream, rows in Truth.of(self.scene).items():
            if missing := len(rows.keys() - self.tables.get(stream, {}).keys()):
                self.false_ends.append(f"run {number}: I3 exit code 0, but {missing} rows of {stream} are not there")

    def until_clean(self, **how: Any) -> Run:
        """Add runs until one ends with 0, twelve at most."""
        for _ in range(MOST_ROUNDS):
            run = self.run(**how)
            if run.code == 0:
                break
        return run


class Truth:
    """What the warehouse must hold at the end: the rows of an undisturbed run, remembered by world and settings.

    Campaign C0 compares them with the world of the sandbox.
    """

    _known: dict[bytes, Tables] = {}  # noqa: RUF012 -- one memory for the process

    @classmethod
    def of(cls, scene: Scene) -> Tables:
        """Give the truth of a scene at its clock.

        Args:
            scene: the scene.

        Returns:
            The rows, by stream and key.

        Raises:
            RuntimeError: If the undisturbed run fails.
        """
        now = scene.options.population.now
        key = msgspec.json.encode([scene.variant, now])
        if key not in cls._known:
            vendors, options, settings = copy.deepcopy(scene.variant)
            with (
                scene.fork_server.honest(),
                type(scene)(scene.fork_server, *vendors, options=options, settings=settings) as calm,
            ):
                calm.at(str(now))
                run = calm.run()
            if run.code:
                raise RuntimeError(f"the undisturbed run ended with {run.code}: {run.log[-500:]}")
            target = Target({})
            for line in run.lines:
                target.take(parsed(line))
            cls._known[key] = target.tables
        return cls._known[key]


class _Lossy:
    """A reader that leaves some output behind: the tap may have ended well, and the last line may be torn."""

    lossy = True

    def __init__(self, reader: Reader) -> None:
        self._reader = reader

    def __call__(self, pid: int, received: bytearray) -> Iterator[int]:
        return self._reader(pid, received)


def killed_at(size: int) -> Reader:
    """Take so many bytes, then kill the tap with SIGKILL."""

    def reader(pid: int, received: bytearray) -> Iterator[int]:
        while len(received) < size:
            yield size - len(received)
        os.kill(pid, signal.SIGKILL)

    return _Lossy(reader)


def killed_once(there: bytes) -> Reader:
    """Read until some bytes have come, then kill the tap with SIGKILL."""

    def reader(pid: int, received: bytearray) -> Iterator[int]:
        while there not in received:
            yield 4096
        os.kill(pid, signal.SIGKILL)

    return _Lossy(reader)


def dying_after(lines: int) -> Reader:
    """Take so many lines, then close the pipe."""

    def reader(_pid: int, received: bytearray) -> Iterator[int]:
        while received.count(b"\n") < lines:
            yield 4096

    return _Lossy(reader)


def slow(seconds: float, size: int = 4096) -> Reader:
    """Take a little, wait, take a little."""

    def reader(_pid: int, _received: bytearray) -> Iterator[int]:
        while True:
            time.sleep(seconds)
            yield size

    return reader


def signalled(*numbers: int, when: bytes = b"", pause: float = 0, slowly: float = 0) -> Reader:
    """Send signals once some bytes have come, then read to the end.

    Args:
        numbers: the signals.
        when: what has to be in the output first.
        pause: seconds before each signal.
        slowly: seconds between two reads afterwards.

    Returns:
        The reader.
    """

    def reader(pid: int, received: bytearray) -> Iterator[int]:
        while when not in received:
            yield 4096
        for number in numbers:
            time.sleep(pause)
            os.kill(pid, number)
        while True:
            time.sleep(slowly)
            yield 65_536

    return reader
