"""The columns of Braze's streams (docs/vendors/braze.md, sections 2.1, 2.2 and 10)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from singer_sdk import typing as th

from tap_cdp_export.records.properties import EXTRA, FREE_OBJECT, OBJECTS, TEXTS, key

if TYPE_CHECKING:
    from collections.abc import Mapping

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


def _entries(identities: Mapping[str, str], *columns: th.Property[Any]) -> dict[str, Any]:
    """Declare a table of what users have several of.

    Its key is stable and unique: an entry's place in the vendor's list moves as others grow older than 90 days, so
    the vendor's own name or ID counts, and `occurrence` tells apart what the vendor names twice or not at all.

    Args:
        identities: the columns that name an entry, with their descriptions.
        columns: all others.
    """
    return th.PropertiesList(
        key("segment_id", "Segment the user was exported for."),
        key("braze_id", "The vendor's user ID."),
        *(key(name, f"{what}; `-` if the vendor sends none.") for name, what in identities.items()),
        th.Property(
            "occurrence",
            th.IntegerType,
            required=True,
            description=f"1; more only where the vendor lists the same {' and '.join(identities)} several times for a "
            "user.",
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

CUSTOM_EVENTS: Final[dict[str, Any]] = _entries({"name": "Name of the event"}, *_TALLY)
PURCHASES: Final[dict[str, Any]] = _entries({"name": "Product"}, *_TALLY)
CAMPAIGNS: Final[dict[str, Any]] = _entries(
    {"api_campaign_id": "ID of the campaign"},
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
    {"api_canvas_id": "ID of the Canvas"},
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
    {"device_id": "ID of the device"},
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

PUSH_TOKENS: Final[dict[str, Any]] = _entries(
    {"token": "Push token"},
    th.Property("app", th.StringType, description="Name of the app: a name in braze_user_apps."),
    th.Property("platform", th.StringType, description="Platform of the app."),
    th.Property("device_id", th.StringType, description="ID of the device, as in braze_user_devices."),
    th.Property("notifications_enabled", th.BooleanType, description="Whether the device shows notifications."),
    th.Property("provisionally_opted_in", th.BooleanType, description="Whether the user opted in provisionally."),
)
APPS: Final[dict[str, Any]] = _entries(
    {"name": "Name of the app"},
    th.Property("platform", th.StringType, description="Platform of the app."),
    th.Property("version", th.StringType, description="Version that was used last."),
    th.Property("sessions", th.IntegerType, description="Number of sessions; the vendor may send it as text."),
    th.Property("first_used", th.DateTimeType, description="When the app was used first."),
    th.Property("last_used", th.DateTimeType, description="When the app was used last."),
)
ALIASES: Final[dict[str, Any]] = _entries(
    {"alias_label": "Label of the alias"},
    th.Property("alias_name", th.StringType, description="The alias itself."),
)
CANVAS_STEPS: Final[dict[str, Any]] = _entries(
    {"api_canvas_id": "ID of the Canvas, as in braze_user_canvases", "api_canvas_step_id": "ID of the step"},
    th.Property("name", th.StringType, description="Name of the step."),
    th.Property("last_received", th.DateTimeType, description="When a message of the step was received last."),
)

SEGMENTS: Final[dict[str, Any]] = th.PropertiesList(
    key("segment_id", "The segment's API identifier, as in braze_users."),
    th.Property("name", th.StringType, description="Name of the segment."),
    th.Property("analytics_tracking_enabled", th.BooleanType, description="Whether its size is tracked over time."),
    th.Property("tags", TEXTS, description="Tags of the segment."),
    EXTRA,
).to_dict()
