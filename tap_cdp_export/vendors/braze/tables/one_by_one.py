"""Ask for many objects, one request each; one that the vendor refuses is passed over."""

from __future__ import annotations

import logging
import math
from typing import TYPE_CHECKING, Final, TypeVar

from tap_cdp_export.errors import RequestRefused
from tap_cdp_export.files.prefetch import prefetch

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence

T = TypeVar("T")
Result = TypeVar("Result")

logger = logging.getLogger(__name__)

GONE: Final = frozenset({400, 404})
"""Statuses with which the vendor refuses one object, and not all of them."""
_MANY_REFUSED: Final = 20
"""After so many refusals and no answer, others are tried: the newest, and some of every age."""
_MOST_WARNINGS: Final = 20
_MOST_TRIED: Final = 1_000
"""If these are refused too, the cause is in the request. They take a minute or so."""


class OneByOne:
    """Several requests in flight, whose answers come in order.

    Attributes:
        refused: IDs that the vendor has refused so far.
    """

    def __init__(self, what: str, parallel_requests: int) -> None:
        """Ask for nothing yet.

        Args:
            what: name of the stream, for messages.
            parallel_requests: how many are in flight at the same time.
        """
        self.refused: set[str] = set()
        self._what = what
        self._parallel_requests = parallel_requests
        self._has_answer = False
        self._refusal: RequestRefused | None = None

    def answers(
        self,
        items: Iterable[T],
        fetch: Callable[[T], Result],
        identify: Callable[[T], str],
        everything: Callable[[], Sequence[T]] | None = None,
    ) -> Iterator[tuple[T, Result]]:
        """Fetch each item, and pass over those that were deleted meanwhile, with a warning for each of the first.

        Args:
            items: what to ask for.
            fetch: asks for one, in a background thread.
            identify: gives the ID of an item, which is in the warning; an ID once refused is not asked for again.
            everything: gives an item for each ID of the run, the oldest first; None tries no others where many are
                refused.

        Yields:
            Each item and its result, in order.

        Raises:
            RequestRefused: If many are refused, and the others that are tried as well.
            CdpExportError: Any other failure of `fetch`.
        """

        def attempt(item: T) -> tuple[T, Result | RequestRefused]:
            try:
                return item, fetch(item)
            except RequestRefused as refusal:
                if refusal.status not in GONE:
                    raise
                return item, refusal

        wanted = (item for item in items if identify(item) not in self.refused)
        for item, result in prefetch(wanted, attempt, number=self._parallel_requests):
            if not isinstance(result, RequestRefused):
                self._has_answer = True
                yield item, result
            elif identify(item) not in self.refused:
                self.refused.add(identify(item))
                self._refusal = result
                self._warn(identify(item), result)
                if everything and not self._has_answer and len(self.refused) >= _MANY_REFUSED:
                    others = [one for one in everything() if identify(one) not in self.refused]
                    some = others[:: -math.ceil(len(others) / _MOST_TRIED) or -1]
                    next(self.answers(some, fetch, identify), None)
                    self.check()

    def _warn(self, identifier: str, refusal: RequestRefused) -> None:
        count = len(self.refused)
        logger.log(
            logging.WARNING if count <= _MOST_WARNINGS else logging.DEBUG,
            "%s: %s is passed over (%s); it may have been deleted. The others come, and the next run asks for "
            "it again.",
            self._what,
            identifier,
            refusal.status,
        )
        if count == _MOST_WARNINGS:
            logger.warning("%s: any others that are passed over are logged at the level DEBUG.", self._what)

    def check(self) -> None:
        """Fail if all were refused: then the cause is in the request, not in what it named.

        Raises:
            RequestRefused: The vendor's last refusal.
        """
        if self._refusal and not self._has_answer:
            raise self._refusal
