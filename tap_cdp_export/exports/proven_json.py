"""One huge JSON document proven whole before anything of it is used, and then cut at the places found meanwhile."""

from __future__ import annotations

from array import array
from typing import TYPE_CHECKING, Any, Final

import msgspec

from tap_cdp_export.exports.json_members import Splitter
from tap_cdp_export.exports.readers import contents
from tap_cdp_export.json_text import AnyObject
from tap_cdp_export.shutdown import SHUTDOWN

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from tap_cdp_export.exports.json_members import Container
    from tap_cdp_export.exports.spool import Spool

_TOGETHER_BYTES: Final = 128 * 1024


def prove(
    spool: Spool,
    container: Container,
    decode: Callable[[bytes], object] | None = None,
    accept: Callable[[Any], object] = lambda _run: None,
) -> None:
    """Read a spooled document once to its end, for its errors and for the places where it can be cut.

    Args:
        spool: the document, plain or gzip; gets its `cuts`.
        container: where its members are.
        decode: as of `json_members.runs`; by default it demands nothing but objects.
        accept: as of `json_members.runs`.

    Raises:
        IncompleteAnswer: If it ends inside.
        NoMembers: If it is an object without them.
        UnusableAnswer: If it is something else.
    """
    if decode is None:
        decode = msgspec.json.Decoder(list[AnyObject] if container.opening == b"[" else dict[str, AnyObject]).decode
    splitter = Splitter(contents(spool), container, decode, accept, is_proven=False)
    may_join = container.opening == b"["  # an object would lose a key that comes twice
    cuts = array("Q")
    for _ in splitter.runs():
        start, end = splitter.run
        if may_join and cuts and end - cuts[-2] <= _TOGETHER_BYTES:  # where something was odd, members come one by one
            cuts[-1] = end
        else:
            cuts.extend((start, end))
        SHUTDOWN.check()
    spool.cuts = cuts


def proven_runs(spool: Spool, container: Container) -> Iterator[bytes]:
    """Cut a document that `prove` has seen, without decoding it.

    Args:
        spool: the document.
        container: where its members are.

    Yields:
        Runs of members, each wrapped as a small container of the same kind.
    """
    chunks = contents(spool)
    buffer = bytearray()
    position = 0
    for start, end in _pairs(spool.cuts):
        while position + len(buffer) < end:
            buffer += next(chunks)
        with memoryview(buffer)[start - position : end - position] as members:
            run = b"".join((container.opening, members, container.closing))
        del buffer[: end - position]
        position = end
        yield run


def _pairs(cuts: Sequence[int]) -> Iterator[tuple[int, int]]:
    places = iter(cuts)
    return zip(places, places, strict=True)
