"""Verify a large JSON document, then read it again in chunks without decoding it."""

from __future__ import annotations

from array import array
from typing import TYPE_CHECKING, Any, Final

import msgspec

from tap_cdp_export.files.activity import ACTIVITY
from tap_cdp_export.files.compression import open_decompressed
from tap_cdp_export.files.json_splitter import JsonSplitter
from tap_cdp_export.files.strict_json import ObjectOnly
from tap_cdp_export.signals import STOP

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from tap_cdp_export.files.json_container import Container
    from tap_cdp_export.files.spool import Spool

_CHUNK_BYTES: Final = 128 * 1024


def verify(
    spool: Spool,
    container: Container,
    decode: Callable[[bytes], object] | None = None,
    accept: Callable[[Any], object] = lambda _members: None,
) -> None:
    """Read a JSON document to its end, and record the offsets at which it can be cut.

    Args:
        spool: the document, plain or gzip; its `chunk_offsets` are set.
        container: the array or object that holds the members.
        decode: as in `json_splitter.read_chunks`; by default any objects are accepted.
        accept: as in `json_splitter.read_chunks`.

    Raises:
        IncompleteAnswer: If the document is truncated.
        NoMembers: If the top-level object lacks the container's key.
        UnusableAnswer: If the document is invalid in any other way.
    """
    if decode is None:
        decode = msgspec.json.Decoder(list[ObjectOnly] if container.opening == b"[" else dict[str, ObjectOnly]).decode
    splitter = JsonSplitter(open_decompressed(spool), container, decode, accept, is_verified=False)
    can_merge = container.opening == b"["  # decoding merged objects would lose a repeated key
    chunk_offsets = array("Q")
    with ACTIVITY.during("checking the file", spool):
        for _ in splitter.chunks():
            start, end = splitter.chunk_span
            # members that were decoded one at a time are merged into chunks of the usual size
            if can_merge and chunk_offsets and end - chunk_offsets[-2] <= _CHUNK_BYTES:
                chunk_offsets[-1] = end
            else:
                chunk_offsets.extend((start, end))
            STOP.raise_if_stopped()
    spool.chunk_offsets = chunk_offsets


def read_verified_chunks(spool: Spool, container: Container) -> Iterator[bytes]:
    """Cut a document at the offsets that `verify` recorded.

    Args:
        spool: the document, with its `chunk_offsets`.
        container: the array or object that holds the members.

    Yields:
        Chunks of whole members, each wrapped as a complete array or object such as `[{...},{...}]`.
    """
    data = open_decompressed(spool)
    buffer = bytearray()
    position = 0
    for start, end in _spans(spool.chunk_offsets):
        while position + len(buffer) < end:
            buffer += next(data)
        with memoryview(buffer)[start - position : end - position] as members:
            chunk = b"".join((container.opening, members, container.closing))
        del buffer[: end - position]
        position = end
        yield chunk


def _spans(chunk_offsets: Sequence[int]) -> Iterator[tuple[int, int]]:
    offsets = iter(chunk_offsets)
    return zip(offsets, offsets, strict=True)
