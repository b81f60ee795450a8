"""A clock that jumps where a program would sleep."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

    import pytest


class VirtualClock:
    """Runs as the real one does, and jumps ahead by every pause in place of taking it.

    Attributes:
        pauses: every pause that was asked for, in seconds.
        during_pause: what else happens while a pause is taken.
    """

    def __init__(self) -> None:
        self.pauses: list[float] = []
        self.during_pause: Callable[[], None] = lambda: None
        self._ahead = 0.0

    @property
    def paused(self) -> float:
        """All pauses together."""
        return sum(self.pauses)

    def install(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """Take the place of the functions in `time`."""
        monotonic, unix = time.monotonic, time.time
        monkeypatch.setattr(time, "sleep", self._sleep)
        monkeypatch.setattr(time, "monotonic", lambda: monotonic() + self._ahead)
        monkeypatch.setattr(time, "time", lambda: unix() + self._ahead)

    def advance(self, seconds: float) -> None:
        """Let time pass that nobody asked for."""
        self._ahead += seconds

    def _sleep(self, seconds: float) -> None:
        if seconds < 0:
            raise ValueError("sleep length must be non-negative")
        self.pauses.append(seconds)
        self._ahead += seconds
        self.during_pause()
