"""The page of settings is that of `--about`."""

from __future__ import annotations

import json
from typing import Final

from tests.docs.pages import table
from tests.helpers.about import ROOT, Setting, settings

PAGE: Final = ROOT / "docs" / "settings.md"


def rows() -> list[str]:
    """The rows that the page has."""
    return table(PAGE.read_text(encoding="utf-8"), "| setting |")


def settings_table() -> list[str]:
    """The rows that the settings table must have."""
    return [f"| `{s.name}` | {kind(s)} | {default(s)} | {meaning(s)} |" for s in settings()]


def meaning(setting: Setting) -> str:
    """Give the description, its angle brackets kept from being taken for HTML."""
    return str(setting.schema["description"]).replace("<", "\\<")


def kind(setting: Setting) -> str:
    """Say what a setting's value must be."""
    if "enum" in setting.schema:
        return " or ".join(f"`{value}`" for value in setting.schema["enum"])
    name = "date-time" if setting.schema.get("format") == "date-time" else setting.type
    return f"{name}, secret" if setting.is_secret else name


def default(setting: Setting) -> str:
    """Say what holds without the setting."""
    if setting.required:
        return "required"
    if "default" not in setting.schema:
        return "none"
    value = setting.schema["default"]
    return f"`{value if isinstance(value, str) else json.dumps(value)}`"


def test_the_settings_table_is_that_of_about() -> None:
    assert rows() == settings_table(), "python -m tests.write_settings"
