"""Signals that arrive before the tap handles them, or while nothing can be written: the process ends at once.

This module imports next to nothing, so that its handlers are there before the long imports.
"""

from __future__ import annotations

import os
import signal
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from types import FrameType

_FIRST_CODE: Final = 128


def end_at_once(number: int, _frame: FrameType | None = None) -> None:
    """End the process with the exit code of a signal.

    Args:
        number: of the signal.
    """
    name = signal.Signals(number).name
    code = _FIRST_CODE + number
    try:
        os.write(2, f"Stopped by {name}; the next run starts at the last STATE that was read. (exit {code})\n".encode())
    finally:
        os._exit(code)


def install() -> None:
    """Let SIGINT and SIGTERM end the process at once, until the tap installs its own handlers."""
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, end_at_once)


def limit(number: int, seconds: float) -> None:
    """End the process some seconds from now, whatever it does: the target may not read, and so block every write.

    Args:
        number: of the signal that has arrived.
        seconds: from now.
    """
    signal.signal(signal.SIGALRM, lambda _number, _frame: end_at_once(number))
    signal.setitimer(signal.ITIMER_REAL, seconds)
