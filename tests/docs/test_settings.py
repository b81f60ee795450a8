"""The page of settings is that of `--about`."""

from __future__ import annotations

import json
from itertools import groupby
from typing import TYPE_CHECKING, Final

from tap_cdp_export.tap import VENDORS
from tests.helpers.about import ROOT, Setting, settings

if TYPE_CHECKING:
    from collections.abc import Iterator

PAGE: Final = ROOT / "docs" / "settings.md"
_INTRODUCTION: Final = """# Settings

A dot in a name means nesting: `apsis.window_days` is `{"apsis": {"window_days": 7}}` in a settings file and
`TAP_CDP_EXPORT_APSIS_WINDOW_DAYS` in Meltano. A vendor is enabled as soon as one of its settings is set; "required"
means required once the vendor is enabled. `tap-cdp-export --about --format=markdown` prints the same list.
This page is made by `python -m tests.write_settings`.
"""
_SDK: Final = "From the SDK"
_TITLES: Final = {"": "General", "batch_config": "BATCH files"} | {vendor.name: vendor.title for vendor in VENDORS}


def page() -> str:
    """Build the page: a section for each object of settings."""
    return "\n".join([_INTRODUCTION, *_sections()])


def _sections() -> Iterator[str]:
    """Yield the lines of the sections."""
    seen = set()
    for group, members in groupby(settings(), key=lambda setting: setting.name.rpartition(".")[0].partition(".")[0]):
        yield f"## {_SDK if group in seen else _TITLES[group]}\n"
        seen.add(group)
        yield "| setting | type | default | meaning |"
        yield "|---|---|---|---|"
        yield from (f"| `{s.name}` | {kind(s)} | {default(s)} | {meaning(s)} |" for s in members)
        yield ""


def meaning(setting: Setting) -> str:
    """Give the description, its angle brackets kept from being taken for HTML."""
    return str(setting.schema["description"]).replace("|", "\\|").replace("<", "&lt;")


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


def test_the_page_is_that_of_about() -> None:
    assert PAGE.read_text(encoding="utf-8") == page(), "python -m tests.write_settings"
