"""The fast way out of the export file: a run of profiles becomes the encoded records of both streams.

It gives what `export_file` gives; a profile with anything odd in it is left to that module.
"""

from __future__ import annotations

import re
from contextlib import suppress
from functools import cached_property
from itertools import repeat
from typing import TYPE_CHECKING, Any, Final, NamedTuple

import msgspec
from msgspec import UNSET, UnsetType

from tap_cdp_export.files import strict_json
from tap_cdp_export.records.batch import EncodedRecords
from tap_cdp_export.records.mapper import UNCONVERTIBLE, epoch_column
from tap_cdp_export.records.properties import NO_IDENTITY
from tap_cdp_export.vendors.apsis.export_file import (
    JOINED,
    event_key,
    event_records,
    identifier,
    profile_records,
    profiles_of,
)
from tap_cdp_export.vendors.apsis.schemas import EVENTS, PROFILES

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from tap_cdp_export.records.batch import RecordEncoder
    from tap_cdp_export.vendors.apsis.attribute_columns import AttributeColumns


class _Entry(msgspec.Struct, forbid_unknown_fields=True, gc=False):
    value: Any


class _Event(msgspec.Struct, forbid_unknown_fields=True, rename="camel", gc=False):
    correlation_id: str | int | UnsetType | None = UNSET
    created_at: int | UnsetType | None = UNSET
    data: dict[str, Any] | UnsetType | None = UNSET
    source_event_time: int | UnsetType | None = UNSET
    type_id: str | int | UnsetType | None = UNSET


class _Section(msgspec.Struct, forbid_unknown_fields=True, gc=False):
    attributes: dict[str, _Entry] | UnsetType | None = UNSET
    events: list[_Event] | UnsetType | None = UNSET


class _Profile(msgspec.Struct, forbid_unknown_fields=True, gc=False):
    sections: dict[str, _Section] | UnsetType | None = UNSET


class _LongSection(msgspec.Struct, forbid_unknown_fields=True, omit_defaults=True, gc=False):
    attributes: msgspec.Raw | UnsetType = UNSET
    events: list[msgspec.Raw] | UnsetType | None = UNSET


class _LongProfile(msgspec.Struct, forbid_unknown_fields=True, gc=False):
    sections: dict[str, _LongSection]


_LONG_BYTES: Final = 1024 * 1024
_EVENTS_AT_ONCE: Final = 1_000
_long_profiles: Final = msgspec.json.Decoder(dict[str, _LongProfile])
_NO_SECTIONS: Final = {NO_IDENTITY: _Section()}
_NO_LINES: Final = EncodedRecords(0, b"")
_profile: Final = msgspec.json.Decoder(_Profile)
_profiles: Final = msgspec.json.Decoder(dict[str, _Profile])
_ESCAPED_LETTER: Final = re.compile(rb"\\u00[67]")


class ChunkRecords(NamedTuple):
    """The encoded records of a run.

    Attributes:
        profiles: of `apsis_profiles`.
        events: of `apsis_events`.
    """

    profiles: EncodedRecords
    events: EncodedRecords


