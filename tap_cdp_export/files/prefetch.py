"""Files fetched in threads while the one in hand is used: a few, in order."""

from __future__ import annotations

import itertools
import threading
from collections import deque
from concurrent.futures import Future
from queue import SimpleQueue
from typing import TYPE_CHECKING, Final, TypeVar

from tap_cdp_export.files.spool import Spool
from tap_cdp_export.signals import STOP

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Iterable

T = TypeVar("T")

_FILES_AHEAD: Final = 2
_PAGES_AHEAD: Final = 4
"""Pages are small, and a hiccup of the network is bridged by more of them."""

_THREAD: Final = "fetch ahead"


def prefetch_files(items: Iterable[T], fetch: Callable[[T], Spool]) -> Generator[Spool]:
    """Fetch items in order, at most two more than the one in hand.

    Args:
        items: what to fetch.
        fetch: fetches one; called in threads of its own.

    Yields:
        The files; whoever gets one closes it.

    Raises:
        Exception: Whatever `fetch` raises, in its item's turn.
    """
    under_way: deque[Future[Spool]] = deque()
    try:
        for item in items:
            under_way.append(_begun(item, fetch))
            if len(under_way) > _FILES_AHEAD:
                yield _next(under_way)
        while under_way:
            yield _next(under_way)
    finally:
        for future in under_way:
            future.add_done_callback(_close)


def prefetch_pages(fetch: Callable[[int], Spool], is_last: Callable[[Spool], bool]) -> Generator[Spool]:
    """Fetch pages in order, at most four more than the one in hand; none is asked for behind the last.

    Args:
        fetch: fetches the page of a number from 0; called in a thread of its own.
        is_last: whether no page follows one; called there too.

    Yields:
        The pages; whoever gets one closes it.

    Raises:
        Exception: Whatever `fetch` raises, in its page's turn.
    """
    pages = _Pages(fetch, is_last)
    threading.Thread(target=pages.fetch_all, name=_THREAD, daemon=True).start()
    try:
        yield from pages.arriving()
    finally:
        pages.stop()


class _Pages:
    """What one thread fetches and another takes."""

    def __init__(self, fetch: Callable[[int], Spool], is_last: Callable[[Spool], bool]) -> None:
        self._fetch = fetch
        self._is_last = is_last
        self._room = threading.Semaphore(_PAGES_AHEAD)
        self._arrived: SimpleQueue[tuple[Spool | BaseException, bool]] = SimpleQueue()
        self._lock = threading.Lock()
        self._over = threading.Event()

    def fetch_all(self) -> None:
        """Fetch until the last page, trouble, or the end of all interest."""
        for number in itertools.count():
            self._room.acquire()
            if self._over.is_set():
                return
            try:
                page: Spool | BaseException = (fetched := self._fetch(number))
                is_last = self._is_last(fetched)
            except BaseException as error:  # noqa: BLE001 -- it is raised again where the page is taken
                page, is_last = error, True
            with self._lock:
                if not self._over.is_set():
                    self._arrived.put((page, is_last))
                elif isinstance(page, Spool):
                    page.close()
            if is_last:
                return

    def arriving(self) -> Generator[Spool]:
        is_last = False
        while not is_last:
            with STOP.interruptible():
                page, is_last = self._arrived.get()
            self._room.release()
            if isinstance(page, BaseException):
                raise page
            yield page

    def stop(self) -> None:
        """Let the thread end, and close what nobody took."""
        with self._lock:
            self._over.set()
        self._room.release()
        while not self._arrived.empty():
            page, _ = self._arrived.get()
            if not isinstance(page, BaseException):
                page.close()


def _begun(item: T, fetch: Callable[[T], Spool]) -> Future[Spool]:
    """Begin in a daemon thread, which unlike a pool's holds up no process that was told to end."""
    future: Future[Spool] = Future()

    def run() -> None:
        try:
            future.set_result(fetch(item))
        except BaseException as error:  # noqa: BLE001 -- it is raised again where the result is taken
            future.set_exception(error)

    threading.Thread(target=run, name=_THREAD, daemon=True).start()
    return future


def _next(under_way: deque[Future[Spool]]) -> Spool:
    with STOP.interruptible():
        spool = under_way[0].result()
        under_way.popleft()
        return spool


def _close(future: Future[Spool]) -> None:
    if future.exception() is None:
        future.result().close()
