"""List the partitions of a run, and run one of them without Meltano."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Any

from tap_cdp_export.cli.partitions import Partition, Partitions
from tests.helpers.in_process import sync

if TYPE_CHECKING:
    from tests.helpers.running import Run


def partitions(settings: dict[str, Any], *, days: int) -> list[Partition]:
    """List the partitions.

    Args:
        settings: content of the settings file.
        days: length of the windows.

    Returns:
        The partitions, in the order of a single run.
    """
    return Partitions().find(settings, timedelta(days=days), parse_env=False)


def merged(old: Any, new: Any) -> Any:
    """Merge two JSON values deeply, as `settings` of a partition and `meltano state merge` mean it."""
    if isinstance(old, dict) and isinstance(new, dict):
        return {**old, **{key: merged(old.get(key), value) for key, value in new.items()}}
    return new


def run_partition(settings: dict[str, Any], partition: Partition, state: dict[str, Any] | None = None) -> Run:
    """Run the tap for one partition.

    Args:
        settings: those that the partitions were listed with.
        partition: one of them.
        state: of an earlier run of the same partition.

    Returns:
        The result.
    """
    return sync(merged(settings, partition.settings), state=state, only=partition.streams)
