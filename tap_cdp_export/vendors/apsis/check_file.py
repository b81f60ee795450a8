"""What an export file says about the unknown facts (docs/vendors/apsis.md, section 7)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from tap_cdp_export.check.shapes import form

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from datetime import datetime

    from tap_cdp_export.check.vendor_check import RecordFact

_SECTION_FIELDS: Final = {"attributes", "events"}


def check_export_file(
    file: Mapping[str, Any],
    lists: Mapping[str, list[dict[str, Any]]],
    window: tuple[datetime, datetime],
    record: RecordFact,
) -> None:
    """Compare a file with the claims.

    Args:
        file: the whole file, decoded.
        lists: the definitions of the account.
        window: the start and end that were asked for.
        record: records the outcome of a claim.
    """
    profiles = _object(file.get("profiles"))
    record("file-fields", holds=None if not profiles else _has_no_more(file, profiles))
    if not profiles:
        return
    record("profile-key", holds=all(form(key) == "uuid" for key in profiles))
    sections = [
        _object(section)
        for profile in profiles.values()
        for section in _object(_object(profile).get("sections")).values()
    ]
    if sections:
        record("section-fields", holds=all(section.keys() <= _SECTION_FIELDS for section in sections))
        record("empty-sections", holds=all(section.get("attributes") or section.get("events") for section in sections))
    _check_attributes([_object(section.get("attributes")) for section in sections], lists, record)
    _check_events([event for section in sections for event in _objects(section.get("events"))], window, record)


def _has_no_more(file: Mapping[str, Any], profiles: Mapping[str, Any]) -> bool:
    return file.keys() == {"profiles"} and all(_object(profile).keys() <= {"sections"} for profile in profiles.values())


def _check_attributes(
    attributes: Sequence[Mapping[str, Any]], lists: Mapping[str, list[dict[str, Any]]], record: RecordFact
) -> None:
    keys = set().union(*attributes) if attributes else set()
    listed = [item for kind in ("attributes", "tags") for item in lists.get(kind, [])]
    versions = {identifier for item in listed for identifier in _version_ids(item)}
    if keys and versions:
        record("attribute-keys", holds=bool(keys & versions))
    timestamps = {
        identifier
        for item in lists.get("attributes", [])
        if str(item.get("type", "")).lower() == "timestamp"
        for identifier in _version_ids(item)
    }
    values = [_object(each[key]).get("value") for each in attributes for key in timestamps & each.keys()]
    values = [value for value in values if value is not None]
    if values:
        record("timestamp", holds=all(isinstance(value, int | float) for value in values))


def versions_of(item: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Return the versions of a definition.

    Args:
        item: of a list.
    """
    return _objects(item.get("versions"))


def _version_ids(item: Mapping[str, Any]) -> set[str]:
    return {str(version.get("id")) for version in versions_of(item)}


def _check_events(events: Sequence[Mapping[str, Any]], window: tuple[datetime, datetime], record: RecordFact) -> None:
    if not events:
        return
    record("type-id", holds=all(isinstance(event.get("typeId"), str) for event in events))
    first, last = (moment.timestamp() * 1000 for moment in window)
    pairs = [(event.get("createdAt"), event.get("sourceEventTime")) for event in events]
    known = [(made, at) for made, at in pairs if isinstance(made, int) and isinstance(at, int) and at > 0]
    created_inside = all(first <= made <= last for made, _ in known)
    source_inside = all(first <= at <= last for _, at in known)
    if created_inside != source_inside:  # else both clocks explain what came
        record("window-clock", holds=created_inside)


def _object(value: Any) -> Mapping[str, Any]:  # noqa: ANN401 -- any JSON
    return value if isinstance(value, dict) else {}


def _objects(value: Any) -> list[dict[str, Any]]:  # noqa: ANN401 -- any JSON
    return [item for item in value if isinstance(item, dict)] if isinstance(value, list) else []
