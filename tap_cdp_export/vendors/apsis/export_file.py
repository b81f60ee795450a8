"""The export file: profiles, their sections, attributes, tags and events (docs/vendors/apsis.md, section 7)."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, Any, Final

import msgspec

from tap_cdp_export.errors import UnusableAnswer
from tap_cdp_export.files import strict_json
from tap_cdp_export.files.json_chunks import verify
from tap_cdp_export.files.json_container import object_under
from tap_cdp_export.records.mapper import RecordMapper, camel_case
from tap_cdp_export.records.properties import NO_IDENTITY
from tap_cdp_export.vendors.apsis.schemas import EVENT_TAP_COLUMNS, EVENTS

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from tap_cdp_export.files.spool import Spool

PROFILES: Final = object_under("profiles", "sections")

_event_mapper: Final = RecordMapper(EVENTS, tap_columns=EVENT_TAP_COLUMNS, to_vendor_name=camel_case)
_canonical: Final = msgspec.json.Encoder(order="sorted")
_KEY_BYTES: Final = 16
_keys: Final = msgspec.json.Decoder(dict[str, strict_json.ObjectOnly])

JOINED: Final = 3
"""Levels of a profile's objects that become rows: the profile, its sections, and each section."""


def verify_file(spool: Spool) -> None:
    """Read the file to its end, to check that it is complete and that every profile has a key.

    Args:
        spool: the file; its `chunk_offsets` are set.

    Raises:
        IncompleteAnswer: If it is truncated.
        NoMembers: If it is an object without profiles.
        UnusableAnswer: If it is invalid in any other way.
    """
    verify(spool, PROFILES, lambda chunk: _check_keys(_keys.decode(chunk)), _check_keys)


def _check_keys(profiles: Mapping[str, object]) -> None:
    if "" in profiles:  # a replacement would merge all profiles without a key
        raise strict_json.InvalidJSON("holds a profile whose key is empty")


def profiles_of(chunk: bytes) -> list[tuple[str, dict[str, Any]]]:
    """Decode a chunk of the file.

    Args:
        chunk: a JSON object of whole profiles.

    Returns:
        Export keys and profiles, also of repeated keys; the parts of a repeated section are merged.
    """
    return strict_json.decode_members(chunk, joined=JOINED)


def identifier(value: Any) -> Any:  # noqa: ANN401 -- any JSON
    """Convert an ID to text: version IDs are text in one place, and may be numbers in another.

    Args:
        value: any JSON value.

    Returns:
        An integer as text; any other value unchanged.
    """
    return str(value) if isinstance(value, int) and not isinstance(value, bool) else value


def named_identifiers(items: Any) -> set[str]:  # noqa: ANN401 -- any JSON
    """Collect all scalars in configured items, whose form the vendor does not document.

    Args:
        items: such as the setting `attributes`.

    Returns:
        Texts, among them the IDs.
    """
    if isinstance(items, dict):
        items = list(items.values())
    if isinstance(items, list):
        return set().union(*map(named_identifiers, items))
    return {identifier(items)} if isinstance(identifier(items), str) else set()


def _sections(profile: Mapping[str, Any]) -> dict[str, dict[str, Any]]:
    sections = profile.get("sections") or {}
    if not isinstance(sections, dict) or not all(isinstance(section, dict) for section in sections.values()):
        raise UnusableAnswer("A profile of the export has sections that are no objects.")
    return sections


def profile_records(
    key: str, profile: Mapping[str, Any], tap_columns: Mapping[str, str], attribute_ids: set[str]
) -> Iterator[dict[str, Any]]:
    """Flatten a profile: one record for each section, and one for a profile without any.

    Args:
        key: the profile's export key.
        profile: as in the file.
        tap_columns: the tap's own columns.
        attribute_ids: IDs of attributes, so that a null there is no tag.

    Yields:
        Records of `apsis_profiles`.
    """
    unknown = {name: value for name, value in profile.items() if name != "sections"}
    for section_id, section in (_sections(profile) or {NO_IDENTITY: {}}).items():
        entries = section.get("attributes") or {}
        if not isinstance(entries, dict):
            raise UnusableAnswer("A section of the export has attributes that are no object.")
        attributes: dict[str, Any] = {}
        tags: list[str] = []
        others: dict[str, Any] = {}
        for entry_id, entry in entries.items():
            if not isinstance(entry, dict) or "value" not in entry:
                others[entry_id] = entry
                continue
            if entry["value"] is None and entry_id not in attribute_ids:
                tags.append(entry_id)
            else:
                attributes[entry_id] = entry["value"]
            if len(entry) > 1:  # such as an attribute's history
                others[entry_id] = {name: value for name, value in entry.items() if name != "value"}
        extra = {
            **unknown,
            **{name: value for name, value in section.items() if name not in {"attributes", "events"}},
        }
        if others:
            extra["attributes"] = others
        yield {
            "profile_key": key,
            "section_id": section_id or NO_IDENTITY,
            "attributes": attributes,
            "tags": tags,
            **tap_columns,
            "extra": extra or None,
        }


def event_key(key: str, section_id: str, event: object) -> str:
    """Compute a key for an event, since the vendor sends no ID.

    Args:
        key: the profile's export key.
        section_id: of the event's section.
        event: as in the file, with IDs as text; the order of its fields does not matter.

    Returns:
        A hash of all three arguments, 32 hexadecimal digits.
    """
    return hashlib.blake2b(_canonical.encode((key, section_id, event)), digest_size=_KEY_BYTES).hexdigest()


def event_records(key: str, profile: Mapping[str, Any], tap_columns: Mapping[str, str]) -> Iterator[dict[str, Any]]:
    """Flatten the events of a profile.

    Args:
        key: the profile's export key.
        profile: as in the file.
        tap_columns: the tap's own columns.

    Yields:
        Records of `apsis_events`.
    """
    for name, section in _sections(profile).items():
        section_id = name or NO_IDENTITY
        events = section.get("events") or []
        if not isinstance(events, list):
            raise UnusableAnswer("A section of the export has events that are no array.")
        for event in events:
            if not isinstance(event, dict):
                raise UnusableAnswer("An event of the export is no object.")
            for field in ("typeId", "correlationId"):
                if field in event:
                    event[field] = identifier(event[field])
            own_key = event_key(key, section_id, event)
            if event.get("sourceEventTime") == 0:  # the source did not say
                event["sourceEventTime"] = None
            yield _event_mapper.record(
                event, {"profile_key": key, "section_id": section_id, "event_key": own_key, **tap_columns}
            )
