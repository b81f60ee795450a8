"""Run the command in a process, and load its output as an upserting target does."""

from __future__ import annotations

import atexit
import json
import os
import signal
import subprocess
import sys
import tempfile
import threading
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from tests.helpers.fork_server import ForkServer

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tests.helpers.fork_server import Patch

_TIMEOUT_SECONDS: Final = 120
_NO_PAUSES: Final[Patch] = ("tests.helpers.virtual_clock:skip_pauses", {})
_PRELOADED: Final = {"tap_cdp_export.loader": ("tap_cdp_export.loader.target",)}
"""Imported by a command's `main`, which a fork would repeat."""


Row = dict[str, Any]


@dataclass
class Run:
    """Result of a run.

    Attributes:
        exit_code: exit code of the process.
        messages: messages on stdout.
        log: text on stderr.
    """

    exit_code: int
    messages: list[dict[str, Any]]
    log: str

    @property
    def last_line(self) -> str:
        """The last line of the log."""
        return self.log.strip().rpartition("\n")[2]

    @property
    def states(self) -> list[dict[str, Any]]:
        """The values of all STATE messages, in order."""
        return [message["value"] for message in self.messages if message["type"] == "STATE"]

    def records(self, stream: str) -> list[Row]:
        """All records of a stream, in order."""
        return [m["record"] for m in self.messages if m["type"] == "RECORD" and m["stream"] == stream]


@dataclass
class Warehouse:
    """The tables of a target that upserts by primary key; the later record wins."""

    tables: dict[str, dict[tuple[Any, ...], Row]] = field(default_factory=dict)

    def load(self, run: Run) -> None:
        """Upsert the records of a run."""
        keys: dict[str, list[str]] = {}
        for message in run.messages:
            if message["type"] == "SCHEMA":
                keys[message["stream"]] = message["key_properties"]
            elif message["type"] == "RECORD":
                row = message["record"]
                table = self.tables.setdefault(message["stream"], {})
                table[tuple(row[name] for name in keys[message["stream"]])] = row

    @property
    def counts(self) -> dict[str, int]:
        """Rows by table."""
        return {name: len(rows) for name, rows in self.tables.items()}


def run_tap(  # noqa: PLR0913 -- each argument is a way to run it
    settings: dict[str, Any],
    *options: str,
    state: dict[str, Any] | None = None,
    catalog: dict[str, Any] | None = None,
    environment: dict[str, str] | None = None,
    fresh: bool = False,
    pauses: bool = False,
) -> Run:
    """Run the command in a forked process, and wait for its end.

    Args:
        settings: content of the settings file.
        options: further command-line options; with any, stdout is appended to the log.
        state: content of the state file.
        catalog: content of the catalog file.
        environment: further environment variables.
        fresh: whether the process is a new interpreter, as users start it, which takes a second.
        pauses: whether pauses of a forked process take their time, as with a bucket, which is filled meanwhile; else
            its clock jumps to their end.

    Returns:
        The result.
    """
    with tempfile.TemporaryDirectory() as folder:
        arguments = []
        for name, content in (("config", settings), ("state", state), ("catalog", catalog)):
            if content is not None:
                path = Path(folder, f"{name}.json")
                path.write_text(json.dumps(content))
                arguments += [f"--{name}", str(path)]
        arguments += options
        if fresh:
            process = _run_fresh("tap_cdp_export", arguments, environment or {})
        else:
            has_bucket = "bucket_url" in (settings.get("braze") or {})
            patches = () if pauses or has_bucket else (_NO_PAUSES,)
            process = run_forked("tap_cdp_export", arguments, environment, patches=patches)
    is_singer = not options
    messages = [json.loads(line) for line in process.stdout.splitlines()] if is_singer else []
    log = process.stderr.decode() + ("" if is_singer else process.stdout.decode())
    return Run(process.returncode, messages, log)


def run_forked(
    module: str,
    arguments: list[str],
    environment: dict[str, str] | None = None,
    *,
    content: bytes = b"",
    patches: Sequence[Patch] = (),
) -> subprocess.CompletedProcess[bytes]:
    """Run the command of a module in a process that is forked from one that has imported it.

    Args:
        module: as in `python -m`.
        arguments: of the command line.
        environment: further environment variables.
        content: of stdin.
        patches: of the process.

    Returns:
        What `subprocess.run` returns.
    """
    server = _fork_server(module)
    with tempfile.TemporaryFile() as log, tempfile.TemporaryFile() as stdin:
        stdin.write(content)
        stdin.seek(0)
        read_end, write_end = os.pipe()
        with open(read_end, "rb") as output:  # noqa: PTH123 -- a file descriptor
            try:
                request = {"argv": arguments, "env": environment or {}, "patches": patches}
                pid = server.start(request, write_end, log.fileno(), stdin.fileno())
            finally:
                os.close(write_end)
            timeout = threading.Timer(_TIMEOUT_SECONDS, os.kill, (pid, signal.SIGKILL))
            timeout.start()
            try:
                stdout = output.read()
            finally:
                timeout.cancel()
        exit_code, _memory = server.reap(pid, _TIMEOUT_SECONDS)
        log.seek(0)
        return subprocess.CompletedProcess(arguments, exit_code, stdout, log.read())


def _run_fresh(module: str, arguments: list[str], environment: dict[str, str]) -> subprocess.CompletedProcess[bytes]:
    return subprocess.run(
        [sys.executable, "-m", module, *arguments],
        capture_output=True,
        check=False,
        timeout=_TIMEOUT_SECONDS,
        env={**os.environ, **environment},
    )


@cache
def _fork_server(module: str) -> ForkServer:
    server = ForkServer(module, *_PRELOADED.get(module, ()))
    atexit.register(server.close)
    return server


def vendor(settings: dict[str, Any], name: str, **changes: Any) -> dict[str, Any]:
    """Remove all vendors but one from settings.

    Args:
        settings: settings of the sandbox.
        name: the vendor to keep.
        changes: changes of the settings of that vendor.

    Returns:
        The new settings.
    """
    common = {key: value for key, value in settings.items() if not isinstance(value, dict)}
    return {**common, name: {**settings[name], **changes}}
