"""Run the tap in the process of the test, where requests can be mocked."""

from __future__ import annotations

import contextlib
import io
import json
from typing import TYPE_CHECKING, Any

from tap_cdp_export.errors import CdpExportError, Interrupted
from tap_cdp_export.tap import TapCDPExport
from tests.helpers.configurations import complete, config, offering
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
    """Run a sync.

    Args:
        settings: content of the settings file.
        state: STATE of an earlier run.
        only: the selected streams, offered too; if None, the selection of the catalog or the default applies.
        catalog: content of the catalog file; use it instead of `only` if a test checks SCHEMA messages.

    Returns:
        The messages; the log is the message of the error only.
    """
    out = io.TextIOWrapper(io.BytesIO(), write_through=True)
    failure: CdpExportError | Interrupted | None = None
    with contextlib.redirect_stdout(out):
        try:
            tap = TapCDPExport(config=offering(settings, only or ()), state=state or {}, catalog=catalog)
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
    """Return the bookmark of a stream, the end of its last complete window, in the last STATE of a run."""
    if not run.states:
        return None
    value: str | None = run.states[-1]["bookmarks"].get(stream, {}).get("replication_key_value")
    return value


def completed(vendor: str, **changes: Any) -> dict[str, Any]:
    """Return validated settings of one vendor, with defaults, as its client receives them."""
    settings: dict[str, Any] = complete(config(vendor, **changes))[vendor]
    return settings
