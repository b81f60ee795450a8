"""Take messages in the order of their arrival: collect records, load them, and pass STATE on once it is covered.

A thread loads one batch while the next one is collected: DuckDB works and writes while the tap is read. At most one
load is under way, and whatever else needs the database waits for its end.
"""

from __future__ import annotations

import json
import time
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, BinaryIO, Final, NamedTuple

import duckdb

from tap_cdp_export.errors import Interrupted, LocalFailure
from tap_cdp_export.loader.database import MoreMemoryNeeded, more_memory, transaction
from tap_cdp_export.loader.diagnosis import explain
from tap_cdp_export.loader.errors import UnusableInput
from tap_cdp_export.loader.lines import decode, head_of
from tap_cdp_export.loader.messages import ActivateVersion, Batch, Schema, State, typed
from tap_cdp_export.loader.sources import BatchFile, Source, Spool
from tap_cdp_export.loader.table import Table, Times
from tap_cdp_export.signals import STOP

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from concurrent.futures import Future
    from logging import Logger

_LARGEST_BATCH: Final = 128 * 2**20
_LONGEST_WAIT: Final = 300.0
"""Seconds after which STATE commits what stands before it, even if it is little."""

_NO_PREFIX: Final = b"\0"
_DATA_ERRORS: Final = (duckdb.DataError, duckdb.IntegrityError, duckdb.ProgrammingError, duckdb.IOException)


class _Waiting(NamedTuple):
    """What is loaded in one transaction.

    Attributes:
        sources: the records of each stream.
        received: when the first of them arrived.
        state: the STATE that they lead to, or None.
    """

    sources: Mapping[str, list[Source]]
    received: datetime
    state: Any


