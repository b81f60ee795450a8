"""Times of the sandbox, as epoch milliseconds in UTC."""

from __future__ import annotations

import time
from datetime import UTC, datetime
from functools import lru_cache

MINUTE = 60_000
HOUR = 3_600_000
DAY = 24 * HOUR


@lru_cache(maxsize=64)
def milliseconds(text: str) -> int:
    """Parse an RFC 3339 time into epoch milliseconds; a time without an offset is UTC."""
    moment = datetime.fromisoformat(text)
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=UTC)
    return round(moment.timestamp() * 1000)


def moment_of(at: int) -> datetime:
    """Convert epoch milliseconds into a datetime in UTC."""
    return datetime.fromtimestamp(at // 1000, UTC).replace(microsecond=at % 1000 * 1000)


def rfc3339(at: int) -> str:
    """Format epoch milliseconds as `2026-01-02T03:04:05.678Z`."""
    return f"{_day(at // DAY)}T{time_of_day(at)}Z"


def time_of_day(at: int) -> str:
    """Format the time of day of epoch milliseconds as `03:04:05.678`."""
    seconds, fraction = divmod(at % DAY, 1000)
    minutes, seconds = divmod(seconds, 60)
    return f"{minutes // 60:02d}:{minutes % 60:02d}:{seconds:02d}.{fraction:03d}"


def day(at: int) -> str:
    """Format the date of epoch milliseconds as `2026-01-02`."""
    return _day(at // DAY)


@lru_cache(maxsize=4096)
def _day(number: int) -> str:
    return time.strftime("%Y-%m-%d", time.gmtime(number * DAY // 1000))


def machine_now() -> int:
    """Current time of the machine in epoch milliseconds."""
    return time.time_ns() // 1_000_000
