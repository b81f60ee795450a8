"""A process that has imported the tap, and forks a child for every run: milliseconds in place of half a second.

The child is the real command in all that counts: its own signals, exit code, files and memory. It is reaped
only when its watcher says so, so that its number means it, and no other process, for as long.
"""

from __future__ import annotations

import io
import json
import os
import resource
import select
import signal
import socket
import sys
import time
from contextlib import contextmanager, suppress
from importlib import import_module
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from collections.abc import Iterator

Patch = tuple[str, dict[str, Any]]
"""A function of `tests.faults`, as `module:name`, and its arguments; called in the child before the run."""

_LARGEST_REQUEST: Final = 65_536


class ForkServer:
    """The forking process, seen from the outside.

    Attributes:
        pid: of the forking process.
        broken: patches that every run gets: a tap that is broken on purpose.
    """

    def __init__(self) -> None:
        """Fork it; this process must have one thread still."""
        self.broken: list[Patch] = []
        self._socket, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self.pid = os.fork()
        if self.pid == 0:
            self._socket.close()
            _serve(theirs)
        theirs.close()

    def start(self, request: dict[str, Any], stdout: int, stderr: int) -> int:
        """Begin a run.

        Args:
            request: its `argv`, and perhaps `env`, `patches` and `limits`.
            stdout: descriptor for its output.
            stderr: descriptor for its log.

        Returns:
            Its process number.
        """
        whole = {**request, "patches": [*self.broken, *request.get("patches", ())]}
        socket.send_fds(self._socket, [json.dumps(whole).encode()], [stdout, stderr])
        return int(self._socket.recv(_LARGEST_REQUEST))

    def reap(self, pid: int, seconds: float) -> tuple[int, int]:
        """Wait for the run's end, or kill it when that takes too long.

        Args:
            pid: its process number.
            seconds: that it may take.

        Returns:
            Its exit code (negative for a signal) and its peak memory in KiB; -1 for one that had to be killed.
        """
        self._socket.send(b"reap")
        in_time = bool(select.select([self._socket], [], [], seconds)[0])
        if not in_time:
            os.kill(pid, signal.SIGKILL)
        code, memory = json.loads(self._socket.recv(_LARGEST_REQUEST))
        return code, memory if in_time else -1

    @contextmanager
    def honest(self) -> Iterator[None]:
        """Let the tap be itself inside, to learn the truth.

        Yields:
            Nothing.
        """
        broken, self.broken = self.broken, []
        try:
            yield
        finally:
            self.broken = broken

    def close(self) -> None:
        """End the forking process."""
        self._socket.close()
        os.waitpid(self.pid, 0)


def _serve(requests: socket.socket) -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    import_module("tap_cdp_export.tap")
    import_module("tap_cdp_export.config.sandbox")
    while True:
        text, descriptors, _, _ = socket.recv_fds(requests, _LARGEST_REQUEST, 2)
        if not text:
            os._exit(0)
        pid = os.fork()
        if pid == 0:
            requests.close()
            _run(json.loads(text), *descriptors)
        for descriptor in descriptors:
            os.close(descriptor)
        requests.send(str(pid).encode())
        requests.recv(_LARGEST_REQUEST)
        _, status, usage = os.wait4(pid, 0)
        requests.send(json.dumps([os.waitstatus_to_exitcode(status), usage.ru_maxrss]).encode())


def _run(request: dict[str, Any], stdout: int, stderr: int) -> None:
    """Be the command, and never come back."""
    code = 70
    try:
        signal.signal(signal.SIGINT, signal.default_int_handler)
        os.dup2(stdout, 1)
        os.dup2(stderr, 2)
        os.closerange(3, 64)
        os.environ.update(request.get("env", {}))
        time.tzset()
        if os.environ.get("PYTHONUNBUFFERED"):  # as the interpreter does where it is set from the start
            sys.stdout = io.TextIOWrapper(open(1, "wb", 0, closefd=False), write_through=True)  # noqa: SIM115
        for name, limit in request.get("limits", {}).items():
            resource.setrlimit(getattr(resource, name), (limit, limit))
        for place, arguments in request.get("patches", ()):
            module, _, function = place.partition(":")
            getattr(import_module(f"tests.faults.{module}"), function)(**arguments)
        sys.argv = ["tap-cdp-export", *request["argv"]]
        import_module("tap_cdp_export.tap").TapCDPExport.cli()
    except SystemExit as end:
        code = end.code if isinstance(end.code, int) else 1
    finally:
        with suppress(OSError, ValueError):
            sys.stdout.flush()
        os._exit(code)
