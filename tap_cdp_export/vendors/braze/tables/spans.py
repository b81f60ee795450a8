"""From when to when a campaign or Canvas was in use, as its details tell (docs/vendors/endpoints.md, B.2 and B.4)."""

from __future__ import annotations

from datetime import date, timedelta
from typing import TYPE_CHECKING, Any, Final

from tap_cdp_export.records.mapper import any_time

if TYPE_CHECKING:
    from collections.abc import Mapping

Span = tuple[date | None, date | None]
"""First and last day; None where the details do not tell."""

NEVER: Final[Span] = (date.max, date.min)
"""Of what was never sent or entered."""

_DAY: Final = timedelta(days=1)
_EARLIEST: Final = date(2000, 1, 1)  # an earlier time stands for none


def span_of(details: Mapping[str, Any]) -> Span:
    """Read the days of the first and last send or entry, a day wider on both sides: the company's days are not UTC's.

    Args:
        details: of a campaign or a Canvas.

    Returns:
        The days; `NEVER` for a draft without any.
    """
    first, last = (_day(details.get(f"{end}_sent") or details.get(f"{end}_entry")) for end in ("first", "last"))
    if details.get("draft") is True and first is None and last is None:
        return NEVER
    return first and first - _DAY, last and last + _DAY


def _day(value: Any) -> date | None:  # noqa: ANN401 -- JSON
    time = any_time(value)
    day = date.fromisoformat(time[:10]) if isinstance(time, str) else None
    return day if day and _EARLIEST < day < date.max - _DAY else None
