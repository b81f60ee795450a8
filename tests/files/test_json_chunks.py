"""A document is proven whole before anything of it is used, and then cut without being decoded again."""

from __future__ import annotations

import gzip
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from tap_cdp_export.errors import UnusableAnswer
from tap_cdp_export.files import strict_json
from tap_cdp_export.files.json_chunks import read_verified_chunks, verify
from tap_cdp_export.files.json_splitter import ARRAY_OF_OBJECTS
from tap_cdp_export.files.spool import Spool
from tests.helpers.json_documents import ARRAYS, PROFILES, RUN_BYTES, TROUBLE, files, small_runs, spelled


@pytest.mark.parametrize("trouble", TROUBLE.values(), ids=TROUBLE)
@pytest.mark.parametrize("after", [0, 1, 100])
def test_a_file_that_would_not_decode_does_not_prove(trouble: bytes, after: int) -> None:
    good = b'"k":{"sections":{"a":"%b"}}' % (b"x" * 10_000)
    text = b'{"profiles":{' + (good + b",") * 100 + b'"t":' + trouble + (b"," + good) * after + b"}}"
    with Spool([text]) as spool, small_runs(64), pytest.raises(UnusableAnswer):
        verify(spool, PROFILES)


@given(text=spelled(ARRAYS), data=st.data())
@example(text=b'[{"a":1}]', data=None)
def test_a_gzip_body_cut_at_any_byte_never_proves(text: bytes, data: st.DataObject | None) -> None:
    packed = gzip.compress(text)
    for end in [data.draw(st.integers(0, len(packed) - 1))] if data else range(len(packed)):
        with Spool([packed[:end]]) as spool, small_runs(16), pytest.raises(UnusableAnswer):
            verify(spool, ARRAY_OF_OBJECTS)


@given(file=files(), data=st.data(), run=RUN_BYTES, packed=st.booleans())
def test_a_proven_document_is_cut_into_runs_that_hold_all_members(
    file: dict[str, Any], data: st.DataObject, run: int, *, packed: bool
) -> None:
    text = data.draw(spelled(st.just(file)))
    with Spool([gzip.compress(text) if packed else text]) as spool, small_runs(run):
        verify(spool, PROFILES)
        cut = list(read_verified_chunks(spool, PROFILES))
    assert [pair for part in cut for pair in strict_json.decode(part).items()] == list(file["profiles"].items())


def test_members_that_had_to_be_decoded_one_by_one_stay_together() -> None:
    text = b"[" + b",".join(b'{"number":%d,"text":"\\u0000"}' % number for number in range(10_000)) + b"]"
    with Spool([text]) as spool:
        verify(spool, ARRAY_OF_OBJECTS)
        cut = list(read_verified_chunks(spool, ARRAY_OF_OBJECTS))
    assert [member["number"] for run in cut for member in strict_json.decode(run)] == [*range(10_000)]
    assert len(cut) < 10


@pytest.mark.parametrize("keys", [("k", "k"), ("k\\u0000", "k\\ud800")])
def test_profiles_with_one_key_both_come_where_they_were_proven_one_by_one(keys: tuple[str, str]) -> None:
    members = (f'"{key}":{{"sections":{{"{number}":{{}},"x":"\\u0000"}}}}' for number, key in enumerate(keys))
    with Spool([b'{"profiles":{' + ",".join(members).encode() + b"}}"]) as spool:
        verify(spool, PROFILES)
        cut = [strict_json.decode(run) for run in read_verified_chunks(spool, PROFILES)]
    assert [next(iter(profile["sections"])) for run in cut for profile in run.values()] == ["0", "1"]
