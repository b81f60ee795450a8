"""Series by day: what is read when, and when the bookmark moves (docs/vendors/endpoints.md, B.3, B.5 and B.6).

A series belongs to a subject: a campaign, an app, an event. The bookmark is the last whole day of which every subject
that STATE remembers has been read. All subjects are read window by window, so that a run that is killed loses one
window at most, whatever the number of subjects. A subject that STATE does not remember is first read from `start_date`
up to the bookmark.
"""

from __future__ import annotations

import logging
from datetime import date, timedelta
from typing import TYPE_CHECKING, cast

from tap_cdp_export.vendors.braze.tables.days import DAY, RECENT, last_whole_day, windows
from tap_cdp_export.vendors.braze.tables.gaps import Gaps
from tap_cdp_export.vendors.braze.tables.one_by_one import OneByOne
from tap_cdp_export.vendors.braze.tables.reading import Reading
from tap_cdp_export.vendors.braze.tables.stream import TableSource

if TYPE_CHECKING:
    from collections.abc import Set as AbstractSet
    from datetime import datetime

    from tap_cdp_export.vendors.braze.tables.series_stream import SeriesStream, Subject

logger = logging.getLogger(__name__)


class SeriesSource(TableSource):
    """Reads series from one endpoint for all streams that are made of its answers."""

    def validate(self) -> None:
        """Check STATE, and that a first run has `start_date`."""
        super().validate()
        for stream in self.selected.values():
            self.start_of(stream)

    def subjects(self) -> list[Subject]:
        """List what there are series of.

        Returns:
            The subjects; a subclass lists its own.
        """
        raise NotImplementedError

    def run(self) -> None:
        """Read window after window of all subjects, then the history of new ones."""
        streams = cast("list[SeriesStream]", list(self.selected.values()))
        subjects = self.subjects()
        end = self.end(self.client.clock_lead)
        requests = OneByOne(streams[0].name, self.parallel_requests)
        longest = streams[0].longest
        start = self.start_date()
        first = self._first_day(streams)
        reach = windows(start.date() if start else first, end.date(), longest, is_open=True)
        reading = Reading(self.client, streams, requests, subjects, list(reach), end=end, lookback=self.lookback)
        read = {one.name for one in subjects if all(stream.has_read(one, self.lookback) for stream in streams)}
        new = self._new(streams, subjects, first, read)
        if new and not start:
            self._warn(
                f"{len(new)} of {len(subjects)} are new, or were passed over by an earlier run. They are read from "
                f"{first} on; a run with start_date reads what came before."
            )
        new_names = {subject.name for subject in new}
        known = [subject for subject in subjects if subject.name not in new_names]
        gaps, past = self._gaps(streams, read, end), self._gaps(streams, set(), end)
        progress = _Progress(streams, subjects, requests.refused, self.lookback, (gaps, past))
        for window in windows(first, end.date(), longest, is_open=True):
            last = reading.read(subjects, window, gaps)
            whole = last_whole_day(last if window.is_open else window.last + DAY, end)
            if len(requests.refused) == len(subjects):  # no other one has an answer, now or in its ended series
                requests.check()
            if reading.is_without_days and streams[0].has_every_day:
                self._warn(f"the answers for {window.first} and later hold no day at all. The next run asks again.")
                return
            progress.commit(whole, known)
            streams[0].log("%s: read from %s to %s.", ", ".join(self.selected), window.first, window.last)
        before = self._last_read(streams) if start and new else None
        if start and before and before <= end.date():  # an earlier end_date would leave a gap up to the bookmark
            for window in windows(start.date(), before, longest, is_open=False):
                reading.read(new, window, past)
            progress.commit(None, subjects)
        if number := sum(map(progress.has_gaps, subjects)):
            self._warn(
                f"the answers for {number} of {len(subjects)} lack days. The next run with start_date reads them once "
                "more from there on."
            )

    def _warn(self, text: str) -> None:
        logger.warning("%s: %s", ", ".join(self.selected), text)

    def _gaps(self, streams: list[SeriesStream], read: AbstractSet[str], end: datetime) -> Gaps:
        """Begin to look for gaps, after the bookmark in the series of those that were read up to it."""
        read_until = dict.fromkeys(read, min(stream.last_day or date.min for stream in streams))
        newest = end.date() - max(RECENT, self.lookback)  # the next run asks for later ones anyway
        return Gaps(read_until, newest, has_every_day=streams[0].has_every_day)

    def _first_day(self, streams: list[SeriesStream]) -> date:
        """Return where all subjects are read from: the lookback before the bookmark, or `start_date`."""
        start = self.start_date()
        days = [stream.last_day for stream in streams]
        bookmarks = [day for day in days if day]
        if len(bookmarks) < len(days):
            return cast("datetime", start).date()  # checked in `validate`
        first = min(bookmarks) - self.lookback
        return max(first, start.date()) if start else first

    @staticmethod
    def _last_read(streams: list[SeriesStream]) -> date:
        """Return the latest bookmark, up to which a new subject has to be read."""
        return max(day for stream in streams if (day := stream.last_day))

    @staticmethod
    def _new(
        streams: list[SeriesStream], subjects: list[Subject], first: date, read: AbstractSet[str]
    ) -> list[Subject]:
        """Return the subjects with days before the first one of the run that were not read.

        There are none on a first run, which reads all of them.
        """
        if not all(stream.last_day for stream in streams):
            return []
        return [
            subject
            for subject in subjects
            if (subject.span[0] is None or subject.span[0] < first) and subject.name not in read
        ]

    @property
    def lookback(self) -> timedelta:
        """How far before the bookmark the series are read again."""
        return timedelta(days=self.settings["series_lookback_days"])


class _Progress:
    """Writes to STATE which subjects count as read."""

    def __init__(
        self,
        streams: list[SeriesStream],
        subjects: list[Subject],
        refused: AbstractSet[str],
        lookback: timedelta,
        gaps: tuple[Gaps, ...],
    ) -> None:
        self._streams = streams
        self._subjects = subjects
        self._refused = refused
        self._lookback = lookback
        self._gaps = gaps
        # what had gaps before counts as read after this run, with or without them: else it might be read for ever
        self._had_gaps = {one.name for one in subjects if all(stream.has_gaps(one) for stream in streams)}

    def has_gaps(self, subject: Subject) -> bool:
        """Return whether days of a subject were missing, for the first time."""
        return subject.name not in self._had_gaps and any(gaps.are_in(subject.name) for gaps in self._gaps)

    def commit(self, last: date | None, subjects: list[Subject]) -> None:
        """Move the bookmark to `last`, and remember those of the subjects that count as read."""
        read = [one for one in subjects if one.name not in self._refused and not self.has_gaps(one)]
        names = {one.name for one in read}
        with_gaps = [
            one
            for one in self._subjects
            if one.name not in names and (one.name in self._had_gaps or self.has_gaps(one))
        ]
        for stream in self._streams:
            stream.commit_days(last, read, with_gaps, self._lookback)
        self._streams[0].write_state()
