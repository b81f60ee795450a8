"""The three ways in which Braze cuts its lists into pages (docs/vendors/endpoints.md, B.1, B.7 and B.8)."""

from __future__ import annotations

import itertools
import logging
from contextlib import closing
from functools import partial
from http import HTTPStatus
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import urljoin, urlsplit

from tap_cdp_export.errors import RequestRefused, UnusableAnswer
from tap_cdp_export.files.prefetch import prefetch

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from tap_cdp_export.vendors.braze.api import BrazeApi
    from tap_cdp_export.vendors.braze.tables.endpoint import Endpoint

    Paging = Callable[[BrazeApi, Endpoint], Iterator[list[Any]]]

MOST_A_PAGE: Final = 500
"""Of a suppression list."""
_OVERLAP: Final = 50
"""While the next page is asked for, fewer rows may vanish without one being passed over."""
_MOST_PASSES: Final = 3

logger = logging.getLogger(__name__)


def numbered(api: BrazeApi, endpoint: Endpoint) -> Iterator[list[Any]]:
    """Read pages by number from 0 until an empty one: how many items a page has is documented in part only.

    Null stands for an empty page, but not for the first one.

    A later page that is answered with 404 twice is taken for the end, with a warning; `api.cut_short` notes the list,
    since nothing proves that it was.

    Args:
        api: where to ask.
        endpoint: of the list.

    Yields:
        The items of each page. The first page may come twice, as numbers 0 and 1, where the vendor counts from 1.

    Raises:
        UnusableAnswer: If a later page repeats the one before.
    """
    before: list[Any] | None = None
    for number in itertools.count():
        items = _numbered_page(api, endpoint, number)
        if not items:
            return
        if items != before:
            yield items
        elif number > 1:
            raise repeats(endpoint)
        before = items


def _numbered_page(api: BrazeApi, endpoint: Endpoint, number: int) -> list[Any]:
    for is_second in (False, True):  # as a single 404 may be a gateway's
        try:
            answer = endpoint.get(api, {"page": number})
            is_past_end = number > 0 and answer.content.get(endpoint.data_key, ...) is None
            return [] if is_past_end else endpoint.items(answer)
        except RequestRefused as error:
            if error.status != HTTPStatus.NOT_FOUND or not number:
                raise
            if is_second and endpoint.path not in api.cut_short:
                logger.warning(
                    "%s: the vendor answered 404 twice to page %d; taken for the end, as page %d came.%s",
                    endpoint.what.capitalize(),
                    number,
                    number - 1,
                    error.reason,
                )
    api.cut_short.add(endpoint.path)
    return []


def linked(api: BrazeApi, endpoint: Endpoint) -> Iterator[list[Any]]:
    """Read pages by the cursor in the `Link` header, which is passed on as it is; the host stays the configured one.

    Args:
        api: where to ask.
        endpoint: of the list.

    Yields:
        The items of each page.

    Raises:
        UnusableAnswer: If a link leads to another list, or comes twice.
    """
    url, address = "", f"{api.base_url}{endpoint.path}"
    seen: set[str] = set()
    while True:
        answer = endpoint.get(api, url=url)
        yield endpoint.items(answer)
        if answer.next_url is None:
            return
        try:
            link = urlsplit(urljoin(address, answer.next_url))
        except ValueError:
            link = urlsplit("")
        if not link.path.endswith(endpoint.path) or link.query in seen:
            raise UnusableAnswer(f"Braze's link to the next page of {endpoint.what} leads elsewhere, or back.")
        seen.add(link.query)
        url = f"{address}?{link.query}"


def page_at(api: BrazeApi, endpoint: Endpoint, params: Mapping[str, str], offset: int) -> list[Any]:
    """Read one page of a suppression list; may be called in any thread.

    Args:
        api: where to ask.
        endpoint: of the list.
        params: what to ask for.
        offset: how many items come before it.

    Returns:
        Its items.
    """
    return endpoint.items(endpoint.get(api, {**params, "limit": MOST_A_PAGE, "offset": offset}))


def after_page(
    api: BrazeApi, endpoint: Endpoint, params: Mapping[str, str], first: list[Any], parallel_requests: int
) -> Iterator[list[Any]]:
    """Read pages by offset until one without further rows; while pages are full, a few are asked for ahead.

    A page may have fewer rows than were asked for, though it is not the last. Where rows vanish, the later ones move
    forward. So each page begins with the last rows of the page before: if it holds any of them, no row between was
    passed over. Otherwise the list is read again.

    Args:
        api: where to ask.
        endpoint: of the list.
        params: what to ask for.
        first: the items of the first page.
        parallel_requests: how many requests are in flight at the same time.

    Yields:
        The items of each page, the first one included, without those that the page before ended with.

    Raises:
        UnusableAnswer: If a page comes twice: then the offset has no effect, and the pages have no end. Or if the pages
            do not join in any pass.
    """
    for _ in range(_MOST_PASSES):
        try:
            yield from _joined(api, endpoint, params, first, parallel_requests)
        except _Gap:
            logger.warning("%s: the list changes while it is read; it is read again.", endpoint.what.capitalize())
            first = page_at(api, endpoint, params, 0)
        else:
            return
    raise changes(endpoint)


class _Gap(Exception):
    """A page does not join the one before."""


def _joined(
    api: BrazeApi, endpoint: Endpoint, params: Mapping[str, str], first: list[Any], parallel_requests: int
) -> Iterator[list[Any]]:
    yield first
    before, offset = first, 0
    while step := len(before) - (overlap := min(_OVERLAP, (len(before) + 1) // 2)):
        size = len(before)
        offsets = itertools.count(offset + step, step)
        number = parallel_requests if size == MOST_A_PAGE else 1  # a page that is not full may be the last
        with closing(prefetch(offsets, partial(page_at, api, endpoint, params), number=number)) as pages:
            for items in pages:
                offset += step
                if items == before:
                    raise repeats(endpoint)
                if 0 < len(items) < size and all(item in before for item in items):
                    return  # whatever order the vendor keeps
                new = [item for item in items if item not in before[-overlap:]]
                if len(new) == len(items):
                    raise _Gap
                if not new:
                    return
                yield new
                before = items
                if len(items) != size:
                    break


def changes(endpoint: Endpoint) -> UnusableAnswer:
    """Make the error for a list that changes in every pass.

    Args:
        endpoint: of the list.

    Returns:
        The error.
    """
    return UnusableAnswer(
        f"Braze's answers to the request for {endpoint.what} change too fast to be read as a whole. Run again later."
    )


def repeats(endpoint: Endpoint) -> UnusableAnswer:
    """Make the error for pages that bring nothing new.

    Args:
        endpoint: of the list.

    Returns:
        The error.
    """
    return UnusableAnswer(f"Braze answers with the same page again and again when asked for {endpoint.what}.")
