"""Patches that a child applies to itself before its run: faster clocks, and death at a chosen step."""

from __future__ import annotations

import os
import signal
import socket
import tempfile
import time
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable


def hurry(factor: float) -> None:
    """Let pauses and deadlines pass faster; the clock on the wall stays as it is."""
    sleep, monotonic = time.sleep, time.monotonic
    time.sleep = lambda seconds: sleep(float(seconds) / factor)
    time.monotonic = lambda: monotonic() * factor


def stay_on_loopback() -> None:
    """Resolve no name and no address but those of this machine."""
    resolve = socket.getaddrinfo

    def resolve_loopback(host: Any, *args: Any, **options: Any) -> Any:
        if host not in {"127.0.0.1", "localhost"}:
            raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")
        return resolve(host, *args, **options)

    socket.getaddrinfo = resolve_loopback


def share_out() -> None:
    """Let other processes encode whatever there is, as they do in a run of more than a few bytes."""
    from tap_cdp_export.singer import workers  # noqa: PLC0415 -- only the child needs it

    workers._MIN_BYTES_TO_FORK = 0  # type: ignore[misc]  # noqa: SLF001 -- a patch from outside
    workers._can_fork_workers = lambda: True  # noqa: SLF001


def crash(at: int) -> None:
    """Kill the process at its nth step: before and after each request, read, spooled chunk, output, state change.

    Args:
        at: number of the step, from 1.
    """
    import requests  # noqa: PLC0415 -- only the child needs them
    import urllib3.response  # noqa: PLC0415

    from tap_cdp_export.singer import stream, writer  # noqa: PLC0415

    steps = 0

    def step() -> None:
        nonlocal steps
        steps += 1
        if steps == at:
            os.kill(os.getpid(), signal.SIGKILL)

    def around(owner: Any, name: str) -> None:
        inner = getattr(owner, name)

        def stepping(*args: Any, **options: Any) -> Any:
            step()
            result = inner(*args, **options)
            step()
            return result

        setattr(owner, name, stepping)

    around(requests.Session, "send")
    around(urllib3.response.HTTPResponse, "read1")
    around(tempfile.SpooledTemporaryFile, "write")
    around(stream.ExportStream, "_replace_state")
    around(stream.ExportStream, "write_state")
    around(writer, "_write_all")
    _halve(writer, step)


def _halve(writer: Any, step: Callable[[], None]) -> None:
    """Let each output be written in two halves, with a step between them."""
    write = writer._write_all  # noqa: SLF001 -- patched from outside, so that the product needs no hook

    def in_halves(data: bytearray) -> None:
        middle = len(data) // 2
        write(data[:middle])
        step()
        write(data[middle:])

    writer._write_all = in_halves  # noqa: SLF001
