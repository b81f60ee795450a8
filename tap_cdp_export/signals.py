"""SIGINT and SIGTERM: a flag, and an exception only where nothing can be torn."""

from __future__ import annotations

import signal
import threading
from contextlib import contextmanager
from typing import TYPE_CHECKING, Final

from tap_cdp_export.errors import Interrupted

if TYPE_CHECKING:
    from collections.abc import Iterator
    from types import FrameType


_FINISHING_SECONDS: Final = 6.0
"""A run ends within 8 seconds of the signal; the rest is for the way out."""


class StopSignal:
    """What the process was told by signals.

    The handler only sets a flag. Whoever waits (for the network, a poll, a pause) does so inside `interruptible`,
    where the signal ends the wait at once; everyone else calls `raise_if_stopped` between two whole pieces of work.
    A wait whose result must not be lost is inside `finishing` too, where the signal has to wait a little.
    """

    def __init__(self) -> None:
        """Nothing has arrived yet."""
        self._signal_number: int | None = None
        self._interruptible = False
        self._finishing = False

    def install(self) -> None:
        """Take over the two signals, where Python allows it (the main thread)."""
        if threading.current_thread() is threading.main_thread():
            signal.signal(signal.SIGINT, self._handle)
            signal.signal(signal.SIGTERM, self._handle)

    def _handle(self, signal_number: int, _frame: FrameType | None) -> None:
        is_first = self._signal_number is None
        self._signal_number = signal_number
        if self._finishing and is_first:
            signal.signal(signal.SIGALRM, self._handle_alarm)
            signal.setitimer(signal.ITIMER_REAL, _FINISHING_SECONDS)
        elif self._interruptible:
            self._interruptible = False  # a second signal must not cut the way out
            raise Interrupted(signal_number)

    def _handle_alarm(self, _signal_number: int, frame: FrameType | None) -> None:
        if self._finishing and self._signal_number is not None:
            self._handle(self._signal_number, frame)

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
        outer, outer_finishing = self._interruptible, self._finishing
        self._interruptible, self._finishing = True, False
        try:
            self.raise_if_stopped()
            yield
        finally:
            self._interruptible, self._finishing = outer and self._signal_number is None, outer_finishing

    @contextmanager
    def finishing(self) -> Iterator[None]:
        """Let what happens inside a wait come to its end in spite of a signal, for some seconds or until a second one.

        When it has come to a good end, signals wait for the next `raise_if_stopped`, so that the result can be kept.

        Yields:
            Nothing.

        Raises:
            Interrupted: If a signal has arrived and there is no result.
        """
        if threading.current_thread() is not threading.main_thread():
            yield
            return
        self._finishing = True
        try:
            yield
            self._interruptible = False
        except Exception:
            self.raise_if_stopped()
            raise
        finally:
            self._finishing = False
            if self._signal_number is not None:
                signal.setitimer(signal.ITIMER_REAL, 0)


STOP = StopSignal()
"""The one of this process: signals are the process's, not an object's."""
