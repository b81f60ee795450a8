"""The setting `sandbox`: the bundled sandbox in place of the vendors."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from tap_cdp_export.errors import SettingsError

if TYPE_CHECKING:
    from collections.abc import Mapping


def with_sandbox(config: dict[str, Any], schema: Mapping[str, Any]) -> dict[str, Any]:
    """Start the sandbox, and point the settings of all vendors that it knows to it.

    Args:
        config: the settings; those of a vendor stay, except for its address and credentials.
        schema: the JSON schema of all settings.

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
            fixed = {"base_url", *_credentials(schema["properties"][vendor])}
            merged[vendor] = {**settings, **given, **{name: settings[name] for name in fixed}}
    return merged


def _credentials(schema: Mapping[str, Any]) -> set[str]:
    """Name the secrets without which a vendor cannot be used."""
    return {name for name in schema["required"] if schema["properties"][name].get("secret")}
