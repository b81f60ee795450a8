"""A clock that advances instead of sleeping."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

    import pytest


class VirtualClock:
    """Replaces `time.sleep`, `time.monotonic` and `time.time`; `sleep` returns at once and advances the clock.

    Attributes:
        pauses: arguments of all calls of `sleep`, in seconds.
        during_pause: called at each `sleep`.
    """

    def __init__(self) -> None:
        self.pauses: list[float] = []
        self.during_pause: Callable[[], None] = lambda: None
        self._ahead = 0.0

    @property
    def paused(self) -> float:
        """Sum of all pauses, in seconds."""
        return sum(self.pauses)

    def install(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """Patch the functions in `time`."""
        monotonic, unix = time.monotonic, time.time
        monkeypatch.setattr(time, "sleep", self._sleep)
        monkeypatch.setattr(time, "monotonic", lambda: monotonic() + self._ahead)
        monkeypatch.setattr(time, "time", lambda: unix() + self._ahead)

    def advance(self, seconds: float) -> None:
        """Advance the clock without a pause."""
        self._ahead += seconds

    def _sleep(self, seconds: float) -> None:
        if seconds < 0:
            raise ValueError("sleep length must be non-negative")
        self.pauses.append(seconds)
        self._ahead += seconds
        self.during_pause()
