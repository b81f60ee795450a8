"""The columns of `users`, `accounts` and `user_segments` (docs/vendors/personalization.md, section 4)."""

from __future__ import annotations

from typing import Any, Final

from singer_sdk import typing as th

from tap_cdp_export.records.properties import EXTRA, FREE_OBJECT, TEXTS, WINDOW, key

TAP_COLUMNS: Final = frozenset({"dataset_id", "segment", "window_start", "window_end"})

_DATASET: Final = key("dataset_id", "Dataset the record was read from, as in the settings.")
_NAME: Final = key("name", "Identifier of the user, unchanged (the vendor calls the user ID name).")

_ENGAGEMENT: Final = (
    th.Property(
        "engagement_score",
        th.NumberType,
        description="Engagement as a fraction; may exceed 1. For the window.",
    ),
    th.Property(
        "engagement_percent_change",
        th.NumberType,
        description="Signed change of the engagement, a fraction despite its name.",
    ),
    th.Property("first_activity", th.DateTimeType, description="First activity ever."),
    th.Property("last_activity", th.DateTimeType, description="Last activity."),
    th.Property("total_actions", th.IntegerType, description="Number of actions."),
)

USERS: Final[dict[str, Any]] = th.PropertiesList(
    _DATASET,
    _NAME,
    th.Property("display_name", th.StringType, description="Readable name of the person."),
    th.Property("account_name", th.StringType, description="The user's company: name of a row of accounts."),
    th.Property("email_address", th.StringType, description="E-mail address."),
    *_ENGAGEMENT,
    th.Property("attributes", FREE_OBJECT, description="Custom attributes, as the vendor sends them."),
    th.Property("segments", TEXTS, description="Segments of the user."),
    th.Property("segment_joined", th.DateTimeType, description="When the user joined the segment of the filter."),
    th.Property(
        "segment_input_values",
        FREE_OBJECT,
        description="Values behind the membership in the segment of the filter, by rule.",
    ),
    th.Property("location", FREE_OBJECT, description="Location, with include_geo."),
    *WINDOW,
    EXTRA,
).to_dict()

ACCOUNTS: Final[dict[str, Any]] = th.PropertiesList(
    _DATASET,
    key("name", "Identifier of the company, unchanged."),
    *_ENGAGEMENT,
    *WINDOW,
    EXTRA,
).to_dict()

USER_SEGMENTS: Final[dict[str, Any]] = th.PropertiesList(
    _DATASET,
    key("segment", "Name or ID of the segment, as in the settings."),
    _NAME,
    th.Property("segment_joined", th.DateTimeType, description="When the user joined the segment."),
    th.Property("segment_input_values", FREE_OBJECT, description="Values behind the membership, by rule."),
    EXTRA,
).to_dict()
