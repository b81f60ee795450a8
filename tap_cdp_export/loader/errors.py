"""Errors of the loader that `tap_cdp_export.errors` does not have."""

from __future__ import annotations

from tap_cdp_export.errors import CdpExportError


class UnusableInput(CdpExportError):
    """A message, or a value in it, cannot be loaded. The message names stream and column but quotes no data."""

    exit_code = 12
