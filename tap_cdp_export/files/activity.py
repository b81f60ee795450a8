"""What a run is doing now, for `singer.progress`, which reports it from another thread.

Code that takes long names its phase here, and counts nothing: the reporter looks at sizes and positions of files, so
that a run costs the same with or without it.
"""

from __future__ import annotations

import threading
import time
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from tap_cdp_export.files.spool import Spool

_UNITS: Final = {"kB": 1e3, "MB": 1e6, "GB": 1e9}
_STEP: Final = 1000
_MINUTE: Final = 60
_HOUR: Final = 3600


@dataclass(frozen=True)
class Phase:
    """A part of a run.

    Attributes:
        text: what is done, such as "waiting for the export".
        began: value of `time.monotonic` at its start.
        file: the file that is read from its beginning to its end, if it is one.
        detail: returns how far it is, such as "12 pages"; an empty text if nothing is known.
    """

    text: str
    began: float
    file: Spool | None
    detail: Callable[[], str]


class Activity:
    """The current phase, and the downloads under way.

    Attributes:
        phase: what the main thread does; None between two phases.
        downloads: bodies that are being received, in any thread.
    """

    def __init__(self) -> None:
        """Start without a phase."""
        self.phase: Phase | None = None
        self.downloads: list[Spool] = []

    @contextmanager
    def during(self, text: str, file: Spool | None = None, detail: Callable[[], str] = str) -> Iterator[None]:
        """Name what happens inside the block; no effect in other threads than the main one.

        Args:
            text: as in `Phase`, without secrets or personal data.
            file: as in `Phase`.
            detail: as in `Phase`; called in another thread.

        Yields:
            Nothing.
        """
        if threading.current_thread() is not threading.main_thread():
            yield
            return
        outer, self.phase = self.phase, Phase(text, time.monotonic(), file, detail)
        try:
            yield
        finally:
            self.phase = outer


def size_text(size: float) -> str:
    """Write a number of bytes for people: `512 bytes`, `103.5 kB`, `1.2 GB`.

    Args:
        size: bytes.
    """
    if size < _STEP:
        return f"{size:.0f} bytes"
    unit = next((unit for unit, limit in _UNITS.items() if size < limit * (_STEP - 0.05)), "GB")
    return f"{size / _UNITS[unit]:,.1f} {unit}"


def duration_text(seconds: float) -> str:
    """Write a duration for people: `0.4 s`, `45 s`, `2 min 30 s`, `1 h 5 min`.

    Args:
        seconds: any number; one that would be rounded to nothing is `under 0.1 s`.
    """
    if seconds < 0.05:  # noqa: PLR2004 -- rounded to one digit
        return "under 0.1 s"
    if seconds < 9.95:  # noqa: PLR2004 -- rounded to two digits
        return f"{seconds:.1f} s"
    whole = round(seconds)
    if whole < _MINUTE:
        return f"{whole} s"
    if whole < _HOUR:
        return f"{whole // _MINUTE} min {whole % _MINUTE} s"
    return f"{whole // _HOUR} h {whole % _HOUR // _MINUTE} min"


ACTIVITY: Final = Activity()
"""Instance of the process: a run is the only one of its process."""
