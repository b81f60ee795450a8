"""The pace of requests that are counted by the hour."""

from __future__ import annotations

import email.utils
import signal
import time

import pytest
import requests

from tap_cdp_export.errors import Interrupted
from tap_cdp_export.signals import STOP
from tap_cdp_export.vendors.braze.paces import Pace
from tests.helpers.virtual_clock import VirtualClock


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> VirtualClock:
    virtual_clock = VirtualClock()
    virtual_clock.install(monkeypatch)
    return virtual_clock


def answer(remaining: str, reset: str, status: int = 200, **headers: str) -> requests.Response:
    response = requests.Response()
    response.status_code = status
    response.headers.update(headers)
    response.headers["X-Ratelimit-Remaining"], response.headers["X-Ratelimit-Reset"] = remaining, reset
    return response


def test_without_headers_the_documented_number_an_hour_is_kept(clock: VirtualClock) -> None:
    pace = Pace(1_000)
    for _ in range(1_000):
        pace.wait()
    assert clock.paused == 0
    pace.wait()
    assert 3_590 < clock.paused <= 3_600


def test_what_the_headers_say_is_believed(clock: VirtualClock) -> None:
    pace = Pace(2)
    for _ in range(5):
        pace.wait()
        pace.note(answer("100", str(int(time.time()) + 60)))
    assert clock.paused == 0
    pace.note(answer("0", str(int(time.time()) + 60)))
    pace.wait()
    assert 58 < clock.paused <= 61


@pytest.mark.parametrize(("remaining", "reset"), [("", ""), ("soon", "5"), ("-1", "5")])
def test_empty_or_odd_headers_say_nothing(clock: VirtualClock, remaining: str, reset: str) -> None:
    pace = Pace(3)
    for _ in range(3):
        pace.wait()
        pace.note(answer(remaining, reset))
    assert clock.paused == 0


def test_a_header_of_thousands_of_digits_is_no_error(clock: VirtualClock) -> None:
    pace = Pace(3)
    pace.note(answer("9" * 5_000, "9" * 5_000))
    pace.wait()
    assert clock.paused == 0


def test_a_clock_of_another_zone_lets_nobody_wait_longer_than_an_hour(clock: VirtualClock) -> None:
    pace = Pace(3)
    pace.note(answer("0", str(int(time.time()) + 90_000)))
    pace.wait()
    assert clock.paused <= 3_601


def test_a_signal_ends_the_wait_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    def sleep(_seconds: float) -> None:
        signal.raise_signal(signal.SIGTERM)
        pytest.fail("the wait goes on")

    monkeypatch.setattr(time, "sleep", sleep)
    STOP.install()
    pace = Pace(3)
    pace.note(answer("0", str(int(time.time()) + 3_000)))
    with pytest.raises(Interrupted):
        pace.wait()


def refuse(pace: Pace, sent_at: float, reset: int = 0, *, retry_after: str = "", date: str = "") -> bool:
    refusal = answer("0", str(reset), 429, **{"Retry-After": retry_after, "Date": date})
    pace.note(refusal)
    return pace.refused(refusal, sent_at=sent_at)


@pytest.mark.parametrize("ahead", [0, 7_200, -7_200])
def test_after_a_refusal_the_pool_waits_for_the_reset_by_the_clock_of_the_vendor(
    clock: VirtualClock, ahead: int
) -> None:
    pace = Pace()
    vendor_time = int(time.time()) + ahead
    date = email.utils.formatdate(vendor_time, usegmt=True)
    in_flight = [pace.wait() for _ in range(4)]
    assert all(refuse(pace, sent_at, vendor_time + 600, date=date) for sent_at in in_flight)
    pace.wait()
    assert 600 <= clock.paused <= 602
    assert len(clock.pauses) == 1


def test_the_longer_pause_counts_of_the_vendor_s_and_our_own(clock: VirtualClock) -> None:
    pace = Pace()
    assert refuse(pace, pace.wait(), retry_after="90")
    sent_at = pace.wait()
    assert 90 <= clock.paused <= 91
    assert refuse(pace, sent_at)  # a reset that lies in the past
    pace.wait()
    assert 91 <= clock.paused <= 93


def test_a_pool_that_stays_closed_is_given_up_after_the_deadline(clock: VirtualClock) -> None:
    pace = Pace(deadline_seconds=900.0)
    assert refuse(pace, pace.wait(), int(time.time()) + 3_000)
    refusals = 1
    while refuse(pace, pace.wait()):
        refusals += 1
    assert 3_000 < clock.paused < 3_000 + 900 + 2
    assert refusals < 40
    pace.note(answer("", ""))
    assert refuse(pace, pace.wait())


@pytest.mark.parametrize("seconds", ["3700", "9" * 400])
def test_a_pause_of_more_than_an_hour_is_not_waited_for(clock: VirtualClock, seconds: str) -> None:
    pace = Pace()
    assert not refuse(pace, pace.wait(), retry_after=seconds)
    assert clock.paused == 0
