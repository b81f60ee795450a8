"""The columns of lists, details and suppression lists (docs/vendors/endpoints.md, B.1, B.2, B.4, B.7 and B.8)."""

from __future__ import annotations

from typing import Any, Final

from singer_sdk import typing as th

from tap_cdp_export.records.properties import EXTRA, OBJECTS, TEXTS, key

_NAME: Final = th.Property("name", th.StringType, description="Name that people gave it.")
_DESCRIPTION: Final = th.Property("description", th.StringType, description="Description that people gave it.")
_TAGS: Final = th.Property("tags", TEXTS, description="Tags.")
_LAST_EDITED: Final = th.Property("last_edited", th.DateTimeType, description="When it was edited last.")
_CREATED: Final = (
    th.Property("created_at", th.DateTimeType, description="When it was created."),
    th.Property("updated_at", th.DateTimeType, description="When it was changed last."),
)
_STATUS: Final = th.Property("status", th.StringType, description="State, such as Active.")
_TAG_NAMES: Final = th.Property("tag_names", TEXTS, description="Tags.")


def _table(*columns: th.Property[Any]) -> dict[str, Any]:
    return th.PropertiesList(*columns, EXTRA).to_dict()


CAMPAIGNS: Final = _table(
    key("campaign_id", "The campaign's API identifier, as api_campaign_id in braze_user_campaigns."),
    _NAME,
    th.Property("is_api_campaign", th.BooleanType, description="Whether it is sent by API only."),
    _TAGS,
    _LAST_EDITED,
)
CANVASES: Final = _table(
    key("canvas_id", "The Canvas's API identifier, as api_canvas_id in braze_user_canvases."),
    _NAME,
    _TAGS,
    _LAST_EDITED,
)
CUSTOM_ATTRIBUTES: Final = _table(
    key("name", "Name of the attribute, a key of braze_users.custom_attributes."),
    th.Property("data_type", th.StringType, description="Type of its values, such as Number."),
    _DESCRIPTION,
    _STATUS,
    _TAG_NAMES,
    th.Property("array_length", th.IntegerType, description="How many elements an array may have."),
)
CUSTOM_EVENTS: Final = _table(
    key("name", "Name of the event, as in braze_user_custom_events."),
    _DESCRIPTION,
    _STATUS,
    th.Property(
        "included_in_analytics_report", th.BooleanType, description="Whether the vendor's reports count the event."
    ),
    _TAG_NAMES,
)
PRODUCTS: Final = _table(key("product_id", "ID of the product, the name in braze_user_purchases."))

_SENDABLE: Final = (
    _NAME,
    _DESCRIPTION,
    *_CREATED,
    th.Property("schedule_type", th.StringType, description="How sending is scheduled."),
    th.Property("archived", th.BooleanType, description="Whether it is archived."),
    th.Property("draft", th.BooleanType, description="Whether it is a draft."),
    th.Property("enabled", th.BooleanType, description="Whether it is enabled."),
    th.Property(
        "has_post_launch_draft", th.BooleanType, description="Whether a draft of changes exists beside what is sent."
    ),
    th.Property("channels", TEXTS, description="Channels it sends to."),
    _TAGS,
    th.Property("teams", TEXTS, description="Teams it belongs to."),
)
CAMPAIGN_DETAILS: Final = _table(
    key("campaign_id", "The campaign's API identifier."),
    *_SENDABLE,
    th.Property("first_sent", th.DateTimeType, description="When it was sent first."),
    th.Property("last_sent", th.DateTimeType, description="When it was sent last."),
    th.Property(
        "messages",
        OBJECTS,
        description="Message variations: message_variation_id, channel, name, and fields by channel.",
    ),
    th.Property(
        "conversion_behaviors", OBJECTS, description="Conversion events A, B, C and D: type, window in seconds, …."
    ),
)
CANVAS_DETAILS: Final = _table(
    key("canvas_id", "The Canvas's API identifier."),
    *_SENDABLE,
    th.Property("first_entry", th.DateTimeType, description="When a user entered it first."),
    th.Property("last_entry", th.DateTimeType, description="When a user entered it last."),
    th.Property("variants", OBJECTS, description="Variants: variant_id, name, first_step_ids."),
    th.Property(
        "steps",
        OBJECTS,
        description="Steps: step_id, name, type, next_step_ids, next_paths, channels, and messages with "
        "message_variation_id.",
    ),
)
SEGMENT_DETAILS: Final = _table(
    key("segment_id", "The segment's API identifier."),
    _NAME,
    th.Property("description", th.StringType, description="Its filters in words."),
    th.Property("text_description", th.StringType, description="Description that people gave it."),
    *_CREATED,
    _TAGS,
    th.Property("teams", TEXTS, description="Teams it belongs to."),
)


def _key_time(name: str, description: str) -> th.Property[Any]:
    return th.Property(name, th.DateTimeType, required=True, description=description)


HARD_BOUNCES: Final = _table(
    key("email", "E-mail address."), _key_time("hard_bounced_at", "When a message to it bounced for good.")
)
UNSUBSCRIBES: Final = _table(
    key("email", "E-mail address."), _key_time("unsubscribed_at", "When it unsubscribed; the latest time only.")
)
INVALID_PHONES: Final = _table(
    key("phone", "Telephone number."),
    _key_time("invalid_detected_at", "When the number was found to be invalid."),
    th.Property("reason", th.StringType, description="Why: provider_error or deactivated."),
)
