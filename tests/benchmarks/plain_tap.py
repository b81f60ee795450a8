"""A plain Singer SDK tap for the same streams: the baseline of the benchmarks.

Written as the SDK's template would have it, without anything against it: `RESTStream` with a paginator and
`post_process`, `response.json()`, `csv.DictReader`, `zipfile`, the SDK's own emission, state, batches and retries.
Its records equal those of tap-cdp-export, which a test holds.
"""

from __future__ import annotations

import csv
import io
from datetime import UTC, datetime
from functools import cached_property
from typing import TYPE_CHECKING, Any, ClassVar

from singer_sdk import Tap
from singer_sdk import typing as th
from singer_sdk.authenticators import BasicAuthenticator
from singer_sdk.pagination import BasePageNumberPaginator
from singer_sdk.streams import RESTStream

from tests.benchmarks.plain_batches import Batched
from tests.benchmarks.plain_entries import TABLES
from tests.benchmarks.plain_exports import ApsisEvents, ApsisProfiles, BrazeUsers
from tests.benchmarks.plain_records import user_record, window_text

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    import requests
    from singer_sdk.helpers.types import Context
    from singer_sdk.streams import Stream

_FREE_OBJECT = th.ObjectType(additional_properties=True)


class _Pages(BasePageNumberPaginator):
    """Page numbers from 0; the SDK stops at a page without records."""

    def has_more(self, response: requests.Response) -> bool:  # noqa: ARG002 -- the SDK's signature
        return True


class Users(Batched, RESTStream[int]):
    """Users of Personalization, in JSON."""

    name = "users"
    path = "/api/dataset/{dataset_id}/users.json"
    primary_keys: ClassVar[tuple[str, ...]] = ("dataset_id", "name")
    replication_key = "window_end"
    schema: ClassVar[dict[str, Any]] = th.PropertiesList(
        th.Property("dataset_id", th.StringType, required=True),
        th.Property("name", th.StringType, required=True),
        th.Property("display_name", th.StringType),
        th.Property("account_name", th.StringType),
        th.Property("email_address", th.StringType),
        th.Property("engagement_score", th.NumberType),
        th.Property("engagement_percent_change", th.NumberType),
        th.Property("first_activity", th.DateTimeType),
        th.Property("last_activity", th.DateTimeType),
        th.Property("total_actions", th.IntegerType),
        th.Property("attributes", _FREE_OBJECT),
        th.Property("segments", th.ArrayType(th.StringType)),
        th.Property("segment_joined", th.DateTimeType),
        th.Property("segment_input_values", _FREE_OBJECT),
        th.Property("location", _FREE_OBJECT),
        th.Property("window_start", th.DateTimeType),
        th.Property("window_end", th.DateTimeType),
        th.Property("extra", _FREE_OBJECT),
    ).to_dict()

    @property
    def url_base(self) -> str:
        """Base URL of the API."""
        return str(self.config["base_url"])

    @property
    def partitions(self) -> list[dict[str, Any]]:
        """One series of requests per dataset."""
        return [{"dataset_id": self.config["dataset_id"]}]

    @property
    def authenticator(self) -> BasicAuthenticator:
        """HTTP Basic."""
        return BasicAuthenticator(username="id", password="secret")

    @cached_property
    def window(self) -> dict[str, str]:
        """The columns of the window."""
        return window_text(self.config)

    def get_new_paginator(self) -> _Pages:
        """Start at page 0."""
        return _Pages(0)

    def get_url_params(self, context: Context | None, next_page_token: int | None) -> dict[str, Any]:  # noqa: ARG002 -- the SDK's signature
        """Request a page for the window of the statistics."""
        times = (datetime.fromisoformat(self.config[name]) for name in ("start_date", "end_date"))
        start, end = (int(time.timestamp() * 1000) for time in times)
        return {"page": next_page_token, "pageSize": self.config["page_size"], "start": start, "end": end}

    def parse_response(self, response: requests.Response) -> Iterable[dict[str, Any]]:
        """Yield the vendor's objects."""
        yield from response.json()

    def post_process(self, row: dict[str, Any], context: Context | None = None) -> dict[str, Any] | None:  # noqa: ARG002 -- the SDK's signature
        """Make a record."""
        return user_record(row, self.window)


class UsersInCsv(Users):
    """Users of Personalization, in CSV."""

    path = "/api/dataset/{dataset_id}/users.csv"

    def parse_response(self, response: requests.Response) -> Iterable[dict[str, Any]]:
        """Yield the rows in the form of the vendor's JSON; an empty cell is null."""
        response.encoding = "utf-8"
        for row in csv.DictReader(io.StringIO(response.text, newline="")):
            fields: dict[str, Any] = {name: cell or None for name, cell in row.items()}
            for name in ("firstActivity", "lastActivity", "totalActions"):
                fields[name] = int(fields[name])
            for name in ("engagementScore", "engagementPercentChange"):
                fields[name] = float(fields[name])
            if fields["segments"]:
                fields["segments"] = fields["segments"].split("|")
            yield fields


class PlainTap(Tap):
    """The streams of the benchmarks."""

    name = "plain-tap"
    config_jsonschema: ClassVar[dict[str, Any]] = th.PropertiesList(
        th.Property("base_url", th.StringType, required=True),
        th.Property("dataset_id", th.StringType),
        th.Property("attribute_ids", th.ArrayType(th.StringType), default=[]),
        th.Property("segment_id", th.StringType),
        th.Property("page_size", th.IntegerType, default=1000),
        th.Property("format", th.StringType, default="json"),
        th.Property("right_batches", th.BooleanType, default=False),
        th.Property("start_date", th.DateTimeType),
        th.Property("end_date", th.DateTimeType, default=datetime.now(UTC).isoformat()),
    ).to_dict()

    def discover_streams(self) -> Sequence[Stream]:
        """Make the streams."""
        users = UsersInCsv if self.config["format"] == "csv" else Users
        exports = (ApsisProfiles, ApsisEvents, BrazeUsers, *TABLES)
        return [users(self), *(stream(self) for stream in exports)]


if __name__ == "__main__":
    PlainTap.cli()
