"""The pages of one dataset: asked for in order, each while the one before it is read, until an empty one."""

from __future__ import annotations

import logging
from contextlib import closing
from typing import TYPE_CHECKING, Any, ClassVar, Final, Protocol

import msgspec
from isal import isal_zlib

from tap_cdp_export.errors import CdpExportError, UnusableAnswer
from tap_cdp_export.files.compression import is_small, open_decompressed, verified
from tap_cdp_export.files.json_chunks import read_verified_chunks, verify
from tap_cdp_export.files.json_splitter import ARRAY_OF_OBJECTS, runs
from tap_cdp_export.files.prefetch import prefetch_pages
from tap_cdp_export.files.spool import Spool
from tap_cdp_export.singer.workers import map_ordered

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Iterator

    from tap_cdp_export.records.batch import EncodedRecords
    from tap_cdp_export.records.json_decoder import JsonRecordDecoder

logger = logging.getLogger(__name__)

_SMALL_PAGE_BYTES: Final = 64 * 1024
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
        """
        with closing(self._pages()) as pages:
            for page in pages:
                found = verified(page, self._read)
                first = next(found, None)
                if first is None:
                    return
                yield first
                yield from found

    def lines(self, encoder: PageDecoder) -> Iterator[EncodedRecords]:
        """Encode all pages.

        Args:
            encoder: encodes one.

        Yields:
            The records.
        """

        def encode(body: bytes) -> Iterator[tuple[EncodedRecords]]:
            with Spool.of(body) as page:
                yield from zip(encoder.lines(page))

        with closing(self._whole_or_cut(encoder)) as items, closing(map_ordered(encode, items)) as found:
            for (lines,) in found:
                yield lines

    def _whole_or_cut(self, encoder: PageDecoder) -> Generator[bytes]:
        """Give small pages as they are, and large ones piece by piece, so that memory knows no large ones."""
        with closing(self._pages()) as pages:
            for page in pages:
                if is_small(page, most=encoder.at_once_bytes):
                    yield page.head(page.size)
                else:
                    yield from encoder.pieces(page)

    def _pages(self) -> Generator[Spool]:
        """Fetch until an empty page: nothing promises that only the last page is short."""
        seen: set[tuple[int, int, int]] = set()
        with closing(prefetch_pages(self._fetch, self._is_last)) as pages:
            for number, page in enumerate(pages):
                with page:
                    logger.debug("%s: page %d, %d bytes.", self._what, number, page.size)
                    digest = _digest(page)
                    if digest in seen:
                        raise UnusableAnswer(f"Page {number} of the {self._what} repeats an earlier page to the byte.")
                    seen.add(digest)
                    yield page

    def _is_last(self, page: Spool) -> bool:
        """Tell an empty page; a large one is none."""
        if not self._are_numbered:
            return True
        try:
            return page.size <= _SMALL_PAGE_BYTES and next(self._read(page), None) is None
        except CdpExportError:  # is raised when the page has its turn
            return True


def _digest(page: Spool) -> tuple[int, int, int]:
    """Tell pages apart by what they hold: gzip notes the time, so equal pages may differ on the wire."""
    size, checksum, other = 0, 0, 1
    try:
        for chunk in open_decompressed(page):
            size += len(chunk)
            checksum = isal_zlib.crc32(chunk, checksum)
            other = isal_zlib.adler32(chunk, other)
    except CdpExportError:  # is raised when the page has its turn
        return -1, 0, 0
    return size, checksum, other
