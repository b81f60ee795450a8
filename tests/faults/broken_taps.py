"""Taps that are broken on purpose: the harness must catch every one of them, or it proves nothing.

Each is a small patch that the child applies to the real tap before its run.
"""

from __future__ import annotations

import json
import sys
import zlib
from contextlib import nullcontext
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, Final, NamedTuple

import requests

from tap_cdp_export.errors import Interrupted
from tap_cdp_export.files import compression
from tap_cdp_export.http import network_errors
from tap_cdp_export.jobs.job import ExportJob, ExportStatus
from tap_cdp_export.records.batch import RecordBatch
from tap_cdp_export.redaction import Redactor
from tap_cdp_export.signals import StopSignal
from tap_cdp_export.singer import writer
from tap_cdp_export.singer.source import ExportSource
from tap_cdp_export.singer.stream import ExportStream
from tap_cdp_export.singer.writer import LineWriter
from tap_cdp_export.tap import TapCDPExport
from tap_cdp_export.vendors.apsis import client as apsis_client
from tap_cdp_export.vendors.braze.tables.reading import Reading
from tap_cdp_export.vendors.personalization import pages

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping
    from datetime import date

    from tap_cdp_export.records.batch import EncodedRecords
    from tap_cdp_export.vendors.braze.tables.days import Days
    from tap_cdp_export.vendors.braze.tables.gaps import Gaps
    from tap_cdp_export.vendors.braze.tables.series_stream import Subject

# ruff: noqa: SLF001 -- it breaks the product from outside, where it is weakest


class BrokenTap(NamedTuple):
    """Which cells of the quick set must catch it: those of a campaign whose name holds these words."""

    campaign: str
    words: str


BROKEN_TAPS: Final = {
    "window_end_as_sorted_key": BrokenTap("C3", "apsis"),
    "state_before_records": BrokenTap("C3", "personalization"),
    "error_swallowed": BrokenTap("C1", ""),
    "truncated_gzip_accepted": BrokenTap("C1", "gzip cut"),
    "redirect_followed": BrokenTap("C1", "lead"),
    "failed_export_polled_for_ever": BrokenTap("C1", "export"),
    "export_asked_for_twice": BrokenTap("C1", "killed while pending"),
    "answer_not_waited_for": BrokenTap("C7", "asks APSIS"),
    "job_dropped_on_404": BrokenTap("C1", "export"),
    "job_deleted_not_nulled": BrokenTap("C5", "profiles alone"),
    "page_loop": BrokenTap("C1", "page is ignored"),
    "handler_that_raises_anywhere": BrokenTap("C7", "full pipe"),
    "short_write_ignored": BrokenTap("C7", "full pipe"),
    "exception_with_url": BrokenTap("C1", "storage is down"),
    "local_time_for_the_window_end": BrokenTap("C8", "places"),
    "download_url_in_state": BrokenTap("C2", "braze from"),
    "bookmark_of_a_series_before_its_rows": BrokenTap("C2", "tables"),
}


def _replace(owner: Any, name: str, value: object) -> None:
    """Put something else in the place of a part of the product, which must be there."""
    getattr(owner, name)
    setattr(owner, name, value)


def window_end_as_sorted_key() -> None:
    """Move the bookmark with the records, as the SDK does for sorted streams."""
    write = ExportStream.write

    def write_and_move(self: ExportStream, records: RecordBatch | EncodedRecords) -> None:
        if isinstance(records, RecordBatch):
            columns = {name: [*values] for name, values in records.columns.items()}
            records, times = records._replace(columns=columns), columns.get("window_end") or [None]
        else:
            times = [json.loads(line)["record"].get("window_end") for line in bytes(records.data).splitlines()]
        write(self, records)
        if records.number:
            self._replace_state({"replication_key": self.replication_key, "replication_key_value": times[-1]})
            self.write_state()

    _replace(ExportStream, "write", write_and_move)


def state_before_records() -> None:
    """Write STATE at once, ahead of the records that are still collected."""
    write_message = LineWriter.write_message

    def write(self: LineWriter, message: Any) -> None:
        if message.to_dict()["type"] == "STATE":
            writer._write_all(bytearray(self.serialize_message(message) + b"\n"))
        else:
            write_message(self, message)

    _replace(LineWriter, "write_message", write)


