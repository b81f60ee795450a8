"""The columns of Braze's streams (docs/vendors/braze.md, sections 2.1, 2.2 and 10)."""

from __future__ import annotations

from typing import Any, Final

from singer_sdk import typing as th

from tap_cdp_export.records.properties import EXTRA, FREE_OBJECT, OBJECTS, TEXTS, key

TAP_COLUMNS: Final = frozenset({"segment_id"})

_FIELDS: Final = (
    th.Property("external_id", th.StringType, description="The company's own user ID; absent for anonymous users."),
    th.Property("user_aliases", OBJECTS, description="Aliases: alias_name and alias_label."),
    th.Property("created_at", th.DateTimeType, description="When the profile was created."),
    th.Property("created_from", th.StringType, description="How the profile was created."),
    th.Property("random_bucket", th.IntegerType, description="Random bucket number, 0 to 9999."),
    th.Property("first_name", th.StringType, description="First name."),
    th.Property("last_name", th.StringType, description="Last name."),
    th.Property("email", th.StringType, description="E-mail address."),
    th.Property("home_city", th.StringType, description="Home city."),
    th.Property("dob", th.StringType, description="Date of birth, YYYY-MM-DD."),
    th.Property("country", th.StringType, description="Country, ISO 3166-1 alpha-2."),
    th.Property("language", th.StringType, description="Language, ISO 639-1."),
    th.Property("time_zone", th.StringType, description="Time zone, free text."),
    th.Property("phone", th.StringType, description="Telephone number, as imported."),
    th.Property(
        "last_coordinates",
        th.ArrayType(th.NumberType),
        description="Two coordinates; the vendor contradicts itself on their order.",
    ),
    th.Property("gender", th.StringType, description="M, F, O, N or P."),
    th.Property("total_revenue", th.NumberType, description="Revenue of all purchases."),
    th.Property("attributed_campaign", th.StringType, description="Campaign of the attribution."),
    th.Property("attributed_source", th.StringType, description="Source of the attribution."),
    th.Property("attributed_adgroup", th.StringType, description="Ad group of the attribution."),
    th.Property("attributed_ad", th.StringType, description="Ad of the attribution."),
    th.Property("push_subscribe", th.StringType, description="opted_in, subscribed or unsubscribed."),
    th.Property("email_subscribe", th.StringType, description="opted_in, subscribed or unsubscribed."),
    th.Property(
        "uninstalled_at",
        th.StringType,
        description="When the app was uninstalled; its format is not documented.",
    ),
    th.Property("custom_attributes", FREE_OBJECT, description="Custom attributes, as the vendor sends them."),
    th.Property("custom_events", OBJECTS, description="Custom events of the last 90 days: name, first, last, count."),
    th.Property("purchases", OBJECTS, description="Purchases of the last 90 days: name, first, last, count."),
    th.Property("devices", OBJECTS, description="Devices."),
    th.Property("push_tokens", OBJECTS, description="Push tokens: app, platform, token."),
    th.Property("apps", OBJECTS, description="Apps: name, platform, version, sessions, first_used, last_used."),
    th.Property("campaigns_received", OBJECTS, description="Campaigns received in the last 90 days."),
    th.Property("canvases_received", OBJECTS, description="Canvases received in the last 90 days."),
    th.Property("cards_clicked", OBJECTS, description="Cards clicked: name."),
)

UNASKED: Final = {
    "push_opted_in_at": "push_subscribe",
    "push_unsubscribed_at": "push_subscribe",
    "email_opted_in_at": "email_subscribe",
    "email_unsubscribed_at": "email_subscribe",
}
"""Fields that cannot be asked for, and the one that each comes with."""

EXPORTABLE_FIELDS: Final = ("braze_id", *(field.name for field in _FIELDS))
"""The union of all field lists that the vendor has published; the list grows."""

USERS: Final[dict[str, Any]] = th.PropertiesList(
    key("segment_id", "Segment the record was exported for; no record names it itself."),
    key("braze_id", "The vendor's user ID."),
    *_FIELDS,
    *(th.Property(name, th.DateTimeType, description=f"Comes with {field}.") for name, field in UNASKED.items()),
    EXTRA,
).to_dict()


