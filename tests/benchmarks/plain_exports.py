"""The plain tap's export streams: request, poll, download, read."""

from __future__ import annotations

import hashlib
import json
import tempfile
import time
import zipfile
from contextlib import contextmanager
from functools import cached_property
from http import HTTPStatus
from typing import TYPE_CHECKING, Any, ClassVar, Final

import backoff
import ijson  # type: ignore[import-untyped,unused-ignore]
import msgspec
import requests
from singer_sdk import typing as th
from singer_sdk.streams import Stream

from tests.benchmarks.plain_batches import Batched
from tests.benchmarks.plain_entries import BrazeEntries
from tests.benchmarks.plain_records import epoch_text, spelled_text, window_text

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from typing import IO

    from singer_sdk.helpers.types import Context

_FREE_OBJECT = th.ObjectType(additional_properties=True)
_OBJECTS = th.ArrayType(_FREE_OBJECT)
_CANONICAL = msgspec.json.Encoder(order="sorted")
_POLL_SECONDS: Final = 2
_retrying: Final = backoff.on_exception(backoff.expo, requests.ConnectionError, max_tries=5)


@_retrying
def _post(url: str, body: dict[str, Any], token: str = "") -> dict[str, Any]:
    headers = {"Authorization": f"Bearer {token}"} if token else {}
    response = requests.post(url, json=body, headers=headers, timeout=300)
    response.raise_for_status()
    document: dict[str, Any] = response.json()
    return document


@contextmanager
def _download(url: str, headers: dict[str, str], pending: frozenset[int]) -> Iterator[IO[bytes]]:
    """Poll until the file is ready, and download it to a temporary file."""
    while True:
        with requests.get(url, headers=headers, stream=True, timeout=300) as response:
            if response.status_code in pending:
                time.sleep(_POLL_SECONDS)
                continue
            response.raise_for_status()
            with tempfile.TemporaryFile() as file:
                file.writelines(response.iter_content(256 * 1024))
                file.seek(0)
                yield file
                return


class _ApsisStream(Stream):
    """A stream of APSIS One; each stream requests its own export."""

    replication_key = "window_end"

    @cached_property
    def window(self) -> dict[str, str]:
        """The columns of the window."""
        return window_text(self.config)

    def profiles(self) -> Iterator[tuple[str, dict[str, Any]]]:
        """Yield the keys and profiles of a new export."""
        base = self.config["base_url"]
        token = _post(f"{base}/oauth/token", {"grant_type": "client_credentials", "client_id": "i"})["access_token"]
        body = {"start_at": self.config["start_date"], "end_at": self.config["end_date"]}
        url = _post(f"{base}/audience/profiles/exports", body, token)["file_download_url"]
        pending = frozenset({HTTPStatus.NOT_FOUND, HTTPStatus.ACCEPTED})
        with _download(url, {"Authorization": f"Bearer {token}"}, pending) as file:
            yield from ijson.kvitems(file, "profiles", use_float=True)


class ApsisProfiles(_ApsisStream):
    """Profiles by section."""

    name = "apsis_profiles"
    primary_keys: ClassVar[tuple[str, ...]] = ("profile_key", "section_id")
    schema: ClassVar[dict[str, Any]] = th.PropertiesList(
        th.Property("profile_key", th.StringType, required=True),
        th.Property("section_id", th.StringType, required=True),
        th.Property("attributes", _FREE_OBJECT),
        th.Property("tags", th.ArrayType(th.StringType)),
        th.Property("window_start", th.DateTimeType),
        th.Property("window_end", th.DateTimeType),
        th.Property("extra", _FREE_OBJECT),
    ).to_dict()

    def get_records(self, context: Context | None) -> Iterable[dict[str, Any]]:  # noqa: ARG002 -- the SDK's signature
        """Yield one record per section, and one for a profile without sections."""
        named = set(self.config["attribute_ids"])
        for key, profile in self.profiles():
            for section_id, section in (profile["sections"] or {"-": {}}).items():
                attributes, tags = {}, []
                for name, entry in (section.get("attributes") or {}).items():
                    if entry["value"] is None and name not in named:
                        tags.append(name)
                    else:
                        attributes[name] = entry["value"]
                yield {
                    "profile_key": key,
                    "section_id": section_id,
                    "attributes": attributes,
                    "tags": tags,
                    **self.window,
                    "extra": {name: section[name] for name in section if name not in {"attributes", "events"}} or None,
                }


_EVENT_COLUMNS = {
    "typeId": "type_id",
    "correlationId": "correlation_id",
    "sourceEventTime": "source_event_time",
    "createdAt": "created_at",
    "data": "data",
}
_EMPTY_EVENT = dict.fromkeys(_EVENT_COLUMNS.values())


