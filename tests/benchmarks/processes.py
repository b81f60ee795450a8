"""Run a command from exec to exit and measure it."""

from __future__ import annotations

import gzip
import os
import shutil
import subprocess
import sys
import tempfile
import threading
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final, Self

from tests.helpers.environments import SLOWING

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    BytesPopen = subprocess.Popen[bytes]

_PIPE_BYTES: Final = 2**20
_SAMPLE_SECONDS: Final = 0.05
_BEAT_SECONDS: Final = 0.02
_RECORDS: Final = (b'{"type":"RECORD"', b'{"type": "RECORD"')
_ROOT: Final = Path(__file__).parents[2]


class Failed(Exception):
    """A command failed."""


@dataclass(frozen=True)
class Variant:
    """One of the commands that are compared.

    Attributes:
        name: for the tables.
        command: the command line.
        folder: where it writes its records, if not to stdout; emptied before each run.
        environment: additional variables.
    """

    name: str
    command: tuple[str, ...]
    folder: Path | None = None
    environment: Mapping[str, str] | None = None


@dataclass(frozen=True)
class Run:
    """The measurement of one run.

    Attributes:
        seconds: from exec to exit.
        processor_seconds: CPU time of the process and of the children it waited for.
        peak_mb: largest resident set.
        pause: the longest stall of the machine during the run; virtual machines sometimes stall.
    """

    seconds: float
    processor_seconds: float
    peak_mb: float
    pause: float = 0.0


def _start(variant: Variant, log: int) -> BytesPopen:
    """Start a command without environment variables that slow Python down, and without a proxy for loopback."""
    if variant.folder:
        shutil.rmtree(variant.folder, ignore_errors=True)
        variant.folder.mkdir(parents=True)
    inherited = {name: value for name, value in os.environ.items() if name not in SLOWING}
    environment = {**inherited, "NO_PROXY": "127.0.0.1", **(variant.environment or {})}
    return subprocess.Popen(variant.command, stdout=subprocess.PIPE, stderr=log, cwd=_ROOT, env=environment)


def _drain(process: BytesPopen) -> None:
    """Read the output as fast as it arrives, and discard it."""
    if process.stdout:
        buffer = bytearray(_PIPE_BYTES)
        while os.readv(process.stdout.fileno(), [buffer]):
            pass
        process.stdout.close()


class _Heartbeat:
    """Detects stalls of the whole machine: an almost idle thread then misses its beats."""

    def __init__(self) -> None:
        self.pause = 0.0
        self._ends = threading.Event()
        self._thread = threading.Thread(target=self._beat, daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_error: object) -> None:
        self._ends.set()
        self._thread.join()

    def _beat(self) -> None:
        last = time.monotonic()
        while not self._ends.wait(_BEAT_SECONDS):
            now = time.monotonic()
            self.pause = max(self.pause, now - last - _BEAT_SECONDS)
            last = now


def measure(variant: Variant) -> Run:
    """Run a command once.

    Args:
        variant: the command.

    Returns:
        The measurement.

    Raises:
        Failed: If it did not end well.
    """
    with tempfile.TemporaryFile() as log, _Heartbeat() as heartbeat:
        start = time.monotonic()
        process = _start(variant, log.fileno())
        _drain(process)
        _, status, usage = os.wait4(process.pid, 0)
        seconds = time.monotonic() - start
        process.returncode = os.waitstatus_to_exitcode(status)
        if process.returncode:
            log.seek(0)
            raise Failed(f"{variant.name} ended with {process.returncode}: {log.read()[-2000:].decode()}")
    return Run(seconds, usage.ru_utime + usage.ru_stime, usage.ru_maxrss * 1024 / 10**6, heartbeat.pause)


def records(variant: Variant) -> int:
    """Run a command once and count its records.

    Args:
        variant: the command.

    Returns:
        How many.

    Raises:
        Failed: If it did not end well.
    """
    with tempfile.TemporaryFile() as log:
        with _start(variant, log.fileno()) as process:
            number = sum(line.startswith(_RECORDS) for line in process.stdout or ())
        if process.returncode:
            log.seek(0)
            raise Failed(f"{variant.name} ended with {process.returncode}: {log.read()[-2000:].decode()}")
    return _written(variant.folder) if variant.folder else number


def _written(folder: Path) -> int:
    """Count the records in a folder; a command that does not write lines writes their number to `rows`."""
    count_file = folder / "rows"
    if count_file.exists():
        return int(count_file.read_text())
    return sum(_lines(path) for path in folder.rglob("*") if path.name.endswith((".jsonl", ".gz")))


def _lines(path: Path) -> int:
    with gzip.open(path) if path.suffix == ".gz" else path.open("rb") as file:
        return sum(1 for _ in file)


def peak_of_tree(variant: Variant) -> float:
    """Run a command once, and sample its memory and that of all its children every 50 ms.

    Args:
        variant: the command.

    Returns:
        The largest sum of their proportional set sizes in MB; 0 where the system does not report them.
    """
    with tempfile.TemporaryFile() as log:
        process = _start(variant, log.fileno())
        draining = threading.Thread(target=_drain, args=(process,))
        draining.start()
        peak = 0.0
        while process.poll() is None:
            peak = max(peak, sum(map(_proportional_bytes, _tree(process.pid))))
            time.sleep(_SAMPLE_SECONDS)
        draining.join()
    return peak / 10**6


def _tree(root: int) -> Iterator[int]:
    """Yield a process and all its descendants."""
    waiting = [root]
    while waiting:
        process = waiting.pop()
        yield process
        try:
            for task in Path(f"/proc/{process}/task").iterdir():
                waiting += map(int, (task / "children").read_text().split())
        except OSError:  # it has exited in the meantime
            continue


def _proportional_bytes(process: int) -> int:
    try:
        text = Path(f"/proc/{process}/smaps_rollup").read_text()
    except OSError:
        return 0
    return next((int(line.split()[1]) * 1024 for line in text.splitlines() if line.startswith("Pss:")), 0)


def beside_python(name: str) -> str:
    """Find a command that is installed in this Python's environment.

    Args:
        name: of the command.

    Returns:
        Its path.
    """
    return str(Path(sys.executable).with_name(name))
