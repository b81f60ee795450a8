"""The columns of `braze_users`: every exportable field (vendors/braze.md, sections 2.1 and 10)."""

from __future__ import annotations

from typing import Any, Final

from singer_sdk import typing as th

from tap_cdp_export.columns import EXTRA, FREE_OBJECT, OBJECTS, key

OWN: Final = frozenset({"segment_id"})

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

_UNASKED: Final = (
    th.Property("push_opted_in_at", th.DateTimeType, description="Comes with push_subscribe."),
    th.Property("push_unsubscribed_at", th.DateTimeType, description="Comes with push_subscribe."),
    th.Property("email_opted_in_at", th.DateTimeType, description="Comes with email_subscribe."),
    th.Property("email_unsubscribed_at", th.DateTimeType, description="Comes with email_subscribe."),
)

EXPORTABLE_FIELDS: Final = ("braze_id", *(field.name for field in _FIELDS))
"""The union of all field lists that the vendor has published; the list grows."""

USERS: Final[dict[str, Any]] = th.PropertiesList(
    key("segment_id", "Segment the record was exported for; no record names it itself."),
    key("braze_id", "The vendor's user ID."),
    *_FIELDS,
    *_UNASKED,
    EXTRA,
).to_dict()
