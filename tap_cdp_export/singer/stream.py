"""The base class of streams: it writes records, and owns the bookmark.

The SDK moves bookmarks with the records, which loses data when a windowed run is killed
(docs/reliability.md, section 1). So a stream here owns its bookmark: it moves after the last record of a window.
"""

from __future__ import annotations

import logging
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
from tap_cdp_export.records.batch import (
    EncodedRecords,
    RecordBatch,
    encode,
    encode_columns,
    encode_records,
    whole_records,
)
from tap_cdp_export.signals import STOP
from tap_cdp_export.singer.batch_files import Batches
from tap_cdp_export.singer.catalog import check_keys
from tap_cdp_export.singer.column_maps import column_map
from tap_cdp_export.singer.stream_maps import transformed
from tap_cdp_export.singer.tally import Tally
from tap_cdp_export.windows import parse_time, time_text

if TYPE_CHECKING:
    from collections.abc import Generator, Iterable, Iterator, Mapping

    from singer_sdk import Tap
    from singer_sdk.helpers._batch import BaseBatchFileEncoding, BatchConfig
    from singer_sdk.helpers.types import Context, Record
    from singer_sdk.singerlib import metrics  # type: ignore[attr-defined]

    from tap_cdp_export.singer.column_maps import ColumnMap
    from tap_cdp_export.singer.writer import LineWriter
    from tap_cdp_export.windows import Window

_COLUMN_DEPTH: Final = 2  # the breadcrumb of a column has two parts, that of a property inside it more
_CLOCK_TOLERANCE: Final = timedelta(days=1)
_EARLIEST: Final = datetime(1970, 1, 1, tzinfo=UTC)  # an earlier bookmark stands for none


class StreamSource(Protocol):
    """What a stream needs of its source."""

    def sync(self) -> None:
        """Write the records of all selected streams of the source, at the first call."""

    def check_access(self) -> None:
        """Check the credentials with a request that starts no export."""


