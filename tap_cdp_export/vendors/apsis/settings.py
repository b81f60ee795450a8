"""The settings of APSIS One, and what they demand of each other."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Any, Final

from singer_sdk import typing as th

from tap_cdp_export.config.settings import polling

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping


_SHORTEST_WINDOW: Final = timedelta(minutes=1)
_LONGEST_WINDOW: Final = timedelta(days=89)
_DEFAULT_FIELDS: Final = {"section_discriminator": "section_discriminator", "version_id": "version_id"}
_SLOWEST_PACE: Final = 1 / 1440

SETTINGS: Final = th.ObjectType(
    th.Property(
        "base_url",
        th.URIType,
        default="https://api.apsis.one",
        title="Base URL",
        description="https://api.apsis.one, or https://api-apac.apsis.one for accounts in Asia and the Pacific.",
    ),
    th.Property(
        "client_id",
        th.StringType,
        required=True,
        secret=True,
        title="Client ID",
        description="ID of the API key.",
    ),
    th.Property(
        "client_secret",
        th.StringType,
        required=True,
        secret=True,
        title="Client secret",
        description="Secret of the API key.",
    ),
    th.Property(
        "attributes",
        th.ArrayType(th.AnyType),
        default=[],
        title="Attributes",
        description="Attributes to export: names or discriminators with the wildcards * and ?, after that of the "
        "section and a slash if need be (*, Shop/points*); an object goes into the request untouched.",
    ),
    th.Property(
        "tags",
        th.ArrayType(th.AnyType),
        default=[],
        title="Tags",
        description="Tags to export, named as attributes are.",
    ),
    th.Property(
        "events",
        th.ArrayType(th.AnyType),
        default=[],
        title="Events",
        description="Event types to export, named as attributes are. "
        "The vendor returns events only together with at least one attribute or tag.",
    ),
    th.Property(
        "item_fields",
        th.ObjectType(additional_properties=th.StringType),
        default=_DEFAULT_FIELDS,
        title="Item fields",
        description="How what a pattern finds is written in the request: field of the item, and the field of the "
        "definition that fills it. The vendor publishes no item shape, so the default is a guess.",
    ),
    th.Property(
        "attribute_columns",
        th.BooleanType,
        default=False,
        title="Attribute columns",
        description="Give apsis_profiles one column for each attribute and tag it exports, named after it; "
        "each run then reads the definitions first, discovery too.",
    ),
    th.Property(
        "segment_filter",
        th.ObjectType(additional_properties=True),
        title="Segment filter",
        description="Limits the export to a segment; goes into the request untouched.",
    ),
    th.Property(
        "extra_body",
        th.ObjectType(additional_properties=True),
        default={},
        title="Extra body",
        description="Merged into the request body, for what this tap does not know yet.",
    ),
    th.Property(
        "window_days",
        th.NumberType(exclusive_minimum=0, maximum=89),
        default=7,
        title="Window",
        description="Length in days of the window of one export: a minute (0.0007) to 89 days.",
    ),
    th.Property(
        "lookback_minutes",
        th.NumberType(minimum=0),
        default=1440,
        title="Lookback",
        description="How far a run reaches back behind its bookmark, for events that can be exported late only; never "
        "before start_date. Window and lookback together stay within 89 days.",
    ),
    th.Property(
        "requests_per_minute",
        th.NumberType(exclusive_minimum=0),
        default=1,
        title="Exports a minute",
        description="Pace at which exports are asked for.",
    ),
    *polling(initial=2),
    additional_properties=False,
)


def setting_problems(settings: Mapping[str, Any]) -> Iterator[str]:
    """Find what the schema cannot express.

    Args:
        settings: `apsis`, with their defaults.

    Yields:
        One text a problem, without any value.
    """
    if settings["events"] and not settings["attributes"] and not settings["tags"]:
        yield (
            "setting apsis.attributes or apsis.tags must name at least one where apsis.events does: "
            "the vendor returns no profile, and so no event, without any"
        )
    if not settings["item_fields"]:
        yield "setting apsis.item_fields must name at least one field"
    if settings["requests_per_minute"] < _SLOWEST_PACE:
        yield "setting apsis.requests_per_minute must be at least 0.0007, one request a day"
    if timedelta(days=settings["window_days"]) < _SHORTEST_WINDOW:
        yield "setting apsis.window_days must be at least a minute (0.0007)"
    lookback = min(settings["lookback_minutes"], 2 * _LONGEST_WINDOW / timedelta(minutes=1))  # no overflow
    if timedelta(days=settings["window_days"], minutes=lookback) > _LONGEST_WINDOW:
        yield "settings apsis.window_days and apsis.lookback_minutes together must stay within 89 days"
