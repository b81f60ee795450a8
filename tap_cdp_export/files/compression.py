"""Detect gzip by its magic bytes; yield decompressed chunks and lines."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final, TypeVar, cast

from isal import isal_zlib as zlib

from tap_cdp_export.errors import IncompleteAnswer, UnusableAnswer
from tap_cdp_export.signals import STOP

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from tap_cdp_export.files.spool import Spool

T = TypeVar("T")

INFLATE_ERROR: Final = cast("type[Exception]", zlib.error)  # the library's stubs declare an instance
"""Raised by isal when compressed data is corrupt."""

GZIP_MAGIC: Final = b"\x1f\x8b"
GZIP_WBITS: Final = 31
_MOST_LAYERS: Final = 2
_SMALL_BYTES: Final = 3 * 2**20
_TYPICAL_RATIO: Final = 24
_BLOCK_BYTES: Final = 128 * 1024
_INFLATED_BYTES: Final = 256 * 1024
_HARMLESS_BYTES: Final = 256 * 2**20
_MAX_RATIO: Final = 200
"""JSON compresses by a factor of 10 to 30, repetitive text by 50 or more, a decompression bomb by about 1,000."""

_BLANK_LINES: Final = re.compile(rb"\n\n+|\n\s+\n")
_NONBLANK_LINE: Final = re.compile(rb"[^ \t\n\r\f\v][^\n]*")  # a negated set is matched faster than \S


def check_ratio(size: int, packed_size: int) -> None:
    """Refuse a decompression bomb: more than 256 MiB and more than 200 times the compressed size.

    Args:
        size: decompressed bytes of a file or of a whole archive.
        packed_size: compressed bytes of the same.

    Raises:
        UnusableAnswer: If both limits are exceeded.
    """
    if size > max(_HARMLESS_BYTES, _MAX_RATIO * packed_size):
        raise UnusableAnswer(f"A packed file holds more than {_MAX_RATIO} times its size; it is not unpacked.")


def guard_ratio(chunks: Iterable[bytes], packed_size: int) -> Iterator[bytes]:
    """Pass decompressed chunks through, and check their total size after each one.

    Args:
        chunks: decompressed bytes.
        packed_size: size of the compressed file, in bytes.

    Yields:
        The chunks, unchanged.

    Raises:
        UnusableAnswer: If the file is a decompression bomb; see `check_ratio`.
    """
    total = 0
    for chunk in chunks:
        total += len(chunk)
        check_ratio(total, packed_size)
        yield chunk


def verified(spool: Spool, read: Callable[[Spool], Iterator[T]]) -> Iterator[T]:
    """Read a file to its end before yielding anything from it.

    A small file is read once, into memory; a large one is read twice.

    Args:
        spool: the file.
        read: reads the file from its beginning; may be called twice.

    Returns:
        The results of `read`.

    Raises:
        UnusableAnswer: If `read` raises it anywhere in the file.
    """
    if is_small(spool):
        return iter(list(read(spool)))
    drain(read(spool))
    return read(spool)


def drain(items: Iterable[object]) -> None:
    """Exhaust an iterable for its exceptions alone.

    Args:
        items: what to exhaust.

    Raises:
        Interrupted: If a signal has arrived; checked after each item.
    """
    for _ in items:
        STOP.raise_if_stopped()


def is_gzip(spool: Spool) -> bool:
    """Return whether a file begins with the magic bytes of gzip."""
    return spool.head(len(GZIP_MAGIC)) == GZIP_MAGIC


def is_small(spool: Spool, *, most: int | None = None) -> bool:
    """Return whether a decompressed file is small enough to be held in memory, estimated from its size.

    Args:
        spool: the file.
        most: limit in decompressed bytes; 3 MiB by default.
    """
    most = _SMALL_BYTES if most is None else most
    return spool.size <= (most // _TYPICAL_RATIO if is_gzip(spool) else most)


def open_decompressed(spool: Spool) -> Iterator[bytes]:
    """Read a file, decompressed if it is gzip, also where what was sent as gzip was a gzip file already.

    Args:
        spool: the file.

    Returns:
        The decompressed bytes, in chunks.

    Raises:
        IncompleteAnswer: If a gzip member is truncated.
        UnusableAnswer: If gzip data is corrupt, a decompression bomb, or followed by other data.
    """
    chunks = spool.chunks()
    for _ in range(_MOST_LAYERS):
        chunks = guard_ratio(decompress(chunks), spool.size)
    return chunks


def decompress(chunks: Iterable[bytes]) -> Iterator[bytes]:
    """Decompress gzip; pass any other data through.

    Args:
        chunks: the bytes of a file.

    Yields:
        Its decompressed bytes.

    Raises:
        IncompleteAnswer: If a gzip member is truncated.
        UnusableAnswer: If gzip data is corrupt or followed by other data.
    """
    iterator = iter(chunks)
    head = b""
    for chunk in iterator:
        head += chunk
        if len(head) >= len(GZIP_MAGIC):
            break
    if head.startswith(GZIP_MAGIC):
        yield from _gunzip(head, iterator)
    else:
        if head:
            yield head
        yield from iterator


def _gunzip(head: bytes, tail: Iterator[bytes]) -> Iterator[bytes]:
    """Inflate all gzip members; each must have a valid trailer."""
    inflater = zlib.decompressobj(GZIP_WBITS)
    data = head
    while True:
        try:
            out = inflater.decompress(data, _INFLATED_BYTES)
        except INFLATE_ERROR:
            raise UnusableAnswer("A gzip file is damaged.") from None
        if out:
            yield out
        data = inflater.unconsumed_tail
        if inflater.eof:
            STOP.raise_if_stopped()  # empty members yield no chunk, so the consumer cannot check
            data = inflater.unused_data or next(tail, b"")
            if not data:
                return
            inflater = zlib.decompressobj(GZIP_WBITS)
        elif not data and not out:
            data = next(tail, b"")
            if not data:
                raise IncompleteAnswer("A gzip file ends too early.")


class LineTooLong(UnusableAnswer):
    """A line is longer than any record may be."""


def line_blocks(chunks: Iterable[bytes], *, limit: int) -> Iterator[bytes]:
    """Group lines into blocks of about 128 KiB.

    Args:
        chunks: decompressed bytes.
        limit: maximum length of a line, in bytes.

    Yields:
        Blocks of whole lines without consecutive blank lines; only the last block may lack its final newline.

    Raises:
        LineTooLong: If a line is longer than `limit`.
    """
    pending: list[bytes] = []
    size = line = 0
    for chunk in chunks:
        end = chunk.rfind(b"\n") + 1
        if line + (chunk.find(b"\n") if end else len(chunk)) > limit:
            raise LineTooLong(f"A line is longer than {limit // 2**20} MiB.")
        line = len(chunk) - end if end else line + len(chunk)
        if end and size + end >= _BLOCK_BYTES:
            block = b"".join([*pending, memoryview(chunk)[:end]])
            pending, size = [chunk[end:]], len(chunk) - end
            yield from _without_blank_lines(block)
        else:
            pending.append(chunk)
            size += len(chunk)
    yield from _without_blank_lines(b"".join(pending))


def _without_blank_lines(block: bytes) -> Iterator[bytes]:
    if block.isspace():
        return
    if block := _BLANK_LINES.sub(b"\n", block).removeprefix(b"\n"):
        yield block


def lines(chunks: Iterable[bytes], *, limit: int) -> Iterator[tuple[int, bytes]]:
    r"""Split at `\n` only; other line separators of Unicode are content.

    Args:
        chunks: decompressed bytes.
        limit: maximum length of a line, in bytes.

    Yields:
        Number (from 1) and bytes of every line that is not blank.

    Raises:
        LineTooLong: If a line is longer than `limit`; the message has its number.
    """
    number = 1
    pending: list[bytes] = []
    size = 0
    for chunk in chunks:
        end = chunk.rfind(b"\n") + 1
        if end:
            text = b"".join([*pending, memoryview(chunk)[:end]])
            pending, size = [], 0
            yield from _nonblank_lines(text, number, limit)
            number += text.count(b"\n")
        pending.append(chunk[end:])
        size += len(chunk) - end
        if size > limit:
            raise _line_too_long(number, limit)
    yield from _nonblank_lines(b"".join(pending), number, limit)


def _nonblank_lines(text: bytes, number: int, limit: int) -> Iterator[tuple[int, bytes]]:
    """Yield the nonblank lines with their numbers; blank ones are counted without a loop in Python."""
    if text.isspace():
        return
    position = 0
    for match in _NONBLANK_LINE.finditer(text):
        start = text.rfind(b"\n", position, match.start()) + 1
        number += text.count(b"\n", position, start)
        position = match.end()
        if position - start > limit:
            raise _line_too_long(number, limit)
        yield number, text[start:position]


def _line_too_long(number: int, limit: int) -> LineTooLong:
    return LineTooLong(f"line {number} is longer than {limit // 2**20} MiB.")
