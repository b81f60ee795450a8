"""Ask for windows of many series, several at the same time, and write the rows in order."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from datetime import date
from functools import cached_property
from typing import TYPE_CHECKING, TypeAlias

from tap_cdp_export.errors import RequestRefused
from tap_cdp_export.records.batch import batch_of
from tap_cdp_export.vendors.braze.tables.days import DAY, Days
from tap_cdp_export.vendors.braze.tables.one_by_one import GONE

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence
    from datetime import datetime, timedelta

    from tap_cdp_export.vendors.braze.api import BrazeApi
    from tap_cdp_export.vendors.braze.tables.endpoint import Answer
    from tap_cdp_export.vendors.braze.tables.gaps import Gaps
    from tap_cdp_export.vendors.braze.tables.one_by_one import OneByOne
    from tap_cdp_export.vendors.braze.tables.series_stream import SeriesStream, Subject

Asked: TypeAlias = "tuple[Subject, Days]"
"""Which days of what a request asks for."""

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class _Partial:
    """The first days of a window, which are refused though later ones are not, and the answer for the others."""

    refused: Days
    refusal: RequestRefused
    rest: tuple[Days, Answer] | None


class Reading:
    """Reads windows of series.

    Attributes:
        is_without_days: whether there were answers for the newest days in the last window that was read, and none held
            a day.
    """

    def __init__(  # noqa: PLR0913 -- what a run consists of
        self,
        client: BrazeApi,
        streams: list[SeriesStream],
        requests: OneByOne,
        subjects: Sequence[Subject],
        reach: Sequence[Days],
        *,
        end: datetime,
        lookback: timedelta,
    ) -> None:
        """Ask for nothing yet.

        Args:
            client: where to ask.
            streams: what the rows are written to.
            requests: sends the requests.
            subjects: all of the run.
            reach: all windows of the run, in order.
            end: the time of the run or `end_date`.
            lookback: how long after its last send or entry a subject is read.
        """
        self._client = client
        self._lookback = lookback
        self._streams = streams
        self._requests = requests
        self._end = end
        self._params = {name: value for stream in streams for name, value in stream.params.items()}
        self._subjects = subjects
        self._reach = reach
        self._present: set[str] = set()  # subjects of which a window was answered
        self._refused_windows = 0
        self.is_without_days = False

    def read(self, subjects: Iterable[Subject], window: Days, gaps: Gaps) -> date | None:
        """Read a window of each subject that was in use in it.

        Args:
            subjects: what to ask for.
            window: the days.
            gaps: notes what came.

        Returns:
            The earliest of the last days that the answers held; None without any.
        """
        last_days = []
        has_open_answer = False
        wanted = self._wanted(subjects, window)
        for (subject, days), answer in self._requests.answers(wanted, self._ask, _name, self._latest_windows):
            rest: tuple[Days, Answer] | None
            if isinstance(answer, _Partial):
                self._warn(subject, answer.refused, answer.refusal)
                gaps.note_refusal(subject.name, answer.refused)
                rest = answer.rest
            else:
                rest = days, answer
            if rest is None:
                continue
            returned = self._write(subject, *rest)
            gaps.note_answer(subject.name, rest[0], {day for day in returned if day in rest[0]})
            has_open_answer = has_open_answer or days.is_open
            if returned and days.is_open:
                last_days.append(max(returned))
        self.is_without_days = has_open_answer and not last_days
        return min(last_days, default=None)

    @cached_property
    def _latest(self) -> dict[str, Asked]:
        """The latest window of each subject by its name; needed only where one is refused."""
        return {one.name: (one, days) for window in self._reach for one, days in self._wanted(self._subjects, window)}

    def _latest_windows(self) -> Sequence[Asked]:
        """Return the latest window of each subject that was in use, those in use in an early window first."""
        return list(self._latest.values())

    def _wanted(self, subjects: Iterable[Subject], window: Days) -> Iterator[Asked]:
        for subject in subjects:
            days = window.within(*subject.days(self._lookback))
            if days:
                yield subject, days

    def _ask(self, item: Asked) -> Answer | _Partial:
        """Ask for a window; if it is refused, find out whether the subject is refused, or some days alone."""
        subject, days = item
        try:
            answer = self._get(item)
        except RequestRefused as refusal:
            latest = self._latest[subject.name]
            if refusal.status not in GONE or days.last >= latest[1].last:
                raise
            if subject.name not in self._present:
                self._get(latest)
                self._present.add(subject.name)
            rest = self._latest_part(subject, days)
            if rest is None:
                return _Partial(days, refusal, None)
            return rest[1] if rest[0] == days else _Partial(Days(days.first, rest[0].first - DAY), refusal, rest)
        self._present.add(subject.name)
        return answer

    def _latest_part(self, subject: Subject, days: Days) -> tuple[Days, Answer] | None:
        """Find the most days up to the last one of a refused window that are not refused, in some nine requests."""
        last_day = Days(days.last, days.last)
        answer = self._answer(subject, last_day)
        if answer is None:
            return None
        found = last_day, answer
        refused, first = days.first - DAY, days.last
        attempt = days  # a second time, as a single refusal may be a gateway's
        while True:
            answer = self._answer(subject, attempt)
            if answer is None:
                refused = attempt.first
            else:
                found, first = (attempt, answer), attempt.first
            if refused + DAY >= first:
                return found
            attempt = Days(refused + (first - refused).days // 2 * DAY, days.last)

    def _answer(self, subject: Subject, days: Days) -> Answer | None:
        try:
            return self._get((subject, days))
        except RequestRefused as refusal:
            if refusal.status not in GONE:
                raise
            return None

    def _get(self, item: Asked) -> Answer:
        subject, days = item
        params = {**self._params, **subject.params, **days.request(self._end)}
        return self._streams[0].endpoint.get(self._client, params)

    def _warn(self, subject: Subject, days: Days, refusal: RequestRefused) -> None:
        """Tell of a refused window; of many, only the first is a warning."""
        logger.log(
            logging.DEBUG if self._refused_windows else logging.WARNING,
            "%s: the days from %s to %s of %s are refused (%s), later ones are not.%s Others are logged at DEBUG.",
            self._streams[0].name,
            days.first,
            days.last,
            subject.name,
            refusal.status,
            refusal.reason,
        )
        self._refused_windows += 1

    def _write(self, subject: Subject, days: Days, answer: Answer) -> set[date]:
        """Write the rows of one answer, and return its days, wanted or not."""
        stream, *_ = self._streams
        dated = [(_date(item), item) for item in stream.series_in(answer)]
        if not all(day for day, _ in dated):
            raise stream.endpoint.not_as_documented(answer)
        wanted = [(day, item) for day, item in dated if day and day in days]
        for stream in self._streams:
            rows = [row for day, item in wanted for row in stream.rows(item, {**subject.keys, "date": day.isoformat()})]
            stream.write(batch_of(rows))
        return {day for day, _ in dated if day}


def _name(item: Asked) -> str:
    return item[0].name


def _date(item: object) -> date | None:
    text = item.get("time") if isinstance(item, dict) else None
    try:
        return date.fromisoformat(text[:10]) if isinstance(text, str) else None
    except ValueError:
        return None
