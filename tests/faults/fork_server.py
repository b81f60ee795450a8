"""A fork server: it imports the tap once and forks a child for every run, in milliseconds instead of half a second.

A child behaves like the real command: it has its own signals, exit code, files and memory. It is reaped only on
request, so that its process ID cannot be reused before.
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
    """Client of the forking process.

    Attributes:
        pid: Process ID of the forking process.
        broken: Patches for every run, which make up a tap that is broken on purpose.
    """

    def __init__(self) -> None:
        """Fork the server; this process must still be single-threaded."""
        self.broken: list[Patch] = []
        self._socket, server_socket = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self.pid = os.fork()
        if self.pid == 0:
            self._socket.close()
            _serve(server_socket)
        server_socket.close()

    def start(self, request: dict[str, Any], stdout: int, stderr: int) -> int:
        """Start a run.

        Args:
            request: `argv` and, optionally, `env`, `patches` and `limits`.
            stdout: File descriptor for the output.
            stderr: File descriptor for the log.

        Returns:
            The process ID.
        """
        full_request = {**request, "patches": [*self.broken, *request.get("patches", ())]}
        socket.send_fds(self._socket, [json.dumps(full_request).encode()], [stdout, stderr])
        return int(self._socket.recv(_LARGEST_REQUEST))

    def reap(self, pid: int, seconds: float) -> tuple[int, int]:
        """Wait for the end of a run, or kill it after a timeout.

        Args:
            pid: Process ID.
            seconds: Timeout.

        Returns:
            The exit code (negative for a signal), and the peak memory in KiB, or -1 after a timeout.
        """
        self._socket.send(b"reap")
        in_time = bool(select.select([self._socket], [], [], seconds)[0])
        if not in_time:
            os.kill(pid, signal.SIGKILL)
        code, memory = json.loads(self._socket.recv(_LARGEST_REQUEST))
        return code, memory if in_time else -1

    @contextmanager
    def unbroken(self) -> Iterator[None]:
        """Run the tap without the patches of `broken` inside this context."""
        broken, self.broken = self.broken, []
        try:
            yield
        finally:
            self.broken = broken

    def close(self) -> None:
        """Stop the forking process."""
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
    """Run the command in the child, then exit."""
    code = 70
    try:
        signal.signal(signal.SIGINT, signal.default_int_handler)
        os.dup2(stdout, 1)
        os.dup2(stderr, 2)
        os.closerange(3, 64)
        os.environ.update(request.get("env", {}))
        time.tzset()
        if os.environ.get("PYTHONUNBUFFERED"):  # as the interpreter does at start-up
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
