"""Every day that is wanted is among those that are asked for, wherever the company is."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta

import pytest

from tap_cdp_export.vendors.braze.tables.days import DAY, Days, last_whole_day, windows

ENDS = [datetime(2026, 11, 10, hour, 30, tzinfo=UTC) for hour in (0, 11, 12, 23)]


def answered(request: dict[str, str | int], offset: timedelta, *, inclusive: bool) -> set[date]:
    """The days that a vendor in a time zone answers with."""
    last = (datetime.fromisoformat(str(request["ending_at"])) + offset).date()
    if not inclusive:
        last -= DAY
    return {last - number * DAY for number in range(int(request["length"]))}


@pytest.mark.parametrize("inclusive", [True, False])
@pytest.mark.parametrize("hours", [-12, -5, 0, 1, 11, 12, 14])
@pytest.mark.parametrize("longest", [14, 100])
def test_every_day_is_asked_for_in_every_time_zone(longest: int, hours: int, *, inclusive: bool) -> None:
    offset = timedelta(hours=hours)
    for end in ENDS:
        for before in (0, 1, 11, 12, 13, 97, 98, 99, 400):
            first = end.date() - before * DAY
            today = (end + offset).date()
            missing = {first + number * DAY for number in range((today - first).days + inclusive)}
            for window in windows(first, end.date(), longest, is_open=True):
                request = window.request(end)
                assert 1 <= int(request["length"]) <= longest
                assert str(request["ending_at"]) <= f"{end:%Y-%m-%dT%H:%M:%SZ}"
                missing -= {day for day in answered(request, offset, inclusive=inclusive) if day in window}
            assert not missing


def test_windows_have_no_gap_and_no_overlap() -> None:
    found = list(windows(date(2026, 1, 1), date(2026, 12, 31), 100, is_open=True))
    assert [window.first for window in found[1:]] == [window.last + DAY for window in found[:-1]]
    assert (found[0].first, found[-1].last) == (date(2026, 1, 1), date(2026, 12, 31))
    assert [window.is_open for window in found] == [False, False, False, True]
    assert list(windows(date(2026, 1, 2), date(2026, 1, 1), 100, is_open=True)) == []


@pytest.mark.parametrize("longest", [14, 100])
def test_the_last_days_are_all_in_the_open_window(longest: int) -> None:
    last = date(2026, 6, 30)
    for number in range(1, 210):
        first = last - number * DAY
        found = list(windows(first, last, longest, is_open=True))
        assert found[-1].first == first or found[-1].first <= last - 3 * DAY
        days = [window.first + n * DAY for window in found for n in range((window.last - window.first).days + 1)]
        assert days == [first + n * DAY for n in range(number + 1)]


def test_a_span_bounds_a_window() -> None:
    window = Days(date(2026, 3, 1), date(2026, 3, 31), is_open=True)
    assert window.within(None, None) == window
    assert window.within(date(2026, 3, 5), date(2026, 4, 2)) == Days(date(2026, 3, 5), date(2026, 3, 31), is_open=True)
    assert window.within(date(2026, 2, 5), date(2026, 3, 2)) == Days(date(2026, 3, 1), date(2026, 3, 2))
    assert window.within(date(2026, 4, 1), None) is None
    assert window.within(None, date(2026, 2, 27)) is None
    assert date(2026, 6, 1) in window
    assert date(2026, 6, 1) not in Days(date(2026, 3, 1), date(2026, 3, 31))


@pytest.mark.parametrize(
    ("returned", "end", "whole"),
    [
        (date(2026, 11, 10), datetime(2026, 11, 10, 13, tzinfo=UTC), date(2026, 11, 9)),
        (date(2026, 11, 10), datetime(2026, 11, 10, 11, tzinfo=UTC), date(2026, 11, 8)),
        (date(2026, 11, 11), datetime(2026, 11, 10, 13, tzinfo=UTC), date(2026, 11, 9)),
        (date(2026, 11, 7), datetime(2026, 11, 10, 13, tzinfo=UTC), date(2026, 11, 6)),
        (None, datetime(2026, 11, 10, 13, tzinfo=UTC), date(2026, 11, 9)),
    ],
)
def test_the_last_whole_day_is_over_in_every_time_zone(returned: date | None, end: datetime, whole: date) -> None:
    assert last_whole_day(returned, end) == whole