class Loader:
    """Loads one input into one database."""

    def __init__(
        self, database: duckdb.DuckDBPyConnection, config: Mapping[str, Any], output: BinaryIO, logger: Logger
    ) -> None:
        """Create a loader.

        Args:
            database: the connection.
            config: the settings of the target.
            output: takes the states.
            logger: of the target.
        """
        self._database = database
        self._config = config
        self._output = output
        self._logger = logger
        self._tables: dict[str, Table] = {}
        self._schemas: dict[str, Schema] = {}
        self._pending: dict[str, list[Source]] = {}
        self._spools: dict[str, Spool] = {}
        self._rows = self._bytes = 0
        self._received = _now()
        self._last_commit = time.monotonic()
        self._state: Any = None
        self._thread = ThreadPoolExecutor(1, "load")
        self._loading: Future[None] | None = None

    def load(self, lines: Iterable[bytes]) -> None:
        """Load all messages.

        What stands before an unusable message, or before a signal, is committed, and its STATE is passed on.

        Args:
            lines: the messages.

        Raises:
            CdpExportError: If a message cannot be loaded.
            Interrupted: If a signal arrives.
        """
        with self._thread:
            try:
                self._collect(lines)
            except (UnusableInput, Interrupted):
                self._load_all()
                raise
            self._load_all()

    def _collect(self, lines: Iterable[bytes]) -> None:
        prefix, stream = _NO_PREFIX, ""
        largest_rows = self._config["batch_size_rows"]
        for number, line in enumerate(lines, 1):
            if not line.startswith(prefix):
                if line.isspace():
                    continue
                head = head_of(line, number)
                if head.type != "RECORD":
                    self._take(head.type, decode(line, number), number)
                    continue
                stream, prefix = head.stream, head.prefix or _NO_PREFIX
            (self._spools.get(stream) or self._new_spool(stream)).append(line)
            self._rows += 1
            self._bytes += len(line)
            if self._rows >= largest_rows or self._bytes >= _LARGEST_BATCH:
                self._commit()
                STOP.raise_if_stopped()  # what has been read may be many batches

    def _new_spool(self, stream: str) -> Spool:
        sources = self._sources(stream)
        spool = self._spools[stream] = Spool()
        sources.append(spool)
        return spool

    def _sources(self, stream: str) -> list[Source]:
        """Return what waits to be loaded into a stream's table."""
        if stream not in self._tables:
            raise UnusableInput(f"Records of {stream or 'a stream without a name'} come before its SCHEMA message.")
        if not self._pending:
            self._received = _now()
        return self._pending.setdefault(stream, [])

    def _take(self, message_type: str, message: dict[str, Any], number: int) -> None:
        """Take a message that is not a RECORD."""
        STOP.raise_if_stopped()
        if self._loading and self._loading.done():  # an error is not kept back until the next batch is complete
            self._finish()
        match message_type:
            case "SCHEMA":
                self._take_schema(typed(message, Schema, number))
            case "STATE":
                self._take_state(typed(message, State, number).value)
            case "BATCH":
                self._take_batch(typed(message, Batch, number))
            case "ACTIVATE_VERSION":
                self._activate(typed(message, ActivateVersion, number))
            case _:
                raise UnusableInput(f"Line {number} of the input is a message of the unknown type {message_type}.")

    def _take_schema(self, message: Schema) -> None:
        stream = message.stream
        if self._schemas.get(stream) == message:
            return
        if stream in self._pending:
            self._commit()
        self._finish()
        for other in self._tables:
            if other != stream and other.lower() == stream.lower():
                raise UnusableInput(f"The streams {other} and {stream} have names that DuckDB does not tell apart.")
        old = self._tables.get(stream)
        try:
            with transaction(self._database):
                table = Table(self._database, self._config, stream, message.schema, message.key_properties or [])
        except _DATA_ERRORS as error:
            reason = str(error).partition("\n")[0]
            raise UnusableInput(f"The table of {stream} cannot be created or changed: {reason}") from None
        table.has_unversioned_rows = old is not None and old.has_unversioned_rows
        self._tables[stream] = table
        self._schemas[stream] = message

    def _take_state(self, state: Any) -> None:  # noqa: ANN401 -- any JSON
        self._state = state
        if not self._pending or time.monotonic() - self._last_commit > _LONGEST_WAIT:
            self._commit()

    def _take_batch(self, message: Batch) -> None:
        sources = self._sources(message.stream)
        self._spools.pop(message.stream, None)  # records that come later are loaded later
        for url in message.manifest:
            file = BatchFile(url, message.encoding, message.version)
            sources.append(file)
            self._bytes += file.size
        if self._bytes >= _LARGEST_BATCH:
            self._commit()

    def _activate(self, message: ActivateVersion) -> None:
        stream = message.stream
        self._sources(stream)
        self._load_all()
        with transaction(self._database):
            rows = self._tables[stream].activate(message.version, _now())
        if rows is None:
            self._logger.warning(
                "%s: ACTIVATE_VERSION is ignored, because records without a version were loaded before it.", stream
            )
        else:
            self._logger.info("%s: %d rows of earlier versions are deleted or marked.", stream, rows)

    def _load_all(self) -> None:
        """Load everything that waits, and return after its commit."""
        self._commit()
        self._finish()

    def _commit(self) -> None:
        """Start to load everything that waits; its STATE is passed on afterwards."""
        self._finish()
        waiting = _Waiting(self._pending, self._received, self._state)
        self._start_anew()
        self._last_commit = time.monotonic()
        self._loading = self._thread.submit(self._load, waiting)

    def _finish(self) -> None:
        """Wait until what is being loaded is committed. If that fails, nothing that came later is loaded."""
        if self._loading is None:
            return
        try:
            self._loading.result()
        except BaseException:
            _remove_spools(self._pending)
            self._start_anew()
            raise
        finally:
            self._loading = None

    def _start_anew(self) -> None:
        self._pending, self._spools, self._state = {}, {}, None
        self._rows = self._bytes = 0

    def _load(self, waiting: _Waiting) -> None:
        """Load records in one transaction, delete their BATCH files, and pass STATE on; in the thread."""
        try:
            if any(waiting.sources.values()):
                self._load_sources(waiting)
        finally:
            _remove_spools(waiting.sources)
        if waiting.state is not None:
            self._write_state(waiting.state)

    def _load_sources(self, waiting: _Waiting) -> None:
        start = time.monotonic()
        pending, times = waiting.sources, Times(waiting.received, _now())
        try:
            counts = self._load_at_once(pending, times)
        except MoreMemoryNeeded:
            self._logger.info("DuckDB needs more memory for these records, and gets it.")
            with more_memory(self._database):
                counts = self._load_at_once(pending, times)
        loaded = ", ".join(f"{count:,} of {name}" for name, count in counts.items())
        self._logger.info("Loaded records: %s (%.1f s).", loaded, time.monotonic() - start)
        if self._config["remove_batch_files"]:
            for sources in pending.values():
                for source in sources:
                    if isinstance(source, BatchFile):
                        source.remove()

    def _load_at_once(self, pending: Mapping[str, list[Source]], times: Times) -> dict[str, int]:
        """Load everything that waits in one transaction; return the number of records of each stream."""
        counts: dict[str, int] = {}
        stream = ""
        try:
            with transaction(self._database):
                for stream, sources in pending.items():
                    counts[stream] = self._tables[stream].load(sources, times)
        except _DATA_ERRORS:
            raise explain(self._database, self._tables[stream], pending[stream]) from None
        return counts

    def _write_state(self, state: Any) -> None:  # noqa: ANN401 -- any JSON
        line = json.dumps(state).encode() + b"\n"
        try:
            while line := line[self._output.write(line) :]:  # a disk that becomes full takes a part
                pass
        except BrokenPipeError:
            raise LocalFailure("The program that takes the states has ended.") from None


def _remove_spools(pending: Mapping[str, list[Source]]) -> None:
    for sources in pending.values():
        for source in sources:
            if isinstance(source, Spool):
                source.remove()


def _now() -> datetime:
    return datetime.now(UTC).replace(tzinfo=None)
