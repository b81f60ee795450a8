"""Decode chunks of the export file into batches of both streams' records.

Profiles of the documented form are decoded together into structs; any other profile is flattened by `export_file`,
which gives the same records.
"""

from __future__ import annotations

import re
from contextlib import suppress
from functools import cached_property
from itertools import repeat
from typing import TYPE_CHECKING, Any, Final, TypeGuard

import msgspec
from msgspec import UNSET, UnsetType

from tap_cdp_export.files import strict_json
from tap_cdp_export.records.batch import RecordBatch, batch_of
from tap_cdp_export.records.mapper import UNCONVERTIBLE, epoch_column
from tap_cdp_export.records.properties import NO_IDENTITY
from tap_cdp_export.vendors.apsis.export_file import (
    JOINED,
    KnownIds,
    event_key,
    event_records,
    identifier,
    profile_records,
    profiles_of,
)
from tap_cdp_export.vendors.apsis.section_attributes import Entry, separate, separate_long

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from tap_cdp_export.vendors.apsis.attribute_columns import AttributeColumns


class _Event(msgspec.Struct, forbid_unknown_fields=True, rename="camel", gc=False):
    correlation_id: str | int | UnsetType | None = UNSET
    created_at: int | UnsetType | None = UNSET
    data: dict[str, Any] | UnsetType | None = UNSET
    source_event_time: int | UnsetType | None = UNSET
    type_id: str | int | UnsetType | None = UNSET


class _Section(msgspec.Struct, forbid_unknown_fields=True, gc=False):
    attributes: dict[str, Entry] | UnsetType | None = UNSET
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
_LONG_ATTRIBUTES_BYTES: Final = 64 * 1024
_long_profiles: Final = msgspec.json.Decoder(dict[str, _LongProfile])
_NO_SECTIONS: Final = {NO_IDENTITY: _Section()}
_profile: Final = msgspec.json.Decoder(_Profile)
_profiles: Final = msgspec.json.Decoder(dict[str, _Profile])
_ESCAPED_LETTER: Final = re.compile(rb"\\u00[67]")


