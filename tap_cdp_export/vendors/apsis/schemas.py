"""The columns of `apsis_profiles` and `apsis_events` (docs/vendors/apsis.md, section 7)."""

from __future__ import annotations

from typing import Any, Final

from singer_sdk import typing as th

from tap_cdp_export.records.properties import EXTRA, FREE_OBJECT, TEXTS, WINDOW, key

EVENT_TAP_COLUMNS: Final = frozenset({"profile_key", "section_id", "event_key", "window_start", "window_end"})

_PROFILE: Final = key("profile_key", "Profile export key, opaque.")

PROFILES: Final[dict[str, Any]] = th.PropertiesList(
    _PROFILE,
    key("section_id", "ID of the section; `-` for a profile without sections."),
    th.Property("attributes", FREE_OBJECT, description="Attribute ID to value; the type follows the attribute's."),
    th.Property("tags", TEXTS, description="IDs of the tags that the profile has in the section."),
    *WINDOW,
    EXTRA,
).to_dict()

EVENTS: Final[dict[str, Any]] = th.PropertiesList(
    _PROFILE,
    key("section_id", "ID of the section; `-` if it is empty."),
    key("event_key", "Hash over everything that tells two events apart; the vendor has no event ID."),
    th.Property("type_id", th.StringType, description="ID of the event type's version."),
    th.Property(
        "correlation_id",
        th.StringType,
        description="Set by the event's source; repeats when the source tried again.",
    ),
    th.Property(
        "source_event_time",
        th.DateTimeType,
        description="When it happened by the source's clock; null if unknown.",
    ),
    th.Property("created_at", th.DateTimeType, description="When the vendor received it."),
    th.Property("data", FREE_OBJECT, description="Data of the event, by its type."),
    *WINDOW,
    EXTRA,
).to_dict()