class ApsisEvents(_ApsisStream):
    """Events of the profiles."""

    name = "apsis_events"
    primary_keys: ClassVar[tuple[str, ...]] = ("profile_key", "section_id", "event_key")
    schema: ClassVar[dict[str, Any]] = th.PropertiesList(
        th.Property("profile_key", th.StringType, required=True),
        th.Property("section_id", th.StringType, required=True),
        th.Property("event_key", th.StringType, required=True),
        th.Property("type_id", th.StringType),
        th.Property("correlation_id", th.StringType),
        th.Property("source_event_time", th.DateTimeType),
        th.Property("created_at", th.DateTimeType),
        th.Property("data", _FREE_OBJECT),
        th.Property("window_start", th.DateTimeType),
        th.Property("window_end", th.DateTimeType),
        th.Property("extra", _FREE_OBJECT),
    ).to_dict()

    def get_records(self, context: Context | None) -> Iterable[dict[str, Any]]:  # noqa: ARG002 -- the SDK's signature
        """Yield one record per event."""
        for key, profile in self.profiles():
            for section_id, section in profile["sections"].items():
                for event in section.get("events") or ():
                    canonical = _CANONICAL.encode([key, section_id, event])
                    record: dict[str, Any] = {
                        "profile_key": key,
                        "section_id": section_id,
                        "event_key": hashlib.blake2b(canonical, digest_size=16).hexdigest(),
                        **_EMPTY_EVENT,
                        **self.window,
                    }
                    extra = {}
                    for name, value in event.items():
                        if name in _EVENT_COLUMNS:
                            record[_EVENT_COLUMNS[name]] = value
                        else:
                            extra[name] = value
                    for name in ("source_event_time", "created_at"):
                        record[name] = epoch_text(record[name]) if record[name] else None
                    record["extra"] = extra or None
                    yield record


_TEXTS = (
    "external_id", "created_from", "first_name", "last_name", "email", "home_city", "dob", "country", "language",
    "time_zone", "phone", "gender", "attributed_campaign", "attributed_source", "attributed_adgroup", "attributed_ad",
    "push_subscribe", "email_subscribe", "uninstalled_at",
)  # fmt: skip
_LISTS = (
    "user_aliases", "custom_events", "purchases", "devices", "push_tokens", "apps", "campaigns_received",
    "canvases_received", "cards_clicked",
)  # fmt: skip
_BRAZE_TIMES = (
    "created_at", "push_opted_in_at", "push_unsubscribed_at", "email_opted_in_at", "email_unsubscribed_at",
)  # fmt: skip


class BrazeUsers(Batched):
    """Users of a Braze segment."""

    name = "braze_users"
    primary_keys: ClassVar[tuple[str, ...]] = ("segment_id", "braze_id")
    schema: ClassVar[dict[str, Any]] = th.PropertiesList(
        th.Property("segment_id", th.StringType, required=True),
        th.Property("braze_id", th.StringType, required=True),
        *(th.Property(name, th.StringType) for name in _TEXTS),
        *(th.Property(name, th.DateTimeType) for name in _BRAZE_TIMES),
        *(th.Property(name, _OBJECTS) for name in _LISTS),
        th.Property("random_bucket", th.IntegerType),
        th.Property("last_coordinates", th.ArrayType(th.NumberType)),
        th.Property("total_revenue", th.NumberType),
        th.Property("custom_attributes", _FREE_OBJECT),
        th.Property("extra", _FREE_OBJECT),
    ).to_dict()

    def get_records(self, context: Context | None) -> Iterable[dict[str, Any]]:  # noqa: ARG002 -- the SDK's signature
        """Yield one record per line of the archive."""
        segment = self.config["segment_id"]
        tap_columns = {"segment_id", "extra"}
        fields = [name for name in self.schema["properties"] if name not in tap_columns]
        body = {"segment_id": segment, "fields_to_export": fields}
        url = _post(f"{self.config['base_url']}/users/export/segment", body, "key")["url"]
        empty = {"segment_id": segment, **dict.fromkeys(fields)}
        pending = frozenset({HTTPStatus.FORBIDDEN, HTTPStatus.NOT_FOUND})
        tables = [one for one in self._tap.streams.values() if isinstance(one, BrazeEntries) and one.selected]
        for table in tables:
            table._write_schema_message()  # noqa: SLF001 -- the SDK has no other way to write for another stream
        with _download(url, {}, pending) as file, zipfile.ZipFile(file) as archive:
            for name in archive.namelist():
                with archive.open(name) as member:
                    for line in member:
                        user = json.loads(line)
                        for table in tables:
                            table.write(user, segment)
                        yield self._record(user, empty)

    @staticmethod
    def _record(user: dict[str, Any], empty: dict[str, Any]) -> dict[str, Any]:
        record = {**empty, **user}
        extra = {name: record.pop(name) for name in user if name not in empty}
        for name in _BRAZE_TIMES:
            if record[name]:
                record[name] = spelled_text(record[name])
        record["extra"] = extra or None
        return record
