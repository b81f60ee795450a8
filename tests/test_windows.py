"""Windows have no gaps or overlaps; times have one format."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tap_cdp_export.windows import (
    Window,
    duration_text,
    epoch_milliseconds,
    epoch_texts,
    from_epoch_milliseconds,
    half_of,
    parse_time,
    split,
    time_text,
    whole_second,
)

TIMES = st.datetimes(min_value=datetime(1, 1, 2), max_value=datetime(9999, 12, 30), timezones=st.just(UTC))  # noqa: DTZ001 -- bounds are naive by contract
FIRST, LAST = -62_135_596_800_000, 253_402_300_799_999
"""First and last millisecond of the years 1 to 9999, since 1970."""

LENGTHS = st.timedeltas(min_value=timedelta(seconds=1), max_value=timedelta(days=89))


@given(start=TIMES, length=LENGTHS, count=st.integers(0, 40), rest=st.floats(0.01, 1))
def test_windows_cover_the_span_without_gap_or_overlap(
    start: datetime, length: timedelta, count: int, rest: float
) -> None:
    try:
        end = start + length * count + length * rest
    except OverflowError:
        return
    windows = list(split(Window(start, end), length))
    assert [windows[0].start, *(window.end for window in windows)] == [*(w.start for w in windows), end]
    assert all(timedelta(0) < window.end - window.start <= length for window in windows)
    assert all(window.end - window.start == length for window in windows[:-1])


@given(start=TIMES, length=LENGTHS, back=st.timedeltas(min_value=timedelta(0), max_value=timedelta(days=400)))
def test_an_empty_or_reversed_span_has_no_window(start: datetime, length: timedelta, back: timedelta) -> None:
    end = max(start - back, datetime.min.replace(tzinfo=UTC)) if start.year > 2 else start
    assert list(split(Window(start, end), length)) == []


@given(time=TIMES, other=TIMES)
def test_texts_of_times_have_one_width_and_sort_as_the_times_do(time: datetime, other: datetime) -> None:
    assert len(time_text(time)) == 24
    milliseconds, other_milliseconds = epoch_milliseconds(time), epoch_milliseconds(other)
    assert (time_text(time) < time_text(other)) == (milliseconds < other_milliseconds)


@given(time=TIMES, hours=st.integers(-14, 14))
def test_a_time_in_another_zone_is_written_in_utc(time: datetime, hours: int) -> None:
    try:
        elsewhere = time.astimezone(timezone(timedelta(hours=hours)))
    except OverflowError:
        return
    assert time_text(elsewhere) == time_text(time)
    assert parse_time(elsewhere.isoformat()) == time


@given(time=TIMES)
def test_epoch_milliseconds_and_text_are_the_same_time(time: datetime) -> None:
    milliseconds = epoch_milliseconds(time)
    assert from_epoch_milliseconds(milliseconds) == time_text(time)
    assert epoch_milliseconds(parse_time(from_epoch_milliseconds(milliseconds))) == milliseconds


@pytest.mark.parametrize(
    ("milliseconds", "text"),
    [
        (0, "1970-01-01T00:00:00.000Z"),
        (1359066698647, "2013-01-24T22:31:38.647Z"),
        (-1, "1969-12-31T23:59:59.999Z"),
    ],
)
def test_epoch_milliseconds_keep_their_last_digit(milliseconds: int, text: str) -> None:
    assert from_epoch_milliseconds(milliseconds) == text


@given(st.lists(st.none() | st.integers(FIRST, LAST) | st.sampled_from([FIRST, -1, 0, 1, LAST])))
def test_a_column_of_times_has_the_same_texts_as_single_times(column: list[int | None]) -> None:
    assert epoch_texts(column) == [None if time is None else from_epoch_milliseconds(time) for time in column]


@pytest.mark.parametrize("milliseconds", [LAST + 1, FIRST - 1, 10**15, -(10**15), 2**63, 10**40, 10**400])
def test_a_time_outside_the_years_1_to_9999_is_an_overflow(milliseconds: int) -> None:
    with pytest.raises(OverflowError):
        from_epoch_milliseconds(milliseconds)
    with pytest.raises(OverflowError):
        epoch_texts([0, None, milliseconds])


@pytest.mark.parametrize(
    "text", ["2024-03-01T08:30:00Z", "2024-03-01T08:30:00", "2024-03-01T09:30:00+01:00", "2024-03-01 08:30:00.000"]
)
def test_usual_formats_of_a_time_are_parsed_and_no_zone_means_utc(text: str) -> None:
    assert parse_time(text) == datetime(2024, 3, 1, 8, 30, tzinfo=UTC)


@given(text=st.text(max_size=30) | st.just("0001-01-01T00:00:00+14:00") | st.just("9999-12-31T23:59:59-14:00"))
def test_invalid_text_raises_a_value_error_and_nothing_else(text: str) -> None:
    try:
        time = parse_time(text)
    except ValueError:
        return
    assert time.utcoffset() == timedelta(0)


@given(time=TIMES)
def test_a_time_rounded_to_its_second_is_never_later(time: datetime) -> None:
    assert timedelta(0) <= time - whole_second(time) < timedelta(seconds=1)
    assert whole_second(time).microsecond == 0


@given(start=TIMES, seconds=st.integers(2, 10**7))
def test_a_window_has_two_halves_without_a_gap(start: datetime, seconds: int) -> None:
    start = whole_second(start.replace(year=2024))
    window = Window(start, start + timedelta(seconds=seconds))
    first, second = split(window, half_of(window))
    assert (first.start, first.end, second.end) == (window.start, second.start, window.end)
    assert first.end.microsecond == 0
    assert 0 <= ((first.end - first.start) - (second.end - second.start)).total_seconds() <= 1


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0, "under 0.1 s"),
        (0.06, "0.1 s"),
        (0.44, "0.4 s"),
        (3, "3 s"),
        (9.94, "9.9 s"),
        (9.96, "10 s"),
        (59.4, "59 s"),
        (59.5, "1 min 0 s"),
        (150, "2 min 30 s"),
        (3599.4, "59 min 59 s"),
        (3599.5, "1 h 0 min"),
        (21_600, "6 h 0 min"),
        (90_061, "25 h 1 min"),
    ],
)
def test_a_duration_has_at_most_two_units(seconds: float, text: str) -> None:
    assert duration_text(seconds) == text
