"""Windows and the times in them: pure functions.

A time is an aware `datetime` in UTC. Its text, in records and in STATE, is RFC 3339 with milliseconds and
`Z`, always 24 characters wide, since the SDK and many targets compare bookmarks as text.
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
_INSIDE: Final = 0.0004
"""Seconds from a millisecond's beginning to where no rounding leaves it, and no text is shorter for a zero's sake."""

_texts: Final = msgspec.json.Decoder(list[str | None])


@dataclass(frozen=True, slots=True)
class Window:
    """The half-open span of time `[start, end)`, in whole seconds."""

    start: datetime
    end: datetime


def parse_time(text: str) -> datetime:
    """Read an ISO 8601 time; one without a zone is UTC (Meltano hands over such).

    Args:
        text: the time.

    Returns:
        The time in UTC.

    Raises:
        ValueError: If it is no ISO 8601 time.
    """
    time = datetime.fromisoformat(text)
    try:
        return time.replace(tzinfo=UTC) if time.tzinfo is None else time.astimezone(UTC)
    except OverflowError:
        raise ValueError("a time outside the years 1 to 9999 in UTC") from None


def time_text(time: datetime) -> str:
    """Write a time as `2024-03-01T08:30:00.000Z`.

    Args:
        time: an aware time.

    Returns:
        Its text, 24 characters.
    """
    if time.tzinfo is not UTC:
        time = time.astimezone(UTC)
    return time.isoformat(timespec="milliseconds")[:23] + "Z"


def epoch_milliseconds(time: datetime) -> int:
    """Count the milliseconds from 1970 to a time.

    Args:
        time: an aware time.

    Returns:
        Whole milliseconds.
    """
    return (time - _EPOCH) // _MILLISECOND


def from_epoch_milliseconds(milliseconds: int) -> str:
    """Write epoch milliseconds as `time_text` does.

    Args:
        milliseconds: since 1970, in UTC.

    Returns:
        The time's text, 24 characters.

    Raises:
        OverflowError: If the time is outside the years 1 to 9999.
    """
    return time_text(_EPOCH + timedelta(milliseconds=milliseconds))


def epoch_texts(column: list[int | None]) -> list[str | None]:
    """Write a column of epoch milliseconds as `time_text` does, all at once: a fast export waits for these texts.

    Args:
        column: since 1970, in UTC; null stays null.

    Returns:
        The texts, 24 characters each.

    Raises:
        OverflowError: If a time is outside the years 1 to 9999.
    """
    seconds = [time / 1000 + _INSIDE for time in column if time is not None]
    try:
        text = bytearray(msgspec.json.encode(msgspec.convert(seconds, list[datetime], strict=False)))
    except (ValueError, msgspec.ValidationError):
        raise OverflowError("a time outside the years 1 to 9999") from None
    for period in (30, 29, 28):  # of `"2024-03-01T08:30:00.000400Z",`, which loses one digit behind the milliseconds
        del text[25::period]
    texts = _texts.decode(text)
    if len(texts) == len(column):
        return texts
    others = iter(texts)
    return [None if time is None else next(others) for time in column]


def whole_second(time: datetime) -> datetime:
    """Cut a time to its second, the finest step of every vendor's windows.

    Args:
        time: an aware time.

    Returns:
        The time without its fraction.
    """
    return time.replace(microsecond=0)


def split(span: Window, length: timedelta) -> Iterator[Window]:
    """Cut a span into windows without gap or overlap.

    Args:
        span: what to cut; an empty or reversed one gives no window.
        length: how long a window may be.

    Yields:
        The windows in order; the last one may be shorter.
    """
    start = span.start
    while start < span.end:
        end = min(start + length, span.end)
        yield Window(start, end)
        start = end


def half_of(window: Window) -> timedelta:
    """Tell how long the halves of a window are.

    Args:
        window: longer than a second.

    Returns:
        Whole seconds; the second half may be one shorter.
    """
    seconds = (window.end - window.start) // timedelta(seconds=1)
    return timedelta(seconds=(seconds + 1) // 2)
