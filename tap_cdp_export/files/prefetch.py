"""Fetch a few files or pages ahead, in background threads; results come in order."""

from __future__ import annotations

import itertools
import threading
from collections import deque
from concurrent.futures import Future
from functools import partial
from queue import SimpleQueue
from typing import TYPE_CHECKING, Final, TypeVar

from tap_cdp_export.files.spool import Spool
from tap_cdp_export.signals import STOP

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Iterable

T = TypeVar("T")
Result = TypeVar("Result")

_FILES_AHEAD: Final = 2
_PAGES_AHEAD: Final = 4
"""Pages are small, and more of them bridge a slow response."""

_THREAD_NAME: Final = "fetch ahead"


def prefetch_files(items: Iterable[T], fetch: Callable[[T], Spool]) -> Generator[Spool]:
    """Fetch items in order, up to two ahead of the one last yielded.

    Args:
        items: the items to fetch.
        fetch: fetches one item; called in a background thread.

    Yields:
        The file of each item; the caller closes it.

    Raises:
        Exception: An exception of `fetch`, raised when the turn of its item comes.
    """
    yield from prefetch(items, fetch, number=_FILES_AHEAD + 1, discard=Spool.close)


def prefetch(
    items: Iterable[T], fetch: Callable[[T], Result], *, number: int, discard: Callable[[Result], None] | None = None
) -> Generator[Result]:
    """Fetch items in order, several at the same time.

    Args:
        items: the items to fetch.
        fetch: fetches one item; called in a background thread.
        number: how many are fetched or wait for their turn at the same time, at most.
        discard: releases a result that was not consumed.

    Yields:
        The result of each item.

    Raises:
        Exception: An exception of `fetch`, raised when the turn of its item comes.
    """
    futures: deque[Future[Result]] = deque()
    try:
        for item in items:
            futures.append(_submit(item, fetch))
            if len(futures) >= number:
                yield _next_result(futures)
        while futures:
            yield _next_result(futures)
    finally:
        for future in futures:
            if discard:
                future.add_done_callback(partial(_discard, discard))


def prefetch_pages(fetch: Callable[[int], Spool], is_last: Callable[[Spool], bool]) -> Generator[Spool]:
    """Fetch pages in order, up to four ahead of the one last yielded; none is requested after the last page.

    Args:
        fetch: fetches the page with a number, from 0; called in a background thread.
        is_last: returns whether a page is the last one; called in the same thread.

    Yields:
        The pages; the caller closes each.

    Raises:
        Exception: An exception of `fetch` or `is_last`, raised when the turn of its page comes.
    """
    pages = _PageQueue(fetch, is_last)
    threading.Thread(target=pages.fetch_all, name=_THREAD_NAME, daemon=True).start()
    try:
        yield from pages.results()
    finally:
        pages.stop()


class _PageQueue:
    """Passes pages from the fetching thread to the consuming one."""

    def __init__(self, fetch: Callable[[int], Spool], is_last: Callable[[Spool], bool]) -> None:
        self._fetch = fetch
        self._is_last = is_last
        self._free_slots = threading.Semaphore(_PAGES_AHEAD)
        self._results: SimpleQueue[tuple[Spool | BaseException, bool]] = SimpleQueue()
        self._lock = threading.Lock()
        self._stopped = threading.Event()

    def fetch_all(self) -> None:
        """Fetch until the last page, an error, or `stop`."""
        for number in itertools.count():
            self._free_slots.acquire()
            if self._stopped.is_set():
                return
            try:
                page: Spool | BaseException = (spool := self._fetch(number))
                is_last = self._is_last(spool)
            except BaseException as error:  # noqa: BLE001 -- raised again by `results`
                page, is_last = error, True
            with self._lock:
                if not self._stopped.is_set():
                    self._results.put((page, is_last))
                elif isinstance(page, Spool):
                    page.close()
            if is_last:
                return

    def results(self) -> Generator[Spool]:
        is_last = False
        while not is_last:
            with STOP.interruptible():
                page, is_last = self._results.get()
            self._free_slots.release()
            if isinstance(page, BaseException):
                raise page
            yield page

    def stop(self) -> None:
        """End the thread, and close the pages that were not consumed."""
        with self._lock:
            self._stopped.set()
        self._free_slots.release()
        while not self._results.empty():
            page, _ = self._results.get()
            if not isinstance(page, BaseException):
                page.close()


def _submit(item: T, fetch: Callable[[T], Result]) -> Future[Result]:
    """Start a daemon thread: unlike the threads of a pool, it does not delay the end of the process."""
    future: Future[Result] = Future()

    def run() -> None:
        try:
            future.set_result(fetch(item))
        except BaseException as error:  # noqa: BLE001 -- raised again by `_next_result`
            future.set_exception(error)

    threading.Thread(target=run, name=_THREAD_NAME, daemon=True).start()
    return future


def _next_result(futures: deque[Future[Result]]) -> Result:
    with STOP.interruptible():
        result = futures[0].result()
        futures.popleft()
        return result


def _discard(discard: Callable[[Result], None], future: Future[Result]) -> None:
    if future.exception() is None:
        discard(future.result())
