"""A document is verified to its end, then read in chunks without being decoded again."""

from __future__ import annotations

import gzip
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from tap_cdp_export.errors import UnusableAnswer
from tap_cdp_export.files import strict_json
from tap_cdp_export.files.json_chunks import read_verified_chunks, verify
from tap_cdp_export.files.json_container import ARRAY_OF_OBJECTS
from tap_cdp_export.files.spool import Spool
from tests.helpers.json_documents import (
    ARRAYS,
    CHUNK_BYTES,
    MALFORMED_MEMBERS,
    PROFILES,
    files,
    json_text,
    small_chunks,
)


@pytest.mark.parametrize("member", MALFORMED_MEMBERS.values(), ids=MALFORMED_MEMBERS)
@pytest.mark.parametrize("after", [0, 1, 100])
def test_a_file_with_a_malformed_member_is_not_verified(member: bytes, after: int) -> None:
    good = b'"k":{"sections":{"a":"%b"}}' % (b"x" * 10_000)
    text = b'{"profiles":{' + (good + b",") * 100 + b'"t":' + member + (b"," + good) * after + b"}}"
    with Spool([text]) as spool, small_chunks(64), pytest.raises(UnusableAnswer):
        verify(spool, PROFILES)


@given(text=json_text(ARRAYS), data=st.data())
@example(text=b'[{"a":1}]', data=None)
def test_a_gzip_file_truncated_at_any_byte_is_not_verified(text: bytes, data: st.DataObject | None) -> None:
    packed = gzip.compress(text)
    for end in [data.draw(st.integers(0, len(packed) - 1))] if data else range(len(packed)):
        with Spool([packed[:end]]) as spool, small_chunks(16), pytest.raises(UnusableAnswer):
            verify(spool, ARRAY_OF_OBJECTS)


@given(file=files(), data=st.data(), chunk_bytes=CHUNK_BYTES, packed=st.booleans())
def test_the_chunks_of_a_verified_document_contain_all_members(
    file: dict[str, Any], data: st.DataObject, chunk_bytes: int, *, packed: bool
) -> None:
    text = data.draw(json_text(st.just(file)))
    with Spool([gzip.compress(text) if packed else text]) as spool, small_chunks(chunk_bytes):
        verify(spool, PROFILES)
        chunks = list(read_verified_chunks(spool, PROFILES))
    assert [pair for chunk in chunks for pair in strict_json.decode(chunk).items()] == list(file["profiles"].items())


def test_members_that_were_decoded_one_at_a_time_are_merged_into_chunks() -> None:
    text = b"[" + b",".join(b'{"number":%d,"text":"\\u0000"}' % number for number in range(10_000)) + b"]"
    with Spool([text]) as spool:
        verify(spool, ARRAY_OF_OBJECTS)
        chunks = list(read_verified_chunks(spool, ARRAY_OF_OBJECTS))
    assert [member["number"] for chunk in chunks for member in strict_json.decode(chunk)] == [*range(10_000)]
    assert len(chunks) < 10


@pytest.mark.parametrize("keys", [("k", "k"), ("k\\u0000", "k\\ud800")])
def test_two_profiles_with_the_same_key_are_both_kept(keys: tuple[str, str]) -> None:
    members = (f'"{key}":{{"sections":{{"{number}":{{}},"x":"\\u0000"}}}}' for number, key in enumerate(keys))
    with Spool([b'{"profiles":{' + ",".join(members).encode() + b"}}"]) as spool:
        verify(spool, PROFILES)
        chunks = [strict_json.decode(chunk) for chunk in read_verified_chunks(spool, PROFILES)]
    assert [next(iter(profile["sections"])) for chunk in chunks for profile in chunk.values()] == ["0", "1"]
