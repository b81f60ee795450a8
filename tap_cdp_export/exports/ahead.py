"""Files fetched in threads while the one in hand is used: a few, in order."""

from __future__ import annotations

import itertools
import threading
from collections import deque
from concurrent.futures import Future
from typing import TYPE_CHECKING, Final, TypeVar

from tap_cdp_export.shutdown import SHUTDOWN

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Iterable

    from tap_cdp_export.exports.spool import Spool

T = TypeVar("T")

_AHEAD: Final = 2


def fetched_ahead(items: Iterable[T], fetch: Callable[[T], Spool]) -> Generator[Spool]:
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
            if len(under_way) > _AHEAD:
                yield _next(under_way)
        while under_way:
            yield _next(under_way)
    finally:
        for future in under_way:
            future.add_done_callback(_close)


def pages_ahead(fetch: Callable[[int], Spool], is_last: Callable[[Spool], bool]) -> Generator[Spool]:
    """Fetch pages in order, each while the one before it is used; none is asked for behind the last.

    Args:
        fetch: fetches the page of a number from 0; called in threads of its own.
        is_last: whether no page follows one.

    Yields:
        The pages; whoever gets one closes it.

    Raises:
        Exception: Whatever `fetch` raises, in its page's turn.
    """
    under_way = deque([_begun(0, fetch)])
    try:
        for number in itertools.count(1):
            page = _next(under_way)
            if is_last(page):
                yield page
                return
            under_way.append(_begun(number, fetch))
            yield page
    finally:
        for future in under_way:
            future.add_done_callback(_close)


def _begun(item: T, fetch: Callable[[T], Spool]) -> Future[Spool]:
    """Begin in a daemon thread, which unlike a pool's holds up no process that was told to end."""
    future: Future[Spool] = Future()

    def run() -> None:
        try:
            future.set_result(fetch(item))
        except BaseException as error:  # noqa: BLE001 -- it is raised again where the result is taken
            future.set_exception(error)

    threading.Thread(target=run, name="fetch ahead", daemon=True).start()
    return future


def _next(under_way: deque[Future[Spool]]) -> Spool:
    with SHUTDOWN.waiting():
        spool = under_way[0].result()
        under_way.popleft()
        return spool


def _close(future: Future[Spool]) -> None:
    if future.exception() is None:
        future.result().close()
