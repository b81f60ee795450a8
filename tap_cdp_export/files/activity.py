"""What a run is doing now, for `singer.progress`, which reports it from another thread.

Code that takes long names its phase here, and counts nothing: the reporter looks at sizes and positions of files, so
that a run costs the same with or without it.
"""

from __future__ import annotations

import threading
import time
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Protocol

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

_UNITS: Final = {"kB": 1e3, "MB": 1e6, "GB": 1e9}
_STEP: Final = 1000


class File(Protocol):
    """A file that is read or downloaded.

    Attributes:
        position: number of bytes that are read of it.
        size: number of bytes in it.
        announced_size: number of bytes that a download is to have; 0 if it is unknown.
    """

    @property
    def position(self) -> int: ...  # noqa: D102 -- see above

    @property
    def size(self) -> int: ...  # noqa: D102 -- see above

    @property
    def announced_size(self) -> int: ...  # noqa: D102 -- see above


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
    file: File | None
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
        self.downloads: list[File] = []

    @contextmanager
    def during(self, text: str, file: File | None = None, detail: Callable[[], str] = str) -> Iterator[None]:
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


ACTIVITY: Final = Activity()
"""Instance of the process: a run is the only one of its process."""
