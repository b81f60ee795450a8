"""The only list of settings: a JSON schema in the SDK's types, so that `--about` shows exactly what is checked."""

from __future__ import annotations

from typing import Any, Final

from singer_sdk import typing as th

VENDORS: Final = ("personalization", "apsis", "braze")


def _polling(initial: int) -> tuple[th.Property[Any], ...]:
    """Give the three settings that every polled export has."""
    return (
        th.Property(
            "poll_initial_seconds",
            th.NumberType(exclusive_minimum=0),
            default=initial,
            title="First pause",
            description="Pause before the second look at an export; it grows from look to look, with jitter.",
        ),
        th.Property(
            "poll_max_seconds",
            th.NumberType(exclusive_minimum=0),
            default=60,
            title="Longest pause",
            description="The pause between two looks at an export never grows beyond this.",
        ),
        th.Property(
            "export_timeout_seconds",
            th.NumberType(exclusive_minimum=0),
            default=21600,
            title="Export timeout",
            description="From the request for an export until its file is read.",
        ),
    )


PERSONALIZATION: Final = th.ObjectType(
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
        th.StringType,
        title="Filter",
        description="Name or ID of a segment: only its members are exported.",
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

APSIS: Final = th.ObjectType(
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
        description="Attributes to export; the items go into the request untouched.",
    ),
    th.Property(
        "tags",
        th.ArrayType(th.AnyType),
        default=[],
        title="Tags",
        description="Tags to export; the items go into the request untouched.",
    ),
    th.Property(
        "events",
        th.ArrayType(th.AnyType),
        default=[],
        title="Events",
        description="Event types to export; the items go into the request untouched. "
        "The vendor returns events only together with at least one attribute or tag.",
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
    *_polling(initial=2),
    additional_properties=False,
)

BRAZE: Final = th.ObjectType(
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
        required=True,
        title="Segments",
        description="Segment API identifiers, or names with the wildcards * and ?, or global_control_group; "
        "one export for each, one after the other.",
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
        "output_format",
        th.StringType(allowed_values=["zip", "gzip"]),
        default="zip",
        title="Output format",
        description="Archive format to ask for; what arrives is told by its first bytes.",
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
    *_polling(initial=5),
    additional_properties=False,
)

BATCH: Final = th.ObjectType(
    th.Property(
        "encoding",
        th.ObjectType(
            th.Property(
                "format",
                th.StringType(allowed_values=["jsonl"]),
                default="jsonl",
                title="Batch format",
                description="Format of the files.",
            ),
            th.Property(
                "compression",
                th.StringType(allowed_values=["gzip", "none"]),
                default="gzip",
                title="Batch compression",
                description="Compression of the files.",
            ),
            additional_properties=False,
        ),
        default={"format": "jsonl", "compression": "gzip"},
        title="Batch encoding",
        description="Format and compression of the files.",
    ),
    th.Property(
        "storage",
        th.ObjectType(
            th.Property(
                "root",
                th.StringType,
                required=True,
                title="Batch root",
                description="Folder of the files: file:///…, or s3://… and the like with the tap's extra for it.",
            ),
            th.Property(
                "prefix",
                th.StringType,
                title="Batch prefix",
                description="Begins the name of every file, which stays below the root.",
            ),
            th.Property(
                "params",
                th.ObjectType(additional_properties=True),
                default={},
                secret=True,
                title="Batch storage options",
                description="Passed to fsspec (key, secret, endpoint_url, …).",
            ),
            additional_properties=False,
        ),
        required=True,
        title="Batch storage",
        description="Where the files are written.",
    ),
    th.Property(
        "batch_size",
        th.IntegerType(minimum=1),
        default=10000,
        title="Batch size",
        description="Records a file, at most.",
    ),
    additional_properties=False,
)

SETTINGS: Final[dict[str, Any]] = th.PropertiesList(
    th.Property(
        "start_date",
        th.DateTimeType,
        title="Start date",
        description="Start of the first window, not in the future; needed by apsis_events on its first run, and by "
        "users and accounts if personalization.statistics_days is 0. A time without a zone is UTC.",
    ),
    th.Property(
        "end_date",
        th.DateTimeType,
        title="End date",
        description="End of the last window; without it the time of the run.",
    ),
    th.Property(
        "request_deadline_seconds",
        th.NumberType(exclusive_minimum=0),
        default=900,
        title="Request deadline",
        description="Every single request, with all its retries and waits, ends by then.",
    ),
    th.Property(
        "sandbox",
        th.BooleanType,
        default=False,
        title="Sandbox",
        description="Start the bundled sandbox on a loopback port and read all three vendors from it; "
        "needs no credentials, loads invented people.",
    ),
    th.Property(
        "emit_activate_version_messages",
        th.BooleanType,
        default=False,
        title="Emit ACTIVATE_VERSION",
        description="After a whole export of a FULL_TABLE stream, tell the target to drop the rows it did not hold.",
    ),
    th.Property(
        "batch_config",
        BATCH,
        title="Batch configuration",
        description="Write records as files of JSON lines and announce them by BATCH messages; "
        "present = on. Only some targets read them.",
    ),
    th.Property(
        "personalization",
        PERSONALIZATION,
        title="Personalization",
        description="Salesforce Marketing Cloud Personalization; present = on (streams users, accounts).",
    ),
    th.Property(
        "apsis",
        APSIS,
        title="APSIS One",
        description="APSIS One; present = on (streams apsis_profiles, apsis_events, "
        "and its definitions when they are selected).",
    ),
    th.Property(
        "braze",
        BRAZE,
        title="Braze",
        description="Braze; present = on (stream braze_users, and others when they are selected).",
    ),
    additional_properties=False,
).to_dict()
