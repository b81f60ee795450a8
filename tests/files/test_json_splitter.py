"""A large JSON document in chunks of whole members: the result of a plain parser, or an error."""

from __future__ import annotations

import gzip
import json
import math
import time
import tracemalloc
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tap_cdp_export.errors import IncompleteAnswer, UnusableAnswer
from tap_cdp_export.files import strict_json
from tap_cdp_export.files.compression import open_decompressed, verified
from tap_cdp_export.files.json_container import ARRAY_OF_OBJECTS
from tap_cdp_export.files.json_splitter import read_chunks
from tap_cdp_export.files.spool import Spool
from tests.helpers.json_documents import (
    ARRAYS,
    CHUNK_BYTES,
    MALFORMED_MEMBERS,
    PROFILES,
    files,
    in_chunks,
    json_text,
    small_chunks,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

_objects = msgspec.json.Decoder(list[dict[str, Any]])
_any_objects = msgspec.json.Decoder(list[strict_json.ObjectOnly])


def decode_list(chunk: bytes) -> list[dict[str, Any]]:
    return strict_json.check_depth(_objects.decode(chunk))


decode_dict = msgspec.json.Decoder(dict[str, dict[str, Any]]).decode


def as_in_strict_json(digits: str) -> float | Decimal:
    return float(digits) if math.isfinite(float(digits)) else Decimal(digits)


CHUNK_SIZES = st.integers(1, 80) | st.just(10_000)


def objects(chunks: Iterable[bytes]) -> list[dict[str, Any]]:
    return [
        member for part in read_chunks(chunks, ARRAY_OF_OBJECTS, decode_list, list[dict[str, Any]]) for member in part
    ]


def verified_objects(spool: Spool) -> Iterator[list[dict[str, Any]]]:
    return verified(
        spool, lambda file: read_chunks(open_decompressed(file), ARRAY_OF_OBJECTS, decode_list, list[dict[str, Any]])
    )


def profiles(chunks: Iterable[bytes]) -> list[tuple[str, Any]]:
    return [pair for part in read_chunks(chunks, PROFILES, decode_dict, dict[str, Any]) for pair in part.items()]


def members_before_error(chunks: Iterable[bytes]) -> list[dict[str, Any]]:
    """Read an invalid array; return the members yielded before the error."""
    return members_until_error(lambda: read_chunks(chunks, ARRAY_OF_OBJECTS, decode_list, list[dict[str, Any]]))


def members_until_error(parts: Callable[[], Iterator[list[dict[str, Any]]]]) -> list[dict[str, Any]]:
    members: list[dict[str, Any]] = []
    with pytest.raises(UnusableAnswer) as failure:
        members.extend(member for part in parts() for member in part)
    assert failure.value.exit_code == 12
    return members


# The same as a plain parser


@given(array=ARRAYS, data=st.data(), size=CHUNK_SIZES, chunk_bytes=CHUNK_BYTES, bom=st.booleans())
def test_an_array_is_read_as_a_plain_parser_reads_it(
    array: list[Any], data: st.DataObject, size: int, chunk_bytes: int, *, bom: bool
) -> None:
    text = b"\xef\xbb\xbf" * bom + data.draw(json_text(st.just(array)))
    with small_chunks(chunk_bytes):
        assert objects(in_chunks(text, size)) == array


@given(file=files(), data=st.data(), size=CHUNK_SIZES, chunk_bytes=CHUNK_BYTES)
def test_members_under_a_key_are_read_in_order_as_a_plain_parser_reads_them(
    file: dict[str, Any], data: st.DataObject, size: int, chunk_bytes: int
) -> None:
    text = data.draw(json_text(st.just(file)))
    with small_chunks(chunk_bytes):
        assert profiles(in_chunks(text, size)) == list(file["profiles"].items())


@given(size=CHUNK_SIZES, chunk_bytes=CHUNK_BYTES)
def test_nuls_and_lone_surrogates_inside_members_become_the_replacement_character(size: int, chunk_bytes: int) -> None:
    text = rb'[{"a":"x"},{"b":"\u0000"},{"c\ud800":["\udfff"]},{"d":"y"}]'
    with small_chunks(chunk_bytes):
        members = objects(in_chunks(text, size))
    assert members == [{"a": "x"}, {"b": "\ufffd"}, {"c\ufffd": ["\ufffd"]}, {"d": "y"}]


@pytest.mark.parametrize("text", [b"[]", b" [ \n ] \r\n", b"\xef\xbb\xbf[]"])
def test_an_empty_array_has_no_members(text: bytes) -> None:
    assert objects([text]) == []
    assert objects(in_chunks(text, 1)) == []


@pytest.mark.parametrize(
    "text",
    [b'{"profiles":{}}', b'{"metadata":{"profiles":{"a":{}}},"profiles" : { } , "x":[1,{}]}', b'{"pro\\u0066iles":{}}'],
)
def test_an_empty_object_under_its_key_has_no_members(text: bytes) -> None:
    assert profiles([text]) == []
    assert profiles(in_chunks(text, 1)) == []


def test_sections_behind_the_profiles_are_not_read_as_a_profile() -> None:
    text = b'{"profiles":{"a":{"sections":{}}},"metadata":{"sections":{"1":{}}},"more":{"sections":{}}}'
    for chunk_bytes in (1, 8, 1024):
        with small_chunks(chunk_bytes):
            assert profiles(in_chunks(text, 7)) == [("a", {"sections": {}})]


REPEATED_KEYS = [
    b'{"profiles":{"a":{"sections":{}}},"profiles":{"b":{"sections":{}},"a":{}}}',
    b' {"x":1,"profiles" : {"a":{}} , "y":{"profiles":{"z":{}}},\n"profiles":{},"profiles":{"b":{},"a":{}} ,"z":[]} ',
    b'{"profiles":{},"pro\\u0066iles":{"a":{},"b":{},"a":{}}}',
]


@pytest.mark.parametrize("text", REPEATED_KEYS)
@pytest.mark.parametrize("chunk_bytes", [1, 8, 1024])
@pytest.mark.parametrize("size", [1, 7, 10_000])
def test_members_under_a_repeated_key_are_all_read(text: bytes, chunk_bytes: int, size: int) -> None:
    def keys_of(chunk: bytes) -> list[str]:
        return [key for key, _ in strict_json.decode_members(chunk, joined=0)]

    with small_chunks(chunk_bytes):
        keys = [key for part in read_chunks(in_chunks(text, size), PROFILES, keys_of, list[str]) for key in part]
        assert keys == ["a", "b", "a"]
        for end in range(len(text.rstrip())):
            with pytest.raises(UnusableAnswer):
                profiles(in_chunks(text[:end], size))


@pytest.mark.parametrize("second", [b"[]", b"1", b"nulls", b'{"a":1}', b'{"a":{}'])
def test_members_of_another_form_under_a_repeated_key_are_an_error(second: bytes) -> None:
    with pytest.raises(UnusableAnswer):
        profiles([b'{"profiles":{"a":{}},"profiles":' + second + b"}"])


# Or an error


@given(array=ARRAYS, data=st.data(), size=CHUNK_SIZES, chunk_bytes=CHUNK_BYTES)
def test_an_array_truncated_at_any_byte_is_an_error_after_correct_members(
    array: list[Any], data: st.DataObject, size: int, chunk_bytes: int
) -> None:
    text = data.draw(json_text(st.just(array)))
    end = data.draw(st.integers(0, len(text) - 1))
    with small_chunks(chunk_bytes):
        members = members_before_error(in_chunks(text[:end], size))
    assert members == array[: len(members)]


@given(file=files(), data=st.data(), size=CHUNK_SIZES, chunk_bytes=CHUNK_BYTES)
def test_a_file_truncated_at_any_byte_is_an_error(
    file: dict[str, Any], data: st.DataObject, size: int, chunk_bytes: int
) -> None:
    text = data.draw(json_text(st.just(file)))
    end = data.draw(st.integers(0, len(text) - 1))
    with small_chunks(chunk_bytes), pytest.raises(UnusableAnswer):
        profiles(in_chunks(text[:end], size))


@pytest.mark.parametrize("text", [b"[", b'[{"a":1}', b'[{"a":1},', b'[{"a":', b"", b" ", b"\xef\xbb"])
def test_a_truncated_document_is_incomplete_so_that_it_is_retried(text: bytes) -> None:
    with pytest.raises(IncompleteAnswer):
        objects([text])


@given(
    array=ARRAYS,
    data=st.data(),
    size=CHUNK_SIZES,
    chunk_bytes=CHUNK_BYTES,
    tail=st.sampled_from([b"]", b"[]", b"{}", b",", b"x", b"\0", b"0", b"\xff"]),
)
def test_anything_behind_the_end_is_an_error(
    array: list[Any], data: st.DataObject, size: int, chunk_bytes: int, tail: bytes
) -> None:
    text = data.draw(json_text(st.just(array)))
    with small_chunks(chunk_bytes):
        members = members_before_error(in_chunks(text + b"\n" + tail, size))
    assert members == array[: len(members)]


@given(text=json_text(ARRAYS), data=st.data(), size=CHUNK_SIZES, chunk_bytes=CHUNK_BYTES)
def test_a_damaged_byte_gives_what_a_strict_parser_gives_or_an_error(
    text: bytes, data: st.DataObject, size: int, chunk_bytes: int
) -> None:
    damaged = bytearray(text)
    damaged[data.draw(st.integers(0, len(text) - 1))] = data.draw(st.integers(0, 255))
    with small_chunks(chunk_bytes):
        try:
            members = objects(in_chunks(bytes(damaged), size))
        except UnusableAnswer:
            return
    assert members == strict_json.replace_unstorable(json.loads(bytes(damaged).decode("utf-8-sig")))


@pytest.mark.parametrize(
    ("text", "found"),
    [
        (b'{"profiles":null}', {}),
        (b' { "x" : [ 1 ] , "profiles" : null , "more" : {} } ', {}),
        (b'{"profiles":null,"profiles":{"a":{"n":1}},"profiles":null}', {"a": {"n": 1}}),
        (b'{"profiles":{"a":{"n":1}},"profiles":null,"more":1}', {"a": {"n": 1}}),
        (b'{"x":NaN,"profiles":{"a":{"n":NaN}},"y":-Infinity}', {"a": {"n": None}}),
    ],
)
@pytest.mark.parametrize("chunk_bytes", [1, 16, 128 * 1024])
def test_null_for_no_members_and_a_bare_nan_are_read(text: bytes, found: dict[str, Any], chunk_bytes: int) -> None:
    for size in (1, 5, 5000):
        with small_chunks(chunk_bytes):
            assert dict(profiles(in_chunks(text, size))) == found


@pytest.mark.parametrize("text", [b"null", b" null\n", b"\xef\xbb\xbfnull"])
def test_null_in_place_of_an_array_is_an_empty_one(text: bytes) -> None:
    assert objects(in_chunks(text, 1)) == []


@pytest.mark.parametrize("text", [b"nul", b"nulls", b"null[]", b"null null"])
def test_what_only_begins_as_null_is_refused(text: bytes) -> None:
    for size in (1, 100):
        with pytest.raises(UnusableAnswer):
            objects(in_chunks(text, size))


BROKEN_FILES = {
    "no profiles": b'{"status":"error","title":"too large"}',
    "nothing": b"{}",
    "half a null": b'{"profiles":nul}',
    "a word that begins as null": b'{"profiles":nullx}',
    "null and a value": b'{"profiles":null{}}',
    "profiles in an array": b'{"profiles":[]}',
    "profiles as a text": b'{"profiles":"canary"}',
    "an array": b"[]",
    "a login page": b"<!DOCTYPE html><html>canary</html>",
    "a profile that is no object": b'{"profiles":{"a":null}}',
    "a second comma": b'{"profiles":{"a":{},,"b":{}}}',
    "a trailing comma": b'{"profiles":{"a":{},}}',
    "no comma": b'{"profiles":{"a":{} "b":{}}}',
    "a key without quotes": b'{"profiles":{a:{}}}',
    "a trailing comma behind": b'{"profiles":{},}',
    "a number stuck to the end": b'{"profiles":{}.5}',
    "an exponent stuck to the end": b'{"profiles":{}e5}',
    "a value stuck to the end": b'{"profiles":{"a":{}}{}}',
    "a wrong bracket": b'{"profiles":{]}',
    "another wrong bracket": b'{"profiles":{}]',
    "two documents": b'{"profiles":{}}{"profiles":{}}',
    "an integer of 5000 digits": b'{"profiles":{"a":{"n":' + b"1" * 5000 + b"}}}",
    "bad UTF-8 inside": b'{"profiles":{"a":{"n":"\xff"}}}',
    "bad UTF-8 behind": b'{"profiles":{},"n":"\xff"}',
    "bad UTF-8 before": b'{"n":"\xff","profiles":{}}',
    "100,000 brackets inside": b'{"profiles":{"a":{"n":' + b"[" * 100_000 + b"]" * 100_000 + b"}}}",
    "100,000 brackets behind": b'{"profiles":{},"n":' + b"[" * 100_000 + b"]" * 100_000 + b"}",
    "100,000 brackets before": b'{"n":' + b"[" * 100_000 + b"]" * 100_000 + b',"profiles":{}}',
    "two byte order marks": b'\xef\xbb\xbf\xef\xbb\xbf{"profiles":{}}',
    "UTF-16": '{"profiles":{}}'.encode("utf-16"),
    "half a character behind": b'{"profiles":{}}\xd5',
}


@pytest.mark.parametrize("text", BROKEN_FILES.values(), ids=BROKEN_FILES)
@pytest.mark.parametrize("chunk_bytes", [16, 128 * 1024])
def test_a_broken_file_is_an_error_that_does_not_quote_it(text: bytes, chunk_bytes: int) -> None:
    for size in (5000, 100):
        with small_chunks(chunk_bytes), pytest.raises(UnusableAnswer) as failure:
            profiles(in_chunks(text, size))
        assert "canary" not in str(failure.value)
        assert failure.value.exit_code == 12


@pytest.mark.parametrize("members", [b"1", b"null", b'"canary"', b"[]", b"{},1", b'{},{"a":1},[{}]', b"{},"])
def test_a_member_that_is_no_object_is_an_error(members: bytes) -> None:
    for chunk_bytes in (1, 1024):
        with small_chunks(chunk_bytes), pytest.raises(UnusableAnswer):
            objects([b"[" + members + b"]"])


# Flat memory


def test_members_are_yielded_before_the_document_ends() -> None:
    read_count = 0

    def endless() -> Iterator[bytes]:
        nonlocal read_count
        yield b'[{"a":0}'
        while True:
            read_count += 1
            yield b',{"a":"%s"}' % (b"x" * 1000)

    first = next(read_chunks(endless(), ARRAY_OF_OBJECTS, decode_list, list[dict[str, Any]]))
    assert len(first) > 10
    assert read_count < 1000


@pytest.mark.parametrize(
    "text", [b'{"a":"' + b"x" * 10_000, b'{"a":[' + b"{}," * 5_000, b"x" * 10_000, b'{"a":"},{' * 2_000]
)
def test_a_member_over_the_limit_is_refused_before_it_is_read_to_its_end(text: bytes) -> None:
    read_count = 0

    def endless() -> Iterator[bytes]:
        nonlocal read_count
        yield b"[{},"
        yield text
        while True:
            read_count += 1
            yield b" " * 1000

    with small_chunks(64, member_bytes=5_000), pytest.raises(UnusableAnswer, match=r"larger than|not valid JSON"):
        objects(endless())
    assert read_count < 100


def test_an_endless_prefix_is_refused() -> None:
    def endless() -> Iterator[bytes]:
        yield b'{"x":"'
        while True:
            yield b"x" * 2**20

    with pytest.raises(UnusableAnswer):
        profiles(endless())


def test_an_endless_tail_is_refused() -> None:
    def endless() -> Iterator[bytes]:
        yield b'{"profiles":{},"x":"'
        while True:
            yield b"x" * 2**20

    with pytest.raises(UnusableAnswer):
        profiles(endless())


# Verification before the first member


@given(array=ARRAYS, packed=st.booleans(), small=st.booleans())
def test_a_verified_document_yields_all_members(array: list[Any], *, packed: bool, small: bool) -> None:
    text = json.dumps(array).encode()
    with Spool([gzip.compress(text) if packed else text]) as spool, small_chunks(16 if small else 1024):
        members = [member for part in verified_objects(spool) for member in part]
    assert members == array


@pytest.mark.parametrize("member", MALFORMED_MEMBERS.values(), ids=MALFORMED_MEMBERS)
@pytest.mark.parametrize("after", [0, 1, 100])
@pytest.mark.parametrize("packed", [False, True])
def test_nothing_of_an_array_is_yielded_before_it_is_verified(member: bytes, after: int, *, packed: bool) -> None:
    good = b'{"a":"%b"}' % (b"x" * 10_000)  # longer than one read
    text = b"[" + (good + b",") * 100 + member + (b"," + good) * after + b"]"
    with Spool([gzip.compress(text) if packed else text]) as spool, small_chunks(64):
        assert members_until_error(lambda: verified_objects(spool)) == []


def test_data_that_always_ends_like_the_array_is_not_buffered() -> None:
    chunk_count = 0

    def chunks() -> Iterator[bytes]:
        nonlocal chunk_count
        for number in range(100):
            chunk_count = number
            yield (b"}," if number else b"[") + b" " * 65_000 + b'{"x":[{}]'
        yield b"}]"

    parts = read_chunks(chunks(), ARRAY_OF_OBJECTS, decode_list, list[dict[str, Any]])
    next(parts)
    assert chunk_count < 5
    assert sum(map(len, parts)) > 90


# One long member

LIST_PART = b'",{},"' + b"x" * 58
LONG_TEXT = rb'{"a":"' + b'\\\\ \\" [{' * 30_000 + rb'"}'
LONG_LIST = b'{"a":[' + b'{"b":"]}","c":[{}]},' * 20_000 + b"0]}"


@pytest.mark.parametrize("member", [LONG_TEXT, LONG_LIST])
@pytest.mark.parametrize("size", [999, 64 * 1024])
@pytest.mark.parametrize("space", [b"", b" \n" * 100_000])
def test_a_long_member_among_short_ones_is_read_as_a_plain_parser_reads_it(
    member: bytes, size: int, space: bytes
) -> None:
    text = b"[" + b",".join((b'{"x":1}', space + member + space, b'{"y":2}', member)) + space + b"]" + space
    assert objects(in_chunks(text, size)) == json.loads(text)
    assert objects(in_chunks(b"[" + space + b"]", size)) == []
    file = b'{"profiles":{"k":' + member + b"," + space + b'"l":{}' + space + b"}}"
    assert profiles(in_chunks(file, size)) == list(json.loads(file)["profiles"].items())


@pytest.mark.parametrize("position", [0, 1, 2])
def test_a_long_array_with_a_member_that_is_no_object_is_an_error(position: int) -> None:
    for value in (b"1", b"null", b'"x"', b"[{}]", b"]", b"}"):
        members = [b'{"x":1}', LONG_TEXT]
        members.insert(position, value)
        with pytest.raises(UnusableAnswer):
            objects(in_chunks(b"[" + b",".join(members) + b"]", 1000))
        file = b'{"profiles":{' + b",".join(b'"k":' + member for member in members) + b"}}"
        with pytest.raises(UnusableAnswer):
            profiles(in_chunks(file, 1000))


@pytest.mark.parametrize("size", [1, 7, 100])
def test_the_member_limit_is_exact_to_the_byte(size: int) -> None:
    for length, is_refused in ((5_000, False), (5_001, True)):
        member = b'{"a":"%b"}' % (b"x" * (length - 8))
        for text in (b"[%b]", b"[{},%b]", b"[%b,{}]", b" [ %b , {} ] "):
            with small_chunks(64, member_bytes=5_000):
                if is_refused:
                    with pytest.raises(UnusableAnswer, match="larger than"):
                        objects(in_chunks(text % member, size))
                else:
                    assert max(map(str, objects(in_chunks(text % member, size))), key=len).count("x") == length - 8


@pytest.mark.parametrize("part", [b"x" * 8, b'\\"', LIST_PART], ids=["text", "escapes", "lists"])
def test_a_long_member_is_decoded_once_and_held_at_most_twice_in_memory(part: bytes) -> None:
    for megabytes in (2, 6):
        member = b'{"a":["%b"]}' % (part * (megabytes * 2**20 // len(part)))
        text = b"[{}," + member + b",{}]"
        decoded_bytes = 0

        def decode(chunk: bytes) -> None:
            nonlocal decoded_bytes
            decoded_bytes += len(chunk)
            _any_objects.decode(chunk)

        tracemalloc.start()
        try:
            for _ in read_chunks(
                in_chunks(text, 64 * 1024), ARRAY_OF_OBJECTS, decode, lambda _chunk: None, is_verified=True
            ):
                pass
            _, peak = tracemalloc.get_traced_memory()
        finally:
            tracemalloc.stop()
        assert decoded_bytes < len(member) + 4 * 2**20  # the first 200 KB are guessed at first
        assert peak < 2 * len(member) + 2 * 2**20


def test_the_time_for_a_long_member_is_linear() -> None:
    def seconds(megabytes: int) -> float:
        text = b'[{"a":["%b"]}]' % (LIST_PART * (megabytes * 2**20 // len(LIST_PART)))
        chunks = list(in_chunks(text, 64 * 1024))
        start = time.process_time()
        for _ in read_chunks(chunks, ARRAY_OF_OBJECTS, _any_objects.decode, list[Any], is_verified=True):
            pass
        return time.process_time() - start

    short, long = (min(seconds(megabytes) for _ in range(3)) for megabytes in (2, 8))
    assert long < 9 * short  # 4 if linear, 16 if quadratic
