"""The setting `sandbox`: the bundled sandbox in place of the vendors."""

from __future__ import annotations

from typing import Any

from tap_cdp_export.errors import SettingsError


def with_sandbox(config: dict[str, Any]) -> dict[str, Any]:
    """Start the sandbox and point all three vendors' settings to it.

    Args:
        config: settings; what they say of a vendor stays, but for its address and credentials.

    Returns:
        Settings that read everything from the sandbox, which lives as long as the process.

    Raises:
        SettingsError: If the sandbox is not installed.
    """
    try:
        from tap_cdp_export.sandbox.server import Sandbox  # noqa: PLC0415 -- an extra, and heavy
    except ModuleNotFoundError as error:
        raise SettingsError(
            f"The sandbox needs {error.name}: install the tap with its extra, pip install 'tap-cdp-export[sandbox]'."
        ) from None
    sandbox = Sandbox()
    sandbox.start()
    merged = {**sandbox.settings(), **config}
    for vendor, settings in sandbox.settings().items():
        given = config.get(vendor)
        if isinstance(settings, dict) and isinstance(given, dict):
            fixed = {key: settings[key] for key in settings if key == "base_url" or key in _CREDENTIALS}
            merged[vendor] = {**settings, **given, **fixed}
    return merged


_CREDENTIALS = frozenset({"api_key_id", "api_key_secret", "client_id", "client_secret", "api_key"})
