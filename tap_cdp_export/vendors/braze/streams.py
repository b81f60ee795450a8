"""`braze_users`, with the tables made from its lists."""

from __future__ import annotations

from functools import cached_property, partial
from itertools import chain
from typing import TYPE_CHECKING, Any, ClassVar, Final

from tap_cdp_export.errors import CdpExportError, SettingsError
from tap_cdp_export.jobs.job import ExportRequest
from tap_cdp_export.jobs.runner import ExportRunner, PollPolicy
from tap_cdp_export.singer.decoding import write_chunks
from tap_cdp_export.singer.parts import Part
from tap_cdp_export.singer.source import ExportSource
from tap_cdp_export.singer.stream import ExportStream
from tap_cdp_export.vendors.braze.api import BrazeApi
from tap_cdp_export.vendors.braze.archive import line_blocks_of, naming_bad_lines
from tap_cdp_export.vendors.braze.attribute_columns import AttributeColumns
from tap_cdp_export.vendors.braze.bucket import Bucket
from tap_cdp_export.vendors.braze.client import BrazeExporter
from tap_cdp_export.vendors.braze.entry_decoder import EntryDecoder
from tap_cdp_export.vendors.braze.entry_streams import BrazeUserEntries
from tap_cdp_export.vendors.braze.schemas import (
    EXPORTABLE_FIELDS,
    UNASKED,
    USERS,
)
from tap_cdp_export.vendors.braze.segments import GLOBAL_CONTROL_GROUP, resolve
from tap_cdp_export.vendors.braze.tables.lists import SEGMENTS, all_segments, custom_attributes
from tap_cdp_export.vendors.braze.user_decoder import BlockDecoder, UserDecoder

if TYPE_CHECKING:
    from collections.abc import Iterator
    from datetime import timedelta

    from tap_cdp_export.files.spool import Spool
    from tap_cdp_export.jobs.job import ExportJob

_FINISHED: Final = "finished_exports"
"""Key in STATE of what was read of exports in a bucket, which nothing proves to be complete."""


class BrazeUsers(ExportStream):
    """The users of the configured segments: a full snapshot each run."""

    name = "braze_users"
    permission = "users.export.segment"
    columns: ClassVar[dict[str, Any]] = USERS
    primary_keys: ClassVar[tuple[str, ...]] = ("segment_id", "braze_id")


