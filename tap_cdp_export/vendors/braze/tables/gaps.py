"""Days that were asked for and did not come, so that a series with gaps does not count as read."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tap_cdp_export.vendors.braze.tables.days import DAY

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping
    from datetime import date

    from tap_cdp_export.vendors.braze.tables.days import Days


class Gaps:
    """Notes the answers to requests for windows, in order, and says which series have gaps.

    How far back the vendor keeps figures is not documented. So days before the first one that came of a series are
    none that are missing, and neither is a window without any day, unless another series had a day as old.
    """

    def __init__(self, read_until: Mapping[str, date], newest: date, *, has_every_day: bool) -> None:
        """Note nothing yet.

        Args:
            read_until: the day up to which a series was read by earlier runs, by its name.
            newest: the last day that must be there; later ones may come later, or are asked for by the next run.
            has_every_day: whether an answer holds every day, also those without figures.
        """
        self._read_until = dict(read_until)
        self._newest = newest
        self._has_every_day = has_every_day
        self._missing: set[str] = set()
        self._empty_until: dict[str, date] = {}
        self._kept_from: date | None = None

    def note_answer(self, name: str, days: Days, returned: Collection[date]) -> None:
        """Note which days came.

        Args:
            name: of the series.
            days: what was asked for.
            returned: those of them that came.
        """
        if returned:
            earliest = min(returned)
            self._kept_from = min(earliest, self._kept_from or earliest)
        if self._has_every_day:
            self._note(name, days, returned)
        else:
            self._read_until[name] = days.last

    def note_refusal(self, name: str, days: Days) -> None:
        """Note that a window was refused, though a later one was not.

        Args:
            name: of the series.
            days: what was asked for.
        """
        self._note(name, days, ())

    def _note(self, name: str, days: Days, returned: Collection[date]) -> None:
        before = self._read_until.get(name)
        if before is None and not returned:
            self._empty_until[name] = days.last
            return
        first = min(returned) if before is None else max(days.first, before + DAY)
        last = max(returned, default=days.last) if days.is_open else days.last
        last = min(last, self._newest)
        if any(first + number * DAY not in returned for number in range((last - first).days + 1)):
            self._missing.add(name)
        self._read_until[name] = max(days.last, before or days.last)

    def are_in(self, name: str) -> bool:
        """Return whether a series has gaps, by all answers up to now.

        Args:
            name: of the series.
        """
        empty_until = self._empty_until.get(name)
        is_too_old = empty_until is None or (self._kept_from is not None and empty_until < self._kept_from)
        return name in self._missing or not is_too_old
