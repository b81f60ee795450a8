"""Suppression lists, read by days (docs/vendors/endpoints.md, B.8)."""

from __future__ import annotations

from datetime import UTC, datetime, time, timedelta
from typing import TYPE_CHECKING, Any, ClassVar, Final, cast

from tap_cdp_export.files.prefetch import prefetch
from tap_cdp_export.records.batch import batch_of
from tap_cdp_export.vendors.braze.tables import list_schemas as schemas
from tap_cdp_export.vendors.braze.tables.endpoint import Endpoint
from tap_cdp_export.vendors.braze.tables.paging import after_page, page_at
from tap_cdp_export.vendors.braze.tables.stream import TableSource, TableStream
from tap_cdp_export.windows import Window, split

if TYPE_CHECKING:
    from collections.abc import Iterator

_DAY: Final = timedelta(days=1)
_WINDOW: Final = timedelta(days=7)


class SuppressionStream(TableStream):
    """Addresses to which nothing must be sent, each with a time; the key is both."""

    is_full_snapshot = False  # a sync reads from the bookmark on


class SuppressionSource(TableSource):
    """Reads one list in windows of whole days in UTC, and again from one day before the bookmark."""

    def validate(self) -> None:
        """Check STATE, and that a first run has `start_date`."""
        super().validate()
        for stream in self.selected.values():
            self.start_of(stream)

    def run(self) -> None:
        """Write window after window."""
        for stream in cast("Iterator[SuppressionStream]", self.selected.values()):
            end = self.end()
            windows = self._windows(stream, end)

            def first_page(window: Window, endpoint: Endpoint = stream.endpoint) -> list[Any]:
                return page_at(self.client, endpoint, _days(window), 0)

            firsts = prefetch(windows, first_page, number=self.parallel_requests)
            for window, first in zip(windows, firsts, strict=True):
                pages = after_page(self.client, stream.endpoint, _days(window), first, self.parallel_requests)
                for items in pages:
                    stream.write(batch_of([_record(stream, item) for item in items]))
                stream.commit_window(Window(window.start, min(window.end, self.end(self.client.clock_lead))))
                stream.write_state()

    def _windows(self, stream: SuppressionStream, end: datetime) -> list[Window]:
        """Cut what is to be read: the last day is on its own, as the pages of a list that still grows shift."""
        start = _midnight(self.start_of(stream))
        bookmark, start_date = stream.bookmark(), self.start_date()
        if bookmark and start == _midnight(bookmark):
            start = max(start - _DAY, _midnight(start_date) if start_date else start - _DAY)
        last_day = _midnight(end - timedelta(microseconds=1))
        if end <= start:
            return []
        last_day = max(last_day, start)
        return [*split(Window(start, last_day), _WINDOW), Window(last_day, last_day + _DAY)]


def _days(window: Window) -> dict[str, str]:
    return {"start_date": f"{window.start:%Y-%m-%d}", "end_date": f"{window.end:%Y-%m-%d}"}


def _midnight(moment: datetime) -> datetime:
    return datetime.combine(moment.astimezone(UTC).date(), time(), UTC)


def _record(stream: SuppressionStream, item: object) -> dict[str, Any]:
    record = stream.record(item) if isinstance(item, dict) else {}
    if not all(record.get(name) for name in stream.primary_keys):
        raise stream.endpoint.not_as_documented()
    return record


class BrazeHardBounces(SuppressionStream):
    """E-mail addresses that bounced for good; needs the permission email.hard_bounces."""

    name = "braze_hard_bounces"
    columns: ClassVar[dict[str, Any]] = schemas.HARD_BOUNCES
    primary_keys: ClassVar[tuple[str, ...]] = ("email", "hard_bounced_at")
    replication_key = "hard_bounced_at"
    endpoint = Endpoint("/email/hard_bounces", "email.hard_bounces", "emails", "the hard bounces")


class BrazeUnsubscribes(SuppressionStream):
    """E-mail addresses that unsubscribed; needs the permission email.unsubscribe."""

    name = "braze_unsubscribes"
    columns: ClassVar[dict[str, Any]] = schemas.UNSUBSCRIBES
    primary_keys: ClassVar[tuple[str, ...]] = ("email", "unsubscribed_at")
    replication_key = "unsubscribed_at"
    endpoint = Endpoint(
        "/email/unsubscribes",
        "email.unsubscribe",
        "emails",
        "the unsubscribes",
        params={"sort_direction": "asc"},
    )


class BrazeInvalidPhones(SuppressionStream):
    """Telephone numbers found invalid; needs the permission sms.invalid_phone_numbers."""

    name = "braze_invalid_phones"
    columns: ClassVar[dict[str, Any]] = schemas.INVALID_PHONES
    primary_keys: ClassVar[tuple[str, ...]] = ("phone", "invalid_detected_at")
    replication_key = "invalid_detected_at"
    endpoint = Endpoint(
        "/sms/invalid_phone_numbers", "sms.invalid_phone_numbers", "sms", "the invalid telephone numbers"
    )


SUPPRESSION_STREAMS: Final = (BrazeHardBounces, BrazeUnsubscribes, BrazeInvalidPhones)
