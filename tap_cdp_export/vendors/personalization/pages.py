"""The pages of a dataset: requested in order and ahead of their decoding, until an empty one."""

from __future__ import annotations

import logging
from collections import deque
from contextlib import closing, suppress
from typing import TYPE_CHECKING, ClassVar, Final, Protocol

import msgspec

from tap_cdp_export.errors import CdpExportError, UnusableAnswer
from tap_cdp_export.files import strict_json
from tap_cdp_export.files.compression import is_small, open_decompressed
from tap_cdp_export.files.json_chunks import read_verified_chunks, verify
from tap_cdp_export.files.json_container import ARRAY_OF_OBJECTS
from tap_cdp_export.files.json_splitter import DECODE_ERRORS, read_chunks
from tap_cdp_export.files.prefetch import prefetch_pages
from tap_cdp_export.files.spool import Spool
from tap_cdp_export.singer.decoding import decode_chunks

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Iterable, Iterator

    from tap_cdp_export.records.batch import EncodedRecords, RecordBatch
    from tap_cdp_export.records.json_decoder import JsonRecordDecoder
    from tap_cdp_export.singer.stream import ExportStream

logger = logging.getLogger(__name__)

_SMALL_PAGE_BYTES: Final = 64 * 1024
_MAX_REPEATED: Final = 3
_MAX_REPEATED_OF_ONE_NAME: Final = 100
_objects: Final = msgspec.json.Decoder(list[strict_json.ObjectOnly])


class PageDecoder(Protocol):
    """Decodes the pages of one stream.

    Attributes:
        at_once_bytes: size up to which a page is decoded at once, so that several pages and their records take little
            memory; larger pages are cut.
        empty_page: a page without any record.
    """

    at_once_bytes: ClassVar[int]
    empty_page: ClassVar[bytes]

    def decode(self, page: Spool) -> Iterator[RecordBatch]:
        """Decode a page; each batch has at least the column `name`, as a sequence."""

    def pieces(self, page: Spool) -> Iterator[bytes]:
        """Verify a page that is larger than `at_once_bytes`, and cut it into smaller pages."""

    def is_empty(self, page: Spool) -> bool:
        """Return whether a page holds no record; may be called from another thread while pages are decoded."""


class JsonPageDecoder:
    """Decodes pages in JSON."""

    at_once_bytes: ClassVar[int] = 768 * 1024
    empty_page: ClassVar[bytes] = b"[]"

    def __init__(self, decoder: JsonRecordDecoder) -> None:
        """Initialize.

        Args:
            decoder: decodes the records of the stream.
        """
        self._decoder = decoder

    def decode(self, page: Spool) -> Iterator[RecordBatch]:
        """Decode a page.

        Args:
            page: as the vendor sent it.

        Returns:
            The records, in chunks of the page.

        Raises:
            UnusableAnswer: If it is no array of objects, or an object has no identifier.
        """
        if page.size > self.at_once_bytes:  # one long record, which is verified; splitting would copy it
            body = page.head(page.size)
            if not strict_json.has_nul(body):
                with suppress(*DECODE_ERRORS):
                    return iter((self._decoder.array(body),))
        chunks = open_decompressed(page)
        return read_chunks(chunks, ARRAY_OF_OBJECTS, self._decoder.array, self._decoder.objects, is_verified=True)

    def pieces(self, page: Spool) -> Iterator[bytes]:
        """Verify a page, and cut it.

        Args:
            page: as the vendor sent it.

        Returns:
            Pages of some of its objects.

        Raises:
            UnusableAnswer: As `decode` does, but before the first piece.
        """
        verify(page, ARRAY_OF_OBJECTS, self._decoder.check, self._decoder.objects)
        return read_verified_chunks(page, ARRAY_OF_OBJECTS)

    def is_empty(self, page: Spool) -> bool:
        """Return whether a page is an empty array, or null.

        Args:
            page: as the vendor sent it.

        Raises:
            UnusableAnswer: If it is no array of objects.
        """
        chunks = read_chunks(open_decompressed(page), ARRAY_OF_OBJECTS, _objects.decode, list[object])
        return next(chunks, None) is None


