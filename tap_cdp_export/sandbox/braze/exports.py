"""Exports of Braze: one per segment and a hundred per company at a time, ready after some polls or some time."""

from __future__ import annotations

import asyncio
import secrets
import time
import uuid
from typing import TYPE_CHECKING, Any

import msgspec
from msgspec import Struct

from tap_cdp_export.sandbox.braze import export_users
from tap_cdp_export.sandbox.braze.archive import zipped
from tap_cdp_export.sandbox.braze.bucket import folder_of, write_archives
from tap_cdp_export.sandbox.braze.callback import post_json
from tap_cdp_export.sandbox.clock import HOUR
from tap_cdp_export.sandbox.responses import gzipped, unchecked

if TYPE_CHECKING:
    from collections.abc import Coroutine, Iterable, Iterator

    from tap_cdp_export.sandbox.options import Options
    from tap_cdp_export.sandbox.population import Population
    from tap_cdp_export.sandbox.request_log import RequestLog

_MOST_EXPORTS = 100


class ExportRequest(Struct, frozen=True):
    """Content of an export request."""

    segment: export_users.Segment
    style: export_users.Style
    output_format: str
    callback_endpoint: str | None


class Export(Struct):
    """An accepted export. `at` and `ready_at` are times of the sandbox."""

    prefix: str
    token: str  # secret part of the URL
    request: ExportRequest
    at: int
    broken_lines: int
    state: str = "running"  # then "ready", "failed" or "cancelled"
    polls: int = 0
    ready_at: int = 0
    is_short_lived: bool = False


class Exports:
    """All exports of the sandbox, by the token in their URL."""

    def __init__(self, options: Options, population: Population, request_log: RequestLog) -> None:
        """Start without exports."""
        self._options = options
        self._population = population
        self._request_log = request_log
        self._exports: dict[str, Export] = {}
        self._tasks: set[asyncio.Task[None]] = set()

    def find(self, token: str) -> Export | None:
        """Export with this token in its URL, or None."""
        return self._exports.get(token)

    def running(self, segment: str | None = None) -> list[Export]:
        """Running exports, of one segment or of all."""
        return [
            export
            for export in self._exports.values()
            if export.state == "running" and segment in (None, export.request.segment.identifier)
        ]

    @property
    def full(self) -> bool:
        """True if the limit of running exports is reached."""
        return len(self.running()) + self._options.braze.other_exports >= _MOST_EXPORTS

    def begin(self, request: ExportRequest, storage_url: str) -> Export:
        """Accept an export."""
        options = self._options.braze
        prefix = f"{uuid.uuid4()}-{int(time.time())}"
        if options.prefix_form == "other":
            prefix = f"export.{uuid.uuid4().hex}"
        export = Export(prefix, secrets.token_urlsafe(32), request, self._population.now(), options.broken_lines)
        if options.expired_exports:
            options.expired_exports -= 1
            export.is_short_lived = True
        self._exports[export.token] = export
        self._request_log.export_opened(request.segment.identifier)
        if options.bucket_folder is not None:
            self._start_task(self._fill_bucket(export, options.bucket_folder))
        elif options.ready_after_seconds is not None:
            self._start_task(self._end_later(export, options.ready_after_seconds, storage_url))
        return export

    def record_poll(self, export: Export, storage_url: str) -> None:
        """Count a poll of the URL, or a refused request for the segment; a running export may become ready."""
        options = self._options.braze
        export.polls += 1
        by_polls = options.ready_after_seconds is None and options.bucket_folder is None
        if export.state == "running" and by_polls and export.polls > options.polls_before_ready:
            self._end(export, storage_url)

    def cancel(self, segment: str) -> None:
        """Cancel every running export of a segment."""
        for export in self.running(segment):
            self._close(export, "cancelled")

    def expired(self, export: Export) -> bool:
        """Return True if the URL of a ready export has expired."""
        hours = 0 if export.is_short_lived else self._options.braze.url_hours
        return self._population.now() >= export.ready_at + hours * HOUR

    def lines(self, export: Export) -> Iterator[bytes]:
        """Yield the lines of the export, one for each user, with the irregularities that the options ask for."""
        options = self._options.braze
        request, broken_lines, line_number = export.request, export.broken_lines, 0
        previous_line = b""
        if options.raw_line:
            yield unchecked(options.raw_line) + b"\n"
        for customer in self._population.customers(export.at):
            if not export_users.contains(request.segment, customer):
                continue
            line = msgspec.json.encode(export_users.user(customer, request.style)) + b"\n"
            line_number += 1
            yield line if line_number > broken_lines else line[: len(line) // 2] + b"\n"
            if options.blank_lines and line_number % 10 == 1:
                yield b"\n"
            if options.repeat_every and line_number % options.repeat_every == 0:
                yield previous_line or line
            previous_line = line

    def archive(self, export: Export) -> Iterable[bytes]:
        """Yield the archive of the export; repeated downloads are identical."""
        options = self._options.braze
        output_format = export.request.output_format if options.archive == "asked" else options.archive
        lines = self.lines(export)
        data = gzipped(lines) if output_format == "gzip" else zipped(lines, options, export.token)
        return gzipped(data, options.gzip_layers)

    def _end(self, export: Export, storage_url: str | None) -> None:
        """Finish the export with the outcome that the options ask for."""
        options = self._options.braze
        is_withheld = options.empty_segment == "never_ready" and next(self.lines(export), None) is None
        if options.outcome == "never" or is_withheld or export.state != "running":
            return
        if options.outcome == "fails":
            self._close(export, "failed")
            return
        export.ready_at = self._population.now()
        self._close(export, "ready")
        if export.request.callback_endpoint:
            message: dict[str, Any] = {"success": True}
            if storage_url:
                message["url"] = url_of(export, storage_url, options.url_query)
            self._start_task(post_json(export.request.callback_endpoint, message))

    def _close(self, export: Export, state: str) -> None:
        export.state = state
        self._request_log.export_closed(export.request.segment.identifier)

    async def _end_later(self, export: Export, seconds: float, storage_url: str) -> None:
        await asyncio.sleep(seconds)
        self._end(export, storage_url)

    async def _fill_bucket(self, export: Export, folder: str) -> None:
        """Write the archives into the bucket one by one; nothing marks the last one."""
        options, request = self._options.braze, export.request
        parent = folder_of(folder, request.segment.identifier, export.prefix, options.bucket_day_shift)
        gzip = request.output_format == "gzip"
        async for _ in write_archives(parent, self.lines(export), options, gzip=gzip):
            if export.state != "running":
                return
        self._end(export, None)

    def _start_task(self, coroutine: Coroutine[Any, Any, None]) -> None:
        task = asyncio.get_running_loop().create_task(coroutine)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)


def url_of(export: Export, storage_url: str, query: str) -> str:
    """URL of the export's archive."""
    return f"{storage_url}/{export.token}.zip{query}"
