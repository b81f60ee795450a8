"""Decompression and line splitting: every byte is kept, and truncation is detected."""

from __future__ import annotations

import gzip
import itertools
import time
import tracemalloc
import zlib
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tap_cdp_export.errors import IncompleteAnswer, UnusableAnswer
from tap_cdp_export.files import compression
from tap_cdp_export.files.compression import decompress, drain, line_blocks, lines, open_decompressed
from tap_cdp_export.files.spool import Spool
from tests.helpers.archives import gzipped
from tests.helpers.json_documents import in_chunks

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

CHUNK_SIZES = st.integers(1, 70)
MEMBERS = st.lists(st.binary(max_size=60) | st.just(b"x" * 700_000), min_size=1, max_size=4)


@given(data=st.binary(max_size=60).filter(lambda data: not data.startswith(b"\x1f\x8b")), size=CHUNK_SIZES)
def test_data_other_than_gzip_passes_through_unchanged(data: bytes, size: int) -> None:
    assert b"".join(decompress(in_chunks(data, size))) == data


@given(members=MEMBERS, size=CHUNK_SIZES)
def test_all_gzip_members_are_decompressed_for_any_chunk_size(members: list[bytes], size: int) -> None:
    assert b"".join(decompress(in_chunks(gzipped(*members), size))) == b"".join(members)


@given(members=MEMBERS, size=CHUNK_SIZES, data=st.data())
def test_gzip_truncated_inside_any_member_is_incomplete(members: list[bytes], size: int, data: st.DataObject) -> None:
    whole = gzipped(*members)
    boundaries = {sum(len(gzipped(member)) for member in members[:count]) for count in range(len(members) + 1)}
    end = data.draw(st.integers(2, len(whole) - 1).filter(lambda end: end not in boundaries))
    with pytest.raises(IncompleteAnswer):
        list(decompress(in_chunks(whole[:end], size)))


@given(content=st.binary(min_size=20, max_size=60), size=CHUNK_SIZES, position=st.integers(1, 8))
def test_a_wrong_checksum_or_length_is_damage(content: bytes, size: int, position: int) -> None:
    damaged = bytearray(gzipped(content))
    damaged[-position] ^= 0xFF
    with pytest.raises(UnusableAnswer):
        list(decompress(in_chunks(bytes(damaged), size)))


@given(tail=st.binary(min_size=3, max_size=20).filter(lambda tail: not tail.startswith(b"\x1f\x8b")), size=CHUNK_SIZES)
def test_bytes_behind_gzip_that_are_no_gzip_are_damage(tail: bytes, size: int) -> None:
    with pytest.raises(UnusableAnswer):
        list(decompress(in_chunks(gzipped(b"hello") + tail, size)))


def test_a_decompression_bomb_is_inflated_in_small_chunks() -> None:
    bomb = gzip.compress(b"\0" * 50_000_000)
    assert len(bomb) < 100_000
    largest = total = 0
    for chunk in decompress([bomb]):
        largest = max(largest, len(chunk))
        total += len(chunk)
    assert total == 50_000_000
    assert largest <= 2**20


def test_a_raw_deflate_stream_behind_the_gzip_magic_is_damage() -> None:
    with pytest.raises(UnusableAnswer):
        list(decompress([b"\x1f\x8b" + zlib.compress(b"x" * 100)]))


LINE_TEXTS = st.lists(st.text('ab{}"\\ \t\r\u2028\u2029\x85\x0b\x0cé', max_size=6).map(str.encode), max_size=8)


@given(texts=LINE_TEXTS, size=CHUNK_SIZES, end=st.sampled_from([b"", b"\n"]))
def test_lines_are_cut_at_newlines_only_and_keep_their_numbers(texts: list[bytes], size: int, end: bytes) -> None:
    data = b"\n".join(texts) + end
    expected = [(number, line) for number, line in enumerate(data.split(b"\n"), start=1) if line.strip()]
    assert list(lines(in_chunks(data, size), limit=10**6)) == expected


