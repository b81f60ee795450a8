"""The base stream: emission and state.

The SDK moves bookmarks with the records, which loses data when a windowed run is killed
(docs/reliability.md, section 1). So a stream here owns its bookmark: it moves after the last record of a window.
"""

from __future__ import annotations

import logging
import time
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from functools import cached_property
from typing import TYPE_CHECKING, Any, ClassVar, Final, Protocol, cast

from singer_sdk.helpers._batch import SDKBatchMessage
from singer_sdk.helpers._catalog import pop_deselected_record_properties
from singer_sdk.helpers.conform import TypeConformanceLevel
from singer_sdk.singerlib import RecordMessage
from singer_sdk.singerlib.catalog import REPLICATION_FULL_TABLE
from singer_sdk.streams import Stream

from tap_cdp_export.errors import CdpExportError, SettingsError
from tap_cdp_export.jobs.job import ExportJob
from tap_cdp_export.records.batch import encode, encode_columns
from tap_cdp_export.signals import STOP
from tap_cdp_export.singer.batch_files import Batches
from tap_cdp_export.singer.catalog import check_keys
from tap_cdp_export.singer.column_maps import column_map
from tap_cdp_export.singer.stream_maps import transformed
from tap_cdp_export.windows import parse_time, time_text

if TYPE_CHECKING:
    from collections.abc import Generator, Iterable, Iterator, Mapping, Sequence

    from singer_sdk import Tap
    from singer_sdk.helpers._batch import BaseBatchFileEncoding, BatchConfig
    from singer_sdk.helpers.types import Context, Record
    from singer_sdk.singerlib import metrics  # type: ignore[attr-defined]

    from tap_cdp_export.records.batch import EncodedRecords
    from tap_cdp_export.singer.column_maps import ColumnMap
    from tap_cdp_export.singer.writer import LineWriter
    from tap_cdp_export.windows import Window

_COLUMN: Final = 2  # a column's breadcrumb has two parts, that of a property inside it more
_CLOCK_TOLERANCE: Final = timedelta(days=1)


class StreamSource(Protocol):
    """What a stream needs of its source."""

    def sync(self) -> None:
        """Fill all selected streams of the source, once a run."""

    def check_access(self) -> None:
        """Check the credentials with a request that starts no export."""


