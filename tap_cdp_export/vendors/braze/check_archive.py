"""What an archive says about the unknown facts (docs/vendors/braze.md, sections 7 and 10)."""

from __future__ import annotations

import io
import json
import zipfile
from typing import TYPE_CHECKING, Any, Final

from tap_cdp_export.check.observer import LARGEST_BODY
from tap_cdp_export.check.shapes import form

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from tap_cdp_export.check.observer import Observation
    from tap_cdp_export.check.vendor_check import RecordFact

_LINES: Final = 1000
_LATITUDES: Final = 90
_COORDINATES: Final = 2
_TIMES: Final = frozenset({"date", "date-time"})


def check_archive(answer: Observation, chosen: Sequence[str], record: RecordFact) -> list[dict[str, Any]]:
    """Compare an archive with the claims.

    Args:
        answer: the download.
        chosen: custom attributes that were asked for one by one.
        record: records the outcome of a claim.

    Returns:
        The first users in it.
    """
    if answer.is_gzip:
        record("url-archive", holds=False)
        users = list(_users(answer.body))
    else:
        try:
            archive = zipfile.ZipFile(io.BytesIO(answer.body))
        except zipfile.BadZipFile:
            return []
        with archive:
            record("url-archive", holds=True)
            names = [name for name in archive.namelist() if not name.endswith("/")]
            users = list(_users(_content(archive)))
        if names:
            record("member-names", holds=all(name.endswith(".txt") for name in names))
        if not users:
            record("empty-segment", holds=not names)
    _check_users(users, chosen, record)
    return users


def _content(archive: zipfile.ZipFile) -> bytes:
    text = bytearray()
    for member in archive.infolist():
        with archive.open(member) as file:
            text += file.read(LARGEST_BODY - len(text))
    return bytes(text)


def _users(text: bytes) -> Iterator[dict[str, Any]]:
    """Decode the first lines; a line that is no JSON object is passed over."""
    for line in text.split(b"\n")[:_LINES]:
        try:
            user = json.loads(line)
        except (ValueError, RecursionError):
            continue
        if isinstance(user, dict):
            yield user


def _check_users(users: Sequence[dict[str, Any]], chosen: Sequence[str], record: RecordFact) -> None:
    custom = [user["custom_attributes"] for user in users if isinstance(user.get("custom_attributes"), dict)]
    if chosen and (custom or any(name in user for user in users for name in chosen)):
        record("chosen-attributes", holds=not any(name in user for user in users for name in chosen))
    times = [value for attributes in custom for value in attributes.values() if _is_time(value)]
    record("time-values", holds=all(isinstance(value, str) for value in times) if times else None)
    record("created-from", holds=_all_of(str, (user.get("created_from") for user in users)))
    uninstalled = [user["uninstalled_at"] for user in users if user.get("uninstalled_at") is not None]
    if uninstalled:
        record("uninstalled-at", holds=all(isinstance(each, str) and form(each) in _TIMES for each in uninstalled))
    record("in-control", holds=_all_of(bool, _inner(users, "canvases_received", "in_control")))
    record("sessions", holds=_all_of(int, _inner(users, "apps", "sessions")))
    for user in users:
        record("coordinates", holds=_begins_with_longitude(user.get("last_coordinates")))


def _is_time(value: object) -> bool:
    if isinstance(value, str):
        return form(value) == "date-time"
    return isinstance(value, dict) and "$time" in value


def _inner(users: Iterable[dict[str, Any]], name: str, inner: str) -> Iterator[Any]:
    """Give a field of every object in a list of every user."""
    for user in users:
        items = user.get(name)
        for item in items if isinstance(items, list) else ():
            if isinstance(item, dict):
                yield item.get(inner)


def _all_of(kind: type, values: Iterable[Any]) -> bool | None:
    present = [value for value in values if value is not None]
    return all(isinstance(value, kind) for value in present) if present else None


def _begins_with_longitude(coordinates: object) -> bool | None:
    """Find the order by what cannot be a latitude; None if both can."""
    if not isinstance(coordinates, list) or len(coordinates) != _COORDINATES:
        return None
    is_too_large = [isinstance(number, int | float) and abs(number) > _LATITUDES for number in coordinates]
    return is_too_large[0] if is_too_large[0] != is_too_large[1] else None
