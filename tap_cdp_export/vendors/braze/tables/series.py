"""Series by day: what is read when, and when the bookmark moves (docs/vendors/endpoints.md, B.3, B.5 and B.6).

A series belongs to a subject: a campaign, an app, an event. The bookmark is the last whole day of which every subject
that STATE remembers has been read. All subjects are read window by window, so that a run that is killed loses one
window at most, whatever the number of subjects. A subject that STATE does not remember is first read from `start_date`
up to the bookmark.
"""

from __future__ import annotations

import hashlib
from base64 import urlsafe_b64encode
from dataclasses import dataclass
from datetime import date, timedelta
from functools import partial
from typing import TYPE_CHECKING, Any, ClassVar, Final, TypeAlias, cast

from tap_cdp_export.records.batch import batch_of
from tap_cdp_export.vendors.braze.tables.days import DAY, Days, last_whole_day, windows
from tap_cdp_export.vendors.braze.tables.one_by_one import OneByOne
from tap_cdp_export.vendors.braze.tables.stream import TableSource, TableStream

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping
    from datetime import datetime

    from tap_cdp_export.vendors.braze.tables.endpoint import Answer
    from tap_cdp_export.vendors.braze.tables.spans import Span

Asked: TypeAlias = "tuple[Subject, Days]"
"""Which days of what a request asks for."""
_SUBJECTS: Final = "subjects"
"""Key in STATE of what has been read up to the bookmark."""
_ENDED: Final = "ended_subjects"
"""The same of what has been read up to the end of its series, which lies before the bookmark."""
_DIGEST_BYTES: Final = 6


@dataclass(frozen=True)
class Subject:
    """What a series belongs to.

    Attributes:
        name: what names it in messages and, as a digest, in STATE.
        params: the query parameters that ask for it.
        keys: the key columns that it fills.
        span: days of its first and last send or entry.
    """

    name: str
    params: Mapping[str, str]
    keys: Mapping[str, str]
    span: Span = (None, None)

    @property
    def digest(self) -> str:
        """Eight characters that stand for the name in STATE."""
        return urlsafe_b64encode(hashlib.sha256(self.name.encode()).digest()[:_DIGEST_BYTES]).decode()

    def days(self, lookback: timedelta) -> Span:
        """Return the first and last day that are read.

        Args:
            lookback: how long after its last send or entry it is read.

        Returns:
            The days; None without a bound.
        """
        first, last = self.span
        return first, last and min(last, date.max - lookback) + lookback

    def has_ended(self, day: date, lookback: timedelta) -> bool:
        """Return whether the last day that is read lies before another one."""
        _, last = self.days(lookback)
        return last is not None and last < day


class SeriesStream(TableStream):
    """One or more rows for each subject and day.

    Attributes:
        longest: how many days a request may ask for.
        params: query parameters that the stream needs.
    """

    replication_key = "date"
    is_full_snapshot = False  # a sync reads from the bookmark on
    longest: ClassVar[int] = 100
    params: ClassVar[Mapping[str, str]] = {}

    def series_in(self, answer: Answer) -> list[Any]:
        """Return the days in an answer.

        Args:
            answer: of the endpoint.

        Returns:
            One object a day, with its date in `time`.
        """
        return self.endpoint.items(answer)

    def rows(self, day: Mapping[str, Any], keys: Mapping[str, str]) -> Iterator[dict[str, Any]]:
        """Make the records of one day.

        Args:
            day: the vendor's object.
            keys: the key columns, `date` included.

        Yields:
            Records.
        """
        yield self.record({name: value for name, value in day.items() if name != "time"}, **keys)

    @property
    def last_day(self) -> date | None:
        """The bookmark as a day."""
        bookmark = self.bookmark()
        return bookmark.date() if bookmark else None

    def has_read(self, subject: Subject, lookback: timedelta) -> bool:
        """Return whether all days of a subject up to the bookmark were read.

        Args:
            subject: one that there is now.
            lookback: how long after its last send or entry it is read.

        Returns:
            False for one that is new, was passed over, or is in use again after its series had ended.
        """
        bookmark = self.last_day
        has_ended = bool(bookmark and subject.has_ended(bookmark, lookback))
        return subject.digest in self._digests(_SUBJECTS) or (has_ended and subject.digest in self._digests(_ENDED))

    def _digests(self, name: str) -> set[str]:
        listed = self.stream_state.get(name)
        return {text for text in listed if isinstance(text, str)} if isinstance(listed, list) else set()

    def commit_days(self, last: date | None, subjects: Iterable[Subject], lookback: timedelta) -> None:
        """Move the bookmark, and remember what was read up to it; `write_state` writes both.

        Args:
            last: the last whole day that was read; None leaves the bookmark where it is.
            subjects: those that were read.
            lookback: how long after its last send or entry a subject is read.
        """
        self._write_batches()  # STATE must not be ahead of the records
        before = self.last_day
        bookmark = max((day for day in (last, before) if day), default=None)
        if bookmark is None:
            return
        if last and before and last < before:  # a window that only another stream had not read yet
            subjects = [subject for subject in subjects if self.has_read(subject, lookback)]
        ended = {subject.digest for subject in subjects if subject.has_ended(bookmark, lookback)}
        self._replace_state(
            {
                "replication_key": self.replication_key,
                "replication_key_value": bookmark.isoformat(),
                _SUBJECTS: sorted({subject.digest for subject in subjects} - ended),
                _ENDED: sorted(ended),
            }
        )


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
        reading = _Reading(self, streams, requests, end)
        longest = streams[0].longest
        start = self.start_date()
        first = self._first_day(streams)
        reach = list(windows(start.date() if start else first, end.date(), longest, is_open=True))
        everything = partial(reading.latest, subjects, reach)
        new = self._new(streams, subjects, first)
        before = self._last_read(streams) if new else None
        if new and not start:
            streams[0].logger.warning(
                "%s: %d of %d are new, or were passed over by an earlier run. They are read from %s on; a run with "
                "start_date reads what came before.",
                ", ".join(self.selected),
                len(new),
                len(subjects),
                first,
            )
        new_names = {subject.name for subject in new}
        known = [subject for subject in subjects if subject.name not in new_names]
        for window in windows(first, end.date(), longest, is_open=True):
            last = reading.read(subjects, window, everything)
            whole = last_whole_day(last if window.is_open else window.last + DAY, end)
            if len(requests.refused) == len(subjects):  # no other one has an answer, now or in its ended series
                requests.check()
            self._commit(streams, whole, known, requests)
            streams[0].log("%s: read from %s to %s.", ", ".join(self.selected), window.first, window.last)
        if start and before and before <= end.date():  # an earlier end_date would leave a gap up to the bookmark
            for window in windows(start.date(), before, longest, is_open=False):
                reading.read(new, window, everything)
            self._commit(streams, None, subjects, requests)

    def _commit(
        self, streams: list[SeriesStream], last: date | None, subjects: list[Subject], requests: OneByOne
    ) -> None:
        read = [subject for subject in subjects if subject.name not in requests.refused]
        for stream in streams:
            stream.commit_days(last, read, self.lookback)
        streams[0].write_state()

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

    def _new(self, streams: list[SeriesStream], subjects: list[Subject], first: date) -> list[Subject]:
        """Return the subjects with days before the first one of the run that were not read.

        There are none on a first run, which reads all of them.
        """
        if not all(stream.last_day for stream in streams):
            return []
        return [
            subject
            for subject in subjects
            if (subject.span[0] is None or subject.span[0] < first)
            and not all(one.has_read(subject, self.lookback) for one in streams)
        ]

    @property
    def lookback(self) -> timedelta:
        """How far before the bookmark the series are read again."""
        return timedelta(days=self.settings["series_lookback_days"])


