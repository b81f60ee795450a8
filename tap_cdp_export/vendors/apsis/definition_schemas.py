"""The columns of the definitions (docs/vendors/apsis.md, section 8)."""

from __future__ import annotations

from typing import Any, Final

from singer_sdk import typing as th

from tap_cdp_export.records.properties import EXTRA, OBJECTS, key

_NAMES: Final = (
    th.Property("name", th.StringType, description="Name that people gave it."),
    th.Property("description", th.StringType, description="Description that people gave it."),
)
_SECTION: Final = (
    key("section_discriminator", "Discriminator of the section it belongs to."),
    key("discriminator", "Discriminator that requests name it by; `-` if the vendor sends none."),
)
_SECTION_ID: Final = th.Property(
    "section_id", th.StringType, description="ID of the section, as in apsis_profiles and apsis_events."
)


def _versioned(joins: str) -> dict[str, Any]:
    """Give the columns of definitions that have versions."""
    return th.PropertiesList(
        *_SECTION,
        key("version_id", f"ID of the version; {joins}; `-` if the vendor sends none."),
        _SECTION_ID,
        th.Property("id", th.StringType, description="ID of the definition itself, where the vendor sends one."),
        *_NAMES,
        th.Property("type", th.StringType, description="Type of its values, where the vendor sends one."),
        th.Property(
            "deprecated_at", th.DateTimeType, description="Since when the version is deprecated; null if it is not."
        ),
        EXTRA,
    ).to_dict()


SECTIONS: Final[dict[str, Any]] = th.PropertiesList(
    key("section_discriminator", "Discriminator that requests name the section by."),
    _SECTION_ID,
    *_NAMES,
    EXTRA,
).to_dict()
SEGMENTS: Final[dict[str, Any]] = th.PropertiesList(
    key("discriminator", "Discriminator that requests name the segment by; `-` if the vendor sends none."),
    *_NAMES,
    th.Property("versions", OBJECTS, description="Versions of the segment."),
    EXTRA,
).to_dict()
TOPICS: Final[dict[str, Any]] = th.PropertiesList(*_SECTION, _SECTION_ID, *_NAMES, EXTRA).to_dict()
ATTRIBUTES: Final = _versioned("a key of apsis_profiles.attributes")
TAGS: Final = _versioned("an element of apsis_profiles.tags")
EVENT_TYPES: Final = _versioned("equals apsis_events.type_id")
