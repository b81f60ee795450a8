"""The definitions as streams: with them, IDs become names in the warehouse with one join."""

from __future__ import annotations

from typing import Any, ClassVar, Final, cast

from tap_cdp_export.records.batch import batch_of
from tap_cdp_export.records.mapper import RecordMapper, any_time
from tap_cdp_export.singer.source import ExportSource
from tap_cdp_export.singer.stream import ExportStream
from tap_cdp_export.vendors.apsis import definition_schemas as schemas
from tap_cdp_export.vendors.apsis.account import ApsisAccount
from tap_cdp_export.vendors.apsis.definitions import rows

_KEYS: Final = frozenset({"section_discriminator", "section_id", "discriminator", "version_id"})


class DefinitionStream(ExportStream):
    """A list of definitions: small, whole in every run, read without an export.

    Attributes:
        kind: the vendor's list.
    """

    kind: ClassVar[str]
    is_on_request = True


class DefinitionSource(ExportSource[ApsisAccount]):
    """Reads one list of definitions: each stream has a source of its own, so that one missing right stops no other."""

    def run(self) -> None:
        """Emit every definition."""
        for stream in self.selected.values():
            kind = cast("DefinitionStream", stream).kind
            mapper = RecordMapper(stream.columns, tap_columns=_KEYS, time=any_time)
            definitions = rows(self.client.definitions, kind)
            stream.write(batch_of([mapper.record(fields, keys) for keys, fields in definitions]))

    def check_access(self) -> None:
        """Ask for a token; the right to read definitions is needed by those who select them only."""
        self.client.api.check_access()


class ApsisSections(DefinitionStream):
    """The sections of the account."""

    name = "apsis_sections"
    kind = "sections"
    columns: ClassVar[dict[str, Any]] = schemas.SECTIONS
    primary_keys: ClassVar[tuple[str, ...]] = ("section_discriminator",)


class ApsisSegments(DefinitionStream):
    """The segments of the account."""

    name = "apsis_segments"
    kind = "segments"
    columns: ClassVar[dict[str, Any]] = schemas.SEGMENTS
    primary_keys: ClassVar[tuple[str, ...]] = ("discriminator",)


class ApsisTopics(DefinitionStream):
    """The topics of every section."""

    name = "apsis_topics"
    kind = "topics"
    columns: ClassVar[dict[str, Any]] = schemas.TOPICS
    primary_keys: ClassVar[tuple[str, ...]] = ("section_discriminator", "discriminator")


class _VersionedStream(DefinitionStream):
    primary_keys: ClassVar[tuple[str, ...]] = ("section_discriminator", "discriminator", "version_id")


class ApsisAttributes(_VersionedStream):
    """The attributes of every section, in every version."""

    name = "apsis_attributes"
    kind = "attributes"
    columns: ClassVar[dict[str, Any]] = schemas.ATTRIBUTES


class ApsisTags(_VersionedStream):
    """The tags of every section."""

    name = "apsis_tags"
    kind = "tags"
    columns: ClassVar[dict[str, Any]] = schemas.TAGS


class ApsisEventTypes(_VersionedStream):
    """The event types of every section, in every version."""

    name = "apsis_event_types"
    kind = "events"
    columns: ClassVar[dict[str, Any]] = schemas.EVENT_TYPES


DEFINITION_STREAMS: Final = (
    ApsisSections,
    ApsisAttributes,
    ApsisTags,
    ApsisEventTypes,
    ApsisSegments,
    ApsisTopics,
)
