"""From the bytes of a file to plain bytes and lines, told by the first bytes alone."""

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

DAMAGE: Final = cast("type[Exception]", zlib.error)  # the library's stubs call it an instance
"""What inflating damaged bytes raises."""

_GZIP: Final = b"\x1f\x8b"
_GZIP_WINDOW: Final = 31
_SMALL_BYTES: Final = 3 * 2**20
_USUAL_RATIO: Final = 24
_BLOCK_BYTES: Final = 128 * 1024
_INFLATED_BYTES: Final = 256 * 1024
_HARMLESS_BYTES: Final = 256 * 2**20
_HIGHEST_RATIO: Final = 200
"""JSON packs ten to thirty times, text that repeats itself fifty times and more; a bomb a thousand times."""

_BLANK_LINES: Final = re.compile(rb"\n\n+|\n\s+\n")
_FILLED: Final = re.compile(rb"[^ \t\n\r\f\v][^\n]*")  # a set is found sooner than \S


def check_ratio(size: int, packed_size: int) -> None:
    """Make sure that there are not absurdly more plain bytes than packed ones; up to 256 MiB are always allowed.

    Args:
        size: plain bytes of a file or of a whole archive.
        packed_size: bytes they were packed in.

    Raises:
        UnusableAnswer: If it is a bomb.
    """
    if size > max(_HARMLESS_BYTES, _HIGHEST_RATIO * packed_size):
        raise UnusableAnswer(f"A packed file holds more than {_HIGHEST_RATIO} times its size; it is not unpacked.")


def guard_ratio(chunks: Iterable[bytes], packed_size: int) -> Iterator[bytes]:
    """Let plain bytes pass as long as there are not absurdly more of them than of packed ones.

    Args:
        chunks: plain bytes.
        packed_size: bytes they were packed in.

    Yields:
        The same.

    Raises:
        UnusableAnswer: If the file is a bomb.
    """
    total = 0
    for chunk in chunks:
        total += len(chunk)
        check_ratio(total, packed_size)
        yield chunk


def verified(spool: Spool, read: Callable[[Spool], Iterator[T]]) -> Iterator[T]:
    """Read a file, and give nothing of it before all of it is proven whole.

    Args:
        spool: the file.
        read: reads it from its beginning, as often as asked to.

    Returns:
        What `read` yields.

    Raises:
        UnusableAnswer: As `read` does, but before the first result.
    """
    if is_small(spool):
        return iter(list(read(spool)))
    drain(read(spool))
    return read(spool)


def drain(parts: Iterable[object]) -> None:
    """Read to the end for the errors alone; a signal ends it between two parts.

    Args:
        parts: what is read.

    Raises:
        Interrupted: If a signal has arrived.
    """
    for _ in parts:
        STOP.raise_if_stopped()


def is_gzip(spool: Spool) -> bool:
    """Tell by its first bytes whether a file is gzip.

    Args:
        spool: the file.

    Returns:
        Whether it is.
    """
    return spool.head(len(_GZIP)) == _GZIP