class _Reading:
    """Asks for windows of many subjects, several at the same time, and writes the rows in order."""

    def __init__(self, source: SeriesSource, streams: list[SeriesStream], requests: OneByOne, end: datetime) -> None:
        self._source = source
        self._streams = streams
        self._requests = requests
        self._end = end
        self._params = {name: value for stream in streams for name, value in stream.params.items()}

    def latest(self, subjects: Iterable[Subject], reach: Iterable[Days]) -> list[Asked]:
        """Return the latest window of each subject that was in use.

        Args:
            subjects: all of the run.
            reach: all windows of the run, in order.

        Returns:
            Those in use in an early window first.
        """
        latest = {subject.name: (subject, days) for window in reach for subject, days in self._wanted(subjects, window)}
        return list(latest.values())

    def read(self, subjects: Iterable[Subject], window: Days, everything: Callable[[], list[Asked]]) -> date | None:
        """Read a window of each subject that was in use in it.

        Args:
            subjects: what to ask for.
            window: the days.
            everything: as of `OneByOne.answers`.

        Returns:
            The earliest of the last days that the answers held; None without any.
        """
        last_days = []
        wanted = self._wanted(subjects, window)
        for (subject, days), answer in self._requests.answers(wanted, self._ask, _name, everything):
            returned = self._write(subject, days, answer)
            if returned and days.is_open:
                last_days.append(returned)
        return min(last_days, default=None)

    def _wanted(self, subjects: Iterable[Subject], window: Days) -> Iterator[Asked]:
        for subject in subjects:
            days = window.within(*subject.days(self._source.lookback))
            if days:
                yield subject, days

    def _ask(self, item: Asked) -> Answer:
        subject, days = item
        params = {**self._params, **subject.params, **days.request(self._end)}
        return self._streams[0].endpoint.get(self._source.client, params)

    def _write(self, subject: Subject, days: Days, answer: Answer) -> date | None:
        """Write the rows of one answer, and return its last day."""
        stream, *_ = self._streams
        dated = [(_date(item), item) for item in stream.series_in(answer)]
        if not all(day for day, _ in dated):
            raise stream.endpoint.not_as_documented(answer)
        wanted = [(day, item) for day, item in dated if day and day in days]
        for stream in self._streams:
            rows = [row for day, item in wanted for row in stream.rows(item, {**subject.keys, "date": day.isoformat()})]
            stream.write(batch_of(rows))
        return max((day for day, _ in dated if day), default=None)


def _name(item: Asked) -> str:
    return item[0].name


def _date(item: object) -> date | None:
    text = item.get("time") if isinstance(item, dict) else None
    try:
        return date.fromisoformat(text[:10]) if isinstance(text, str) else None
    except ValueError:
        return None
