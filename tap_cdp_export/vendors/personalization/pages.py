"""The pages of one dataset: asked for in order, each while the one before it is read, until an empty one."""

from __future__ import annotations

import logging
from collections import deque
from contextlib import closing, suppress
from typing import TYPE_CHECKING, Any, ClassVar, Final, Protocol

import msgspec

from tap_cdp_export.errors import CdpExportError, UnusableAnswer
from tap_cdp_export.files import strict_json
from tap_cdp_export.files.compression import is_small, open_decompressed, verified
from tap_cdp_export.files.json_chunks import read_verified_chunks, verify
from tap_cdp_export.files.json_container import ARRAY_OF_OBJECTS
from tap_cdp_export.files.json_splitter import REFUSALS, runs
from tap_cdp_export.files.prefetch import prefetch_pages
from tap_cdp_export.files.spool import Spool
from tap_cdp_export.singer.workers import map_ordered

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Iterator

    from tap_cdp_export.records.batch import EncodedRecords
    from tap_cdp_export.records.json_decoder import JsonRecordDecoder

logger = logging.getLogger(__name__)

_SMALL_PAGE_BYTES: Final = 64 * 1024
_MOST_REPEATED: Final = 3
_MOST_REPEATED_OF_ONE_NAME: Final = 100
_array: Final = msgspec.json.Decoder(list[dict[str, Any]])


class PageDecoder(Protocol):
    """Makes the records of a page.

    Attributes:
        at_once_bytes: larger pages are cut: some of this size, and what they become, take little memory.
    """

    at_once_bytes: ClassVar[int]

    def lines(self, page: Spool) -> Iterator[EncodedRecords]:
        """Encode a page."""

    def pieces(self, page: Spool) -> Iterator[bytes]:
        """Prove a page that is too large to be encoded at once, and cut it into small ones."""


class JsonPages:
    """Reads pages in JSON."""

    def objects(self, page: Spool) -> Iterator[dict[str, Any]]:
        """Read a page.

        Args:
            page: as the vendor sent it.

        Yields:
            The objects.

        Raises:
            UnusableAnswer: If it is no array of objects.
        """
        for run in runs(open_decompressed(page), ARRAY_OF_OBJECTS, _array.decode, list[dict[str, Any]]):
            yield from run


class JsonPageDecoder:
    """Encodes pages in JSON."""

    at_once_bytes: ClassVar[int] = 768 * 1024

    def __init__(self, typed: JsonRecordDecoder) -> None:
        """Take what encodes a run.

        Args:
            typed: of the stream.
        """
        self._typed = typed

    def lines(self, page: Spool) -> Iterator[EncodedRecords]:
        """Encode a page.

        Args:
            page: as the vendor sent it.

        Returns:
            The records, run by run.

        Raises:
            UnusableAnswer: If it is no array of objects, or an object has no identifier.
        """
        if page.size > self.at_once_bytes:  # one long record, which is proven; splitting would copy it
            body = page.head(page.size)
            if not strict_json.has_nul(body):
                with suppress(*REFUSALS):
                    return iter((self._typed.array(body),))
        return runs(open_decompressed(page), ARRAY_OF_OBJECTS, self._typed.array, self._typed.lines, is_verified=True)

    def pieces(self, page: Spool) -> Iterator[bytes]:
        """Prove a page, and cut it.

        Args:
            page: as the vendor sent it.

        Returns:
            Pages of some of its objects.

        Raises:
            UnusableAnswer: As `lines` does, but before the first piece.
        """
        verify(page, ARRAY_OF_OBJECTS, self._typed.check, self._typed.lines)
        return read_verified_chunks(page, ARRAY_OF_OBJECTS)