class ExportFileDecoder:
    """Decodes chunks of the export file."""

    def __init__(
        self,
        tap_columns: Mapping[str, str],
        columns: AttributeColumns,
        known: KnownIds,
        *,
        with_profiles: bool,
        with_events: bool,
    ) -> None:
        """Initialize.

        Args:
            tap_columns: values of the tap's own columns.
            columns: what fills the optional columns of profiles.
            known: IDs whose kind is known.
            with_profiles: whether to give records of `apsis_profiles`.
            with_events: whether to give records of `apsis_events`.
        """
        self._tap_columns = tap_columns
        self._columns = columns
        self._known = known
        self._with_profiles = with_profiles
        self._with_events = with_events

    def decode(self, chunk: bytes) -> Iterable[tuple[RecordBatch, ...]]:
        """Decode a chunk.

        Args:
            chunk: a JSON object of whole profiles.

        Returns:
            In parts, a batch for each of the two streams, or for the one that is wanted; profiles come first.

        Raises:
            UnusableAnswer: If a profile is not as documented.
        """
        if len(chunk) > _LONG_BYTES and not strict_json.has_nul(chunk):
            with suppress(msgspec.DecodeError, UnicodeDecodeError, RecursionError):
                profiles = _long_profiles.decode(chunk)
                sections = [section for profile in profiles.values() for section in profile.sections.values()]
                can_cut = any(section.events or _are_long(section.attributes) for section in sections)
                if can_cut and not _may_repeat_a_key(chunk, profiles.values()):
                    return self._of_long(profiles)
        return self._short(chunk)

    def _short(self, chunk: bytes) -> list[tuple[RecordBatch, ...]]:
        if not strict_json.has_nul(chunk):
            try:
                return self._parts(chunk)
            except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
                pass
        return [self._flattened(profiles_of(chunk))]

    def _of_long(self, profiles: Mapping[str, _LongProfile]) -> Iterator[tuple[RecordBatch, ...]]:
        """Treat a long profile as several: sections without events, then 1,000 events at a time without all else."""
        for key, profile in profiles.items():
            events = {section_id: section.events or [] for section_id, section in profile.sections.items()}
            for section in profile.sections.values():
                section.events = UNSET
            for sections in _parted(profile.sections):
                yield from self._without_events(key, sections)
            if not self._with_events:
                continue
            for section_id, raws in events.items():
                for start in range(0, len(raws), _EVENTS_AT_ONCE):
                    section = _LongSection(events=raws[start : start + _EVENTS_AT_ONCE])
                    part = {key: _LongProfile({section_id: section})}
                    for (batch,) in self._events_alone._short(msgspec.json.encode(part)):  # noqa: SLF001 -- of this class
                        yield (RecordBatch({}, 0), batch) if self._with_profiles else (batch,)

    def _without_events(self, key: str, sections: dict[str, _LongSection]) -> Iterable[tuple[RecordBatch, ...]]:
        """Give the rows of a few short sections or one long one."""
        for section_id, section in sections.items():
            if self._with_profiles and _are_long(section.attributes):
                entries = separate_long(section.attributes, self._known, self._columns.ids)
                if entries:
                    optional = self._columns.values(entries.wanted_attributes, entries.wanted_tags)
                    rows = self._rows([key], [section_id], [entries.attributes], [entries.tags], [optional])
                    return [self._wanted(rows, RecordBatch({}, 0))]
        return self._short(msgspec.json.encode({key: _LongProfile(sections)}))

    @cached_property
    def _events_alone(self) -> ExportFileDecoder:
        return ExportFileDecoder(self._tap_columns, self._columns, self._known, with_profiles=False, with_events=True)

    def _parts(self, chunk: bytes) -> list[tuple[RecordBatch, ...]]:
        with suppress(msgspec.ValidationError):
            profiles = _profiles.decode(chunk)
            if not _may_repeat_a_key(chunk, profiles.values()):
                return [self._decoded(profiles)]
        return [self._one(key, raw) for key, raw in strict_json.raw_members(chunk)]

    def _one(self, key: str, raw: msgspec.Raw) -> tuple[RecordBatch, ...]:
        with suppress(msgspec.ValidationError):
            if not strict_json.repeats_a_key(raw, JOINED):
                return self._decoded({key: _profile.decode(raw)})
        return self._flattened([(key, strict_json.decode(bytes(raw), joined=JOINED))])

    def _flattened(self, profiles: Iterable[tuple[str, dict[str, Any]]]) -> tuple[RecordBatch, ...]:
        """Flatten profiles of any form, one by one."""
        sections: list[dict[str, Any]] = []
        events: list[dict[str, Any]] = []
        for key, profile in profiles:
            if self._with_profiles:
                records = profile_records(key, profile, self._tap_columns, self._known)
                sections += ({**row, **self._columns.values(row["attributes"], row["tags"])} for row in records)
            if self._with_events:
                events += event_records(key, profile, self._tap_columns)
        return self._wanted(batch_of(sections), batch_of(events))

    def _decoded(self, profiles: Mapping[str, _Profile]) -> tuple[RecordBatch, ...]:
        """Flatten profiles of the documented form."""
        sections = self._profile_batch(profiles) if self._with_profiles else RecordBatch({}, 0)
        events = self._event_batch(profiles) if self._with_events else RecordBatch({}, 0)
        return self._wanted(sections, events)

    def _wanted(self, sections: RecordBatch, events: RecordBatch) -> tuple[RecordBatch, ...]:
        return (*[sections] * self._with_profiles, *[events] * self._with_events)

    def _profile_batch(self, profiles: Mapping[str, _Profile]) -> RecordBatch:
        keys: list[str] = []
        section_ids: list[str] = []
        attributes: list[dict[str, Any]] = []
        tags: list[list[str]] = []
        for key, profile in profiles.items():
            for section_id, section in (profile.sections or _NO_SECTIONS).items():
                values, nulls = separate(section.attributes or {}, self._known)
                keys.append(key)
                section_ids.append(section_id)
                attributes.append(values)
                tags.append(nulls)
        optional = list(map(self._columns.values, attributes, tags)) if self._columns.names else []
        return self._rows(keys, section_ids, attributes, tags, optional)

    def _rows(
        self,
        keys: Sequence[str],
        section_ids: Sequence[str],
        attributes: Sequence[Any],
        tags: Sequence[Any],
        optional: Sequence[Mapping[str, Any]],
    ) -> RecordBatch:
        columns: dict[str, Iterable[Any]] = {
            "profile_key": keys,
            "section_id": [section_id or NO_IDENTITY for section_id in section_ids],
            "attributes": attributes,
            "tags": tags,
            **self._tap_values(len(keys)),
            "extra": repeat(None, len(keys)),
            **{name: [values[name] for values in optional] for name in self._columns.names},
        }
        return RecordBatch(columns, len(keys))

    def _event_batch(self, profiles: Mapping[str, _Profile]) -> RecordBatch:
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
        columns: dict[str, Iterable[Any]] = {
            "profile_key": keys,
            "section_id": section_ids,
            "event_key": map(event_key, keys, section_ids, events),
            **self._tap_values(len(keys)),
            "type_id": [None if event.type_id is UNSET else event.type_id for event in events],
            "correlation_id": [None if event.correlation_id is UNSET else event.correlation_id for event in events],
            "source_event_time": _times(
                None if event.source_event_time is UNSET else event.source_event_time for event in events
            ),
            "created_at": _times(None if event.created_at is UNSET else event.created_at for event in events),
            "data": [None if event.data is UNSET else event.data for event in events],
            "extra": repeat(None, len(keys)),
        }
        return RecordBatch(columns, len(keys))

    def _tap_values(self, number: int) -> dict[str, Iterable[str]]:
        return {name: repeat(value, number) for name, value in self._tap_columns.items()}


def _are_long(attributes: msgspec.Raw | UnsetType) -> TypeGuard[msgspec.Raw]:
    return not isinstance(attributes, UnsetType) and memoryview(attributes).nbytes > _LONG_ATTRIBUTES_BYTES


def _parted(sections: Mapping[str, _LongSection]) -> list[dict[str, _LongSection]]:
    """Put sections with long attributes apart: of 1, 2, 3, 4, where 3 is long, `[{1, 2}, {3}, {4}]` is made."""
    parts: list[dict[str, _LongSection]] = [{}]
    for section_id, section in sections.items():
        if _are_long(section.attributes):
            parts += [{section_id: section}, {}]
        else:
            parts[-1][section_id] = section
    return [part for part in parts if part] or [{}]


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
