"""Handle SIGINT and SIGTERM: set a flag, and raise `Interrupted` only while the tap waits."""

from __future__ import annotations

import atexit
import signal
import threading
from contextlib import contextmanager
from typing import TYPE_CHECKING, Final

from tap_cdp_export.errors import Interrupted

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from types import FrameType


_FINISHING_SECONDS: Final = 6.0
_CLEANUP_SECONDS: Final = 1.5
"""For writing STATE and ending: in all, a run ends less than 8 seconds after the first signal."""

_TICK_SECONDS: Final = 1.0
"""A signal that arrives just before a system call blocks does not end the call: the next tick does."""


class StopSignal:
    """Signal handlers, and the flag that they set.

    Code that waits (network, polling, sleep) runs inside `interruptible`, where a signal raises `Interrupted`
    immediately. Other code calls `raise_if_stopped` between two units of work, such as after a complete line of output.
    A wait whose result must not be lost, such as the response to an export request, runs inside `finishing` too: there
    a signal takes effect after some seconds only.

    Attributes:
        limit: called with the number of the first signal, and the seconds after which the command must end the process:
            a target that does not read blocks every write.
    """

    def __init__(self) -> None:
        """Create a flag that is not set; see `install`."""
        self._signal_number: int | None = None
        self._interruptible = False
        self._finishing = False
        self._is_delayed = False
        self.limit: Callable[[int, float], None] = lambda _signal_number, _seconds: None

    def install(self) -> None:
        """Register the handlers; no effect outside the main thread, where Python does not allow it.

        The timer ticks until the first signal: Python handles a signal between two of its own instructions, and one
        that came after the last of these waits until the system call returns, perhaps for an answer that never comes.
        """
        if threading.current_thread() is threading.main_thread():
            signal.signal(signal.SIGINT, self._handle)
            signal.signal(signal.SIGTERM, self._handle)
            signal.signal(signal.SIGALRM, lambda _signal_number, _frame: None)
            signal.setitimer(signal.ITIMER_REAL, _TICK_SECONDS, _TICK_SECONDS)
            atexit.register(signal.setitimer, signal.ITIMER_REAL, 0)  # without a handler, a tick would kill the process

    def _handle(self, signal_number: int, _frame: FrameType | None) -> None:
        is_first = self._signal_number is None
        self._signal_number = signal_number
        if self._finishing and is_first:
            self._is_delayed = True
            signal.setitimer(signal.ITIMER_REAL, _FINISHING_SECONDS)
            signal.signal(signal.SIGALRM, self._handle_alarm)
            return
        if is_first:
            self.limit(signal_number, _FINISHING_SECONDS + _CLEANUP_SECONDS)
        if self._interruptible:
            self._interruptible = False  # a second signal must not interrupt the cleanup
            raise Interrupted(signal_number)

    def _handle_alarm(self, _signal_number: int, frame: FrameType | None) -> None:
        if self._finishing and self._signal_number is not None:
            self._end_delay(self._signal_number)
            self._handle(self._signal_number, frame)

    def _end_delay(self, signal_number: int) -> None:
        """Replace the alarm of `finishing` by the limit, which ends at the same time after the signal."""
        if self._is_delayed:
            self._is_delayed = False
            seconds_left, _ = signal.setitimer(signal.ITIMER_REAL, 0)
            self.limit(signal_number, _CLEANUP_SECONDS + seconds_left)

    def raise_if_stopped(self) -> None:
        """Raise if a signal has arrived.

        Raises:
            Interrupted: If a signal has arrived.
        """
        if self._signal_number is not None:
            raise Interrupted(self._signal_number)

    @contextmanager
    def interruptible(self) -> Iterator[None]:
        """Let a signal raise `Interrupted` inside the block.

        Yields:
            Nothing.

        Raises:
            Interrupted: If a signal arrives inside the block, or has arrived before.
        """
        if threading.current_thread() is not threading.main_thread():  # handlers run in the main thread only
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
        """Delay the effect of a signal inside a block of `interruptible`: for 6 seconds, or until a second signal.

        If the block succeeds, the signal takes effect at the next `raise_if_stopped`, so that the result can be saved.

        Yields:
            Nothing.

        Raises:
            Interrupted: If a signal has arrived and the block fails or takes too long.
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
                self._end_delay(self._signal_number)


STOP = StopSignal()
"""Instance of the process: signal handlers are global."""
