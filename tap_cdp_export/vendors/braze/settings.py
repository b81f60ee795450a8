"""The settings of Braze, and what they demand of each other."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final
from urllib.parse import urlsplit

from singer_sdk import typing as th

from tap_cdp_export.config.settings import empty_lists, polling
from tap_cdp_export.files.object_store import SCHEMES
from tap_cdp_export.vendors.braze.api import MOST_PARALLEL_REQUESTS

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping


_MOST_CUSTOM_ATTRIBUTES: Final = 500

SETTINGS: Final = th.ObjectType(
    th.Property(
        "base_url",
        th.URIType,
        required=True,
        title="Base URL",
        description="REST host of the instance, such as https://rest.fra-01.braze.eu.",
    ),
    th.Property(
        "api_key",
        th.StringType,
        required=True,
        secret=True,
        title="API key",
        description="REST API key with the permission users.export.segment.",
    ),
    th.Property(
        "segment_ids",
        th.ArrayType(th.StringType),
        title="Segments",
        description="Segment API identifiers, or names with the wildcards * and ?, or global_control_group; "
        "one export for each, one after the other. Needed only where users are selected.",
    ),
    th.Property(
        "fields_to_export",
        th.ArrayType(th.StringType),
        title="Fields",
        description="Fields to ask for, as far as their columns are selected; without it all known ones. "
        "braze_id is always added.",
    ),
    th.Property(
        "custom_attributes_to_export",
        th.ArrayType(th.StringType),
        title="Custom attributes",
        description="Custom attributes to ask for one by one, in place of all; "
        "without effect while fields_to_export holds custom_attributes.",
    ),
    th.Property(
        "attribute_columns",
        th.BooleanType,
        default=False,
        title="Attribute columns",
        description="Add a typed column to braze_users for each exported custom attribute, named and typed by its "
        "definition, which needs the permission custom_attributes.get.",
    ),
    th.Property(
        "output_format",
        th.StringType(allowed_values=["zip", "gzip"]),
        default="zip",
        title="Output format",
        description="Archive format to ask for; what arrives is detected by its first bytes.",
    ),
    th.Property(
        "callback_endpoint",
        th.URIType,
        title="Callback endpoint",
        description="Webhook that the vendor calls when an export is ready; passed on as it is.",
    ),
    th.Property(
        "on_conflict",
        th.StringType(allowed_values=["wait", "cancel", "fail"]),
        default="wait",
        title="On conflict",
        description="What to do when the segment is already being exported: wait for its end, cancel it, or fail.",
    ),
    th.Property(
        "bucket_url",
        th.StringType,
        title="Bucket URL",
        description="Folder above segment-export/ in the company's own bucket, where exports go once it is connected "
        "to Braze: s3://bucket/folder, gs://, az:// or file://. Needs the extra s3, gcs or azure.",
    ),
    th.Property(
        "bucket_options",
        th.ObjectType(additional_properties=True),
        default={},
        secret=True,
        title="Bucket options",
        description="Passed on to the client of the bucket (s3fs, gcsfs or adlfs), "
        "such as key, secret and endpoint_url.",
    ),
    th.Property(
        "bucket_quiet_seconds",
        th.NumberType(exclusive_minimum=0),
        default=300,
        title="Quiet time",
        description="An export into the bucket is whole when no file of it has come or changed for this long.",
    ),
    th.Property(
        "bucket_activate_version",
        th.BooleanType,
        default=False,
        title="ACTIVATE_VERSION in bucket mode",
        description="Send ACTIVATE_VERSION for exports from the bucket too, although nothing proves that it holds all "
        "of an export: a target may then drop users whose file came late.",
    ),
    th.Property(
        "app_ids",
        th.ArrayType(th.StringType),
        title="Apps",
        description="App API identifiers for which to read the series of apps; without it one sum over all apps.",
    ),
    th.Property(
        "series_lookback_days",
        th.IntegerType(minimum=0),
        default=14,
        title="Lookback of series",
        description="Series are read again from so many days before the bookmark: conversions are attributed to the "
        "day of the send.",
    ),
    th.Property(
        "parallel_requests",
        th.IntegerType(minimum=1, maximum=MOST_PARALLEL_REQUESTS),
        default=4,
        title="Parallel requests",
        description="Requests of one of the streams of tables that are in flight at the same time.",
    ),
    *polling(initial=5),
    additional_properties=False,
)


def setting_problems(settings: Mapping[str, Any]) -> Iterator[str]:
    """Find what the schema cannot express.

    Args:
        settings: `braze`, with their defaults.

    Yields:
        One text a problem, without any value.
    """
    if not (settings["api_key"].isascii() and settings["api_key"].isprintable() and " " not in settings["api_key"]):
        yield "setting braze.api_key holds a character that no key has, such as a line break inside or a letter like é"
    yield from empty_lists("braze", settings, "segment_ids", "fields_to_export", "app_ids")
    if len(settings.get("custom_attributes_to_export", ())) > _MOST_CUSTOM_ATTRIBUTES:
        yield f"setting braze.custom_attributes_to_export must name at most {_MOST_CUSTOM_ATTRIBUTES}"
    if "bucket_url" in settings and not _is_bucket(settings["bucket_url"]):
        yield (
            "setting braze.bucket_url must name a bucket, as s3://bucket/folder, gs://... or az://... does, "
            "or a folder, as file:///folder does, without user name and query"
        )


def _is_bucket(text: str) -> bool:
    try:
        parts = urlsplit(text)
    except ValueError:
        return False
    plain = not (parts.query or parts.fragment or "@" in parts.netloc or "::" in text or ".." in parts.path.split("/"))
    is_whole = parts.path.startswith("/") and not parts.netloc if parts.scheme == "file" else bool(parts.netloc)
    return parts.scheme in SCHEMES and plain and is_whole
