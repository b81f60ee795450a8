"""Fixtures for all tests: signal handlers and the redactor are restored, and sleeps return at once."""

from __future__ import annotations

import signal
from signal import setitimer  # the test may have replaced it
from typing import TYPE_CHECKING

import pytest
from hypothesis import HealthCheck, settings

from tap_cdp_export.redaction import REDACTOR
from tap_cdp_export.signals import STOP
from tests.helpers.virtual_clock import VirtualClock

if TYPE_CHECKING:
    from collections.abc import Iterator


settings.register_profile("brisk", max_examples=40, deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("brisk")


@pytest.fixture(autouse=True)
def signals_as_before(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Reset `STOP` before each test, and restore the signal handlers after it."""
    handlers = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM, signal.SIGALRM)}
    monkeypatch.setattr(STOP, "_signal_number", None)
    monkeypatch.setattr(STOP, "_interruptible", False)
    monkeypatch.setattr(STOP, "_finishing", False)
    monkeypatch.setattr(STOP, "_is_delayed", False)
    monkeypatch.setattr(STOP, "limit", STOP.limit)  # the command sets one that ends the process
    yield
    setitimer(signal.ITIMER_REAL, 0)
    for number, handler in handlers.items():
        signal.signal(number, handler)


@pytest.fixture(autouse=True)
def no_secrets_of_other_tests(monkeypatch: pytest.MonkeyPatch) -> None:
    """Empty `REDACTOR` before each test, and restore it after it: a secret of one may be a word of another."""
    monkeypatch.setattr(REDACTOR, "_forms", [])


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> VirtualClock:
    """A clock that advances instead of sleeping."""
    virtual = VirtualClock()
    virtual.install(monkeypatch)
    return virtual


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Run tests that share a Meltano project or a server on one worker, so that each is started once."""
    for item in items:
        for folder in ("targets", "buckets"):
            if folder in item.path.parts or (folder == "targets" and item.get_closest_marker("meltano")):
                item.add_marker(pytest.mark.xdist_group(folder))
