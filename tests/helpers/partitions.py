"""List the partitions with the real command, and run one of them without Meltano."""

from __future__ import annotations

import json
import subprocess
import sys
from typing import Any

from tests.helpers.running import Run, run_tap


def partitions(settings: dict[str, Any], *options: str) -> list[dict[str, Any]]:
    """Run `tap-cdp-export-partitions`, which must succeed.

    Args:
        settings: content of the settings file, which is given on stdin.
        options: further command-line options.

    Returns:
        The partitions.
    """
    command = [sys.executable, "-m", "tap_cdp_export.cli.partitions", "--config=/dev/stdin", *options]
    done = subprocess.run(command, input=json.dumps(settings), capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return [json.loads(line) for line in done.stdout.splitlines()]


def merged(old: Any, new: Any) -> Any:
    """Merge two JSON values deeply, as `settings` of a partition and `meltano state merge` mean it."""
    if isinstance(old, dict) and isinstance(new, dict):
        return {**old, **{key: merged(old.get(key), value) for key, value in new.items()}}
    return new


def selecting(catalog: dict[str, Any], streams: list[str]) -> dict[str, Any]:
    """Select these streams of a catalog alone."""
    changed = json.loads(json.dumps(catalog))
    for stream in changed["streams"]:
        (of_stream,) = (entry["metadata"] for entry in stream["metadata"] if entry["breadcrumb"] == [])
        of_stream["selected"] = stream["tap_stream_id"] in streams
    return dict(changed)


def run_partition(
    settings: dict[str, Any], catalog: dict[str, Any], partition: dict[str, Any], state: dict[str, Any] | None = None
) -> Run:
    """Run the tap for one partition.

    Args:
        settings: those that the partitions were listed with.
        catalog: the catalog of the same settings.
        partition: one of them.
        state: of an earlier run of the same partition.

    Returns:
        The result.
    """
    catalog = selecting(catalog, partition["streams"])
    return run_tap(merged(settings, partition["settings"]), state=state, catalog=catalog)
