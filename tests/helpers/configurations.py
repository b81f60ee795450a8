"""Minimal settings for one vendor."""

from __future__ import annotations

import copy
from typing import TYPE_CHECKING, Any, Final

from tap_cdp_export.config import validation
from tap_cdp_export.tap import VENDORS, TapCDPExport

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping

SETTINGS: Final = TapCDPExport.config_jsonschema
CHECKS: Final = {vendor.name: vendor.setting_problems for vendor in VENDORS}
START = "2024-03-01T00:00:00Z"
END = "2024-03-08T00:00:00Z"

PERSONALIZATION_URL = "https://acme.us-1.evergage.com"
APSIS_URL = "https://api.apsis.one"
BRAZE_URL = "https://198.51.100.7"  # an IP address, so that no DNS lookup is made

_MINIMAL: dict[str, dict[str, Any]] = {
    "personalization": {
        "account_name": "acme",
        "instance": "us-1",
        "dataset_ids": ["engage"],
        "api_key_id": "personalization-key-id",
        "api_key_secret": "personalization-key-secret",
    },
    "apsis": {
        "client_id": "apsis-client-id",
        "client_secret": "apsis-client-secret",
        "attributes": [{"version_id": "9820534"}],
        "events": [{"version_id": "550002"}],
    },
    "braze": {
        "base_url": BRAZE_URL,
        "api_key": "braze-api-key",
        "segment_ids": ["segment-1"],
    },
}


def vendor_settings(vendor: str, **changes: Any) -> dict[str, Any]:
    """Return the settings of one vendor with changes; None removes a setting."""
    merged = {**copy.deepcopy(_MINIMAL[vendor]), **changes}
    return {name: value for name, value in merged.items() if value is not None}


def config(vendor: str, **changes: Any) -> dict[str, Any]:
    """Return complete settings for one vendor and one week."""
    return {"start_date": START, "end_date": END, vendor: vendor_settings(vendor, **changes)}


def offering(settings: Mapping[str, Any], names: Collection[str]) -> dict[str, Any]:
    """Add to settings what offers streams that are offered on request only.

    Args:
        settings: content of the settings file.
        names: streams of any vendor; those that are offered anyway need nothing.

    Returns:
        The settings, with `tables` of each vendor where they say nothing of it.
    """
    changed = dict(settings)
    for vendor in VENDORS:
        tables = [name for name, stream in vendor.streams.items() if stream.is_on_request and name in names]
        if tables and vendor.name in settings:
            changed[vendor.name] = {"tables": tables, **settings[vendor.name]}
    return changed


def complete(settings: Mapping[str, Any], schema: Mapping[str, Any] = SETTINGS) -> dict[str, Any]:
    """Validate settings in the same way as the tap, and fill in the defaults."""
    return validation.complete(settings, schema, CHECKS)