class ExportFileDecoder:
    """Encodes runs of the export file."""

    def __init__(
        self,
        tap_columns: Mapping[str, str],
        columns: AttributeColumns,
        attribute_ids: set[str],
        *,
        profiles: RecordEncoder | None,
        events: RecordEncoder | None,
    ) -> None:
        """Choose what is made of a run.

        Args:
            tap_columns: the tap's own columns.
            columns: what fills the optional columns of profiles.
            attribute_ids: IDs known to be attributes', so that a null there is no tag.
            profiles: takes the records of `apsis_profiles`; None to leave the stream out.
            events: the same of `apsis_events`.
        """
        self._tap_columns = tap_columns
        self._columns = columns
        self._attribute_ids = attribute_ids
        self._profiles = _Table(profiles, {*PROFILES["properties"], *columns.names})
        self._events = _Table(events, set(EVENTS["properties"]))

    def lines(self, run: bytes) -> Iterable[ChunkRecords]:
        """Encode a run.

        Args:
            run: a JSON object of whole profiles.

        Returns:
            The records of both streams, in parts.

        Raises:
            UnusableAnswer: If a profile is not as documented.
        """
        if len(run) > _LONG_BYTES and not strict_json.has_nul(run):
            with suppress(msgspec.DecodeError, UnicodeDecodeError, RecursionError):
                profiles = _long_profiles.decode(run)
                sections = [section for profile in profiles.values() for section in profile.sections.values()]
                if any(section.events for section in sections) and not _may_repeat_a_key(run, profiles.values()):
                    return self._of_long(profiles)
        return self._short(run)

    def _short(self, run: bytes) -> list[ChunkRecords]:
        if not strict_json.has_nul(run):
            try:
                return self._parts(run)
            except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
                pass
        return [self._tolerant(profiles_of(run))]

    def _of_long(self, profiles: Mapping[str, _LongProfile]) -> Iterator[ChunkRecords]:
        """Take a long profile for several: one without events, and some events at a time without all else."""
        for key, profile in profiles.items():
            events = {section_id: section.events or [] for section_id, section in profile.sections.items()}
            for section in profile.sections.values():
                section.events = UNSET
            yield from self._short(msgspec.json.encode({key: profile}))
            if not self._events.columns:
                continue
            for section_id, raws in events.items():
                for start in range(0, len(raws), _EVENTS_AT_ONCE):
                    section = _LongSection(events=raws[start : start + _EVENTS_AT_ONCE])
                    part = {key: _LongProfile({section_id: section})}
                    yield from self._events_alone._short(msgspec.json.encode(part))  # noqa: SLF001 -- of this class

    @cached_property
    def _events_alone(self) -> ExportFileDecoder:
        output = self._events.output
        return ExportFileDecoder(self._tap_columns, self._columns, self._attribute_ids, profiles=None, events=output)

    def _parts(self, run: bytes) -> list[ChunkRecords]:
        with suppress(msgspec.ValidationError):
            profiles = _profiles.decode(run)
            if not _may_repeat_a_key(run, profiles.values()):
                return [self._encoded(profiles)]
        return [self._one(key, raw) for key, raw in strict_json.raw_members(run)]

    def _tolerant(self, profiles: Iterable[tuple[str, dict[str, Any]]]) -> ChunkRecords:
        sections: list[dict[str, Any]] = []
        events: list[dict[str, Any]] = []
        for key, profile in profiles:
            if self._profiles.columns:
                records = profile_records(key, profile, self._tap_columns, self._attribute_ids)
                sections += ({**row, **self._columns.values(row["attributes"], row["tags"])} for row in records)
            if self._events.columns:
                events += event_records(key, profile, self._tap_columns)
        return ChunkRecords(self._profiles.of_records(sections), self._events.of_records(events))

    def _one(self, key: str, raw: msgspec.Raw) -> ChunkRecords:
        with suppress(msgspec.ValidationError):
            if not strict_json.repeats_a_key(raw, JOINED):
                return self._encoded({key: _profile.decode(raw)})
        return self._tolerant([(key, strict_json.decode(bytes(raw), joined=JOINED))])

    def _encoded(self, profiles: Mapping[str, _Profile]) -> ChunkRecords:
        sections = self._profiles.lines(self._profile_columns(profiles)) if self._profiles.columns else _NO_LINES
        events = self._events.lines(self._event_columns(profiles)) if self._events.columns else _NO_LINES
        return ChunkRecords(sections, events)

    def _profile_columns(self, profiles: Mapping[str, _Profile]) -> dict[str, Iterable[Any]]:
        keys: list[str] = []
        section_ids: list[str] = []
        attributes: list[dict[str, Any]] = []
        tags: list[list[str]] = []
        attribute_ids = self._attribute_ids
        for key, profile in profiles.items():
            for section_id, section in (profile.sections or _NO_SECTIONS).items():
                values = {}
                nulls = []
                for entry_id, entry in (section.attributes or {}).items():
                    if entry.value is None and entry_id not in attribute_ids:
                        nulls.append(entry_id)
                    else:
                        values[entry_id] = entry.value
                keys.append(key)
                section_ids.append(section_id or NO_IDENTITY)
                attributes.append(values)
                tags.append(nulls)
        optional = list(map(self._columns.values, attributes, tags)) if self._columns.names else []
        return {
            "profile_key": keys,
            "section_id": section_ids,
            "attributes": attributes,
            "tags": tags,
            **{name: [values[name] for values in optional] for name in self._columns.names},
            **self._shared(len(keys)),
        }

    def _event_columns(self, profiles: Mapping[str, _Profile]) -> dict[str, Iterable[Any]]:
        keys: list[str] = []
        section_ids: list[str] = []
        events: list[_Event] = []
        for key, profile in profiles.items():
            for section_id, section in (profile.sections or {}).items():
                if section.events:
                    events += section.events
                    keys += [key] * len(section.events)
                    section_ids += [section_id or NO_IDENTITY] * len(section.events)
        for event in events:
            if type(event.type_id) is int or type(event.correlation_id) is int:
                event.type_id, event.correlation_id = identifier(event.type_id), identifier(event.correlation_id)
        return {
            "profile_key": keys,
            "section_id": section_ids,
            "event_key": map(event_key, keys, section_ids, events),
            "type_id": [None if event.type_id is UNSET else event.type_id for event in events],
            "correlation_id": [None if event.correlation_id is UNSET else event.correlation_id for event in events],
            "source_event_time": _times(
                None if event.source_event_time is UNSET else event.source_event_time or None for event in events
            ),
            "created_at": _times(None if event.created_at is UNSET else event.created_at for event in events),
            "data": [None if event.data is UNSET else event.data for event in events],
            **self._shared(len(keys)),
        }

    def _shared(self, number: int) -> dict[str, Iterable[Any]]:
        return {name: repeat(value, number) for name, value in (*self._tap_columns.items(), ("extra", None))}


class _Table:
    """Encodes the selected columns of a stream."""

    def __init__(self, output: RecordEncoder | None, known: set[str]) -> None:
        self.output = output
        self.columns = [name for name in output.selected_columns if name in known] if output else []

    def lines(self, columns: Mapping[str, Iterable[Any]]) -> EncodedRecords:
        chosen = {name: columns[name] for name in self.columns}
        return self.output.encode_columns(chosen) if self.output else _NO_LINES

    def of_records(self, records: Sequence[Mapping[str, Any]]) -> EncodedRecords:
        return self.lines({name: [record[name] for record in records] for name in self.columns})


def _may_repeat_a_key(run: bytes, profiles: Iterable[_Profile | _LongProfile]) -> bool:
    """Look for a sign that a decoder has dropped a part under a key that comes twice.

    Where something is lost, the run spells the name of a part more often than there are such parts.
    """
    parts = [profile.sections for profile in profiles if profile.sections is not UNSET]
    sections = [section for part in parts for section in (part or {}).values()]
    return (
        run.count(b'"sections"') != len(parts)
        or run.count(b'"attributes"') != sum(section.attributes is not UNSET for section in sections)
        or run.count(b'"events"') != sum(section.events is not UNSET for section in sections)
        or (b"\\" in run and _ESCAPED_LETTER.search(run) is not None)
    )


def _times(values: Iterable[int | None]) -> list[object]:
    texts = epoch_column(values)
    if UNCONVERTIBLE in texts:
        raise msgspec.ValidationError
    return texts
