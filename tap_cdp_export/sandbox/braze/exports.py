"""Braze's running exports: one a segment, a hundred a company, ready after some polls or some time."""

from __future__ import annotations

import asyncio
import secrets
import time
import uuid
from typing import TYPE_CHECKING, Any

import msgspec
from msgspec import Struct

from tap_cdp_export.sandbox.braze import export_users
from tap_cdp_export.sandbox.braze.archive import gzipped, zipped
from tap_cdp_export.sandbox.braze.bucket import drop_parts, folder_of
from tap_cdp_export.sandbox.braze.callback import post_json
from tap_cdp_export.sandbox.clock import HOUR
from tap_cdp_export.sandbox.responses import unchecked

if TYPE_CHECKING:
    from collections.abc import Coroutine, Iterator

    from tap_cdp_export.sandbox.options import Options
    from tap_cdp_export.sandbox.population import Population
    from tap_cdp_export.sandbox.request_log import RequestLog

_MOST_EXPORTS = 100


class Asked(Struct, frozen=True):
    """What an export was asked for."""

    segment: export_users.Segment
    style: export_users.Style
    output_format: str
    callback_endpoint: str | None


class Export(Struct):
    """An export that was accepted. `at` and `ready_at` are the sandbox's time."""

    prefix: str
    token: str  # the url itself is the secret
    asked: Asked
    at: int
    broken_lines: int
    state: str = "running"  # then "ready", "failed" or "cancelled"
    polls: int = 0
    ready_at: int = 0


class Exports:
    """All exports of this sandbox, by the token in their url."""

    def __init__(self, options: Options, population: Population, request_log: RequestLog) -> None:
        """Begin with none."""
        self._options = options
        self._population = population
        self._request_log = request_log
        self._exports: dict[str, Export] = {}
        self._tasks: set[asyncio.Task[None]] = set()

    def find(self, token: str) -> Export | None:
        """The export with this token in its url."""
        return self._exports.get(token)

    def running(self, segment: str | None = None) -> list[Export]:
        """The exports that run, of one segment or of all."""
        return [
            export
            for export in self._exports.values()
            if export.state == "running" and segment in (None, export.asked.segment.identifier)
        ]

    @property
    def full(self) -> bool:
        """Whether as many exports run as a company may have."""
        return len(self.running()) + self._options.braze.other_exports >= _MOST_EXPORTS

    def begin(self, asked: Asked, storage_url: str) -> Export:
        """Accept an export; its work has not begun."""
        options = self._options.braze
        prefix = f"{uuid.uuid4()}-{int(time.time())}"
        export = Export(prefix, secrets.token_urlsafe(32), asked, self._population.now(), options.broken_lines)
        self._exports[export.token] = export
        self._request_log.export_opened(asked.segment.identifier)
        if options.bucket_folder is not None:
            self._start(self._fill_bucket(export, options.bucket_folder))
        elif options.ready_after_seconds is not None:
            self._start(self._end_later(export, options.ready_after_seconds, storage_url))
        return export

    def touch(self, export: Export, storage_url: str) -> None:
        """Somebody asked for the url, or in vain for the segment: time goes on for a running export."""
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
        """Whether the url of a ready export has outlived its hours."""
        return self._population.now() >= export.ready_at + self._options.braze.url_hours * HOUR

    def lines(self, export: Export) -> Iterator[bytes]:
        """The export's lines, one user each, with the oddities that are switched on."""
        options = self._options.braze
        asked, broken, written = export.asked, export.broken_lines, 0
        earlier = b""
        if options.raw_line:
            yield unchecked(options.raw_line) + b"\n"
        for customer in self._population.customers(export.at):
            if not export_users.contains(asked.segment, customer):
                continue
            line = msgspec.json.encode(export_users.user(customer, asked.style)) + b"\n"
            written += 1
            yield line if written > broken else line[: len(line) // 2] + b"\n"
            if options.blank_lines and written % 10 == 1:
                yield b"\n"
            if options.repeat_every and written % options.repeat_every == 0:
                yield earlier or line
            earlier = line

    def archive(self, export: Export) -> Iterator[bytes]:
        """The export's archive; downloads of the same url are the same."""
        options = self._options.braze
        form = export.asked.output_format if options.archive == "asked" else options.archive
        lines = self.lines(export)
        return gzipped(lines) if form == "gzip" else zipped(lines, options, export.token)

    def _end(self, export: Export, storage_url: str | None) -> None:
        """The work is done, unless the options want it otherwise."""
        options = self._options.braze
        empty = options.empty_segment == "never_ready" and next(self.lines(export), None) is None
        if options.outcome == "never" or empty or export.state != "running":
            return
        if options.outcome == "fails":
            self._close(export, "failed")
            return
        export.ready_at = self._population.now()
        self._close(export, "ready")
        if export.asked.callback_endpoint:
            message: dict[str, Any] = {"success": True}
            if storage_url:
                message["url"] = url_of(export, storage_url, options.url_query)
            self._start(post_json(export.asked.callback_endpoint, message))

    def _close(self, export: Export, state: str) -> None:
        export.state = state
        self._request_log.export_closed(export.asked.segment.identifier)

    async def _end_later(self, export: Export, seconds: float, storage_url: str) -> None:
        await asyncio.sleep(seconds)
        self._end(export, storage_url)

    async def _fill_bucket(self, export: Export, folder: str) -> None:
        """The company's own bucket: archives appear one by one, and nothing says when the last has come."""
        options, asked = self._options.braze, export.asked
        parent = folder_of(folder, asked.segment.identifier, export.prefix, options.bucket_day_shift)
        gzip = asked.output_format == "gzip"
        async for _ in drop_parts(parent, self.lines(export), options, gzip=gzip):
            if export.state != "running":
                return
        self._end(export, None)

    def _start(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)


def url_of(export: Export, storage_url: str, query: str) -> str:
    """Where the export's archive will be."""
    return f"{storage_url}/{export.token}.zip{query}"