def error_swallowed() -> None:
    """Forget what failed."""
    sync_all = TapCDPExport.sync_all

    def sync_and_forget(self: TapCDPExport) -> None:
        sync_all(self)
        self.errors.clear()

    _replace(TapCDPExport, "sync_all", sync_and_forget)


def truncated_gzip_accepted() -> None:
    """Inflate what is there, ask for no trailer, as HTTP libraries do, and take the whole lines of it."""

    def gunzip(head: bytes, rest: Iterator[bytes]) -> Iterator[bytes]:
        inflater = zlib.decompressobj(31)
        text = b"".join(inflater.decompress(chunk) for chunk in (head, *rest))
        yield text[: text.rfind(b"\n") + 1] or text

    _replace(compression, "_gunzip", gunzip)


def redirect_followed() -> None:
    """Follow redirects, and take the credentials along."""
    request = requests.Session.request

    def follow(self: requests.Session, *args: Any, **options: Any) -> requests.Response:
        return request(self, *args, **{**options, "allow_redirects": True})

    _replace(requests.Session, "request", follow)
    _replace(requests.Session, "rebuild_auth", lambda *_: None)


def failed_export_polled_for_ever() -> None:
    """Take 503 on a poll for "not yet"."""
    apsis_client._POLL_ANSWERS[503] = ExportStatus.PENDING


def export_asked_for_twice() -> None:
    """Send each request for an export a second time."""
    ask = apsis_client.ApsisExporter.request_export

    def ask_twice(self: apsis_client.ApsisExporter, request: Any) -> ExportJob:
        ask(self, request)
        return ask(self, request)

    _replace(apsis_client.ApsisExporter, "request_export", ask_twice)


def answer_not_waited_for() -> None:
    """Let a signal end the wait for the answer to a request for an export."""
    _replace(StopSignal, "finishing", lambda _self: nullcontext())


def job_dropped_on_404() -> None:
    """Take "not ready" for "unknown"."""
    apsis_client._POLL_ANSWERS[404] = ExportStatus.GONE


def job_deleted_not_nulled() -> None:
    """Take the finished export out of STATE, which a host that merges never notices."""

    def replace(self: ExportStream, change: Mapping[str, Any]) -> None:
        state = {**self.stream_state, **change}
        self._tap.state["bookmarks"][self.name] = {key: value for key, value in state.items() if value is not None}

    _replace(ExportStream, "_replace_state", replace)


def page_loop() -> None:
    """Never notice that a page came before."""
    _replace(pages._Repetition, "end_page", lambda _self: None)


def handler_that_raises_anywhere() -> None:
    """Raise from the signal handler, wherever the process is."""

    def reference(_self: StopSignal, number: int, _frame: object) -> None:
        raise Interrupted(number)

    _replace(StopSignal, "_handle", reference)


def short_write_ignored() -> None:
    """Write once, and take it for written."""

    def write(data: bytearray) -> None:
        stdout: Any = sys.stdout
        getattr(stdout.buffer, "raw", stdout.buffer).write(data)

    _replace(writer, "_write_all", write)


def exception_with_url() -> None:
    """Put the library's words into the message."""
    _replace(network_errors, "explain", lambda failure, _host: str(failure))
    _replace(Redactor, "redact", lambda _self, text: text)


def local_time_for_the_window_end() -> None:
    """Take the machine's zone for UTC."""
    end = ExportSource.end

    def local_end(self: ExportSource[Any], *lead: timedelta) -> datetime:
        return datetime.fromtimestamp(end(self, *lead).timestamp()).replace(tzinfo=UTC)  # noqa: DTZ006 -- the mistake itself

    _replace(ExportSource, "end", local_end)


def download_url_in_state() -> None:
    """Keep the download URL, which is a secret, where hosts print and store it."""
    to_state = ExportJob.to_state
    _replace(ExportJob, "to_state", lambda self: {**to_state(self), "url": self.secret})


def bookmark_of_a_series_before_its_rows() -> None:
    """Move the bookmark to the end of the run before anything is read."""
    read = Reading.read

    def commit_first(self: Reading, subjects: Iterable[Subject], window: Days, gaps: Gaps) -> date | None:
        subjects = list(subjects)
        for stream in self._streams:
            stream.commit_days(self._end.date(), subjects, (), timedelta(0))
            stream.write_state()
        return read(self, subjects, window, gaps)

    _replace(Reading, "read", commit_first)
