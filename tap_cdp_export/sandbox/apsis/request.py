"""The body of an APSIS One export request, checked against the documented limits."""

from __future__ import annotations

import calendar
import re
from typing import Any

import msgspec

from tap_cdp_export.sandbox.apsis import definitions
from tap_cdp_export.sandbox.apsis.export_profiles import Request
from tap_cdp_export.sandbox.clock import DAY, milliseconds, moment_of

_LARGEST_BODY = 100_000
_MOST = {"attributes": 75, "tags": 25}
_UTC = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z")
_WINDOW_MONTHS = 3
_DEFAULT_DAYS = 7


class Refused(Exception):
    """A request that APSIS One refuses."""

    def __init__(self, status: int, detail: str, headers: dict[str, str] | None = None) -> None:
        """Refuse with this status and reason."""
        super().__init__(detail)
        self.status = status
        self.headers = headers


def json_object(body: bytes) -> dict[str, Any]:
    """The body as a JSON object, of 100 kB at most."""
    if len(body) > _LARGEST_BODY:
        raise Refused(413, "The request body is larger than 100 kB")
    try:
        return msgspec.json.decode(body, type=dict[str, Any])
    except msgspec.DecodeError as error:
        raise Refused(400, "The request body is not a JSON object") from error


def parse_export(body: bytes) -> tuple[Request, str | None]:
    """What is to be exported, and the segment it is limited to."""
    asked = json_object(body)
    chosen = {name: _declared(asked, name) for name in ("attributes", "tags", "events")}
    start, end = _window(asked, has_events=any(chosen["events"].values()))
    return Request(chosen["attributes"], chosen["tags"], chosen["events"], start, end), _segment(asked)


def _declared(asked: dict[str, Any], name: str) -> dict[str, frozenset[str]]:
    """Version ids by section number; each item names a section and a version that exist."""
    listed = asked.get(name, [])
    if not isinstance(listed, list):
        raise Refused(400, f"{name} must be a list")
    if len(listed) > _MOST.get(name, len(listed)):
        raise Refused(400, f"At most {_MOST[name]} {name} can be exported")
    known = {"attributes": definitions.ATTRIBUTES, "tags": definitions.TAGS, "events": definitions.EVENTS}[name]
    found: dict[str, set[str]] = {section.number: set() for section in definitions.SECTIONS}
    for item in listed:
        if not isinstance(item, dict) or not isinstance(item.get("version_id"), str):
            raise Refused(400, f"Each of {name} needs a version_id")
        section, version = item.get("section_discriminator"), item["version_id"]
        match = next((one for one in known if version in definitions.versions(one)), None)
        if match is None or match.section.discriminator != section:
            raise Refused(400, f"No such version in {name}: {version}")
        found[match.section.number].add(version)
    return {number: frozenset(ids) for number, ids in found.items()}


def _window(asked: dict[str, Any], *, has_events: bool) -> tuple[int, int]:
    """The events' window: start mandatory with events, end one week later by default, three months at most."""
    if "start_at" not in asked:
        if has_events:
            raise Refused(400, "start_at is mandatory when events are exported")
        return 0, 0
    start = _time(asked["start_at"], "start_at")
    end = _time(asked["end_at"], "end_at") if "end_at" in asked else start + _DEFAULT_DAYS * DAY
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
    """The same day so many calendar months later, or that month's last day."""
    activity = moment_of(at)
    years, month = divmod(activity.month - 1 + months, 12)
    year, month = activity.year + years, month + 1
    day = min(activity.day, calendar.monthrange(year, month)[1])
    return round(activity.replace(year=year, month=month, day=day).timestamp() * 1000)


def _segment(asked: dict[str, Any]) -> str | None:
    if "segment_filter" not in asked:
        return None
    filtering = asked["segment_filter"]
    discriminator = filtering.get("segment_discriminator") if isinstance(filtering, dict) else None
    if not isinstance(discriminator, str) or discriminator not in definitions.SEGMENTS:
        raise Refused(400, "segment_filter names no known segment")
    return discriminator