def is_small(spool: Spool, *, most: int | None = None) -> bool:
    """Tell whether a file takes little memory as a whole, as far as its size tells.

    Args:
        spool: the file.
        most: what counts as little, in plain bytes; by default 3 MiB.

    Returns:
        Whether it does.
    """
    most = _SMALL_BYTES if most is None else most
    return spool.size <= (most // _USUAL_RATIO if is_gzip(spool) else most)


def open_decompressed(spool: Spool) -> Iterator[bytes]:
    """Read a file, and undo gzip where its first two bytes say that it is gzip.

    Args:
        spool: the file.

    Returns:
        Its plain bytes, in chunks.

    Raises:
        IncompleteAnswer: If a gzip member does not end.
        UnusableAnswer: If it is damaged, a bomb, or something else follows it.
    """
    return guard_ratio(decompress(spool.chunks()), spool.size)


def decompress(chunks: Iterable[bytes]) -> Iterator[bytes]:
    """Undo gzip where the first two bytes say that it is gzip.

    Args:
        chunks: a file.

    Yields:
        Its plain bytes.

    Raises:
        IncompleteAnswer: If a gzip member does not end.
        UnusableAnswer: If it is damaged, or something else follows it.
    """
    iterator = iter(chunks)
    head = b""
    for chunk in iterator:
        head += chunk
        if len(head) >= len(_GZIP):
            break
    if head.startswith(_GZIP):
        yield from _gunzip(head, iterator)
    else:
        if head:
            yield head
        yield from iterator


def _gunzip(head: bytes, rest: Iterator[bytes]) -> Iterator[bytes]:
    """Inflate one gzip member after the other, and demand every trailer."""
    inflater = zlib.decompressobj(_GZIP_WINDOW)
    data = head
    while True:
        try:
            out = inflater.decompress(data, _INFLATED_BYTES)
        except DAMAGE:
            raise UnusableAnswer("A gzip file is damaged.") from None
        if out:
            yield out
        data = inflater.unconsumed_tail
        if inflater.eof:
            STOP.raise_if_stopped()  # a file may be made of empty members, with no chunk to stop at
            data = inflater.unused_data or next(rest, b"")
            if not data:
                return
            inflater = zlib.decompressobj(_GZIP_WINDOW)
        elif not data and not out:
            data = next(rest, b"")
            if not data:
                raise IncompleteAnswer("A gzip file ends too early.")


def line_blocks(chunks: Iterable[bytes], *, limit: int) -> Iterator[bytes]:
    """Cut at some of the newlines.

    Args:
        chunks: plain bytes.
        limit: bytes that a line may have.

    Yields:
        Whole lines, many at a time, without runs of blank ones; only the last block may end without a newline.

    Raises:
        UnusableAnswer: If a line is longer.
    """
    pending: list[bytes] = []
    size = line = 0
    for chunk in chunks:
        end = chunk.rfind(b"\n") + 1
        if line + (chunk.find(b"\n") if end else len(chunk)) > limit:
            raise UnusableAnswer(f"A line is longer than {limit // 2**20} MiB.")
        line = len(chunk) - end if end else line + len(chunk)
        if end and size + end >= _BLOCK_BYTES:
            block = b"".join([*pending, memoryview(chunk)[:end]])
            pending, size = [chunk[end:]], len(chunk) - end
            yield from _without_blanks(block)
        else:
            pending.append(chunk)
            size += len(chunk)
    yield from _without_blanks(b"".join(pending))


def _without_blanks(block: bytes) -> Iterator[bytes]:
    if block.isspace():
        return
    if block := _BLANK_LINES.sub(b"\n", block).removeprefix(b"\n"):
        yield block


def lines(chunks: Iterable[bytes], *, limit: int) -> Iterator[tuple[int, bytes]]:
    """Cut at newlines, and at nothing else that Unicode calls a line's end.

    Args:
        chunks: plain bytes.
        limit: bytes that a line may have.

    Yields:
        Number (from 1) and bytes of every line that is not blank.

    Raises:
        UnusableAnswer: If a line is longer.
    """
    number = 1
    pending: list[bytes] = []
    size = 0
    for chunk in chunks:
        end = chunk.rfind(b"\n") + 1
        if end:
            whole = b"".join([*pending, memoryview(chunk)[:end]])
            pending, size = [], 0
            yield from _filled_lines(whole, number, limit)
            number += whole.count(b"\n")
        pending.append(chunk[end:])
        size += len(chunk) - end
        if size > limit:
            raise _too_long(number, limit)
    yield from _filled_lines(b"".join(pending), number, limit)


def _filled_lines(text: bytes, number: int, limit: int) -> Iterator[tuple[int, bytes]]:
    """Give the lines that are not blank, with their numbers, and take no time for those that are."""
    if text.isspace():
        return
    place = 0
    for match in _FILLED.finditer(text):
        start = text.rfind(b"\n", place, match.start()) + 1
        number += text.count(b"\n", place, start)
        place = match.end()
        if place - start > limit:
            raise _too_long(number, limit)
        yield number, text[start:place]


def _too_long(number: int, limit: int) -> UnusableAnswer:
    return UnusableAnswer(f"Line {number} is longer than {limit // 2**20} MiB.")
