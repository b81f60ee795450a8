"""The sandbox's time: the machine's, or frozen; always epoch milliseconds in UTC."""

from __future__ import annotations

import time
from datetime import UTC, datetime
from functools import lru_cache

HOUR = 3_600_000
DAY = 24 * HOUR


@lru_cache(maxsize=64)
def milliseconds(text: str) -> int:
    """Epoch milliseconds of an RFC 3339 time; one without an offset is taken as UTC."""
    moment = datetime.fromisoformat(text)
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=UTC)
    return round(moment.timestamp() * 1000)


def moment_of(at: int) -> datetime:
    """The date and time of epoch milliseconds."""
    return datetime.fromtimestamp(at // 1000, UTC).replace(microsecond=at % 1000 * 1000)


def rfc3339(at: int) -> str:
    """Epoch milliseconds as text, `2026-01-02T03:04:05.678Z`."""
    return f"{_day(at // DAY)}T{time_of_day(at)}Z"


def time_of_day(at: int) -> str:
    """The time within the day, `03:04:05.678`."""
    seconds, rest = divmod(at % DAY, 1000)
    minutes, seconds = divmod(seconds, 60)
    return f"{minutes // 60:02d}:{minutes % 60:02d}:{seconds:02d}.{rest:03d}"


def day(at: int) -> str:
    """The date, `2026-01-02`."""
    return _day(at // DAY)


@lru_cache(maxsize=4096)
def _day(number: int) -> str:
    return time.strftime("%Y-%m-%d", time.gmtime(number * DAY // 1000))


def machine_now() -> int:
    """The machine's time: what a client compares its own clock with."""
    return time.time_ns() // 1_000_000
