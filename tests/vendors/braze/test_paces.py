"""The pace of requests that are counted by the hour."""

from __future__ import annotations

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


def answer(remaining: str, reset: str) -> requests.Response:
    response = requests.Response()
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