class BrazeUsersSource(ExportSource[BrazeApi]):
    """Exports the segments one by one (the vendor allows one export of a segment at a time) for all its streams."""

    def schema(self, stream: type[ExportStream]) -> dict[str, Any]:
        """Give a stream's JSON schema; that of the users has the columns that the settings add.

        Args:
            stream: one of this source's.

        Returns:
            The schema.
        """
        if stream is not BrazeUsers:
            return stream.columns
        return {**USERS, "properties": {**USERS["properties"], **self.attribute_columns.properties}}

    @cached_property
    def attribute_columns(self) -> AttributeColumns:
        """The optional columns, from the definitions as they are now; none if those cannot be read."""
        fields = self._configured_fields()
        wanted = None if "custom_attributes" in fields else self.settings.get("custom_attributes_to_export", [])
        if self.settings["attribute_columns"] and wanted != []:
            try:
                return AttributeColumns(chain.from_iterable(custom_attributes(self.client)), wanted)
            except CdpExportError as error:
                self.discovery_error = error
        return AttributeColumns()

    def sync(self) -> None:
        """Fill all selected streams; tables without columns of definitions need none."""
        if "braze_users" not in self.selected:
            self.discovery_error = None
        super().sync()

    def validate(self) -> None:
        """Check STATE, and whether there is a segment to export and a client for the bucket."""
        super().validate()
        if self.selected and "segment_ids" not in self.settings:
            raise SettingsError(
                f"Setting braze.segment_ids is missing: {', '.join(self.selected)} need at least one segment to export."
            )
        if "bucket_url" in self.settings and self.selected:
            try:
                Bucket(self.settings)
            except SettingsError:
                raise
            except CdpExportError:  # what asking already is told of in its turn
                return

    def parts(self, length: timedelta | None) -> Iterator[Part]:  # noqa: ARG002 -- exports have no window
        """Divide the work by segment; wildcards are resolved, for which the segments are listed.

        Args:
            length: not used.

        Yields:
            A part for each segment.
        """
        for segment in resolve(self.settings["segment_ids"], partial(all_segments, self.client)):
            yield Part(f"segment-{segment}", tuple(self.selected), {"segment_ids": [segment]})

    def run(self) -> None:
        """Export and emit every segment; one whose export an earlier run asked for comes first."""
        streams = self.selected
        state_owner = next(iter(streams.values()))
        self._warn(state_owner)
        if users_stream := streams.get("braze_users"):
            self.attribute_columns.follow(users_stream.effective_schema["properties"])
        exporter = self._exporter()
        exporter.check_bucket()
        runner = ExportRunner(exporter, self._poll_policy(), partial(self._record, state_owner))
        job = self._job(state_owner, exporter)
        origin = {"base_url": self.client.base_url}  # not the key, which may be rotated
        segments = resolve(self.settings["segment_ids"], partial(all_segments, self.client))
        has_wildcards = segments != self.settings["segment_ids"]
        if has_wildcards and SEGMENTS.path in self.client.cut_short:  # further segments may match, whose users stay
            for stream in streams.values():
                stream.suppress_activate_version()
        self._warn_of_late_files(state_owner, exporter, segments)
        misfits = 0
        for segment in sorted(segments, key=lambda segment: job is None or segment != job.reference["segment_id"]):
            request = ExportRequest(
                f"Braze segment {segment}", self._parameters(segment), streams=tuple(streams), origin=origin
            )
            taken_up = job if job and job.reference["segment_id"] == segment else None
            if taken_up and taken_up.completed_files and taken_up.matches(request):
                for stream in streams.values():  # some of the rows were written by an earlier run
                    stream.suppress_activate_version()
            with runner.export(request, taken_up) as files:
                misfits += self._write(segment, files)
            self._finish(state_owner, exporter, segments)
        self._record(state_owner, None)
        if misfits:
            state_owner.logger.warning(
                "%d values of custom attributes are of another type than defined, so their column is null; "
                "extra has them under custom_attributes.",
                misfits,
            )

    def _warn_of_late_files(self, state_owner: ExportStream, exporter: BrazeExporter, segments: list[str]) -> None:
        """Look once more into the exports that earlier runs took for whole."""
        bucket, exports = exporter.bucket, state_owner.remembered(_FINISHED) or {}
        for segment in segments:
            late = bucket.late_files(segment, exports[segment]) if bucket and segment in exports else 0
            if late:
                state_owner.logger.warning(
                    "Braze segment %s: %d files of the last export came to the bucket after an earlier run had taken "
                    "it for whole, so that run did not hold all users. This run reads the segment anew; raise "
                    "braze.bucket_quiet_seconds, so that it does not happen again.",
                    segment,
                    late,
                )
                exports = {name: export for name, export in exports.items() if name != segment}
                state_owner.remember(_FINISHED, exports)  # telling it once is enough

    def _finish(self, state_owner: ExportStream, exporter: BrazeExporter, segments: list[str]) -> None:
        """Remember what was read of the bucket; nothing proves that it was all, so older rows stay."""
        if exporter.bucket is None or not exporter.bucket.finished:
            return
        earlier = {
            name: export for name, export in (state_owner.remembered(_FINISHED) or {}).items() if name in segments
        }
        state_owner.remember(_FINISHED, {**earlier, **exporter.bucket.finished})
        if not self.settings["bucket_activate_version"]:
            withheld = [stream.name for stream in self.selected.values() if stream.suppress_activate_version()]
            if withheld:
                state_owner.log(
                    "No ACTIVATE_VERSION is sent for %s: nothing proves that a bucket holds the whole export. "
                    "Set braze.bucket_activate_version to send it all the same.",
                    ", ".join(withheld),
                )

    def _write(self, segment: str, files: Iterator[Spool]) -> int:
        """Write the records of a segment's files; return how many attributes did not fit their columns."""
        misfits = 0
        streams = list(self.selected.values())
        decoder = BlockDecoder([self._decoder_of(stream, segment) for stream in streams])
        for file in files:
            with naming_bad_lines(file), self.writing(f"Braze segment {segment}", file, streams=streams):
                misfits += write_chunks(decoder.decode, line_blocks_of(file), *streams)
        return misfits

    def check_access(self) -> None:
        """List segments, and look into the bucket."""
        if self.discovery_error:
            raise self.discovery_error
        self.client.check_access()
        self._exporter().check_bucket()

    def _decoder_of(self, stream: ExportStream, segment: str) -> UserDecoder | EntryDecoder:
        if isinstance(stream, BrazeUserEntries):
            return EntryDecoder(segment, type(stream), stream.selected_columns)
        return UserDecoder(segment, stream.selected_columns, self.attribute_columns)

    def _exporter(self) -> BrazeExporter:
        deadline = self.request_deadline()
        return BrazeExporter(self.client, self.settings, self._poll_policy(), deadline_seconds=deadline)

    def _poll_policy(self) -> PollPolicy:
        return PollPolicy.from_settings(self.settings)

    def _job(self, state_owner: ExportStream, exporter: BrazeExporter) -> ExportJob | None:
        """Read the job that an earlier run left in STATE, if it can be resumed."""
        job = state_owner.job()
        if job is None or ("segment_id" in job.reference and exporter.can_find(job)):
            return job
        state_owner.log("An export asked for at %s did not end in a whole run; it is asked for anew.", job.asked_at)
        return None

    def _record(self, state_owner: ExportStream, job: ExportJob | None) -> None:
        """Put a job into STATE, behind everything that all streams have emitted."""
        for stream in self.selected.values():
            stream.commit_window(None)
        state_owner.save_job(job)

    def _parameters(self, segment: str) -> dict[str, Any]:
        fields = self._fields()
        optional = {"callback_endpoint"}
        if "braze_users" in self.selected and {"custom_attributes", "extra"} & self._chosen():
            optional.add("custom_attributes_to_export")
        return {
            "segment_id": segment,
            "fields_to_export": list(dict.fromkeys(("braze_id", *fields))),
            "output_format": self.settings["output_format"],
            **{name: self.settings[name] for name in sorted(optional) if name in self.settings},
        }

    def _fields(self) -> Iterator[str]:
        """Give the fields that end in a selected column: fewer make the export smaller."""
        streams = self.selected
        if "braze_users" in streams:
            chosen = self._chosen()
            needed = chosen | {field for name, field in UNASKED.items() if name in chosen}
            for field in self._configured_fields():
                if field in needed or (field not in EXPORTABLE_FIELDS and "extra" in chosen):
                    yield field
        yield from (stream.field for stream in streams.values() if isinstance(stream, BrazeUserEntries))

    def _chosen(self) -> set[str]:
        """Give the selected columns of the users, and those from which others are made."""
        stream = self.selected["braze_users"]
        chosen = {name for name in stream.columns["properties"] if stream.mask["properties", name]}
        is_needed = any(name in self.attribute_columns.names for name in stream.selected_columns)
        return chosen | ({"custom_attributes"} if is_needed else set())

    def _configured_fields(self) -> list[str]:
        """Give `fields_to_export`; all custom attributes are no default where some are named."""
        default = set(EXPORTABLE_FIELDS)
        if "custom_attributes_to_export" in self.settings:
            default.discard("custom_attributes")
        return list(self.settings.get("fields_to_export", [field for field in EXPORTABLE_FIELDS if field in default]))

    def _warn(self, stream: ExportStream) -> None:
        """Say what the vendor may not do as the settings expect."""
        fields = self._configured_fields()
        if unknown := sorted(set(fields) - set(EXPORTABLE_FIELDS)):
            stream.log("Not among the published fields, asked for all the same: %s.", ", ".join(unknown))
        if "custom_attributes_to_export" in self.settings:
            if "custom_attributes" in fields:
                stream.log("custom_attributes_to_export has no effect while fields_to_export holds custom_attributes.")
            if GLOBAL_CONTROL_GROUP in self.settings["segment_ids"]:
                stream.log("custom_attributes_to_export is not offered for the global control group.")
