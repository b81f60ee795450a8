"""SIGINT and SIGTERM: a flag, and an exception only where nothing can be torn."""

from __future__ import annotations

import signal
import threading
from contextlib import contextmanager
from typing import TYPE_CHECKING

from tap_cdp_export.errors import Interrupted

if TYPE_CHECKING:
    from collections.abc import Iterator
    from types import FrameType


class StopSignal:
    """What the process was told by signals.

    The handler only sets a flag. Whoever waits (for the network, a poll, a pause) does so inside `interruptible`,
    where the signal ends the wait at once; everyone else calls `raise_if_stopped` between two whole pieces of work.
    """

    def __init__(self) -> None:
        """Nothing has arrived yet."""
        self._signal_number: int | None = None
        self._interruptible = False

    def install(self) -> None:
        """Take over the two signals, where Python allows it (the main thread)."""
        if threading.current_thread() is threading.main_thread():
            signal.signal(signal.SIGINT, self._handle)
            signal.signal(signal.SIGTERM, self._handle)

    def _handle(self, signal_number: int, _frame: FrameType | None) -> None:
        self._signal_number = signal_number
        if self._interruptible:
            self._interruptible = False  # a second signal must not cut the way out
            raise Interrupted(signal_number)

    def raise_if_stopped(self) -> None:
        """Stop here if a signal has arrived.

        Raises:
            Interrupted: If one has.
        """
        if self._signal_number is not None:
            raise Interrupted(self._signal_number)

    @contextmanager
    def interruptible(self) -> Iterator[None]:
        """Let a signal end what happens inside.

        Yields:
            Nothing.

        Raises:
            Interrupted: If a signal arrives, or has arrived.
        """
        if threading.current_thread() is not threading.main_thread():  # signals are the main thread's, and so its waits
            self.raise_if_stopped()
            yield
            return
        outer = self._interruptible
        self._interruptible = True
        try:
            self.raise_if_stopped()
            yield
        finally:
            self._interruptible = outer and self._signal_number is None


STOP = StopSignal()
"""The one of this process: signals are the process's, not an object's."""
