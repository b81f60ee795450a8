"""One huge JSON document proven whole before anything of it is used, and then cut at the places found meanwhile."""

from __future__ import annotations

from array import array
from typing import TYPE_CHECKING, Any, Final

import msgspec

from tap_cdp_export.files.compression import open_decompressed
from tap_cdp_export.files.json_splitter import JsonSplitter
from tap_cdp_export.files.strict_json import ObjectOnly
from tap_cdp_export.signals import STOP

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from tap_cdp_export.files.json_splitter import Container
    from tap_cdp_export.files.spool import Spool

_TOGETHER_BYTES: Final = 128 * 1024


def verify(
    spool: Spool,
    container: Container,
    decode: Callable[[bytes], object] | None = None,
    accept: Callable[[Any], object] = lambda _run: None,
) -> None:
    """Read a spooled document once to its end, for its errors and for the places where it can be cut.

    Args:
        spool: the document, plain or gzip; gets its `chunk_offsets`.
        container: where its members are.
        decode: as of `json_members.runs`; by default it demands nothing but objects.
        accept: as of `json_members.runs`.

    Raises:
        IncompleteAnswer: If it ends inside.
        NoMembers: If it is an object without them.
        UnusableAnswer: If it is something else.
    """
    if decode is None:
        decode = msgspec.json.Decoder(list[ObjectOnly] if container.opening == b"[" else dict[str, ObjectOnly]).decode
    splitter = JsonSplitter(open_decompressed(spool), container, decode, accept, is_verified=False)
    may_join = container.opening == b"["  # an object would lose a key that comes twice
    chunk_offsets = array("Q")
    for _ in splitter.runs():
        start, end = splitter.run
        if (
            may_join and chunk_offsets and end - chunk_offsets[-2] <= _TOGETHER_BYTES
        ):  # where something was odd, members come one by one
            chunk_offsets[-1] = end
        else:
            chunk_offsets.extend((start, end))
        STOP.raise_if_stopped()
    spool.chunk_offsets = chunk_offsets


def read_verified_chunks(spool: Spool, container: Container) -> Iterator[bytes]:
    """Cut a document that `verify` has seen, without decoding it.

    Args:
        spool: the document.
        container: where its members are.

    Yields:
        Runs of members, each wrapped as a small container of the same kind.
    """
    chunks = open_decompressed(spool)
    buffer = bytearray()
    position = 0
    for start, end in _pairs(spool.chunk_offsets):
        while position + len(buffer) < end:
            buffer += next(chunks)
        with memoryview(buffer)[start - position : end - position] as members:
            run = b"".join((container.opening, members, container.closing))
        del buffer[: end - position]
        position = end
        yield run


def _pairs(chunk_offsets: Sequence[int]) -> Iterator[tuple[int, int]]:
    places = iter(chunk_offsets)
    return zip(places, places, strict=True)