def _entries(identity: str, what: str, *columns: th.Property[Any]) -> dict[str, Any]:
    """Declare a table of what users have several of.

    Its key is stable and unique: an entry's place in the vendor's list moves as others grow older than 90 days, so
    the vendor's own name or ID counts, and `occurrence` tells apart what the vendor names twice or not at all.
    """
    return th.PropertiesList(
        key("segment_id", "Segment the user was exported for."),
        key("braze_id", "The vendor's user ID."),
        key(identity, f"{what}; `-` if the vendor sends none."),
        th.Property(
            "occurrence",
            th.IntegerType,
            required=True,
            description=f"1; more only where the vendor lists the same {identity} several times for a user.",
        ),
        *columns,
        EXTRA,
    ).to_dict()


_TALLY: Final = (
    th.Property("first", th.DateTimeType, description="When it happened first, of all time."),
    th.Property("last", th.DateTimeType, description="When it happened last, within 90 days."),
    th.Property("count", th.IntegerType, description="How often it happened, of all time."),
)
_VARIATION_NAME: Final = th.Property("variation_name", th.StringType, description="Variation received.")

CUSTOM_EVENTS: Final[dict[str, Any]] = _entries("name", "Name of the event", *_TALLY)
PURCHASES: Final[dict[str, Any]] = _entries("name", "Product", *_TALLY)
CAMPAIGNS: Final[dict[str, Any]] = _entries(
    "api_campaign_id",
    "ID of the campaign",
    th.Property("name", th.StringType, description="Name of the campaign."),
    th.Property("last_received", th.DateTimeType, description="When it was received last."),
    th.Property("engaged", FREE_OBJECT, description="What the user did, such as opened_email; only what is true."),
    th.Property("converted", th.BooleanType, description="Whether the user converted."),
    th.Property("multiple_converted", FREE_OBJECT, description="Whether the user converted, by conversion event."),
    th.Property("in_control", th.BooleanType, description="Whether the user is in the control group."),
    _VARIATION_NAME,
    th.Property("variation_api_id", th.StringType, description="ID of the variation."),
)
CANVASES: Final[dict[str, Any]] = _entries(
    "api_canvas_id",
    "ID of the Canvas",
    th.Property("name", th.StringType, description="Name of the Canvas."),
    th.Property("last_received_message", th.DateTimeType, description="When a message of it was received last."),
    th.Property("last_entered", th.DateTimeType, description="When the user entered it last."),
    th.Property("last_exited", th.DateTimeType, description="When the user left it last."),
    th.Property(
        "last_entered_control_at", th.DateTimeType, description="When the user entered its control group last."
    ),
    th.Property("in_control", th.BooleanType, description="Whether the user is in the control group."),
    _VARIATION_NAME,
    th.Property("steps_received", OBJECTS, description="Steps: name, api_canvas_step_id, last_received."),
)
DEVICES: Final[dict[str, Any]] = _entries(
    "device_id",
    "ID of the device",
    th.Property("model", th.StringType, description="Model."),
    th.Property("os", th.StringType, description="Operating system."),
    th.Property("carrier", th.StringType, description="Mobile carrier."),
    th.Property("idfv", th.StringType, description="Apple's ID for vendors."),
    th.Property("idfa", th.StringType, description="Apple's ID for advertisers."),
    th.Property("google_ad_id", th.StringType, description="Google's advertising ID."),
    th.Property("roku_ad_id", th.StringType, description="Roku's advertising ID."),
    th.Property("windows_ad_id", th.StringType, description="Windows' advertising ID."),
    th.Property("ad_tracking_enabled", th.BooleanType, description="Whether the device allows tracking."),
)

SEGMENTS: Final[dict[str, Any]] = th.PropertiesList(
    key("segment_id", "The segment's API identifier, as in braze_users."),
    th.Property("name", th.StringType, description="Name of the segment."),
    th.Property("analytics_tracking_enabled", th.BooleanType, description="Whether its size is tracked over time."),
    th.Property("tags", TEXTS, description="Tags of the segment."),
    EXTRA,
).to_dict()
