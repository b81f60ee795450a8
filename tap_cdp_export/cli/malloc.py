"""Memory of this process: kept when it was freed, and never written to a core file.

By its own rules glibc gives blocks of some hundred KiB back to the system, from which they come back page by page, each
filled with zeros. A run takes and frees such blocks all the time: pages, runs of records, lines.
"""

from __future__ import annotations

import ctypes
import resource
from contextlib import suppress
from typing import Final

_TRIM_THRESHOLD: Final = -1  # numbers of glibc's malloc.h
_MMAP_THRESHOLD: Final = -3
_KEPT_BYTES: Final = 16 * 2**20
_LARGEST_KEPT_BYTES: Final = 4 * 2**20


def tune_malloc() -> None:
    """Let the allocator of this process, and of those it forks, keep some MiB for each thread that frees them.

    One that is not glibc's is let be.
    """
    with suppress(AttributeError, OSError, TypeError):
        mallopt = ctypes.CDLL(None).mallopt
        mallopt(_MMAP_THRESHOLD, _LARGEST_KEPT_BYTES)
        mallopt(_TRIM_THRESHOLD, _KEPT_BYTES)


def write_no_core_file() -> None:
    """Let the system write no memory to disk when this process, or one that it forks, crashes: people are in it."""
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
