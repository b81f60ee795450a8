"""The export file: profiles, their sections, attributes, tags and events (docs/vendors/apsis.md, section 7)."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, Any, Final, NamedTuple

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
    from collections.abc import Set as AbstractSet

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
    text = identifier(items)
    return {text.strip()} if isinstance(text, str) else set()


def _sections(profile: Mapping[str, Any]) -> dict[str, dict[str, Any]]:
    """Return the sections of a profile; null stands for an empty one."""
    sections = profile.get("sections") or {}
    if not isinstance(sections, dict) or not all(isinstance(one, dict | None) for one in sections.values()):
        raise UnusableAnswer("A profile of the export has sections that are no objects.")
    return {section_id: section or {} for section_id, section in sections.items()}


class KnownIds(NamedTuple):
    """IDs whose kind is known, from the settings or the definitions: the file does not tell tags from attributes.

    Attributes:
        attributes: IDs of attributes.
        tags: IDs of tags.
    """

    attributes: AbstractSet[str] = frozenset()
    tags: AbstractSet[str] = frozenset()

    def is_tag(self, entry_id: str, value: object) -> bool:
        """Return whether an entry is a tag: null or absent, or true where a tag is known; never a known attribute.

        Args:
            entry_id: ID of an attribute or a tag.
            value: of the entry; None if it is absent.
        """
        return (value is None or (value is True and entry_id in self.tags)) and entry_id not in self.attributes


def profile_records(
    key: str,
    profile: Mapping[str, Any],
    tap_columns: Mapping[str, str],
    known: KnownIds,
) -> Iterator[dict[str, Any]]:
    """Flatten a profile: one record for each section, and one for a profile without any.

    Args:
        key: the profile's export key.
        profile: as in the file.
        tap_columns: the tap's own columns.
        known: IDs whose kind is known.

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
            fields = {} if entry is None else {"value": True} if entry is True else entry
            is_known = entry_id in known.attributes or entry_id in known.tags
            if not isinstance(fields, dict) or (fields and "value" not in fields and not is_known):
                others[entry_id] = entry
                continue
            value = fields.get("value")
            if known.is_tag(entry_id, value):
                tags.append(entry_id)
            elif entry is True:  # no attribute's value is known to come bare
                others[entry_id] = entry
                continue
            else:
                attributes[entry_id] = value
            if rest := {name: inner for name, inner in fields.items() if name != "value"}:  # such as a history
                others[entry_id] = rest
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
            yield _event_mapper.record(
                event, {"profile_key": key, "section_id": section_id, "event_key": own_key, **tap_columns}
            )
