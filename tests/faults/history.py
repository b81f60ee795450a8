"""Histories: disturbed runs, each resumed from the STATE that the target has committed, until a run is clean."""

from __future__ import annotations

import copy
import os
import signal
import time
from typing import TYPE_CHECKING, Any, Final

import msgspec

from tests.faults.strict_lines import parsed
from tests.faults.targets import Killed, StateStore, Tables, Target

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.faults.scene import Reader, Run, Scene

MAX_RUNS: Final = 12


class History:
    """The runs of one scene, the warehouse they fill, and the STATE that is kept between them.

    Attributes:
        runs: The runs, in order.
        keys_before: For each run, the keys that were committed when it started.
        false_successes: Findings about runs that exited with 0 although rows are missing.
        partial_reads: For each run, whether its reader may have left output unread.
        foreign_state: Whether the first run's STATE was written against another address, whose exports are not resumed.
    """

    def __init__(self, scene: Scene, target: type[Target] = Target, state_store: type[StateStore] = StateStore) -> None:
        """Start with an empty warehouse."""
        self.scene = scene
        self.tables: Tables = {}
        self.state_store = state_store()
        self.runs: list[Run] = []
        self.keys_before: list[dict[str, set[Any]]] = []
        self.partial_reads: list[bool] = []
        self.false_successes: list[str] = []
        self.foreign_state = False
        self._target = target

    def run(self, *, target: type[Target] | None = None, **arguments: Any) -> Run:
        """Run the tap once, load its output, and keep the committed STATE.

        Args:
            target: Target of this run, in place of the history's.
            arguments: Arguments of `Scene.run`.
        """
        self.keys_before.append({stream: set(rows) for stream, rows in self.tables.items()})
        self.partial_reads.append(isinstance(arguments.get("reader"), _PartialReader))
        run = self.scene.run(state=self.state_store.state, **arguments)
        self.runs.append(run)
        target_instance = (target or self._target)(self.tables)
        for line in run.lines:
            try:
                target_instance.process(parsed(line))
            except (ValueError, TypeError, KeyError):
                break  # a target fails at such a line, and the checker reports it
        target_instance.end()
        self.state_store.save(target_instance.state)
        if run.code == 0 and not self.partial_reads[-1] and not isinstance(target_instance, Killed):
            self._check_success(len(self.runs))
        return run

    def _check_success(self, number: int) -> None:
        for stream, rows in ExpectedRows.of(self.scene).items():
            if missing_count := len(rows.keys() - self.tables.get(stream, {}).keys()):
                self.false_successes.append(
                    f"run {number}: I3 exit code 0, but {missing_count} rows of {stream} are not there"
                )

    def run_until_clean(self, **arguments: Any) -> Run:
        """Add runs until one exits with 0, at most `MAX_RUNS`."""
        for _ in range(MAX_RUNS):
            run = self.run(**arguments)
            if run.code == 0:
                break
        return run


class ExpectedRows:
    """The rows that the warehouse must contain at the end: those of an undisturbed run, cached by scene.

    Campaign C0 compares them with the dataset of the sandbox.
    """

    _cache: dict[bytes, Tables] = {}  # noqa: RUF012 -- one cache per process

    @classmethod
    def of(cls, scene: Scene) -> Tables:
        """Return the expected rows of a scene at its time, by stream and key.

        Raises:
            RuntimeError: If the undisturbed run fails.
        """
        now = scene.options.population.now
        key = msgspec.json.encode([scene.variant, now])
        if key not in cls._cache:
            vendors, options, settings = copy.deepcopy(scene.variant)
            with (
                scene.fork_server.unbroken(),
                type(scene)(scene.fork_server, *vendors, options=options, settings=settings) as undisturbed_scene,
            ):
                undisturbed_scene.at(str(now))
                run = undisturbed_scene.run()
            if run.code:
                raise RuntimeError(f"the undisturbed run ended with {run.code}: {run.log[-500:]}")
            target = Target({})
            for line in run.lines:
                target.process(parsed(line))
            cls._cache[key] = target.tables
        return cls._cache[key]


class _PartialReader:
    """A reader that may leave output unread, so that the last line may be incomplete."""

    def __init__(self, reader: Reader) -> None:
        self._reader = reader

    def __call__(self, pid: int, received: bytearray) -> Iterator[int]:
        return self._reader(pid, received)


def kill_at_byte(size: int) -> Reader:
    """Read `size` bytes, then kill the tap with SIGKILL."""

    def reader(pid: int, received: bytearray) -> Iterator[int]:
        while len(received) < size:
            yield size - len(received)
        os.kill(pid, signal.SIGKILL)

    return _PartialReader(reader)


def kill_at_marker(marker: bytes) -> Reader:
    """Read until the output contains the marker, then kill the tap with SIGKILL."""

    def reader(pid: int, received: bytearray) -> Iterator[int]:
        while marker not in received:
            yield 4096
        os.kill(pid, signal.SIGKILL)

    return _PartialReader(reader)


def close_after(lines: int) -> Reader:
    """Read a number of lines, then close the pipe."""

    def reader(_pid: int, received: bytearray) -> Iterator[int]:
        while received.count(b"\n") < lines:
            yield 4096

    return _PartialReader(reader)


def read_slowly(seconds: float, size: int = 4096) -> Reader:
    """Read `size` bytes at a time, with a pause before each read."""

    def reader(_pid: int, _received: bytearray) -> Iterator[int]:
        while True:
            time.sleep(seconds)
            yield size

    return reader


def send_signals(*numbers: int, marker: bytes = b"", pause: float = 0, read_pause: float = 0) -> Reader:
    """Send signals once the output contains the marker, then read to the end.

    Args:
        numbers: Signals to send.
        marker: Bytes that the output must contain first.
        pause: Seconds before each signal.
        read_pause: Seconds between two reads afterwards.
    """

    def reader(pid: int, received: bytearray) -> Iterator[int]:
        while marker not in received:
            yield 4096
        for number in numbers:
            time.sleep(pause)
            os.kill(pid, number)
        while True:
            time.sleep(read_pause)
            yield 65_536

    return reader