@given(texts=LINE_TEXTS, size=CHUNK_SIZES, end=st.sampled_from([b"", b"\n"]))
def test_blocks_hold_the_lines_that_are_not_blank(texts: list[bytes], size: int, end: bytes) -> None:
    data = b"\n".join(texts) + end
    expected = [line for line in data.split(b"\n") if line.strip()]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(compression, "_BLOCK_BYTES", 10)
        blocks = list(line_blocks(in_chunks(data, size), limit=10**6))
    assert [line for block in blocks for line in block.split(b"\n") if line.strip()] == expected
    assert not any(block.isspace() or b"\n\n" in block or not block for block in blocks)


@pytest.mark.parametrize("blank", [b"\n", b" \n", b"\r\n"])
def test_blank_lines_are_skipped_fast_and_counted(blank: bytes) -> None:
    chunk = blank * (2**18 // len(blank))
    number = chunk.count(b"\n") * 200
    start = time.process_time()
    assert list(lines(itertools.chain(itertools.repeat(chunk, 200), [b"x"]), limit=10)) == [(number + 1, b"x")]
    assert list(line_blocks(itertools.repeat(chunk, 200), limit=10)) == []
    assert time.process_time() - start < 2  # a loop over the lines takes about ten seconds


def test_the_time_for_a_long_line_is_linear() -> None:
    start = time.process_time()
    assert len(list(lines(itertools.repeat(b"x" * 1024, 40 * 1024), limit=40 * 2**20))) == 1
    assert time.process_time() - start < 2  # a copy for each chunk would be 800 GB


@given(
    length=st.integers(90, 120),
    size=st.integers(1, 300),
    before=st.integers(0, 3),
    end=st.sampled_from([b"", b"\n", b"\nnext"]),
)
def test_a_line_over_the_limit_is_refused_with_its_number_wherever_the_chunks_end(
    length: int, size: int, before: int, end: bytes
) -> None:
    numbered_lines = lines(in_chunks(b"ok\n" * before + b"x" * length + end, size), limit=100)
    if length <= 100:
        assert len(list(numbered_lines)) == before + 1 + end.endswith(b"next")
        return
    with pytest.raises(UnusableAnswer, match=f"line {before + 1} "):
        list(numbered_lines)


@given(
    length=st.integers(90, 120),
    size=st.integers(1, 100),
    before=st.integers(0, 3),
    end=st.sampled_from([b"", b"\n", b"\nnext"]),
)
def test_blocks_refuse_a_line_over_the_limit(length: int, size: int, before: int, end: bytes) -> None:
    data = b"ok\n" * before + b"x" * length + end
    blocks = line_blocks(in_chunks(data, size), limit=100)
    if length <= 100:
        assert b"".join(blocks) == data
        return
    with pytest.raises(UnusableAnswer, match="longer than"):
        list(blocks)


@pytest.mark.parametrize("read", [lines, line_blocks])
def test_a_long_line_is_joined_once(read: Callable[..., Iterator[object]]) -> None:
    size = 16 * 2**20
    chunks = in_chunks(b"a\n" + b"x" * size + b"\nb\n", 64 * 1024)
    tracemalloc.start()
    try:
        for _ in read(chunks, limit=40 * 2**20):
            pass
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < 2.2 * size


@given(data=st.binary(max_size=500), cut=st.booleans())
def test_gzip_in_gzip_is_read_to_its_end(data: bytes, *, cut: bool) -> None:
    inner = gzip.compress(data, mtime=0)
    with Spool([gzip.compress(inner[:-1] if cut else inner, mtime=0)]) as spool:
        if cut:
            with pytest.raises(IncompleteAnswer):
                drain(open_decompressed(spool))
        else:
            assert b"".join(open_decompressed(spool)) == data


def test_a_gzip_in_gzip_in_gzip_is_not_unpacked_further() -> None:
    inner = gzip.compress(b"x", mtime=0)
    with Spool([gzip.compress(gzip.compress(inner, mtime=0), mtime=0)]) as spool:
        assert b"".join(open_decompressed(spool)) == inner
