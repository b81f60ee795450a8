"""Settings from environment variables, as `--config ENV` reads them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from singer_sdk.configuration._dict_config import parse_environment_config

from tap_cdp_export.errors import SettingsError

if TYPE_CHECKING:
    from collections.abc import Mapping


def settings_in_environment(schema: Mapping[str, Any], prefix: str) -> dict[str, Any]:
    """Read the settings that are given as environment variables.

    Args:
        schema: JSON schema of all settings.
        prefix: of the variables.

    Returns:
        The settings by name.

    Raises:
        SettingsError: If a variable does not hold what its setting needs; the message names it without its value.
    """
    settings: dict[str, Any] = {}
    for name, inner in schema["properties"].items():
        try:
            settings |= parse_environment_config({"properties": {name: inner}}, prefix)
        except (ValueError, RecursionError):
            raise SettingsError(
                f"The environment variable {prefix}{name.upper()} does not hold JSON of the type of its setting, "
                f"{' or '.join(kind for kind in inner['type'] if kind != 'null')}."
            ) from None
    return settings
