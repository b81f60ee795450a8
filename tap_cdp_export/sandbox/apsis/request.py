"""Parses the body of an APSIS One export request and checks the documented limits."""

from __future__ import annotations

import calendar
import re
from typing import Any

import msgspec

from tap_cdp_export.sandbox.apsis import definitions
from tap_cdp_export.sandbox.apsis.export_profiles import Request
from tap_cdp_export.sandbox.apsis.items import versions_of
from tap_cdp_export.sandbox.apsis.refusal import Refused
from tap_cdp_export.sandbox.clock import DAY, milliseconds, moment_of

_LARGEST_BODY = 100_000
_MOST = {"attributes": 75, "tags": 25}
_UTC = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z")
_WINDOW_MONTHS = 3
_DEFAULT_DAYS = 7


def json_object(body: bytes) -> dict[str, Any]:
    """Decode the body as a JSON object of at most 100 kB."""
    if len(body) > _LARGEST_BODY:
        raise Refused(413, "The request body is larger than 100 kB")
    try:
        return msgspec.json.decode(body, type=dict[str, Any])
    except msgspec.DecodeError as error:
        raise Refused(400, "The request body is not a JSON object") from error


def parse_export(body: bytes, item_shape: str) -> tuple[Request, str | None]:
    """Return the content of the export, and the segment it is limited to."""
    content = json_object(body)
    ids = {name: _version_ids(content, name, item_shape) for name in ("attributes", "tags", "events")}
    start, end = _window(content, has_events=any(ids["events"].values()))
    return Request(ids["attributes"], ids["tags"], ids["events"], start, end), _segment(content)


def _version_ids(content: dict[str, Any], name: str, item_shape: str) -> dict[str, frozenset[str]]:
    """Version IDs by section number."""
    items = content.get(name, [])
    if not isinstance(items, list):
        raise Refused(400, f"{name} must be a list")
    if len(items) > _MOST.get(name, len(items)):
        raise Refused(400, f"At most {_MOST[name]} {name} can be exported")
    ids_by_section: dict[str, set[str]] = {section.number: set() for section in definitions.SECTIONS}
    for number, item in enumerate(items):
        section, versions = versions_of(item, content, f"{name}[{number}]", item_shape)
        ids_by_section[section.number].update(versions)
    return {number: frozenset(ids) for number, ids in ids_by_section.items()}


def _window(content: dict[str, Any], *, has_events: bool) -> tuple[int, int]:
    """Window of events: start is mandatory with events, end defaults to a week later, three months at most."""
    if "start_at" not in content:
        if has_events:
            raise Refused(400, "start_at is mandatory when events are exported")
        return 0, 0
    start = _time(content["start_at"], "start_at")
    end = _time(content["end_at"], "end_at") if "end_at" in content else start + _DEFAULT_DAYS * DAY
    if end <= start:
        raise Refused(400, "end_at must be after start_at")
    if end > _months_later(start, _WINDOW_MONTHS):
        raise Refused(400, "The time window for events is at most three months")
    return start, end


def _time(value: Any, name: str) -> int:  # noqa: ANN401 - whatever JSON the client sent
    if not isinstance(value, str) or not _UTC.fullmatch(value):
        raise Refused(400, f"{name} must be a date-time in UTC, like 2024-03-01T00:00:00Z")
    try:
        return milliseconds(value)
    except ValueError as error:
        raise Refused(400, f"{name} is no date-time") from error


def _months_later(at: int, months: int) -> int:
    """Same day a number of calendar months later, or the last day of that month."""
    moment = moment_of(at)
    years, month = divmod(moment.month - 1 + months, 12)
    year, month = moment.year + years, month + 1
    day = min(moment.day, calendar.monthrange(year, month)[1])
    return round(moment.replace(year=year, month=month, day=day).timestamp() * 1000)


def _segment(content: dict[str, Any]) -> str | None:
    if "segment_filter" not in content:
        return None
    segment_filter = content["segment_filter"]
    discriminator = segment_filter.get("segment_discriminator") if isinstance(segment_filter, dict) else None
    if not isinstance(discriminator, str) or discriminator not in definitions.SEGMENTS:
        raise Refused(400, "segment_filter names no known segment")
    return discriminator
