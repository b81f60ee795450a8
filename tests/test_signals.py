"""SIGINT and SIGTERM interrupt waits only; other code stops at the next check."""

from __future__ import annotations

import os
import signal
import threading
from contextlib import ExitStack

import pytest

from tap_cdp_export import signals
from tap_cdp_export.errors import Interrupted
from tap_cdp_export.signals import StopSignal

SIGNALS = (signal.SIGINT, signal.SIGTERM)


@pytest.fixture
def shutdown() -> StopSignal:
    """A new instance with its handlers installed; `tests/conftest.py` restores the previous handlers."""
    stop_signal = StopSignal()
    stop_signal.install()
    return stop_signal


@pytest.mark.parametrize("number", SIGNALS)
def test_outside_a_wait_a_signal_takes_effect_at_the_next_check(shutdown: StopSignal, number: signal.Signals) -> None:
    shutdown.raise_if_stopped()
    signal.raise_signal(number)
    with pytest.raises(Interrupted) as stop:
        shutdown.raise_if_stopped()
    assert stop.value.exit_code == 128 + number
    assert number.name in str(stop.value)


@pytest.mark.parametrize("number", SIGNALS)
def test_a_signal_ends_a_wait_at_once(shutdown: StopSignal, number: signal.Signals) -> None:
    steps: list[str] = []

    def wait() -> None:
        with shutdown.interruptible():
            signal.raise_signal(number)
            steps.append("the signal")

    with pytest.raises(Interrupted) as stop:
        wait()
    assert steps == []
    assert stop.value.exit_code == 128 + number


@pytest.mark.parametrize("number", SIGNALS)
def test_a_signal_ends_a_system_call_that_it_did_not_interrupt(
    monkeypatch: pytest.MonkeyPatch, number: signal.Signals
) -> None:
    """As one that comes just before the call: here another thread receives it, so that the main one sleeps on."""
    monkeypatch.setattr(signals, "_TICK_SECONDS", 0.01)
    shutdown = StopSignal()
    shutdown.install()
    reader, writer = os.pipe()

    def receive() -> None:
        signal.pthread_kill(threading.get_ident(), number)
        waited_in_vain.append(not is_over.wait(20))
        os.close(writer)

    is_over, waited_in_vain = threading.Event(), list[bool]()
    thread = threading.Timer(0.01, receive)
    thread.start()
    with pytest.raises(Interrupted), shutdown.interruptible():
        os.read(reader, 1)
    is_over.set()
    thread.join()
    os.close(reader)
    assert waited_in_vain == [False]


def test_a_wait_does_not_begin_after_a_signal(shutdown: StopSignal) -> None:
    signal.raise_signal(signal.SIGTERM)
    has_entered = False
    with pytest.raises(Interrupted), shutdown.interruptible():
        has_entered = True
    assert not has_entered


def test_after_a_wait_a_signal_takes_effect_at_the_next_check(shutdown: StopSignal) -> None:
    with shutdown.interruptible():
        pass
    signal.raise_signal(signal.SIGTERM)
    with pytest.raises(Interrupted):
        shutdown.raise_if_stopped()


def test_the_outer_wait_is_interruptible_after_an_inner_one(shutdown: StopSignal) -> None:
    steps: list[str] = []

    def wait() -> None:
        with shutdown.interruptible():
            with shutdown.interruptible():
                pass
            signal.raise_signal(signal.SIGTERM)
            steps.append("the signal")

    with pytest.raises(Interrupted):
        wait()
    assert steps == []


def test_a_second_signal_does_not_interrupt_the_cleanup(shutdown: StopSignal) -> None:
    cleanups: list[str] = []

    def clean_up(what: str) -> None:
        signal.raise_signal(signal.SIGINT)
        cleanups.append(what)

    def wait() -> None:
        with shutdown.interruptible(), ExitStack() as outer:
            outer.callback(clean_up, "outer")
            with shutdown.interruptible(), ExitStack() as inner:
                inner.callback(clean_up, "inner")
                signal.raise_signal(signal.SIGTERM)

    with pytest.raises(Interrupted) as stop:
        wait()
    assert cleanups == ["inner", "outer"]
    assert stop.value.exit_code == 143


# StopSignal.finishing


