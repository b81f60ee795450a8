"""SIGINT and SIGTERM end a wait at once, and tear nothing else."""

from __future__ import annotations

import signal
import threading
from contextlib import ExitStack

import pytest

from tap_cdp_export.errors import Interrupted
from tap_cdp_export.signals import StopSignal

SIGNALS = (signal.SIGINT, signal.SIGTERM)


@pytest.fixture
def shutdown() -> StopSignal:
    """Handlers of its own; the suite gives the process back its own ones."""
    installed = StopSignal()
    installed.install()
    return installed


@pytest.mark.parametrize("number", SIGNALS)
def test_a_signal_at_work_waits_for_the_next_check(shutdown: StopSignal, number: signal.Signals) -> None:
    shutdown.raise_if_stopped()
    signal.raise_signal(number)
    with pytest.raises(Interrupted) as stop:
        shutdown.raise_if_stopped()
    assert stop.value.exit_code == 128 + number
    assert number.name in str(stop.value)


@pytest.mark.parametrize("number", SIGNALS)
def test_a_signal_ends_a_wait_at_once(shutdown: StopSignal, number: signal.Signals) -> None:
    passed: list[str] = []

    def wait() -> None:
        with shutdown.interruptible():
            signal.raise_signal(number)
            passed.append("the signal")

    with pytest.raises(Interrupted) as stop:
        wait()
    assert passed == []
    assert stop.value.exit_code == 128 + number


def test_a_wait_does_not_begin_after_a_signal(shutdown: StopSignal) -> None:
    signal.raise_signal(signal.SIGTERM)
    began = False
    with pytest.raises(Interrupted), shutdown.interruptible():
        began = True
    assert not began


def test_after_a_wait_signals_wait_for_a_check_again(shutdown: StopSignal) -> None:
    with shutdown.interruptible():
        pass
    signal.raise_signal(signal.SIGTERM)
    with pytest.raises(Interrupted):
        shutdown.raise_if_stopped()


def test_the_outer_wait_goes_on_after_an_inner_one(shutdown: StopSignal) -> None:
    passed: list[str] = []

    def wait() -> None:
        with shutdown.interruptible():
            with shutdown.interruptible():
                pass
            signal.raise_signal(signal.SIGTERM)
            passed.append("the signal")

    with pytest.raises(Interrupted):
        wait()
    assert passed == []


def test_a_second_signal_does_not_cut_the_way_out(shutdown: StopSignal) -> None:
    cleaned_up: list[str] = []

    def clean_up(what: str) -> None:
        signal.raise_signal(signal.SIGINT)
        cleaned_up.append(what)

    def wait() -> None:
        with shutdown.interruptible(), ExitStack() as outer:
            outer.callback(clean_up, "outer")
            with shutdown.interruptible(), ExitStack() as inner:
                inner.callback(clean_up, "inner")
                signal.raise_signal(signal.SIGTERM)

    with pytest.raises(Interrupted) as stop:
        wait()
    assert cleaned_up == ["inner", "outer"]
    assert stop.value.exit_code == 143


def test_no_handler_of_failures_takes_a_stop_for_one() -> None:
    assert not issubclass(Interrupted, Exception)


def test_installing_outside_the_main_thread_is_no_error() -> None:
    before = signal.getsignal(signal.SIGTERM)
    failures: list[BaseException] = []

    def install() -> None:
        try:
            StopSignal().install()
        except BaseException as error:  # noqa: BLE001 -- whatever it is, the test shows it
            failures.append(error)

    thread = threading.Thread(target=install)
    thread.start()
    thread.join()
    assert failures == []
    assert signal.getsignal(signal.SIGTERM) is before
