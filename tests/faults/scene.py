"""One small world, and runs of the tap against it, watched to the byte."""

from __future__ import annotations

import json
import os
import select
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Self

import msgspec

from tap_cdp_export.sandbox.options import Options
from tap_cdp_export.sandbox.server import Sandbox

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from tap_cdp_export.sandbox.request_log import Entry
    from tests.faults.fork_server import ForkServer, Patch

    Reader = Callable[[int, bytearray], Iterator[int]]
    """Reads a run's output: gets its process number and what has come so far, yields how many bytes to read
    next, and ends where the reading end closes."""

NOW: Final = "2026-11-10T12:00:00Z"
LATER: Final = "2026-11-10T18:00:00Z"
START: Final = "2026-08-20T00:00:00Z"
VENDORS: Final = ("personalization", "apsis", "braze")
BUCKET: Final = "braze in a bucket"
"""Braze, with exports that go to a bucket of the company's own, in several files."""

KINDS: Final = (*VENDORS, BUCKET)
_QUIET_SECONDS: Final = 0.4
_CHUNK: Final = 65_536

SECRETS: Final = {
    "personalization": {"api_key_id": "canary-id/+a=1", "api_key_secret": "canary-secret/+b=2"},
    "apsis": {"client_id": "canary-client/+c=3", "client_secret": "canary-client-secret/+d=4"},
    "braze": {"api_key": "canary-braze-key/+e=5"},
}
_SMALL: Final[dict[str, Any]] = {
    "population": {"users": 60, "companies": 6, "now": NOW},
    "personalization": {"repeat_every": 7, **SECRETS["personalization"]},
    "apsis": {"polls_before_ready": 1, "metadata": "after", **SECRETS["apsis"]},
    "braze": {"polls_before_ready": 1, "repeat_every": 10, "lines_per_file": 20, **SECRETS["braze"]},
}
_BRISK: Final[dict[str, dict[str, Any]]] = {
    "personalization": {"page_size": 25},
    "apsis": {"window_days": 30, "requests_per_minute": 60_000, "poll_initial_seconds": 0.01, "poll_max_seconds": 0.1},
    "braze": {"poll_initial_seconds": 0.01, "poll_max_seconds": 0.1},
}


@dataclass
class Run:
    """A run, seen from outside.

    Attributes:
        start: the state it was given.
        out: the bytes read from its stdout.
        log: its stderr.
        code: its exit code; negative for a signal.
        left: names of the files it left in its temporary folder.
        memory: peak, in MiB.
        seconds: how long it took.
        requests: what it asked the sandbox.
        hung: whether it had to be killed because it did not end.
    """

    start: dict[str, Any] | None
    out: bytes = b""
    log: str = ""
    code: int = 0
    left: list[str] = field(default_factory=list)
    memory: int = 0
    seconds: float = 0
    requests: list[Entry] = field(default_factory=list)
    hung: bool = False

    @property
    def lines(self) -> list[bytes]:
        """Its whole lines."""
        return self.out.split(b"\n")[:-1]

    @property
    def torn(self) -> bytes:
        """What stands behind the last whole line."""
        return self.out.rpartition(b"\n")[2]


def everything(_pid: int, _received: bytearray) -> Iterator[int]:
    """Read to the end."""
    while True:
        yield _CHUNK