class ExportStream(Stream):
    """A stream whose records come from a source, and whose bookmark is the end of its last whole window.

    A subclass declares `name`, `columns`, `primary_keys` and, if it has windows, `replication_key`.

    Attributes:
        columns: the JSON schema.
        is_full_snapshot: whether one run reads all there is, so that as a FULL_TABLE stream it may tell a target
            to drop what it did not hold.
    """

    columns: ClassVar[dict[str, Any]]
    is_full_snapshot: ClassVar[bool] = True
    TYPE_CONFORMANCE_LEVEL = TypeConformanceLevel.NONE  # records are made to fit when they are made

    def __init__(self, tap: Tap, source: StreamSource, schema: dict[str, Any]) -> None:
        """Take what fills this stream.

        Args:
            tap: the tap.
            source: fills this stream, and perhaps others, when the first of them is synced.
            schema: the JSON schema: `columns`, and those that the settings add.
        """
        super().__init__(tap, schema=schema)
        self.source = source
        self._schema_is_written = False
        self._version_to_activate: int | None = None
        self._emitted = 0
        self._batches: Batches | None = None
        self._counter: metrics.Counter | None = None

    # Emission

    def _sync_records(
        self,
        context: Context | None = None,  # noqa: ARG002 -- the SDK's signature; there are no partitions
        *,
        write_messages: bool = True,  # noqa: ARG002 -- without BATCH, messages are always written
    ) -> Generator[dict[str, Any], None, None]:
        """Let the source fill this stream, and its other streams, once a run."""
        if self.ABORT_AT_RECORD_COUNT is not None:  # --test: a dry run must not start an export job
            try:
                self.source.check_access()
            except CdpExportError as error:
                error.streams = (self.name,)
                raise
        else:
            self.source.sync()
        yield from ()

    def get_records(self, context: Context | None) -> Iterator[Record]:  # noqa: ARG002 -- the SDK's signature
        """Yield nothing: the source writes the records.

        Yields:
            Nothing.
        """
        yield from ()

    def emit(self, record: dict[str, Any]) -> None:
        """Write one record, selection and stream maps applied.

        Args:
            record: with every column of the schema.
        """
        STOP.raise_if_stopped()
        if self._batches:
            for message in self._generate_record_messages(record):
                self._batches.add_record(message.stream, message.record)
        else:
            self._write_record_message(record)
        self._emitted += 1
        if self._counter:
            self._counter.increment()

    def can_encode_columns(self) -> bool:
        """Tell whether nothing has to see a whole record on its way out, so that many may be encoded at once."""
        keys = cast("Sequence[str]", type(self).primary_keys)  # a catalog may name others, or deselect some
        return bool(self._column_map) and self._selects_whole_columns and self._selected.issuperset(keys)

    @cached_property
    def _column_map(self) -> ColumnMap | None:
        (only, *more) = self.stream_maps
        tap_columns = type(self).columns["properties"]  # a catalog may call a column something else, but not make it so
        properties = {**self.effective_schema["properties"], **tap_columns}
        columns = {name: properties[name] for name in self.selected_columns}
        return None if more else column_map(only, self.config.get("stream_maps", {}), self.name, columns)

    @property
    def _required_column_map(self) -> ColumnMap:
        """The map over columns, which there is wherever `can_encode_columns`."""
        return cast("ColumnMap", self._column_map)

    @property
    def selected_columns(self) -> list[str]:
        """The columns that the catalog has and selects; of columns that it does not have, SCHEMA says nothing."""
        return [name for name in self.effective_schema["properties"] if self.mask["properties", name]]

    def encode_columns(self, columns: Mapping[str, Iterable[Any]]) -> EncodedRecords:
        """Encode records as `emit_lines` takes them, the stream map applied; only where `can_encode_columns`.

        Args:
            columns: the selected ones by name, all equally long.

        Returns:
            Whole messages, or a piece of a file if they are to go to BATCH files.
        """
        mapped, left_out = self._required_column_map.apply(columns)
        if self._batches:
            return self._batches.packed(encode_columns(mapped)._replace(left_out=left_out))
        message = RecordMessage(
            self._required_column_map.alias, {}, version=self._stream_version, time_extracted=datetime.now(UTC)
        )
        before, _, after = encode(message.to_dict()).partition(b'"record":{}')
        return encode_columns(mapped, before + b'"record":', after)._replace(left_out=left_out)

    def emit_lines(self, lines: EncodedRecords) -> None:
        """Write records that are encoded already; only where `can_encode_columns`.

        Args:
            lines: from `encode_columns`.
        """
        STOP.raise_if_stopped()
        if self._batches and lines.number:
            self._batches.add(self._required_column_map.alias, lines)
        elif lines.number:
            cast("LineWriter", self._tap.message_writer).write_lines(lines.data)
        number = lines.number + lines.left_out
        self._emitted += number
        if self._counter and number:
            self._counter.increment(number)

    @contextmanager
    def emitting(self) -> Iterator[None]:
        """Frame the records of a run: SCHEMA before, metrics around, ACTIVATE_VERSION after.

        Yields:
            Nothing.
        """
        self._write_schema_message()
        if self.replication_method == REPLICATION_FULL_TABLE and self.emit_activate_version_messages:
            self._stream_version = self._initialized_at // 1000  # the SDK does it in the stream's own turn only
            self._write_activate_version_message(self._stream_version)
        batch_config = self.get_batch_config(self.config)
        self._batches = Batches(batch_config, self._announce_batch_file) if batch_config else None
        began = time.monotonic()
        with self.get_record_counter() as self._counter, self.get_sync_timer():
            yield
            self._write_batches()
        seconds = max(time.monotonic() - began, 0.001)
        self.log("%s: %d records, %.0f a second.", self.name, self._emitted, self._emitted / seconds)
        if self._version_to_activate is not None and not self._emitted:
            self.logger.warning("Nothing was exported, so no ACTIVATE_VERSION is sent: it would empty the table.")
        elif self._version_to_activate is not None:
            super()._write_activate_version_message(self._version_to_activate)

    def _generate_record_messages(self, record: Record) -> Generator[RecordMessage, None, None]:
        """Apply selection and stream maps; the SDK walks through every record even where columns are whole."""
        for name in record.keys() - self._selected:
            del record[name]
        if not self._selects_whole_columns:
            pop_deselected_record_properties(record, self.schema, self.mask)
        for stream_map in self.stream_maps:
            mapped = transformed(stream_map, record, self.name)
            if mapped is not None:
                now = datetime.now(UTC)
                yield RecordMessage(stream_map.stream_alias, mapped, version=self._stream_version, time_extracted=now)

    @cached_property
    def _selects_whole_columns(self) -> bool:
        return all(selected for breadcrumb, selected in self.mask.items() if len(breadcrumb) > _COLUMN)

    @cached_property
    def _selected(self) -> set[str]:
        return set(self.selected_columns)

    def _sync_batches(
        self,
        batch_config: BatchConfig,  # noqa: ARG002 -- the SDK's signature; read in emitting
        context: Context | None = None,
    ) -> None:
        """Sync as without BATCH; `emit` fills the files."""
        for _ in self._sync_records(context):
            pass

    def _announce_batch_file(self, stream: str, encoding: BaseBatchFileEncoding, url: str) -> None:
        self._tap.write_message(SDKBatchMessage(stream, encoding, [url], self._stream_version))

    def _write_batches(self) -> None:
        if self._batches:
            self._batches.write()

    def _write_schema_message(self) -> None:
        if not self._schema_is_written:
            self._schema_is_written = True
            super()._write_schema_message()

    def _write_activate_version_message(self, full_table_version: int) -> None:
        """Hold it back to the end: a target drops the older rows as soon as it sees it."""
        if self.is_full_snapshot:
            self._version_to_activate = full_table_version

    def suppress_activate_version(self) -> bool:
        """Send no ACTIVATE_VERSION after this run: it may not have read everything there is.

        Returns:
            Whether one would have been sent.
        """
        is_withheld = self._version_to_activate is not None
        self._version_to_activate = None
        return is_withheld

    # State

    def get_replication_key_signpost(self, context: Context | None = None) -> None:
        """Give none: the bookmark is a window's end, never a record's value."""

    def bookmark(self) -> datetime | None:
        """Read the end of the last whole window.

        Returns:
            The time; None on the first run, or if STATE holds something else in its place.

        Raises:
            SettingsError: If the time lies in the future.
        """
        try:
            time = parse_time(self._bookmark_text)
        except (TypeError, ValueError):
            return None
        if time > datetime.now(UTC) + _CLOCK_TOLERANCE:
            raise SettingsError(
                f"The state of {self.name} lies in the future: nothing would be read until then. "
                "Check this machine's clock, or set the state back."
            )
        return time

    @property
    def _bookmark_text(self) -> Any:  # noqa: ANN401 -- STATE may come from anywhere
        return self._tap.state.get("bookmarks", {}).get(self.name, {}).get("replication_key_value")

    def check(self) -> None:
        """Check STATE and catalog before the first request.

        Raises:
            SettingsError: If the bookmark lies in the future, or the catalog lacks or deselects a key column.
        """
        check_keys(self, self.selected_columns)
        if self.bookmark() is None and self._bookmark_text is not None:
            self.log(
                "STATE holds no time that this version understands as bookmark of %s; it starts from its beginning.",
                self.name,
                level=logging.WARNING,
            )

    def job(self) -> ExportJob | None:
        """Read the export that an earlier run asked for and did not finish.

        Returns:
            The job; None if there is none, or none that this version of the tap understands.
        """
        state = self.stream_state.get("export")
        if state is None:
            return None
        try:
            return ExportJob.from_state(state)
        except ValueError:
            self.log(
                "STATE holds an export of %s in a form that this version of the tap does not know; "
                "it is asked for anew.",
                self.name,
                level=logging.WARNING,
            )
            return None

    def save_job(self, job: ExportJob | None) -> None:
        """Put a job into STATE, and write STATE at once.

        Args:
            job: the job; None if there is none any more (written as null, since hosts merge states).
        """
        self._replace_state({"export": job.to_state() if job else None})
        self.write_state()

    def finished_exports(self) -> dict[str, Any]:
        """Read what earlier runs remembered of exports that nothing proves to be whole.

        Returns:
            A small JSON value for each; none in an older STATE.
        """
        exports = self.stream_state.get("finished_exports")
        return exports if isinstance(exports, dict) else {}

    def remember_exports(self, exports: Mapping[str, Any]) -> None:
        """Put into STATE what `finished_exports` gives to the next run; `write_state` makes it known.

        Args:
            exports: a small JSON value for each, without a secret.
        """
        self._replace_state({"finished_exports": dict(exports)})

    def commit_window(self, window: Window | None) -> None:
        """Say that every record up to a window's end is written; `write_state` makes it known.

        Args:
            window: the window; None for a stream without windows.
        """
        self._write_batches()  # STATE must not say more than has been written
        change: dict[str, Any] = {"export": None}
        if window:
            before = self.bookmark()
            end = max(before, window.end) if before else window.end
            change |= {"replication_key": self.replication_key, "replication_key_value": time_text(end)}
        self._replace_state(change)

    def _replace_state(self, change: Mapping[str, Any]) -> None:
        """Swap the stream's state in one assignment: a STATE from anywhere is then consistent."""
        state = {**self.stream_state, **change}
        self._tap.state["bookmarks"][self.name] = state

    def write_state(self) -> None:
        """Write STATE, unless nothing has changed since the last one."""
        self._tap.state_writer.write_state(self._tap.state)
