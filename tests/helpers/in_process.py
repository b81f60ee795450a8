"""Runs the tap inside the test's process, where its requests can be answered by a mock."""

from __future__ import annotations

import contextlib
import io
import json
from typing import TYPE_CHECKING, Any

from tap_cdp_export.errors import CdpExportError, Interrupted
from tap_cdp_export.tap import TapCDPExport
from tests.helpers.configurations import complete, config
from tests.helpers.running import Run

if TYPE_CHECKING:
    from collections.abc import Collection


def sync(
    settings: dict[str, Any],
    *,
    state: dict[str, Any] | None = None,
    only: Collection[str] | None = None,
    catalog: dict[str, Any] | None = None,
) -> Run:
    """Sync to the end.

    Args:
        settings: as in a config file.
        state: STATE of an earlier run.
        only: the selected streams; by default those that are selected by default, or by the catalog.
        catalog: what a catalog file holds; where SCHEMA counts, select streams by it.

    Returns:
        What came out; its log is the error's text alone.
    """
    out = io.TextIOWrapper(io.BytesIO(), write_through=True)
    failure: CdpExportError | Interrupted | None = None
    with contextlib.redirect_stdout(out):
        try:
            tap = TapCDPExport(config=settings, state=state or {}, catalog=catalog)
            for name, stream in tap.streams.items():
                if only is not None:
                    stream.selected = name in only
            tap.run()
        except (CdpExportError, Interrupted) as error:
            failure = error
    out.seek(0)
    messages = [json.loads(line) for line in out]
    return Run(failure.exit_code if failure else 0, messages, str(failure or ""))


def bookmark(run: Run, stream: str) -> str | None:
    """Read the end of the last whole window from the last STATE of a run."""
    if not run.states:
        return None
    value: str | None = run.states[-1]["bookmarks"].get(stream, {}).get("replication_key_value")
    return value


def completed(vendor: str, **changes: Any) -> dict[str, Any]:
    """Give one vendor's settings as its client gets them, defaults filled in."""
    settings: dict[str, Any] = complete(config(vendor, **changes))[vendor]
    return settings
