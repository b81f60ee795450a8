"""Files are fetched a few ahead and in order, and all of them are closed in the end."""

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

_WAIT_SECONDS = 10.0


class Store:
    """Returns each number as a file; a fetch blocks until the gate is open.

    Attributes:
        requests: the numbers requested.
        spools: the files returned.
        gate: lets fetches end.
    """

    def __init__(self, *, is_open: bool = True, broken: int | None = None) -> None:
        self.requests: list[int] = []
        self.spools: dict[int, Spool] = {}
        self.gate = threading.Event()
        if is_open:
            self.gate.set()
        self._broken = broken
        self._lock = threading.Lock()

    def fetch(self, number: int) -> Spool:
        with self._lock:
            self.requests.append(number)
        assert self.gate.wait(_WAIT_SECONDS)
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
                thread.join(_WAIT_SECONDS)

    @property
    def open_files(self) -> list[int]:
        return [number for number, spool in self.spools.items() if not spool.file.closed]


def test_all_files_come_in_order() -> None:
    store = Store()
    contents = []
    for spool in prefetch_files(range(7), store.fetch):
        with spool:
            contents.append(spool.head(9))
    assert contents == [b"0", b"1", b"2", b"3", b"4", b"5", b"6"]
    assert list(prefetch_files([], store.fetch)) == []


def test_at_most_two_files_are_fetched_ahead() -> None:
    store = Store()
    with closing(prefetch_files(range(100), store.fetch)) as files:
        next(files).close()
        store.settle()
        assert sorted(store.requests) == [0, 1, 2]
        next(files).close()
        store.settle()
        assert sorted(store.requests) == [0, 1, 2, 3]


def test_files_that_were_not_consumed_are_closed_even_if_they_arrive_later() -> None:
    store = Store()
    files = prefetch_files(range(9), store.fetch)
    next(files).close()
    store.settle()
    store.gate.clear()
    next(files).close()  # starts a fourth fetch, which waits at the gate
    files.close()
    store.settle()
    assert sorted(store.spools) == [0, 1, 2, 3]
    assert store.open_files == []


def test_a_failed_fetch_raises_in_its_turn_and_leaves_no_file_open() -> None:
    store = Store(broken=1)
    files = prefetch_files(range(9), store.fetch)
    next(files).close()
    with pytest.raises(IncompleteAnswer):
        next(files)
    store.settle()
    assert store.open_files == []


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
    assert store.open_files == []


# Pages


def test_pages_come_in_order_and_none_is_requested_after_the_last() -> None:
    store = Store()
    with closing(prefetch_pages(store.fetch, lambda page: page.head(1) == b"5")) as pages:
        contents = []
        for page in pages:
            with page:
                contents.append(page.head(1))
    store.settle()
    assert contents == [b"0", b"1", b"2", b"3", b"4", b"5"]
    assert store.requests == [0, 1, 2, 3, 4, 5]


def test_at_most_four_pages_are_fetched_ahead() -> None:
    store = Store()
    with closing(prefetch_pages(store.fetch, lambda _page: False)) as pages:
        for number in range(4):
            with next(pages):
                assert len(store.requests) <= number + 5
    store.settle()
    assert len(store.requests) <= 8
    assert store.open_files == []


def test_a_failed_page_raises_in_its_turn() -> None:
    store = Store(broken=2)
    with closing(prefetch_pages(store.fetch, lambda _page: False)) as pages:
        for _ in range(2):
            next(pages).close()
        with pytest.raises(IncompleteAnswer):
            next(pages)
    store.settle()
    assert store.requests == [0, 1, 2]
    assert store.open_files == []


def test_pages_that_are_not_consumed_are_closed() -> None:
    store = Store()
    pages = prefetch_pages(store.fetch, lambda _page: False)
    next(pages).close()
    pages.close()
    store.settle()
    assert store.open_files == []


def test_a_page_that_arrives_after_the_consumer_stopped_is_closed() -> None:
    store = Store(is_open=False)
    pages = prefetch_pages(store.fetch, lambda _page: False)
    store.gate.set()
    next(pages).close()
    store.gate.clear()
    pages.close()
    store.settle()
    assert store.open_files == []
