"""What a run has read of one stream, for the report of its progress and for its summary."""

from __future__ import annotations

import time
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator


class Tally:
    """Counts records and time.

    Attributes:
        records: number of records so far, also those that a stream map has filtered out.
        is_whole: whether the run has read all that there was to read.
    """

    def __init__(self) -> None:
        """Begin at zero."""
        self.records = 0
        self.is_whole = False
        self._began: float | None = None
        self._ended: float | None = None

    @contextmanager
    def timed(self) -> Iterator[None]:
        """Measure the time of what happens inside.

        Yields:
            Nothing.
        """
        self._began = time.monotonic()
        try:
            yield
        finally:
            self._ended = time.monotonic()

    @property
    def is_running(self) -> bool:
        """Whether records are being read."""
        return self._began is not None and self._ended is None

    @property
    def seconds(self) -> float | None:
        """How long reading took, or has taken so far; None before it."""
        return None if self._began is None else (self._ended or time.monotonic()) - self._began
