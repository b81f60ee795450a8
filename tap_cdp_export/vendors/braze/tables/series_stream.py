"""A stream of figures by day, and what they belong to: a campaign, an app, an event.

STATE remembers which subjects were read up to the bookmark (docs/vendors/endpoints.md, B.3, B.5 and B.6).
"""

from __future__ import annotations

import hashlib
from base64 import urlsafe_b64encode
from dataclasses import dataclass
from datetime import date, timedelta
from typing import TYPE_CHECKING, Any, ClassVar, Final

from tap_cdp_export.vendors.braze.tables.stream import TableStream

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from tap_cdp_export.vendors.braze.tables.endpoint import Answer
    from tap_cdp_export.vendors.braze.tables.spans import Span

_SUBJECTS: Final = "subjects"
"""Key in STATE of what has been read up to the bookmark."""
_ENDED: Final = "ended_subjects"
"""The same of what has been read up to the end of its series, which lies before the bookmark."""
_WITH_GAPS: Final = "subjects_with_gaps"
"""The same of what is read once more, since days were missing; then it counts as read."""
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
        has_every_day: whether an answer holds every day that was asked for, also those without figures; only where a
            source says so.
    """

    replication_key = "date"
    is_full_snapshot = False  # a sync reads from the bookmark on
    longest: ClassVar[int] = 100
    params: ClassVar[Mapping[str, str]] = {}
    has_every_day: ClassVar[bool] = False

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

    def has_gaps(self, subject: Subject) -> bool:
        """Return whether days of a subject were missing in an earlier run, and it was not read again since.

        Args:
            subject: one that there is now.
        """
        return subject.digest in self._digests(_WITH_GAPS)

    def _digests(self, name: str) -> set[str]:
        listed = self.stream_state.get(name)
        return {text for text in listed if isinstance(text, str)} if isinstance(listed, list) else set()

    def commit_days(
        self, last: date | None, subjects: Iterable[Subject], with_gaps: Iterable[Subject], lookback: timedelta
    ) -> None:
        """Move the bookmark, and remember what was read up to it; `write_state` writes both.

        Args:
            last: the last whole day that was read; None leaves the bookmark where it is.
            subjects: those that were read.
            with_gaps: those that the next run reads once more.
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
                _WITH_GAPS: sorted({subject.digest for subject in with_gaps}),
            }
        )
