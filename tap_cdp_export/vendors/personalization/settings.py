"""The settings of Personalization, and what they demand of each other."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, Final

from singer_sdk import typing as th

from tap_cdp_export.config.settings import empty_lists

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping


_EPOCH_TIME: Final = re.compile(r"[0-9]{1,14}", re.ASCII)
_HOST_PART: Final = re.compile(r"[A-Za-z0-9]([A-Za-z0-9-]*[A-Za-z0-9])?", re.ASCII)

SETTINGS: Final = th.ObjectType(
    th.Property(
        "account_name",
        th.StringType,
        title="Account name",
        description="First part of the host https://<account_name>.<instance>.evergage.com.",
    ),
    th.Property(
        "instance",
        th.StringType,
        title="Instance",
        description="Second part of the host, such as us-1; empty for old tenants.",
    ),
    th.Property(
        "base_url",
        th.URIType,
        title="Base URL",
        description="Overrides the host built from account_name and instance (a proxy).",
    ),
    th.Property(
        "dataset_ids",
        th.ArrayType(th.StringType),
        required=True,
        title="Datasets",
        description="Names or IDs of the datasets to read; one series of requests for each.",
    ),
    th.Property(
        "api_key_id",
        th.StringType,
        required=True,
        secret=True,
        title="API key ID",
        description="ID of the API token (HTTP Basic user name).",
    ),
    th.Property(
        "api_key_secret",
        th.StringType,
        required=True,
        secret=True,
        title="API key secret",
        description="Secret of the API token (HTTP Basic password).",
    ),
    th.Property(
        "statistics_days",
        th.NumberType(minimum=0, maximum=36_500),
        default=30,
        title="Statistics window",
        description="Days that the engagement statistics cover at least: from the bookmark (on the first run from "
        "start_date) to now, or from further back. 0: exactly from the bookmark; start_date is then required.",
    ),
    th.Property(
        "format",
        th.StringType(allowed_values=["json", "csv"]),
        default="json",
        title="Format",
        description="Format of the pages; csv has custom attributes as columns, which end in extra as text.",
    ),
    th.Property(
        "csv_delimiter",
        th.StringType(min_length=1, max_length=1),
        default=",",
        title="CSV delimiter",
        description="Separates the cells of a CSV; one character, such as a semicolon.",
    ),
    th.Property(
        "csv_list_separator",
        th.StringType,
        title="CSV list separator",
        description="Splits the cell segments of a CSV; without it the cell stays one element.",
    ),
    th.Property(
        "page_size",
        th.IntegerType(minimum=0),
        default=1000,
        title="Page size",
        description="Records a page; 0 asks for everything in one unpaged body.",
    ),
    th.Property(
        "filter",
        th.StringType(min_length=1),
        title="Filter",
        description="Name or ID of a segment: only its members are exported.",
    ),
    th.Property(
        "segments",
        th.ArrayType(th.StringType(min_length=1)),
        title="Segments",
        description="Names or IDs of the segments whose members user_segments lists, with one series of requests for "
        "each; apart from filter, which it does not combine with.",
    ),
    th.Property(
        "segmentation_id",
        th.StringType,
        title="Segmentation ID",
        description="Passed on to the vendor as it is.",
    ),
    th.Property(
        "segment_id",
        th.StringType,
        title="Segment ID",
        description="Passed on to the vendor as it is.",
    ),
    th.Property(
        "include_geo",
        th.BooleanType,
        default=False,
        title="Include location",
        description="Ask for the location of users (column location).",
    ),
    th.Property(
        "accounts_missing",
        th.StringType(allowed_values=["error", "warn"]),
        default="warn",
        title="Accounts missing",
        description="What 403 or 404 on accounts means: the vendor retired account profiles in August 2024.",
    ),
    th.Property(
        "extra_params",
        th.ObjectType(additional_properties=True),
        default={},
        title="Extra parameters",
        description="Further query parameters; they win over the tap's own, start and end (epoch milliseconds) "
        "included. page and pageSize are the tap's own.",
    ),
    additional_properties=False,
)


def setting_problems(settings: Mapping[str, Any]) -> Iterator[str]:
    """Find what the schema cannot express.

    Args:
        settings: `personalization`, with their defaults.

    Yields:
        One text a problem, without any value.
    """
    yield from empty_lists("personalization", settings, "dataset_ids", "segments")
    yield from _parameter_problems(settings["extra_params"])
    if settings["csv_delimiter"] in '"\r\n':
        yield "setting personalization.csv_delimiter must be one character, no quote and no line end"
    if "base_url" in settings:
        return
    if not settings.get("account_name"):
        yield "setting personalization.account_name is missing (or give personalization.base_url)"
    for name in ("account_name", "instance"):
        if settings.get(name) and not _HOST_PART.fullmatch(settings[name]):
            yield f"setting personalization.{name} must be one part of a host name (letters, digits, hyphens)"


def _parameter_problems(params: Mapping[str, Any]) -> Iterator[str]:
    where = "setting personalization.extra_params"
    for name in sorted({"page", "pageSize"} & params.keys()):
        yield f"{where} must not hold {name}: page_size says how the pages are read"
    for name in ("start", "end"):
        if params.get(name) is not None and not _is_epoch_time(params[name]):
            yield f"{where}.{name} must be a time in epoch milliseconds"


def _is_epoch_time(value: object) -> bool:
    return _EPOCH_TIME.fullmatch(value if isinstance(value, str) else repr(value)) is not None