class Pages:
    """All pages of a dataset."""

    def __init__(
        self,
        what: str,
        fetch: Callable[[int], Spool],
        read: Callable[[Spool], Iterator[dict[str, Any]]],
        *,
        are_numbered: bool,
    ) -> None:
        """Fetch nothing yet.

        Args:
            what: what is read, in a few words for a message.
            fetch: fetches the page of a number from 0; called in a thread of its own.
            read: reads a page, object by object; called there too.
            are_numbered: whether there may be more than one page.
        """
        self._what = what
        self._fetch = fetch
        self._read = read
        self._are_numbered = are_numbered

    def objects(self) -> Iterator[dict[str, Any]]:
        """Read all pages, object by object.

        Yields:
            The vendor's objects.

        Raises:
            UnusableAnswer: If the server gives the same pages again and again.
        """
        repetition = _Repetition(self._what)
        with closing(self._pages()) as pages:
            for page in pages:
                for fields in verified(page, self._read):
                    yield fields
                    repetition.add(1, hash(fields.get("name")))
                repetition.end_page()

    def lines(self, encoder: PageDecoder) -> Iterator[EncodedRecords]:
        """Encode all pages.

        Args:
            encoder: encodes one.

        Yields:
            The records.

        Raises:
            UnusableAnswer: If the server gives the same pages again and again.
        """

        def encode(body: bytes) -> list[tuple[EncodedRecords, ...]]:
            with Spool.of(body) as page:
                return [tuple(encoder.lines(page))]

        begins_page: deque[bool] = deque()
        repetition = _Repetition(self._what)
        items = self._whole_or_cut(encoder, begins_page)
        with closing(items), closing(map_ordered(encode, items)) as found:
            for part in found:  # one for each item
                if begins_page.popleft():
                    repetition.end_page()
                for lines in part:
                    yield lines
                    repetition.add(lines.number + lines.left_out, lines.keys)

    def _whole_or_cut(self, encoder: PageDecoder, begins_page: deque[bool]) -> Generator[bytes]:
        """Give small pages as they are, and large ones piece by piece, so that memory knows no large ones."""
        with closing(self._pages()) as pages:
            for page in pages:
                is_small_page = is_small(page, most=encoder.at_once_bytes)
                begins = True
                for item in [page.head(page.size)] if is_small_page else encoder.pieces(page):
                    begins_page.append(begins)
                    begins = False
                    yield item

    def _pages(self) -> Generator[Spool]:
        """Fetch until an empty page: nothing promises that only the last page is short."""
        with closing(prefetch_pages(self._fetch, self._is_last)) as pages:
            for number, page in enumerate(pages):
                with page:
                    logger.debug("%s: page %d, %d bytes.", self._what, number, page.size)
                    yield page

    def _is_last(self, page: Spool) -> bool:
        """Tell an empty page; a large one is none."""
        if not self._are_numbered:
            return True
        try:
            return page.size <= _SMALL_PAGE_BYTES and next(self._read(page), None) is None
        except CdpExportError:  # is raised when the page has its turn
            return True


class _Repetition:
    """Finds out a server that ignores the number of a page, by the names on its pages.

    Names may be repeated by right, so it takes some pages in a row; times and scores may differ meanwhile.
    """

    def __init__(self, what: str) -> None:
        self._what = what
        self._seen: set[int] = set()
        self._page = 0
        self._names = (0, 0)
        self._in_a_row = 0
        self._of_several_names = 0

    def add(self, number: int, keys: int) -> None:
        """Take note of records of the page in hand.

        Args:
            number: how many.
            keys: sum of the hashes of their names.
        """
        self._names = (self._names[0] + number, self._names[1] + keys)

    def end_page(self) -> None:
        """Judge the page in hand, and begin the next."""
        number, _ = self._names
        names, self._names = hash(self._names), (0, 0)
        if not number:
            return
        if names in self._seen:
            self._in_a_row += 1
            self._of_several_names += number > 1
        else:
            self._in_a_row = self._of_several_names = 0
            self._seen.add(names)
        if self._of_several_names >= _MOST_REPEATED or self._in_a_row >= _MOST_REPEATED_OF_ONE_NAME:
            raise UnusableAnswer(
                f"Page {self._page} of the {self._what} repeats the names of an earlier page, as the "
                f"{self._in_a_row - 1} before it do: the vendor seems to ignore the parameter page. "
                "Set page_size to 0, to read everything in one body."
            )
        self._page += 1
