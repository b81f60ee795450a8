"""Files are fetched a few ahead, come in order, and none is left open whatever happens."""

from __future__ import annotations

import os
import signal
import threading
from contextlib import closing

import pytest

from tap_cdp_export.errors import IncompleteAnswer, Interrupted
from tap_cdp_export.files.prefetch import prefetch_files, prefetch_pages
from tap_cdp_export.files.spool import Spool
from tap_cdp_export.signals import STOP

_PATIENCE_SECONDS = 10.0


class Store:
    """Gives each number as a file, when its gate is open.

    Attributes:
        begun: the numbers asked for.
        spools: the files given.
        gate: lets fetches end.
    """

    def __init__(self, *, is_open: bool = True, broken: int | None = None) -> None:
        self.begun: list[int] = []
        self.spools: dict[int, Spool] = {}
        self.gate = threading.Event()
        if is_open:
            self.gate.set()
        self._broken = broken
        self._lock = threading.Lock()

    def fetch(self, number: int) -> Spool:
        with self._lock:
            self.begun.append(number)
        assert self.gate.wait(_PATIENCE_SECONDS)
        if number == self._broken:
            raise IncompleteAnswer("cut")
        with self._lock:
            self.spools[number] = Spool([str(number).encode()])
        return self.spools[number]

    def settle(self) -> None:
        """Wait until every fetch has ended."""
        self.gate.set()
        for thread in threading.enumerate():
            if thread.name == "fetch ahead":
                thread.join(_PATIENCE_SECONDS)

    @property
    def left_open(self) -> list[int]:
        return [number for number, spool in self.spools.items() if not spool.file.closed]


def test_all_files_come_in_order() -> None:
    store = Store()
    seen = []
    for spool in prefetch_files(range(7), store.fetch):
        with spool:
            seen.append(spool.head(9))
    assert seen == [b"0", b"1", b"2", b"3", b"4", b"5", b"6"]
    assert list(prefetch_files([], store.fetch)) == []


def test_two_more_than_the_one_in_hand_are_fetched_and_no_more() -> None:
    store = Store()
    with closing(prefetch_files(range(100), store.fetch)) as files:
        next(files).close()
        store.settle()
        assert sorted(store.begun) == [0, 1, 2]
        next(files).close()
        store.settle()
        assert sorted(store.begun) == [0, 1, 2, 3]


def test_files_that_nobody_took_are_closed_also_when_they_come_later() -> None:
    store = Store()
    files = prefetch_files(range(9), store.fetch)
    next(files).close()
    store.settle()
    store.gate.clear()
    next(files).close()  # begins a fourth, which waits at the gate
    files.close()
    store.settle()
    assert sorted(store.spools) == [0, 1, 2, 3]
    assert store.left_open == []


def test_a_failure_comes_in_its_files_turn_and_leaves_nothing_open() -> None:
    store = Store(broken=1)
    files = prefetch_files(range(9), store.fetch)
    next(files).close()
    with pytest.raises(IncompleteAnswer):
        next(files)
    store.settle()
    assert store.left_open == []


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_ends_the_wait_for_a_file(number: signal.Signals) -> None:
    STOP.install()
    store = Store(is_open=False)
    timer = threading.Timer(0.02, os.kill, [os.getpid(), number])
    files = prefetch_files(range(9), store.fetch)
    timer.start()
    with pytest.raises(Interrupted):
        next(files)
    store.settle()
    assert store.left_open == []


# Pages


def test_pages_come_in_order_and_none_is_asked_for_behind_the_last() -> None:
    store = Store()
    with closing(prefetch_pages(store.fetch, lambda page: page.head(1) == b"5")) as pages:
        read = []
        for page in pages:
            with page:
                read.append(page.head(1))
    store.settle()
    assert read == [b"0", b"1", b"2", b"3", b"4", b"5"]
    assert store.begun == [0, 1, 2, 3, 4, 5]


def test_at_most_four_pages_are_fetched_ahead_of_the_one_in_hand() -> None:
    store = Store()
    with closing(prefetch_pages(store.fetch, lambda _page: False)) as pages:
        for number in range(4):
            with next(pages):
                assert len(store.begun) <= number + 5
    store.settle()
    assert len(store.begun) <= 8
    assert store.left_open == []


def test_trouble_with_a_page_comes_in_its_turn() -> None:
    store = Store(broken=2)
    with closing(prefetch_pages(store.fetch, lambda _page: False)) as pages:
        for _ in range(2):
            next(pages).close()
        with pytest.raises(IncompleteAnswer):
            next(pages)
    store.settle()
    assert store.begun == [0, 1, 2]
    assert store.left_open == []


def test_pages_that_nobody_takes_are_closed() -> None:
    store = Store()
    pages = prefetch_pages(store.fetch, lambda _page: False)
    next(pages).close()
    pages.close()
    store.settle()
    assert store.left_open == []


def test_a_page_that_arrives_after_the_end_of_interest_is_closed() -> None:
    store = Store(is_open=False)
    pages = prefetch_pages(store.fetch, lambda _page: False)
    store.gate.set()
    next(pages).close()
    store.gate.clear()
    pages.close()
    store.settle()
    assert store.left_open == []