@pytest.mark.parametrize("number", SIGNALS)
def test_a_signal_in_finishing_takes_effect_at_the_next_check(shutdown: StopSignal, number: signal.Signals) -> None:
    steps: list[str] = []
    with shutdown.interruptible():
        with shutdown.finishing():
            signal.raise_signal(number)
            steps.append("the answer")
        signal.raise_signal(number)
        steps.append("the record")
    with pytest.raises(Interrupted):
        shutdown.raise_if_stopped()
    assert steps == ["the answer", "the record"]


def test_a_second_signal_interrupts_finishing(shutdown: StopSignal) -> None:
    steps: list[str] = []

    def wait() -> None:
        with shutdown.interruptible(), shutdown.finishing():
            signal.raise_signal(signal.SIGTERM)
            steps.append("the first")
            signal.raise_signal(signal.SIGTERM)
            steps.append("the second")

    with pytest.raises(Interrupted):
        wait()
    assert steps == ["the first"]


def test_finishing_is_interrupted_some_seconds_after_the_signal(
    shutdown: StopSignal, monkeypatch: pytest.MonkeyPatch
) -> None:
    timer = Timer(monkeypatch)
    shutdown.limit = lambda _number, seconds: timer.limits.append(seconds)

    def wait() -> None:
        with shutdown.interruptible(), shutdown.finishing():
            signal.raise_signal(signal.SIGTERM)
            timer.pass_all()
            signal.raise_signal(signal.SIGALRM)

    with pytest.raises(Interrupted) as stop:
        wait()
    assert stop.value.exit_code == 143
    assert timer.passed + timer.limits[0] < 8
    assert len(timer.limits) == 1


@pytest.mark.parametrize("seconds", [0, 2, 5.9])
def test_the_run_ends_within_8_seconds_after_a_signal_in_finishing(
    shutdown: StopSignal, monkeypatch: pytest.MonkeyPatch, seconds: float
) -> None:
    timer = Timer(monkeypatch)
    shutdown.limit = lambda _number, left: timer.limits.append(left)
    with shutdown.interruptible(), shutdown.finishing():
        signal.raise_signal(signal.SIGTERM)
        timer.left -= seconds
    assert len(timer.limits) == 1
    assert 7 < seconds + timer.limits[0] < 8


class Timer:
    """Stands for the system's timer.

    Attributes:
        left: seconds until its alarm.
        passed: seconds that have passed.
        limits: for the arguments of `StopSignal.limit`.
    """

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.left = self.passed = 0.0
        self.limits: list[float] = []
        monkeypatch.setattr(signal, "setitimer", self.set)

    def set(self, _which: int, seconds: float, _interval: float = 0.0) -> tuple[float, float]:
        before, self.left = self.left, seconds
        return before, 0.0

    def pass_all(self) -> None:
        self.passed, self.left = self.left, 0.0


def test_if_finishing_fails_after_a_signal_the_signal_is_raised(shutdown: StopSignal) -> None:
    def fail() -> None:
        with shutdown.interruptible(), shutdown.finishing():
            signal.raise_signal(signal.SIGTERM)
            raise ValueError

    with pytest.raises(Interrupted):
        fail()


def test_a_wait_inside_finishing_is_interrupted_at_once(shutdown: StopSignal) -> None:
    def wait() -> None:
        with shutdown.interruptible(), shutdown.finishing(), shutdown.interruptible():  # such as a request for a token
            signal.raise_signal(signal.SIGTERM)

    with pytest.raises(Interrupted):
        wait()


def test_if_finishing_fails_without_a_signal_the_wait_stays_interruptible(shutdown: StopSignal) -> None:
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


def test_interrupted_is_not_caught_as_an_exception() -> None:
    assert not issubclass(Interrupted, Exception)


def test_installing_outside_the_main_thread_is_no_error() -> None:
    before = signal.getsignal(signal.SIGTERM)
    failures: list[BaseException] = []

    def install() -> None:
        try:
            StopSignal().install()
        except BaseException as error:  # noqa: BLE001 -- reported by the assertion below
            failures.append(error)

    thread = threading.Thread(target=install)
    thread.start()
    thread.join()
    assert failures == []
    assert signal.getsignal(signal.SIGTERM) is before