class Scene:
    """A sandbox, settings for it, and a folder; all of them for one history."""

    def __init__(
        self,
        fork_server: ForkServer,
        *vendors: str,
        options: dict[str, Any] | None = None,
        settings: dict[str, Any] | None = None,
    ) -> None:
        """Choose vendors (all by default; a bucket is one), and what makes its truth differ from the usual one."""
        self.fork_server = fork_server
        has_bucket = BUCKET in vendors
        self.vendors = tuple(vendor.replace(BUCKET, "braze") for vendor in vendors) or VENDORS
        self.variant = (self.vendors, options or {}, settings or {})
        self.options = Options()
        self.options.update(_SMALL)
        self.options.update(options or {})
        self.sandbox = Sandbox(self.options)
        given = self.sandbox.settings()
        self.settings: dict[str, Any] = {"start_date": START, "request_deadline_seconds": 60}
        for vendor in self.vendors:
            more = {} if vendor == "personalization" else {"export_timeout_seconds": 60}
            self.settings[vendor] = {**given[vendor], **_BRISK[vendor], **more, **(settings or {}).get(vendor, {})}
        self.settings |= {key: value for key, value in (settings or {}).items() if key not in VENDORS}
        self.folder = Path(tempfile.mkdtemp(prefix="fault-"))
        self.temporary = self.folder / "tmp"
        if has_bucket:
            self._open_bucket()

    def _open_bucket(self) -> None:
        folder = self.folder / "bucket"
        folder.mkdir()
        self.options.update({"braze": {"bucket_folder": str(folder), "bucket_part_seconds": 0.002}})
        self.settings["braze"] |= {"bucket_url": f"file://{folder}", "bucket_quiet_seconds": _QUIET_SECONDS}

    def __enter__(self) -> Self:
        """Open the sandbox."""
        self.temporary.mkdir()
        self.sandbox.start()
        return self

    def __exit__(self, *_exception: object) -> None:
        """Close it, and leave nothing."""
        self.sandbox.stop()
        shutil.rmtree(self.folder)

    def at(self, now: str) -> None:
        """Move the clock: the sandbox's, and the end of the last window."""
        self.options.population.now = now

    def run(  # noqa: PLR0913 -- each is a way to disturb a run
        self,
        *,
        state: dict[str, Any] | None = None,
        reader: Reader = everything,
        patches: Sequence[Patch] = (),
        env: dict[str, str] | None = None,
        limits: dict[str, int] | None = None,
        seconds: float = 30,
        real: bool = False,
    ) -> Run:
        """Run the tap once.

        Args:
            state: to start from.
            reader: of its output.
            patches: what is done to it from outside.
            env: further environment variables.
            limits: resource limits by the name of their constant.
            seconds: after which it is taken to hang.
            real: run the command itself in place of a fork.

        Returns:
            What could be seen.
        """
        run = Run(state)
        request = {
            "argv": self._arguments(state),
            "env": {"TMPDIR": str(self.temporary), **(env or {})},
            "patches": patches,
            "limits": limits or {},
        }
        first = len(self.sandbox.request_log.log)
        began = time.monotonic()
        with tempfile.TemporaryFile() as log:
            if real:
                self._watch_command(run, request, log.fileno(), reader, seconds)
            else:
                self._watch_fork(run, request, log.fileno(), reader, seconds)
            log.seek(0)
            run.log = log.read().decode(errors="replace")
        run.seconds = time.monotonic() - began
        run.left = sorted(os.listdir(self.temporary))  # noqa: PTH208 -- their names alone
        run.requests = self.sandbox.request_log.log[first:]
        return run

    def _arguments(self, state: dict[str, Any] | None) -> list[str]:
        arguments = []
        settings = {"end_date": self.options.population.now, **self.settings}
        for name, content in (("config", settings), ("state", state)):
            if content is not None:
                path = self.folder / f"{name}.json"
                path.write_bytes(msgspec.json.encode(content))
                arguments += [f"--{name}", str(path)]
        return arguments

    def _watch_fork(self, run: Run, request: dict[str, Any], log: int, reader: Reader, seconds: float) -> None:
        with _pipe() as (ours, theirs):
            pid = self.fork_server.start(request, theirs, log)
            os.close(theirs)
            run.hung = _read(pid, ours, run, reader, time.monotonic() + seconds)
        run.code, memory = self.fork_server.reap(pid, seconds)
        run.hung = run.hung or memory < 0
        run.memory = memory // 1024

    def _watch_command(self, run: Run, request: dict[str, Any], log: int, reader: Reader, seconds: float) -> None:
        command = [sys.executable, "-m", "tap_cdp_export", *request["argv"]]
        with _pipe() as (ours, theirs):
            process = subprocess.Popen(command, stdout=theirs, stderr=log, env={**os.environ, **request["env"]})
            os.close(theirs)
            run.hung = _read(process.pid, ours, run, reader, time.monotonic() + seconds)
        try:
            run.code = process.wait(seconds)
        except subprocess.TimeoutExpired:
            run.hung = True
            process.kill()
            run.code = process.wait()


@contextmanager
def _pipe() -> Iterator[tuple[int, int]]:
    """Make a pipe; its reading end is closed afterwards, its writing end by the user."""
    ours, theirs = os.pipe()
    try:
        yield ours, theirs
    finally:
        os.close(ours)


def _read(pid: int, descriptor: int, run: Run, reader: Reader, deadline: float) -> bool:
    """Read as the reader wants; tells whether the run hung."""
    received = bytearray()
    try:
        for size in reader(pid, received):
            if not select.select([descriptor], [], [], max(0, deadline - time.monotonic()))[0]:
                os.kill(pid, signal.SIGKILL)
                return True
            piece = os.read(descriptor, size)
            if not piece:
                break
            received += piece
    finally:
        run.out = bytes(received)
    return False


def states_in(out: bytes) -> list[dict[str, Any]]:
    """Find the states among the whole lines of some output."""
    return [json.loads(line)["value"] for line in out.split(b"\n")[:-1] if b'"type":"STATE"' in line]
