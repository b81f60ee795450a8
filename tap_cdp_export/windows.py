"""Time windows, and conversion of times.

A time is an aware `datetime` in UTC. In records and in STATE it is written in RFC 3339 format with milliseconds and
`Z`, always 24 characters, since the SDK and many targets compare bookmarks as strings.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Final

import msgspec

if TYPE_CHECKING:
    from collections.abc import Iterator

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MILLISECOND = timedelta(milliseconds=1)
_OFFSET_SECONDS: Final = 0.0004
"""Added to times before they are written: float rounding then stays inside the millisecond, and the fraction always
has six digits, since it is never zero (msgspec writes `08:30:00Z` without a fraction)."""

_MINUTE: Final = 60
_HOUR: Final = 3600

_STRING_LIST: Final = msgspec.json.Decoder(list[str | None])


@dataclass(frozen=True, slots=True)
class Window:
    """The half-open interval `[start, end)`, in whole seconds."""

    start: datetime
    end: datetime


def parse_time(text: str) -> datetime:
    """Parse an ISO 8601 date or time; without a time zone it is UTC.

    Args:
        text: for example `2024-03-01`, `2024-03-01T08:30:00Z` or `2024-03-01T09:30:00+01:00`.

    Returns:
        The time in UTC.

    Raises:
        ValueError: If the text is not an ISO 8601 time, or is outside the years 1 to 9999.
    """
    time = datetime.fromisoformat(text)
    try:
        return time.replace(tzinfo=UTC) if time.tzinfo is None else time.astimezone(UTC)
    except OverflowError:
        raise ValueError("a time outside the years 1 to 9999 in UTC") from None


def time_text(time: datetime) -> str:
    """Format a time as `2024-03-01T08:30:00.000Z`; digits after the milliseconds are cut off.

    Args:
        time: an aware time.

    Returns:
        A string of 24 characters.
    """
    if time.tzinfo is not UTC:
        time = time.astimezone(UTC)
    return time.isoformat(timespec="milliseconds")[:23] + "Z"


def duration_text(seconds: float) -> str:
    """Write a duration for people: `0.4 s`, `45 s`, `2 min 30 s`, `1 h 5 min`.

    Args:
        seconds: any number; one that would be rounded to nothing is `under 0.1 s`.
    """
    if seconds < 0.05:  # noqa: PLR2004 -- rounded to one digit
        return "under 0.1 s"
    if seconds < 9.95:  # noqa: PLR2004 -- rounded to two digits
        return f"{seconds:.1f}".removesuffix(".0") + " s"
    whole = round(seconds)
    if whole < _MINUTE:
        return f"{whole} s"
    if whole < _HOUR:
        return f"{whole // _MINUTE} min {whole % _MINUTE} s"
    return f"{whole // _HOUR} h {whole % _HOUR // _MINUTE} min"


def epoch_milliseconds(time: datetime) -> int:
    """Convert a time to milliseconds since 1970.

    Args:
        time: an aware time.

    Returns:
        Milliseconds, rounded down.
    """
    return (time - _EPOCH) // _MILLISECOND


def from_epoch_milliseconds(milliseconds: int) -> str:
    """Format milliseconds since 1970 in the same way as `time_text`.

    Args:
        milliseconds: since 1970, in UTC.

    Returns:
        A string of 24 characters.

    Raises:
        OverflowError: If the time is outside the years 1 to 9999.
    """
    return time_text(_EPOCH + timedelta(milliseconds=milliseconds))


def epoch_texts(column: list[int | None]) -> list[str | None]:
    """Format a column of milliseconds since 1970, faster than `from_epoch_milliseconds` for each value.

    msgspec writes all times at once, with microseconds. Each takes 30 characters with its comma, of which the last
    three digits are deleted in three passes (the first list item starts behind the bracket, at index 1)::

        [1709281800000, None]            column
        [1709281800.0004]                seconds, without nulls, plus the offset
        ["2024-03-01T08:30:00.000400Z"]  encoded; the digits to delete are at index 25, 26 and 27
        ["2024-03-01T08:30:00.000Z"]     after the three passes

    Args:
        column: milliseconds since 1970, in UTC, or None.

    Returns:
        A string of 24 characters, or None, for each value.

    Raises:
        OverflowError: If a time is outside the years 1 to 9999.
    """
    seconds = [time / 1000 + _OFFSET_SECONDS for time in column if time is not None]
    try:
        text = bytearray(msgspec.json.encode(msgspec.convert(seconds, list[datetime], strict=False)))
    except (ValueError, msgspec.ValidationError):
        raise OverflowError("a time outside the years 1 to 9999") from None
    for period in (30, 29, 28):  # of `"2024-03-01T08:30:00.000400Z",`, which loses one digit behind the milliseconds
        del text[25::period]
    texts = _STRING_LIST.decode(text)
    if len(texts) == len(column):
        return texts
    remaining = iter(texts)
    return [None if time is None else next(remaining) for time in column]


def whole_second(time: datetime) -> datetime:
    """Round a time down to the second, the resolution of windows at all vendors.

    Args:
        time: an aware time.

    Returns:
        The time without microseconds.
    """
    return time.replace(microsecond=0)


def split(span: Window, length: timedelta) -> Iterator[Window]:
    """Split a span into windows without gaps or overlaps.

    Args:
        span: the span; an empty or reversed span has no windows.
        length: maximum length of a window.

    Yields:
        The windows in order; the last one may be shorter.
    """
    start = span.start
    while start < span.end:
        end = min(start + length, span.end)
        yield Window(start, end)
        start = end


def half_of(window: Window) -> timedelta:
    """Return half the length of a window, rounded up to the second.

    Args:
        window: a window of at least two seconds.

    Returns:
        Length of the first half; the second half may be a second shorter.
    """
    seconds = (window.end - window.start) // timedelta(seconds=1)
    return timedelta(seconds=(seconds + 1) // 2)
