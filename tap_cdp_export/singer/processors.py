"""How many processors this process may use: its affinity, and the CPU quota of its control group."""

from __future__ import annotations

import os
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterator

_CGROUPS: Final = Path("/sys/fs/cgroup")
_OWN_CGROUP: Final = Path("/proc/self/cgroup")
_UNIFIED: Final = "0::"


def usable_processors() -> float:
    """Count the processors that this process may use on Linux.

    A container limited to one CPU still sees all processors of its host, and more processes than CPUs only
    cost each other time. The quota is read from `cpu.max` (control groups version 2) of the process's own group and
    of all groups above it; `150000 100000` there means 150 ms of CPU in 100 ms, so 1.5 processors.

    Returns:
        The number of processors, with a fraction where a quota has one.
    """
    return min([float(len(os.sched_getaffinity(0))), *_quotas()])


def _quotas() -> Iterator[float]:
    for group in _groups():
        try:
            quota, period = (_CGROUPS / group / "cpu.max").read_text().split()
            if quota != "max":
                yield int(quota) / int(period)
        except (OSError, ValueError, ZeroDivisionError):  # the root group has no such file
            continue


def _groups() -> list[PurePosixPath]:
    """Return the process's group and those above it, relative to the mount point of the control groups."""
    try:
        entries = _OWN_CGROUP.read_text().splitlines()
    except OSError:
        entries = []
    own_group = next((entry.removeprefix(_UNIFIED) for entry in entries if entry.startswith(_UNIFIED)), "/")
    path = PurePosixPath(own_group.lstrip("/"))
    return [path, *path.parents]
