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


# An answer that must be known


@pytest.mark.parametrize("number", SIGNALS)
def test_a_signal_waits_for_what_has_to_be_finished_and_for_what_is_done_with_it(
    shutdown: StopSignal, number: signal.Signals
) -> None:
    passed: list[str] = []
    with shutdown.interruptible():
        with shutdown.finishing():
            signal.raise_signal(number)
            passed.append("the answer")
        signal.raise_signal(number)
        passed.append("the record")
    with pytest.raises(Interrupted):
        shutdown.raise_if_stopped()
    assert passed == ["the answer", "the record"]


def test_a_second_signal_ends_even_that(shutdown: StopSignal) -> None:
    passed: list[str] = []

    def wait() -> None:
        with shutdown.interruptible(), shutdown.finishing():
            signal.raise_signal(signal.SIGTERM)
            passed.append("the first")
            signal.raise_signal(signal.SIGTERM)
            passed.append("the second")

    with pytest.raises(Interrupted):
        wait()
    assert passed == ["the first"]


def test_what_has_to_be_finished_gets_some_seconds_after_the_signal_and_no_more(
    shutdown: StopSignal, monkeypatch: pytest.MonkeyPatch
) -> None:
    alarms: list[float] = []
    monkeypatch.setattr(signal, "setitimer", lambda _which, seconds: alarms.append(seconds))

    def wait() -> None:
        with shutdown.interruptible(), shutdown.finishing():
            signal.raise_signal(signal.SIGTERM)
            signal.raise_signal(signal.SIGALRM)

    with pytest.raises(Interrupted) as stop:
        wait()
    assert stop.value.exit_code == 143
    assert alarms[0] < 8
    assert alarms[-1] == 0


def test_what_failed_is_not_finished_and_the_signal_counts(shutdown: StopSignal) -> None:
    def fail() -> None:
        with shutdown.interruptible(), shutdown.finishing():
            signal.raise_signal(signal.SIGTERM)
            raise ValueError

    with pytest.raises(Interrupted):
        fail()


def test_a_wait_inside_what_has_to_be_finished_is_still_ended_at_once(shutdown: StopSignal) -> None:
    def wait() -> None:
        with shutdown.interruptible(), shutdown.finishing(), shutdown.interruptible():  # such as for a token
            signal.raise_signal(signal.SIGTERM)

    with pytest.raises(Interrupted):
        wait()


def test_without_a_signal_a_wait_goes_on_behind_what_failed(shutdown: StopSignal) -> None:
    def fail() -> None:
        with shutdown.finishing():
            raise LookupError

    def fail_and_wait() -> None:
        with shutdown.interruptible():
            with pytest.raises(LookupError):
                fail()
            signal.raise_signal(signal.SIGTERM)

    with pytest.raises(Interrupted):
        fail_and_wait()


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
