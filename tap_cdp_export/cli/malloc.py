"""Tune glibc malloc so that freed blocks are reused, and disable core files.

By default, glibc returns freed blocks of some hundred KiB to the operating system. To allocate them again costs a page
fault and zeroing for each 4 KiB. A run allocates and frees such blocks all the time: pages, chunks of records, lines.
"""

from __future__ import annotations

import ctypes
import resource
from contextlib import suppress
from typing import Final

_TRIM_THRESHOLD: Final = -1  # M_TRIM_THRESHOLD in glibc's malloc.h
_MMAP_THRESHOLD: Final = -3  # M_MMAP_THRESHOLD
_KEPT_BYTES: Final = 16 * 2**20
_LARGEST_KEPT_BYTES: Final = 4 * 2**20


def tune_malloc() -> None:
    """Let glibc keep up to 16 MiB of freed memory per arena, and reuse blocks of up to 4 MiB.

    Forked processes inherit the setting. It has no effect on other allocators.
    """
    with suppress(AttributeError, OSError, TypeError):
        mallopt = ctypes.CDLL(None).mallopt
        mallopt(_MMAP_THRESHOLD, _LARGEST_KEPT_BYTES)
        mallopt(_TRIM_THRESHOLD, _KEPT_BYTES)


def write_no_core_file() -> None:
    """Disable core files for this process and its forks: the memory holds customer data."""
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
