"""A fork server: it imports a command once and forks a child for every run, in milliseconds instead of a second.

A child behaves like `python -m` with the command: it has its own signals, exit code, environment, folder, files and
memory, and ends as an interpreter does. What the interpreter itself reads at its start (`PYTHON…`, the locale) is that
of the server. A child is reaped only on request, so that its process ID cannot be reused before.
"""

from __future__ import annotations

import io
import json
import os
import resource
import select
import signal
import socket
import subprocess
import sys
import time
from contextlib import contextmanager
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from collections.abc import Iterator

Patch = tuple[str, dict[str, Any]]
"""A function, as `module:name`, and its arguments; called in the child before the run."""

_ROOT: Final = Path(__file__).parents[2]
_LARGEST_REQUEST: Final = 131_072
_SIGNALS: Final = (signal.SIGINT, signal.SIGTERM)


class ForkServer:
    """Client of the forking process.

    Attributes:
        pid: Process ID of the forking process.
        broken: Patches for every run, which make up a tap that is broken on purpose.
    """

    def __init__(self, module: str = "tap_cdp_export", *preloaded: str) -> None:
        """Start the server, for `python -m` with a package or module; it imports further modules beforehand."""
        self.broken: list[Patch] = []
        self._socket, server_socket = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        with server_socket:
            descriptor = server_socket.fileno()
            command = [sys.executable, "-m", "tests.helpers.fork_server", str(descriptor), module, *preloaded]
            self._process = subprocess.Popen(command, pass_fds=[descriptor], stdin=subprocess.DEVNULL, cwd=_ROOT)
        self.pid = self._process.pid

    def start(self, request: dict[str, Any], stdout: int, stderr: int, *stdin: int) -> int:
        """Start a run.

        Args:
            request: `argv` and, optionally, `env`, `patches` and `limits`.
            stdout: File descriptor for the output.
            stderr: File descriptor for the log.
            stdin: File descriptor for the input; without it, there is none.

        Returns:
            The process ID.
        """
        full_request = {
            **request,
            "env": {**os.environ, **request.get("env", {})},
            "folder": str(Path.cwd()),
            "patches": [*self.broken, *request.get("patches", ())],
        }
        socket.send_fds(self._socket, [json.dumps(full_request).encode()], [stdout, stderr, *stdin])
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
        self._process.wait()


def main() -> None:
    """Serve, and in each child, be the command; the interpreter then ends in its own way."""
    descriptor, module, *preloaded = sys.argv[1:]
    command = import_module(module)
    if hasattr(command, "__path__"):
        command = import_module(f"{module}.__main__")
    for name in preloaded:
        import_module(name)
    handlers = [signal.getsignal(number) for number in _SIGNALS]
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    with socket.socket(fileno=int(descriptor)) as requests:
        request = _wait_for_request(requests)
    if request is not None:
        for number, handler in zip(_SIGNALS, handlers, strict=True):
            signal.signal(number, handler)
        sys.modules["__main__"] = command
        sys.argv = [str(command.__file__), *request["argv"]]
        _set_up(request)
        command.main()


def _wait_for_request(requests: socket.socket) -> dict[str, Any] | None:
    """Fork a child for each request; return it in the child, and None in the server once the client is gone."""
    while True:
        text, descriptors, _, _ = socket.recv_fds(requests, _LARGEST_REQUEST, 3)
        if not text:
            return None
        pid = os.fork()
        if pid == 0:
            for own, descriptor in zip((1, 2, 0), descriptors, strict=False):
                os.dup2(descriptor, own)
        for descriptor in descriptors:
            os.close(descriptor)
        if pid == 0:
            request: dict[str, Any] = json.loads(text)
            return request
        requests.send(str(pid).encode())
        requests.recv(_LARGEST_REQUEST)
        _, status, usage = os.wait4(pid, 0)
        requests.send(json.dumps([os.waitstatus_to_exitcode(status), usage.ru_maxrss]).encode())


def _set_up(request: dict[str, Any]) -> None:
    """Give the child what its run asks for."""
    os.environ.clear()
    os.environ.update(request["env"])
    os.chdir(request["folder"])
    time.tzset()
    if os.environ.get("PYTHONUNBUFFERED"):  # as the interpreter does at start-up
        sys.stdout = io.TextIOWrapper(open(1, "wb", 0, closefd=False), write_through=True)  # noqa: SIM115
    for name, limit in request.get("limits", {}).items():
        resource.setrlimit(getattr(resource, name), (limit, limit))
    for place, arguments in request["patches"]:
        module, _, function = place.partition(":")
        getattr(import_module(module), function)(**arguments)


if __name__ == "__main__":
    main()