class ExportStream(Stream):
    """A stream whose records a source writes, and whose bookmark is the end of its last complete window.

    A subclass declares `name`, `columns`, `primary_keys` and, if it has windows, `replication_key`.

    Attributes:
        columns: the JSON schema.
        is_full_snapshot: whether one sync reads all records, so that with FULL_TABLE a target may delete all others.
        is_on_request: whether the catalog has it only where the vendor's setting `tables` names it.
        tally: what this run has read so far.
        permission: what the credentials must allow, in the vendor's words; empty where the vendor does not publish it.
    """

    columns: ClassVar[dict[str, Any]]
    is_full_snapshot: ClassVar[bool] = True
    is_on_request: ClassVar[bool] = False
    permission: ClassVar[str] = ""
    TYPE_CONFORMANCE_LEVEL = TypeConformanceLevel.NONE  # decoders give the types of the schema

    def __init__(self, tap: Tap, source: StreamSource, schema: dict[str, Any]) -> None:
        """Initialize.

        Args:
            tap: the tap.
            source: writes the records of this stream, and perhaps of others, when the first of them is synced.
            schema: the JSON schema: `columns`, and those that the settings add.
        """
        super().__init__(tap, schema=schema)
        self.source = source
        self._schema_is_written = False
        self._version_to_activate: int | None = None
        self.tally = Tally()
        self._batches: Batches | None = None
        self._counter: metrics.Counter | None = None

    # Emission

    def _sync_records(
        self,
        context: Context | None = None,  # noqa: ARG002 -- the SDK's signature; there are no partitions
        *,
        write_messages: bool = True,  # noqa: ARG002 -- without BATCH, messages are always written
    ) -> Generator[dict[str, Any], None, None]:
        """Let the source write the records of all its streams, or check access for `--test`."""
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

    def write(self, records: RecordBatch | EncodedRecords) -> None:
        """Write records, selection and stream maps applied.

        Args:
            records: a batch; where `can_encode_columns`, perhaps one that `encode` has encoded in another process.

        Raises:
            Interrupted: If the run has been told to stop.
            SettingsError: If an expression of a stream map fails on a record.
        """
        STOP.raise_if_stopped()
        outputs: Iterable[tuple[str, EncodedRecords]]
        if isinstance(records, RecordBatch) and not self.can_encode_columns():
            number, outputs = records.number, self._encode_whole_records(records)
        else:
            encoded = self.encode(records) if isinstance(records, RecordBatch) else records
            number, outputs = encoded.number + encoded.left_out, [(self._required_column_map.alias, encoded)]
        for stream, encoded in outputs:
            if encoded.number and self._batches:
                self._batches.add(stream, encoded)
            elif encoded.number:
                cast("LineWriter", self._tap.message_writer).write_lines(encoded.data)
        self.tally.records += number
        if self._counter and number:
            self._counter.increment(number)

    def encode(self, batch: RecordBatch) -> EncodedRecords:
        """Encode a batch as `write` takes it, in any process; only where `can_encode_columns`.

        Args:
            batch: with the selected columns, and perhaps others.

        Returns:
            Whole messages, or a piece of a file if they are to go to BATCH files.

        Raises:
            SettingsError: If an expression of a stream map fails on a record.
        """
        if not batch.number:
            return EncodedRecords(0, b"")
        columns, left_out = self._required_column_map.apply(self._selected_columns_of(batch))
        encoded = self._compressed(encode_columns(columns, *self._frame(self._required_column_map.alias)))
        return encoded._replace(left_out=left_out, keys=batch.keys, misfits=batch.misfits)

    def _encode_whole_records(self, batch: RecordBatch) -> Iterator[tuple[str, EncodedRecords]]:
        """Show single records to the stream maps, as far as their columns are selected."""
        records = whole_records(batch._replace(columns=self._selected_columns_of(batch)))
        if not self._selects_whole_columns:
            for record in records:
                pop_deselected_record_properties(record, self.schema, self.mask)
        for stream_map in self.stream_maps:
            mapped = (transformed(stream_map, record, self.name) for record in records)
            kept = [record for record in mapped if record is not None]
            yield stream_map.stream_alias, self._compressed(encode_records(kept, *self._frame(stream_map.stream_alias)))

    def _selected_columns_of(self, batch: RecordBatch) -> dict[str, Iterable[Any]]:
        return {name: values for name, values in batch.columns.items() if name in self._selected}

    def _frame(self, stream: str) -> tuple[bytes, bytes]:
        """Give what stands before and behind a record in its line: the rest of a RECORD message, or nothing."""
        if self._batches:
            return b"", b""
        message = RecordMessage(stream, {}, version=self._stream_version, time_extracted=datetime.now(UTC))
        before, _, after = encode(message.to_dict()).partition(b'"record":{}')
        return before + b'"record":', after

    def _compressed(self, encoded: EncodedRecords) -> EncodedRecords:
        return self._batches.compress(encoded) if self._batches else encoded

    def can_encode_columns(self) -> bool:
        """Return whether nothing needs to see whole records, so that they can be encoded by columns."""
        return bool(self._column_map) and self._selects_whole_columns

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
        """The selected columns; SCHEMA has only columns that the catalog has."""
        return [name for name in self.effective_schema["properties"] if self.mask["properties", name]]

    @contextmanager
    def emitting(self) -> Iterator[None]:
        """Write SCHEMA before the records, ACTIVATE_VERSION after them, and measure.

        Yields:
            Nothing.
        """
        self._write_schema_message()
        if self.replication_method == REPLICATION_FULL_TABLE and self.emit_activate_version_messages:
            self._stream_version = self._initialized_at // 1000  # the SDK does it in the stream's own turn only
            self._write_activate_version_message(self._stream_version)
        batch_config = self.get_batch_config(self.config)
        self._batches = Batches(batch_config, self._announce_batch_file) if batch_config else None
        with self.tally.timed(), self.get_record_counter() as self._counter, self.get_sync_timer():
            yield
            self._write_batches()
        if self._version_to_activate is not None and not self.tally.records:
            self.logger.warning("Nothing was exported, so no ACTIVATE_VERSION is sent: it would empty the table.")
        elif self._version_to_activate is not None:
            super()._write_activate_version_message(self._version_to_activate)
        self.tally.is_whole = True

    @cached_property
    def _selects_whole_columns(self) -> bool:
        return all(selected for breadcrumb, selected in self.mask.items() if len(breadcrumb) > _COLUMN_DEPTH)

    @cached_property
    def _selected(self) -> set[str]:
        return set(self.selected_columns)

    def _sync_batches(
        self,
        batch_config: BatchConfig,  # noqa: ARG002 -- the SDK's signature; read in emitting
        context: Context | None = None,
    ) -> None:
        """Sync as without BATCH; `write` fills the files."""
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
        """Delay it to the end of the sync: a target deletes the older rows as soon as it reads it."""
        if self.is_full_snapshot:
            self._version_to_activate = full_table_version

    def suppress_activate_version(self) -> bool:
        """Send no ACTIVATE_VERSION, since this sync may not read all records there are.

        Returns:
            Whether it would have been sent.
        """
        is_withheld = self._version_to_activate is not None
        self._version_to_activate = None
        return is_withheld

    # State

    def get_replication_key_signpost(self, context: Context | None = None) -> None:
        """Return none: the bookmark is the end of a window, never a value of a record."""

    def bookmark(self) -> datetime | None:
        """Return the end of the last complete window.

        Returns:
            The time; None on the first run, or if STATE holds something else in its place.

        Raises:
            SettingsError: If the time lies in the future.
        """
        try:
            time = parse_time(self.bookmark_text)
        except (TypeError, ValueError):
            return None
        if time > datetime.now(UTC) + _CLOCK_TOLERANCE:
            raise SettingsError(
                f"The state of {self.name} lies in the future: nothing would be read until then. "
                "Check this machine's clock, or set the state back."
            )
        return time if time >= _EARLIEST else None

    @property
    def bookmark_text(self) -> Any:  # noqa: ANN401 -- STATE may come from anywhere
        """The bookmark as it is in STATE."""
        return self._tap.state.get("bookmarks", {}).get(self.name, {}).get("replication_key_value")

    def check(self) -> None:
        """Check STATE and catalog before the first request.

        Raises:
            SettingsError: If the bookmark lies in the future, or the catalog lacks or deselects a key column.
        """
        check_keys(self, self.selected_columns)
        if self.bookmark() is None and self.bookmark_text is not None:
            message = "STATE holds no time that can be the bookmark of %s; it starts from its beginning."
            self.log(message, self.name, level=logging.WARNING)

    def job(self) -> ExportJob | None:
        """Return the export job that an earlier run has requested and not finished.

        Returns:
            The job; None if there is none, or if it has the form of another version of the tap.
        """
        state = self.stream_state.get("export")
        if state is None:
            return None
        try:
            return ExportJob.from_state(state)
        except ValueError:
            self.log(
                "STATE holds an export of %s in a form that this version of the tap does not know; "
                "it is requested again.",
                self.name,
                level=logging.WARNING,
            )
            return None

    def save_job(self, job: ExportJob | None) -> None:
        """Set the export job in STATE, and write STATE at once.

        Args:
            job: the job; None after its end (written as null, since orchestrators merge states).
        """
        self._replace_state({"export": job.to_state() if job else None})
        self.write_state()

    def remembered(self, name: str) -> dict[str, Any] | None:
        """Return what an earlier run has stored in STATE besides bookmark and job.

        Args:
            name: key in the stream's state.

        Returns:
            A JSON object; None if STATE has none.
        """
        value = self.stream_state.get(name)
        return value if isinstance(value, dict) else None

    def remember(self, name: str, value: Mapping[str, Any]) -> None:
        """Store what `remembered` returns in the next run; `write_state` writes it.

        Args:
            name: key in the stream's state.
            value: a small JSON object, without secrets.
        """
        self._replace_state({name: dict(value)})

    def commit_window(self, window: Window | None) -> None:
        """Move the bookmark to the end of a window whose records are all written; `write_state` writes it.

        Args:
            window: the window; None for a stream without windows.
        """
        self._write_batches()  # STATE must not be ahead of the records
        change: dict[str, Any] = {"export": None}
        if window:
            before = self.bookmark()
            end = max(before, window.end) if before else window.end
            change |= {"replication_key": self.replication_key, "replication_key_value": time_text(end)}
        self._replace_state(change)

    def _replace_state(self, change: Mapping[str, Any]) -> None:
        """Replace the stream's state in one assignment, so that STATE is consistent whenever it is written."""
        state = {**self.stream_state, **change}
        self._tap.state["bookmarks"][self.name] = state

    def write_state(self) -> None:
        """Write STATE if it has changed since it was last written."""
        self._tap.state_writer.write_state(self._tap.state)
