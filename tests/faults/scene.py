"""A sandbox with settings for the tap, and runs of the tap against it."""

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
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from tap_cdp_export.sandbox.request_log import Entry
    from tests.helpers.fork_server import ForkServer, Patch

    Reader = Callable[[int, bytearray], Iterator[int]]
    """Reads the output of a run: takes its process ID and the bytes received so far, yields the number of bytes to
    read next, and returns when the pipe is to be closed."""

NOW: Final = "2026-11-10T12:00:00Z"
LATER: Final = "2026-11-10T18:00:00Z"
START: Final = "2026-08-20T00:00:00Z"
VENDORS: Final = ("personalization", "apsis", "braze")
BUCKET: Final = "braze in a bucket"
"""Braze with the company's own bucket, where an export has several files."""

TABLES: Final = "braze with tables"
"""Braze with lists, suppression lists and series beside its users."""

KINDS: Final = (*VENDORS, BUCKET)
_BUCKET_QUIET_SECONDS: Final = 0.4
_CHUNK: Final = 65_536

SECRETS: Final = {
    "personalization": {"api_key_id": "canary-id/+a=1", "api_key_secret": "canary-secret/+b=2"},
    "apsis": {"client_id": "canary-client/+c=3", "client_secret": "canary-client-secret/+d=4"},
    "braze": {"api_key": "canary-braze-key/+e=5"},
}
_OPTIONS: Final[dict[str, Any]] = {
    "population": {"users": 60, "companies": 6, "now": NOW},
    "personalization": {"repeat_every": 7, **SECRETS["personalization"]},
    "apsis": {"polls_before_ready": 1, "metadata": "after", **SECRETS["apsis"]},
    "braze": {"polls_before_ready": 1, "repeat_every": 10, "lines_per_file": 20, **SECRETS["braze"]},
}
_SETTINGS: Final[dict[str, dict[str, Any]]] = {
    "personalization": {"page_size": 25},
    "apsis": {"window_days": 30, "requests_per_minute": 60_000, "poll_initial_seconds": 0.01, "poll_max_seconds": 0.1},
    "braze": {"poll_initial_seconds": 0.01, "poll_max_seconds": 0.1},
}
_CHILD_TABLES: Final = {"tables": ["braze_user_apps", "braze_user_canvas_steps"]}
"""Of the users' own export, whose files feed all of them."""

_TABLES: Final = {
    "tables": ["braze_campaigns", "braze_campaign_stats", "braze_campaign_message_stats", "braze_unsubscribes"],
    "parallel_requests": 2,
}


@dataclass
class Run:
    """Observations of a run of the tap.

    Attributes:
        start: STATE that the run started from.
        out: Bytes read from stdout.
        log: Contents of stderr.
        code: Exit code; negative for a signal.
        files_left: Names of the files that the run left in its temporary folder.
        memory: Peak memory, in MiB.
        seconds: Duration.
        requests: Requests that the sandbox received.
        hung: Whether the run had to be killed after a timeout.
    """

    start: dict[str, Any] | None
    out: bytes = b""
    log: str = ""
    code: int = 0
    files_left: list[str] = field(default_factory=list)
    memory: int = 0
    seconds: float = 0
    requests: list[Entry] = field(default_factory=list)
    hung: bool = False

    @property
    def lines(self) -> list[bytes]:
        """Complete lines of the output."""
        return self.out.split(b"\n")[:-1]

    @property
    def torn(self) -> bytes:
        """Bytes after the last complete line."""
        return self.out.rpartition(b"\n")[2]


def read_everything(_pid: int, _received: bytearray) -> Iterator[int]:
    """Read to the end."""
    while True:
        yield _CHUNK


