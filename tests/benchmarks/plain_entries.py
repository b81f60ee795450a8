"""The plain tap's tables of the lists of Braze users; `BrazeUsers` writes their records while it reads the users."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Any, ClassVar

from singer_sdk import typing as th
from singer_sdk.streams import Stream

from tests.benchmarks.plain_records import spelled_text

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from singer_sdk.helpers.types import Context

_FREE_OBJECT = th.ObjectType(additional_properties=True)
_TALLY = (
    th.Property("first", th.DateTimeType),
    th.Property("last", th.DateTimeType),
    th.Property("count", th.IntegerType),
)


def _schema(identities: tuple[str, ...], *columns: th.Property[Any]) -> dict[str, Any]:
    keys = (th.Property(name, th.StringType, required=True) for name in ("segment_id", "braze_id", *identities))
    extra = th.Property("extra", _FREE_OBJECT)
    return th.PropertiesList(*keys, th.Property("occurrence", th.IntegerType, required=True), *columns, extra).to_dict()


class BrazeEntries(Stream):
    """A table of the entries of one of the users' lists."""

    field: ClassVar[str]
    identity: ClassVar[str]

    def get_records(self, context: Context | None) -> Iterable[dict[str, Any]]:  # noqa: ARG002 -- the SDK's signature
        """Yield nothing: the users write these records."""
        return ()

    def entries(self, user: dict[str, Any]) -> Iterator[tuple[dict[str, str], dict[str, Any]]]:
        """Yield further key columns and fields of each entry."""
        for entry in user.get(self.field) or ():
            yield {}, entry

    def write(self, user: dict[str, Any], segment: str) -> None:
        """Write the records of a user."""
        columns = self.schema["properties"]
        seen: Counter[tuple[str, ...]] = Counter()
        for keys, fields in self.entries(user):
            identity = fields.get(self.identity) or "-"
            key = (*keys.values(), identity)
            seen[key] += 1
            record: dict[str, Any] = {**dict.fromkeys(columns), **fields}
            extra = {name: record.pop(name) for name in fields if name not in columns}
            for name, column in columns.items():
                value = record[name]
                if value is not None and column.get("format") == "date-time":
                    record[name] = spelled_text(value)
                elif name == "sessions" and isinstance(value, str):
                    record[name] = int(value)
            record |= {"segment_id": segment, "braze_id": user["braze_id"], **keys, self.identity: identity}
            record |= {"occurrence": seen[key], "extra": extra or None}
            self._write_record_message(record)


def _table(name: str, field: str, identity: str, *columns: th.Property[Any]) -> type[BrazeEntries]:
    attributes = {
        "name": name,
        "field": field,
        "identity": identity,
        "primary_keys": ("segment_id", "braze_id", identity, "occurrence"),
        "schema": _schema((identity,), *columns),
    }
    return type(name, (BrazeEntries,), attributes)


class _CanvasSteps(BrazeEntries):
    """Steps, which are inside the Canvases."""

    name = "braze_user_canvas_steps"
    field = "canvases_received"
    identity = "api_canvas_step_id"
    primary_keys: ClassVar[tuple[str, ...]] = (
        "segment_id",
        "braze_id",
        "api_canvas_id",
        "api_canvas_step_id",
        "occurrence",
    )
    schema: ClassVar[dict[str, Any]] = _schema(
        ("api_canvas_id", "api_canvas_step_id"),
        th.Property("name", th.StringType),
        th.Property("last_received", th.DateTimeType),
    )

    def entries(self, user: dict[str, Any]) -> Iterator[tuple[dict[str, str], dict[str, Any]]]:
        for canvas in user.get(self.field) or ():
            for step in canvas.get("steps_received") or ():
                yield {"api_canvas_id": canvas.get("api_canvas_id") or "-"}, step


TABLES = (
    _table("braze_user_custom_events", "custom_events", "name", *_TALLY),
    _table("braze_user_purchases", "purchases", "name", *_TALLY),
    _table(
        "braze_user_campaigns",
        "campaigns_received",
        "api_campaign_id",
        th.Property("name", th.StringType),
        th.Property("last_received", th.DateTimeType),
        th.Property("engaged", _FREE_OBJECT),
        th.Property("converted", th.BooleanType),
        th.Property("multiple_converted", _FREE_OBJECT),
        th.Property("in_control", th.BooleanType),
        th.Property("variation_name", th.StringType),
        th.Property("variation_api_id", th.StringType),
    ),
    _table(
        "braze_user_canvases",
        "canvases_received",
        "api_canvas_id",
        th.Property("name", th.StringType),
        th.Property("last_received_message", th.DateTimeType),
        th.Property("last_entered", th.DateTimeType),
        th.Property("last_exited", th.DateTimeType),
        th.Property("last_entered_control_at", th.DateTimeType),
        th.Property("in_control", th.BooleanType),
        th.Property("variation_name", th.StringType),
        th.Property("steps_received", th.ArrayType(_FREE_OBJECT)),
    ),
    _table(
        "braze_user_devices",
        "devices",
        "device_id",
        *(
            th.Property(name, th.StringType)
            for name in ("model", "os", "carrier", "idfv", "idfa", "google_ad_id", "roku_ad_id", "windows_ad_id")
        ),
        th.Property("ad_tracking_enabled", th.BooleanType),
    ),
    _table(
        "braze_user_push_tokens",
        "push_tokens",
        "token",
        *(th.Property(name, th.StringType) for name in ("app", "platform", "device_id")),
        th.Property("notifications_enabled", th.BooleanType),
        th.Property("provisionally_opted_in", th.BooleanType),
    ),
    _table(
        "braze_user_apps",
        "apps",
        "name",
        th.Property("platform", th.StringType),
        th.Property("version", th.StringType),
        th.Property("sessions", th.IntegerType),
        th.Property("first_used", th.DateTimeType),
        th.Property("last_used", th.DateTimeType),
    ),
    _table("braze_user_aliases", "user_aliases", "alias_label", th.Property("alias_name", th.StringType)),
    _CanvasSteps,
)
