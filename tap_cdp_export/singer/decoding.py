"""Decode chunks of a file into batches of records, in worker processes where that is possible."""

from __future__ import annotations

import logging
from contextlib import closing
from itertools import chain
from typing import TYPE_CHECKING

from tap_cdp_export.files import strict_json
from tap_cdp_export.singer.workers import in_this_process, map_ordered

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Iterable, Sequence

    from tap_cdp_export.records.batch import EncodedRecords, RecordBatch
    from tap_cdp_export.singer.stream import ExportStream

logger = logging.getLogger(__name__)


def decode_chunks(
    decode: Callable[[bytes], Iterable[tuple[RecordBatch, ...]]], chunks: Iterable[bytes], *streams: ExportStream
) -> Generator[Iterable[tuple[RecordBatch | EncodedRecords, ...]]]:
    """Decode chunks, and encode their records too unless a stream map has to see whole records in this process.

    Args:
        decode: decodes a chunk. It may run in a forked process, so it neither logs nor writes.
        chunks: pieces of a file.
        streams: the streams that the chunks feed, in the order in which `decode` gives their batches.

    Yields:
        For each chunk, in order, what the streams `write` of it, to be used up before the next chunk is requested;
        nothing of a chunk before all of it is decoded, unless it is larger than 4 MiB.

    Raises:
        LocalFailure: If the system kills a worker.
        Exception: Whatever `decode` or `chunks` raises, after the batches of the chunks before.
    """
    with closing(_decoded(decode, chunks, streams)) as decoded:
        for batches in decoded:
            warn_of_nonfinite()
            yield batches


def warn_of_nonfinite() -> None:
    """Warn once in a run that a bare NaN or infinity has become null."""
    if strict_json.has_new_nonfinite():
        logger.warning("The vendor sends NaN or infinite numbers, which are no JSON; null is given for them.")


def write_chunks(
    decode: Callable[[bytes], Iterable[tuple[RecordBatch, ...]]], chunks: Iterable[bytes], *streams: ExportStream
) -> int:
    """Decode chunks as `decode_chunks` does, and let each stream write its records; raises what that raises.

    Args:
        decode: as of `decode_chunks`.
        chunks: pieces of a file.
        streams: the streams that the chunks feed.

    Returns:
        How many values were of another type than they are defined to be.
    """
    misfits = 0
    with closing(decode_chunks(decode, chunks, *streams)) as decoded:
        for batches in chain.from_iterable(decoded):
            for stream, records in zip(streams, batches, strict=True):
                stream.write(records)
                misfits += records.misfits
    return misfits


def _decoded(
    decode: Callable[[bytes], Iterable[tuple[RecordBatch, ...]]],
    chunks: Iterable[bytes],
    streams: Sequence[ExportStream],
) -> Generator[Iterable[tuple[RecordBatch | EncodedRecords, ...]]]:
    if not all(stream.can_encode_columns() for stream in streams):
        for chunk in chunks:
            yield in_this_process(decode, chunk)
        return

    def encode(chunk: bytes) -> Iterable[tuple[EncodedRecords, ...]]:
        for batches in decode(chunk):
            yield tuple(stream.encode(batch) for stream, batch in zip(streams, batches, strict=True))

    with closing(map_ordered(encode, chunks)) as encoded:
        yield from encoded