class Scene:
    """A sandbox, settings for the tap, and a folder, for one history."""

    def __init__(
        self,
        fork_server: ForkServer,
        *vendors: str,
        options: dict[str, Any] | None = None,
        settings: dict[str, Any] | None = None,
    ) -> None:
        """Set up vendors (by default all), and the options and settings that the expected rows depend on."""
        self.fork_server = fork_server
        has_bucket, has_tables = BUCKET in vendors, TABLES in vendors
        self.vendors = tuple("braze" if vendor in {BUCKET, TABLES} else vendor for vendor in vendors) or VENDORS
        if has_tables or has_bucket:
            own_settings = _TABLES if has_tables else _CHILD_TABLES
            settings = {**(settings or {}), "braze": {**own_settings, **(settings or {}).get("braze", {})}}
        self.variant = (self.vendors, options or {}, settings or {})
        self.options = Options()
        self.options.update(_OPTIONS)
        self.options.update(options or {})
        self.sandbox = Sandbox(self.options)
        sandbox_settings = self.sandbox.settings()
        self.settings: dict[str, Any] = {"start_date": START, "request_deadline_seconds": 60}
        for vendor in self.vendors:
            timeouts = {} if vendor == "personalization" else {"export_timeout_seconds": 60}
            self.settings[vendor] = {
                **sandbox_settings[vendor],
                **_SETTINGS[vendor],
                **timeouts,
                **(settings or {}).get(vendor, {}),
            }
        self.settings |= {key: value for key, value in (settings or {}).items() if key not in VENDORS}
        self.folder = Path(tempfile.mkdtemp(prefix="fault-"))
        self.temporary = self.folder / "tmp"
        if has_bucket:
            self._open_bucket()

    def _open_bucket(self) -> None:
        folder = self.folder / "bucket"
        folder.mkdir()
        self.options.update({"braze": {"bucket_folder": str(folder), "bucket_part_seconds": 0.002}})
        self.settings["braze"] |= {"bucket_url": f"file://{folder}", "bucket_quiet_seconds": _BUCKET_QUIET_SECONDS}

    def __enter__(self) -> Self:
        """Start the sandbox."""
        self.temporary.mkdir()
        self.sandbox.start()
        return self

    def __exit__(self, *_exception: object) -> None:
        """Stop the sandbox and remove the folder."""
        self.sandbox.stop()
        shutil.rmtree(self.folder)

    def at(self, now: str) -> None:
        """Set the time of the sandbox, which is also the `end_date` of the next run."""
        self.options.population.now = now

    def run(  # noqa: PLR0913 -- each argument is a way to disturb a run
        self,
        *,
        state: dict[str, Any] | None = None,
        reader: Reader = read_everything,
        patches: Sequence[Patch] = (),
        env: dict[str, str] | None = None,
        limits: dict[str, int] | None = None,
        seconds: float = 30,
        real: bool = False,
        files: Mapping[str, bytes] | None = None,
        options: Sequence[str] = (),
    ) -> Run:
        """Run the tap once.

        Args:
            state: STATE to start from.
            reader: Reader of the output.
            patches: Patches of the child process.
            env: Additional environment variables.
            limits: Resource limits, by the names of their constants.
            seconds: Timeout, after which the run counts as hung.
            real: Whether to run the real command instead of a fork.
            files: Content of the files for the options `config`, `state` and `catalog`, in place of the scene's own.
            options: Further command-line options.
        """
        run = Run(state)
        request = {
            "argv": [*self._arguments(state, files or {}), *options],
            "env": {"TMPDIR": str(self.temporary), **(env or {})},
            "patches": patches,
            "limits": limits or {},
        }
        request_count = len(self.sandbox.request_log.log)
        start_time = time.monotonic()
        with tempfile.TemporaryFile() as log:
            if real:
                self._watch_command(run, request, log.fileno(), reader, seconds)
            else:
                self._watch_fork(run, request, log.fileno(), reader, seconds)
            log.seek(0)
            run.log = log.read().decode(errors="replace")
        run.seconds = time.monotonic() - start_time
        run.files_left = sorted(os.listdir(self.temporary))  # noqa: PTH208 -- only the names
        run.requests = self.sandbox.request_log.log[request_count:]
        return run

    def _arguments(self, state: dict[str, Any] | None, files: Mapping[str, bytes]) -> list[str]:
        arguments = []
        settings = {"end_date": self.options.population.now, **self.settings}
        own_files = {"config": settings} if state is None else {"config": settings, "state": state}
        for name, content in {
            **{name: msgspec.json.encode(content) for name, content in own_files.items()},
            **files,
        }.items():
            path = self.folder / f"{name}.json"
            path.write_bytes(content)
            arguments += [f"--{name}", str(path)]
        return arguments

    def _watch_fork(self, run: Run, request: dict[str, Any], log: int, reader: Reader, seconds: float) -> None:
        with _pipe() as (read_end, write_end):
            pid = self.fork_server.start(request, write_end, log)
            os.close(write_end)
            run.hung = _read(pid, read_end, run, reader, time.monotonic() + seconds)
        run.code, memory = self.fork_server.reap(pid, seconds)
        run.hung = run.hung or memory < 0
        run.memory = memory // 1024

    def _watch_command(self, run: Run, request: dict[str, Any], log: int, reader: Reader, seconds: float) -> None:
        command = [sys.executable, "-m", "tap_cdp_export", *request["argv"]]
        with _pipe() as (read_end, write_end):
            process = subprocess.Popen(command, stdout=write_end, stderr=log, env={**os.environ, **request["env"]})
            os.close(write_end)
            run.hung = _read(process.pid, read_end, run, reader, time.monotonic() + seconds)
        try:
            run.code = process.wait(seconds)
        except subprocess.TimeoutExpired:
            run.hung = True
            process.kill()
            run.code = process.wait()


@contextmanager
def _pipe() -> Iterator[tuple[int, int]]:
    """Open a pipe and close its read end afterwards; the caller closes the write end."""
    read_end, write_end = os.pipe()
    try:
        yield read_end, write_end
    finally:
        os.close(read_end)


def _read(pid: int, descriptor: int, run: Run, reader: Reader, deadline: float) -> bool:
    """Read as the reader asks, and return True if the run hung."""
    received = bytearray()
    try:
        for size in reader(pid, received):
            if not select.select([descriptor], [], [], max(0, deadline - time.monotonic()))[0]:
                os.kill(pid, signal.SIGKILL)
                return True
            chunk = os.read(descriptor, size)
            if not chunk:
                break
            received += chunk
    finally:
        run.out = bytes(received)
    return False


def states_in(out: bytes) -> list[dict[str, Any]]:
    """Return the states in the complete lines of an output."""
    return [json.loads(line)["value"] for line in out.split(b"\n")[:-1] if b'"type":"STATE"' in line]