class Pages:
    """All pages of a dataset.

    Attributes:
        number: how many have been taken to be decoded.
    """

    def __init__(self, what: str, fetch: Callable[[int], Spool], decoder: PageDecoder, *, are_numbered: bool) -> None:
        """Initialize without fetching.

        Args:
            what: what is read, in a few words for a message.
            fetch: fetches the page of a number from 0; called in a thread of its own.
            decoder: decodes pages.
            are_numbered: whether there may be more than one page.
        """
        self._what = what
        self._fetch = fetch
        self._decoder = decoder
        self._are_numbered = are_numbered
        self.number = 0

    def records_of(self, stream: ExportStream) -> Iterator[RecordBatch | EncodedRecords]:
        """Read all pages.

        Args:
            stream: the stream whose records they hold.

        Yields:
            What the stream has to write.

        Raises:
            UnusableAnswer: If a page cannot be decoded, or the server sends the same pages again and again.
        """
        begins_page: deque[bool] = deque()  # for each piece of a page that is being decoded
        repetition = _Repetition(self._what)
        pieces = self._pieces(begins_page)
        try:
            with closing(pieces), closing(decode_chunks(self._decode, pieces, stream)) as decoded:
                for batches in decoded:
                    if begins_page.popleft():
                        repetition.end_page()
                    for (records,) in batches:
                        yield records
                        repetition.add(records.keys)
        except UnusableAnswer as error:
            raise error.about("Personalization", self._what) from None

    def _decode(self, body: bytes) -> Iterator[tuple[RecordBatch]]:
        with Spool.of(body) as page:
            for batch in self._decoder.decode(page):
                yield (batch._replace(keys=frozenset(map(hash, batch.columns["name"]))),)

    def _pieces(self, begins_page: deque[bool]) -> Generator[bytes]:
        """Yield small pages as they are, and large ones in pieces, so that a page's size does not count in memory."""
        with closing(self._pages()) as pages:
            for page in pages:
                is_small_page = is_small(page, most=self._decoder.at_once_bytes)
                begins = True
                for piece in [page.head(page.size)] if is_small_page else self._decoder.pieces(page):
                    begins_page.append(begins)
                    begins = False
                    yield piece

    def _pages(self) -> Generator[Spool]:
        """Fetch until an empty page: the vendor does not promise that only the last page is short."""
        with closing(prefetch_pages(self._fetch, self._is_last)) as pages:
            for page in pages:
                with page:
                    logger.debug("%s: page %d, %d bytes.", self._what, self.number, page.size)
                    self.number += 1
                    yield page

    def _is_last(self, page: Spool) -> bool:
        """Return whether no page follows; a large page is not looked into."""
        if not self._are_numbered:
            return True
        try:
            return page.size <= _SMALL_PAGE_BYTES and self._decoder.is_empty(page)
        except CdpExportError:  # raised again when the page is decoded
            return True


class _Repetition:
    """Detects a server that ignores the number of a page, by the names on its pages.

    A page may repeat names, so several in a row must repeat all their names; times and scores may change meanwhile.
    """

    def __init__(self, what: str) -> None:
        self._what = what
        self._seen: set[int] = set()
        self._page = 0
        self._names: set[int] = set()
        self._in_a_row = 0
        self._of_several_names = 0

    def add(self, names: Iterable[int]) -> None:
        """Add the hashes of names on the current page."""
        self._names.update(names)

    def end_page(self) -> None:
        """Compare the current page with the earlier ones, and begin the next."""
        number = len(self._names)
        names, self._names = hash(frozenset(self._names)), set()
        if not number:
            return
        if names in self._seen:
            self._in_a_row += 1
            self._of_several_names += number > 1
        else:
            self._in_a_row = self._of_several_names = 0
            self._seen.add(names)
        if self._of_several_names >= _MAX_REPEATED or self._in_a_row >= _MAX_REPEATED_OF_ONE_NAME:
            raise UnusableAnswer(
                f"Page {self._page} of the {self._what} repeats the names of an earlier page, as the "
                f"{self._in_a_row - 1} before it do: the vendor seems to ignore the parameter page. "
                "Set page_size to 0, to read everything in one body."
            )
        self._page += 1
