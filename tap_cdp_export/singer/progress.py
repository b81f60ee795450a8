"""Report the progress of a run: lines in the log, or a live line on a terminal, and a summary at its end.

A thread looks at the streams and at `files.activity` from time to time. So nothing is counted for it while records are
written, and a run that waits is reported too. The live line is tqdm's, which takes 0.03 s to import (rich takes 0.15).
"""

from __future__ import annotations

import logging
import os
import re
import sys
import threading
import time
from collections import deque
from contextlib import ExitStack, suppress
from typing import TYPE_CHECKING, Any, Final, Self

from tap_cdp_export.files.activity import ACTIVITY, size_text
from tap_cdp_export.windows import duration_text

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tap_cdp_export.singer.stream import ExportStream

logger = logging.getLogger(__name__)

LINE_SECONDS: Final = 25.0
"""Time between two lines of the log; a reader is told of progress at least every 30 seconds."""

_LIVE_SECONDS: Final = 0.5
_END_SECONDS: Final = 1.0  # for the thread's last line, where nobody reads the log
_RATE_SECONDS: Final = 30.0
_DEFAULT_COLUMNS: Final = 80
_BAR_COLUMNS: Final = 20
_LEAST_DOWNLOAD: Final = 1_000_000  # smaller ones, such as pages, are over before they can be read about
_MOST_NAMES: Final = 3
_BOOKMARK: Final = re.compile(r"[0-9T:.Z+-]{10,32}")


class Progress:
    """A context in which progress is reported; at its end each stream is summed up."""

    def __init__(self, streams: Sequence[ExportStream]) -> None:
        """Initialize; nothing is reported yet.

        Args:
            streams: the selected streams.
        """
        self._streams = streams
        self._rates = {"bytes": _Rate(), "records": _Rate()}
        self._ended = threading.Event()
        self._resources = ExitStack()
        self._bar: Any = None

    def __enter__(self) -> Self:
        """Start the thread, and the live line if stderr is a terminal."""
        if is_live():
            self._open_live_line()
        thread = threading.Thread(target=self._report, name="progress", daemon=True)
        with suppress(RuntimeError):  # the system allows no more threads; the run itself may need none
            thread.start()
            self._resources.callback(thread.join, _END_SECONDS)
        self._resources.callback(self._ended.set)
        return self

    def __exit__(self, *_exception: object) -> None:
        """End the thread, and sum up each stream."""
        self._resources.close()
        if self._bar is not None:
            sys.stderr.write(table(self._streams))
            return
        for stream in self._streams:
            logger.log(logging.INFO if stream.tally.is_whole else logging.WARNING, "%s", summary(stream))

    def _open_live_line(self) -> None:
        from tqdm.contrib.logging import logging_redirect_tqdm  # noqa: PLC0415 -- needed on a terminal only
        from tqdm.std import tqdm  # noqa: PLC0415 -- as above

        tqdm.monitor_interval = 0  # it would be one more thread
        tqdm.set_lock(threading.RLock())  # its own lock is shared between processes, and slow to create
        self._bar = self._resources.enter_context(tqdm(file=sys.stderr, leave=False, bar_format="{desc}"))
        self._resources.enter_context(logging_redirect_tqdm(tqdm_class=tqdm))

    def _report(self) -> None:
        while not self._ended.wait(LINE_SECONDS if self._bar is None else _LIVE_SECONDS):
            text, fraction = self.look()
            if self._bar is None:
                logger.info("%s", text)
            else:
                self._draw(text, fraction)

    def _draw(self, text: str, fraction: float | None) -> None:
        columns = os.get_terminal_size(sys.stderr.fileno()).columns or _DEFAULT_COLUMNS  # some terminals do not tell
        columns -= 1  # with all of them some begin another line
        self._bar.ncols = columns
        if fraction is None:
            self._bar.total, self._bar.n, self._bar.bar_format = None, 0, "{desc}"
        else:
            self._bar.total, self._bar.n, self._bar.bar_format = 1.0, fraction, "{desc} {percentage:3.0f}%|{bar}|"
            columns = max(columns - _BAR_COLUMNS, 0)
        self._bar.set_description_str(text[:columns])

    def look(self) -> tuple[str, float | None]:
        """Look at what the run does, and how far it is.

        Returns:
            A text such as `users: downloading, 12.0 MB of 48.0 MB, 3.0 MB a second, 12 s left`, and the
            fraction of the file that is done, if it is known.
        """
        running = [stream for stream in self._streams if stream.tally.is_running]
        phase = ACTIVITY.phase
        file, done, total, parts = None, 0, 0, ["starting"]
        if phase:
            parts = list(filter(None, (phase.text, phase.detail())))
            file = phase.file
        elif running:
            parts = []
        if file:
            done, total = file.position, file.size
        elif large := [spool for spool in tuple(ACTIVITY.downloads) if spool.size >= _LEAST_DOWNLOAD]:
            file, parts = large[0], ["downloading"]
            done, total = file.size, file.announced_size
        elif phase and not phase.detail():
            parts.append(f"{duration_text(time.monotonic() - phase.began)} so far")
        records = sum(stream.tally.records for stream in running)
        if records or not parts:
            rate = self._rates["records"].of(records, of=len(running))
            parts.append(f"{records:,} records" + (f", {rate:,.0f} a second" if rate else ""))
        if file:
            parts.append(f"{size_text(done)} of {size_text(total)}" if total else size_text(done))
            if rate := self._rates["bytes"].of(done, of=id(file)):
                parts += [f"{size_text(rate)} a second"] * (parts[0] == "downloading")
                parts += [f"{duration_text((total - done) / rate)} left"] * (total > done)
        return f"{_names(running)}{', '.join(parts)}", min(done / total, 1.0) if total else None


