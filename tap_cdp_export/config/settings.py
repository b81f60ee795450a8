"""Settings shared by all vendors, declared with the SDK's types; `--about` prints the same schema."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from singer_sdk import typing as th

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping


def polling(initial: int) -> tuple[th.Property[Any], ...]:
    """Return the three settings of a vendor whose exports are polled.

    Args:
        initial: default of `poll_initial_seconds`.

    Returns:
        Properties for the settings of the vendor.
    """
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

_COMMON: Final = (
    th.Property(
        "start_date",
        th.DateTimeType,
        title="Start date",
        description="Start of the first window, not in the future; streams that read by windows need it on their "
        "first run. A time without a zone is UTC.",
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
)


def empty_lists(vendor: str, settings: Mapping[str, Any], *names: str) -> Iterator[str]:
    """Check that lists are not empty, nor any of their names, which would ask for everything.

    Args:
        vendor: name of the vendor's object in the settings.
        settings: settings of the vendor.
        names: names of the settings that hold lists.

    Yields:
        One message for each empty list, or list with an empty name.
    """
    for name in names:
        if settings.get(name) == []:
            yield f"setting {vendor}.{name} must name at least one"
        if "" in (settings.get(name) or ()):
            yield f"setting {vendor}.{name} holds an empty name"


def settings_schema(vendors: Iterable[th.Property[Any]]) -> dict[str, Any]:
    """Build the JSON schema of all settings.

    Args:
        vendors: one object property per vendor.

    Returns:
        The JSON schema; unknown settings are not allowed.
    """
    return th.PropertiesList(*_COMMON, *vendors, additional_properties=False).to_dict()
