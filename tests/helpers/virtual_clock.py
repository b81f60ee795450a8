"""A clock that advances instead of sleeping."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

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
        """Patch the functions in `time` until the end of the test."""
        self._replace(monkeypatch.setattr)

    def _replace(self, set_attribute: Callable[[Any, str, object], None]) -> None:
        monotonic, unix = time.monotonic, time.time
        set_attribute(time, "sleep", self._sleep)
        set_attribute(time, "monotonic", lambda: monotonic() + self._ahead)
        set_attribute(time, "time", lambda: unix() + self._ahead)

    def advance(self, seconds: float) -> None:
        """Advance the clock without a pause."""
        self._ahead += seconds

    def _sleep(self, seconds: float) -> None:
        if seconds < 0:
            raise ValueError("sleep length must be non-negative")
        self.pauses.append(seconds)
        self._ahead += seconds
        self.during_pause()


def skip_pauses() -> None:
    """Let each pause of this process end at once; its clock is then ahead by as much."""
    VirtualClock()._replace(setattr)