class _Rate:
    """How fast a number has grown over the last 30 seconds."""

    def __init__(self) -> None:
        self._subject: object = None
        self._seen: deque[tuple[float, int]] = deque()

    def of(self, number: int, *, of: object) -> float:
        """Add the current number, and return its growth a second; 0 if it is not known yet.

        Args:
            number: the current number.
            of: what is counted; the count begins anew with another one.
        """
        if of != self._subject or (self._seen and number < self._seen[-1][1]):
            self._subject = of
            self._seen.clear()
        now = time.monotonic()
        self._seen.append((now, number))
        while len(self._seen) > 2 and now - self._seen[1][0] > _RATE_SECONDS:  # noqa: PLR2004 -- two points make a rate
            self._seen.popleft()
        start, first = self._seen[0]
        return (number - first) / (now - start) if now > start else 0.0


def is_live() -> bool:
    """Return whether there is a terminal for a live line: stderr, unless records or a log of another form go there."""
    streams = (sys.stdout, sys.stderr)
    is_shown = logger.isEnabledFor(logging.INFO) and "SINGER_SDK_LOG_CONFIG" not in os.environ
    return is_shown and [bool(stream and stream.isatty()) for stream in streams] == [False, True]


def summary(stream: ExportStream) -> str:
    """Sum up a stream in one line.

    Args:
        stream: after the run.

    Returns:
        Such as `users: 1,061 records in 0.1 s, bookmark 2026-11-10T12:00:00.000Z.`
    """
    records, seconds, bookmark = stream.tally.records, stream.tally.seconds, _bookmark(stream)
    text = "" if stream.tally.is_whole else "not whole, "
    text += f"{records:,} records" + (f" in {duration_text(seconds)}" if seconds is not None else "")
    return f"{stream.name}: {text}{f', bookmark {bookmark}' if bookmark else ''}."


def table(streams: Sequence[ExportStream]) -> str:
    """Sum up all streams in a table.

    Args:
        streams: after the run.

    Returns:
        Lines: a heading, and one a stream.
    """
    rows = [("stream", "records", "seconds", "bookmark", "")]
    for stream in streams:
        seconds = "" if stream.tally.seconds is None else f"{stream.tally.seconds:,.1f}"
        result = "whole" if stream.tally.is_whole else "not whole"
        rows.append((stream.name, f"{stream.tally.records:,}", seconds, _bookmark(stream), result))
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    lines = [
        f"{name:{widths[0]}}  {records:>{widths[1]}}  {seconds:>{widths[2]}}  {bookmark:{widths[3]}}  {result}".rstrip()
        for name, records, seconds, bookmark, result in rows
    ]
    return "\n".join(lines) + "\n"


def _bookmark(stream: ExportStream) -> str:
    """Return the bookmark, if it is a time: STATE may come from anywhere."""
    text = stream.bookmark_text
    return text if isinstance(text, str) and _BOOKMARK.fullmatch(text) else ""


def _names(streams: Sequence[ExportStream]) -> str:
    names = [stream.name for stream in streams]
    if len(names) > _MOST_NAMES:
        names = [*names[: _MOST_NAMES - 1], f"{len(names) - _MOST_NAMES + 1} others"]
    return f"{', '.join(names)}: " if names else ""
