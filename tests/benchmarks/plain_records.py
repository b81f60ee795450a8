"""User records and times for the plain tap and the other tools; uses only the standard library."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from collections.abc import Mapping

_COLUMNS: Final = {
    "name": "name",
    "displayName": "display_name",
    "accountName": "account_name",
    "emailAddress": "email_address",
    "engagementScore": "engagement_score",
    "engagementPercentChange": "engagement_percent_change",
    "firstActivity": "first_activity",
    "lastActivity": "last_activity",
    "totalActions": "total_actions",
    "attributes": "attributes",
    "segments": "segments",
    "segmentJoined": "segment_joined",
    "segmentInputValues": "segment_input_values",
    "location": "location",
}
_EMPTY: Final = dict.fromkeys(_COLUMNS.values())
_TIMES: Final = ("first_activity", "last_activity", "segment_joined")


def _text(time: datetime) -> str:
    return time.isoformat(timespec="milliseconds").replace("+00:00", "Z")


def epoch_text(milliseconds: int) -> str:
    """Write epoch milliseconds as RFC 3339."""
    return _text(datetime.fromtimestamp(milliseconds / 1000, UTC))


def spelled_text(time: str) -> str:
    """Write a spelled-out time as RFC 3339 with milliseconds."""
    parsed = datetime.fromisoformat(time.removesuffix(" UTC"))
    return _text(parsed.replace(tzinfo=UTC) if parsed.tzinfo is None else parsed.astimezone(UTC))


def window_text(config: Mapping[str, Any]) -> dict[str, str]:
    """Return the window's columns."""
    return {
        "window_start": _text(datetime.fromisoformat(config["start_date"])),
        "window_end": _text(datetime.fromisoformat(config["end_date"])),
    }


def user_record(user: Mapping[str, Any], window: Mapping[str, str]) -> dict[str, Any]:
    """Make a record of `users`, without the dataset."""
    record: dict[str, Any] = {**_EMPTY, **window}
    extra = {}
    for name, value in user.items():
        column = _COLUMNS.get(name)
        if column is None or (column == "attributes" and isinstance(value, list)):
            extra[name] = value
        else:
            record[column] = value
    for name in _TIMES:
        if record[name] is not None:
            record[name] = epoch_text(record[name])
    record["extra"] = extra or None
    return record
