"""Whole days: which of them to ask for, and in which requests.

The days of a series are those of the company's time zone, which no endpoint tells. Whether the day of `ending_at` is
among the days of an answer is not documented for every series either. So a request for the days a to b ends a day after
b, at noon in UTC, which is the same date everywhere from UTC-12 to UTC+11, and is two days longer than that.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterator

DAY: Final = timedelta(days=1)
_NOON: Final = time(12, tzinfo=UTC)
_LAST_ZONE: Final = timedelta(hours=12)
"""How far the last time zone is behind UTC."""
_OVERLAP_DAYS: Final = 2
RECENT: Final = timedelta(days=3)
"""How far back the open window reaches at least: the last days may not be returned yet, and only it looks for them."""


@dataclass(frozen=True)
class Days:
    """Days that are read.

    Attributes:
        first: the first one.
        last: the last one; those after it are not wanted, except where `is_open`.
        is_open: whether all days after `last` that there are belong to it.
    """

    first: date
    last: date
    is_open: bool = False

    def __contains__(self, day: date) -> bool:
        """Return whether a day is wanted."""
        return self.first <= day and (self.is_open or day <= self.last)

    def within(self, first: date | None, last: date | None) -> Days | None:
        """Return the part that lies in a span; None if there is none.

        Args:
            first: first day of the span; None without a bound.
            last: its last day; None without a bound.
        """
        begin = max(self.first, first) if first else self.first
        if last and last < self.last:
            return Days(begin, last) if begin <= last else None
        return Days(begin, self.last, self.is_open) if begin <= self.last else None

    def request(self, end: datetime) -> dict[str, str | int]:
        """Give the parameters that ask for at least these days.

        Args:
            end: the time of the run or `end_date`; a later one is never sent.

        Returns:
            `length` in days, and `ending_at`.
        """
        ending_at = end if self.is_open else min(datetime.combine(self.last + DAY, _NOON), end)
        return {
            "ending_at": f"{ending_at:%Y-%m-%dT%H:%M:%SZ}",
            "length": max((ending_at.date() - self.first).days + _OVERLAP_DAYS, 1),
        }


def windows(first: date, last: date, longest: int, *, is_open: bool) -> Iterator[Days]:
    """Cut days into windows.

    Args:
        first: the first day.
        last: the last day; nothing is yielded if it is before `first`.
        longest: the longest `length` that the vendor takes, in days.
        is_open: whether the days after `last` belong to the last window.

    Yields:
        The windows, in order.
    """
    step = timedelta(days=longest - _OVERLAP_DAYS)
    while first <= last:
        next_first = first + step
        if next_first > last:
            yield Days(first, last, is_open)
        else:
            next_first = min(next_first, last - RECENT) if is_open else next_first
            yield Days(first, next_first - DAY)
        first = next_first


def last_whole_day(last_returned: date | None, end: datetime) -> date:
    """Return the last day whose figures cannot grow any more because it goes on.

    Args:
        last_returned: the last day that was returned; None if none was.
        end: the time of the run.

    Returns:
        The day before it, but not later than yesterday in the last time zone.
    """
    yesterday = (end - _LAST_ZONE).date() - DAY
    return min(last_returned - DAY, yesterday) if last_returned else yesterday
