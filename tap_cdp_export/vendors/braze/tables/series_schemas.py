"""The columns of series (docs/vendors/endpoints.md, B.3, B.5 and B.6)."""

from __future__ import annotations

from typing import Any, Final

from singer_sdk import typing as th

from tap_cdp_export.records.properties import EXTRA, FREE_OBJECT, key

_DATE: Final = th.Property("date", th.DateType, required=True, description="Day in the company's time zone.")
_CAMPAIGN: Final = key("campaign_id", "The campaign's API identifier.")
_CANVAS: Final = key("canvas_id", "The Canvas's API identifier.")


def _count(name: str, description: str) -> th.Property[Any]:
    return th.Property(name, th.IntegerType, description=description)


def _conversions(attributed_to: str, when: str) -> list[th.Property[Any]]:
    """Declare the conversion events A, B, C and D, by the day of the conversion and by an earlier one."""
    return [
        _count(f"conversions{number}{suffix}", f"Conversions of event {event}{of_day}.")
        for number, event in (("", "A"), (1, "B"), (2, "C"), (3, "D"))
        for suffix, of_day in (("", ""), (f"_by_{attributed_to}", f", by the day of the {when}"))
    ]


_REVENUE: Final = th.Property("revenue", th.NumberType, description="Revenue attributed to it.")
_RECIPIENTS: Final = _count("unique_recipients", "Users who received it.")
_OF_SENDS: Final = (*_conversions("send_time", "send"), _RECIPIENTS, _REVENUE)
_OF_ENTRIES: Final = (*_conversions("entry_time", "entry"), _REVENUE)

MESSAGE_COUNTS: Final = {
    "sent": "Messages sent.",
    "delivered": "Messages delivered.",
    "opens": "Opens.",
    "unique_opens": "Users who opened it.",
    "machine_open": "Opens by machines of mail providers.",
    "machine_amp_open": "Opens of AMP mails by machines.",
    "clicks": "Clicks.",
    "unique_clicks": "Users who clicked.",
    "unsubscribes": "Users who unsubscribed.",
    "bounces": "Messages that bounced.",
    "reported_spam": "Messages reported as spam.",
    "direct_opens": "Opens by a tap on the push message.",
    "total_opens": "Opens of a push message, influenced ones included, or of a content card.",
    "body_clicks": "Clicks on the body of a push message.",
    "sent_to_carrier": "Text messages sent to the carrier.",
    "rejected": "Text messages that the carrier rejected.",
    "delivery_failed": "Text messages that could not be delivered.",
    "opt_out": "Users who opted out of text messages.",
    "help": "Users who asked for help by text message.",
    "errors": "Webhooks that failed.",
    "failed": "WhatsApp messages that failed.",
    "read": "WhatsApp messages read.",
    "impressions": "Times an in-app message was shown.",
    "first_button_clicks": "Clicks on the first button.",
    "second_button_clicks": "Clicks on the second button.",
    "total_clicks": "Clicks on a content card.",
    "total_dismissals": "Dismissals of a content card.",
    "unique_dismissals": "Users who dismissed a content card.",
    "total_impressions": "Times a content card was shown.",
    "unique_impressions": "Users to whom a content card was shown.",
    "enrolled": "Users in the control group.",
}

CAMPAIGN_STATS: Final[dict[str, Any]] = th.PropertiesList(_CAMPAIGN, _DATE, *_OF_SENDS, EXTRA).to_dict()
CAMPAIGN_MESSAGE_STATS: Final[dict[str, Any]] = th.PropertiesList(
    _CAMPAIGN,
    _DATE,
    key("channel", "Channel, such as email or ios_push."),
    key("message_variation_id", "ID of the message variation; `-` if the vendor sends none."),
    th.Property(
        "occurrence",
        th.IntegerType,
        required=True,
        description="1; more only where the vendor lists a variation several times for a channel and day.",
    ),
    th.Property("variation_name", th.StringType, description="Name of the message variation."),
    *(_count(name, description) for name, description in MESSAGE_COUNTS.items()),
    *_OF_SENDS,
    EXTRA,
).to_dict()
CANVAS_STATS: Final[dict[str, Any]] = th.PropertiesList(
    _CANVAS, _DATE, _count("entries", "Entries."), *_OF_ENTRIES, EXTRA
).to_dict()
CANVAS_VARIANT_STATS: Final[dict[str, Any]] = th.PropertiesList(
    _CANVAS,
    _DATE,
    key("variant_id", "ID of the variant, as in braze_canvas_details.variants."),
    th.Property("name", th.StringType, description="Name of the variant."),
    _count("entries", "Entries."),
    *_OF_ENTRIES,
    EXTRA,
).to_dict()
CANVAS_STEP_STATS: Final[dict[str, Any]] = th.PropertiesList(
    _CANVAS,
    _DATE,
    key("step_id", "ID of the step, as in braze_canvas_details.steps."),
    th.Property("name", th.StringType, description="Name of the step."),
    *_OF_ENTRIES,
    _RECIPIENTS,
    th.Property(
        "messages",
        FREE_OBJECT,
        description="Counts by channel; influenced_opens of push messages are all opens, unlike in the dashboard.",
    ),
    EXTRA,
).to_dict()


def app_series(description: str, *, is_amount: bool = False, by_event: bool = False) -> dict[str, Any]:
    """Declare a series of apps.

    Args:
        description: of its value.
        is_amount: whether the value may have a fraction.
        by_event: whether it is a series of each event.

    Returns:
        The JSON schema.
    """
    return th.PropertiesList(
        *([key("event", "Name of the custom event.")] if by_event else []),
        key("app_id", "The app's API identifier; `all` for the sum over all apps."),
        _DATE,
        th.Property("value", th.NumberType if is_amount else th.IntegerType, description=description),
        EXTRA,
    ).to_dict()


SEGMENT_SIZES: Final[dict[str, Any]] = th.PropertiesList(
    key("segment_id", "The segment's API identifier."),
    _DATE,
    _count("value", "Number of users, which the vendor estimates."),
    EXTRA,
).to_dict()
