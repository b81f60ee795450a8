"""The setting `sandbox`: read from the bundled sandbox instead of the vendors."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from tap_cdp_export.errors import SettingsError

if TYPE_CHECKING:
    from collections.abc import Mapping


def with_sandbox(config: dict[str, Any], schema: Mapping[str, Any]) -> dict[str, Any]:
    """Start the sandbox and return settings that point to it.

    Other settings of the user are kept: `{"sandbox": true, "vendor": {"api_key": "x", "output_format": "gzip"}}` gets
    `base_url` and `api_key` of the sandbox, keeps `output_format`, and gets complete settings for the other vendors.

    Args:
        config: settings of the user; for each vendor, base URL and credentials are replaced.
        schema: JSON schema of all settings.

    Returns:
        Settings for the sandbox, which runs until the process ends.

    Raises:
        SettingsError: If the sandbox is not installed.
    """
    try:
        from tap_cdp_export.sandbox.server import Sandbox  # noqa: PLC0415 -- an optional extra, and slow to import
    except ModuleNotFoundError as error:
        raise SettingsError(f"The sandbox needs {error.name}: install the tap again with its extra sandbox.") from None
    sandbox = Sandbox()
    sandbox.start()
    merged = {**sandbox.settings(), **config}
    for vendor, settings in sandbox.settings().items():
        user_settings = config.get(vendor)
        if isinstance(settings, dict) and isinstance(user_settings, dict):
            names = {"base_url", *_credentials(schema["properties"][vendor])}
            merged[vendor] = {**settings, **user_settings, **{name: settings[name] for name in names}}
    return merged


def _credentials(schema: Mapping[str, Any]) -> set[str]:
    """Return the names of the required secrets of a vendor."""
    return {name for name in schema["required"] if schema["properties"][name].get("secret")}
