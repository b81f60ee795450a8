"""Decoding of untrusted JSON: strict grammar, exact numbers, storable strings."""

from __future__ import annotations

import json
import mmap
import multiprocessing
from contextlib import nullcontext
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tap_cdp_export.files import strict_json
from tests.helpers.json_documents import VALUES, json_text

BROKEN = {
    "nothing": b"",
    "a trailing comma": b"[1,]",
    "a comment": b"[1] // done",
    "two documents": b"{} {}",
    "a leading zero": b"[01]",
    "single quotes": b"{'a': 1}",
    "a bare word": b"[yes]",
    "a raw newline in a text": b'"a\nb"',
    "a raw NUL in a text": b'"a\0b"',
    "an unknown escape": b'"\\x41"',
    "half a text": b'"abc',
    "half an object": b'{"a": 1',
    "half a NaN": b"[Na]",
    "another spelling of NaN": b"[nan]",
    "two byte order marks": b"\xef\xbb\xbf\xef\xbb\xbf[]",
    "an integer of 5000 digits": b"1" * 5000,
    "bad UTF-8": b'"\xff"',
    "an overlong NUL": b'"\xc0\x80"',
    "a surrogate in UTF-8": b'"\xed\xa0\x80"',
    "UTF-16": '{"a":1}'.encode("utf-16"),
    "100,000 brackets": b"[" * 100_000 + b"]" * 100_000,
    "100,000 brackets beside a NUL": b'["\\u0000",' + b"[" * 100_000 + b"]" * 100_001,
}


@given(value=VALUES, text=st.data())
def test_every_encoding_of_a_value_decodes_to_that_value(value: Any, text: st.DataObject) -> None:
    assert strict_json.decode(text.draw(json_text(st.just(value)))) == value


@pytest.mark.parametrize("text", BROKEN.values(), ids=BROKEN)
def test_invalid_json_is_refused_by_both_decoders(text: bytes) -> None:
    for decode in (strict_json.decode, strict_json.decode_slowly):
        with pytest.raises(strict_json.InvalidJSON):
            decode(text)


@pytest.mark.parametrize(
    ("text", "value"),
    [
        (b'{"a": NaN, "b": [Infinity, -Infinity, "NaN"]}', {"a": None, "b": [None, None, "NaN"]}),
        (b'["\\u0000", NaN]', ["\ufffd", None]),
        (b'\xef\xbb\xbf{"a": 1}', {"a": 1}),
    ],
)
def test_what_java_and_python_write_beside_the_grammar_is_read(text: bytes, value: object) -> None:
    assert strict_json.decode(text) == value


def test_a_bare_nan_is_told_of_once_also_by_a_forked_process(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(strict_json, "_nonfinite", mmap.mmap(-1, 2))
    strict_json.decode(b'["NaN"]')
    assert not strict_json.has_new_nonfinite()
    process = multiprocessing.get_context("fork").Process(target=strict_json.decode, args=(b"[NaN]",))
    process.start()
    process.join()
    assert strict_json.has_new_nonfinite()
    assert not strict_json.has_new_nonfinite()


@given(text=st.binary(max_size=40) | json_text(VALUES).flatmap(lambda t: st.integers(0, len(t)).map(lambda n: t[:n])))
def test_any_bytes_are_either_decoded_as_a_strict_reader_does_or_refused(text: bytes) -> None:
    try:
        value = strict_json.decode(text)
    except strict_json.InvalidJSON:
        return
    plain = json.loads(text.removeprefix(strict_json.BOM).decode(), parse_constant=lambda _: None)
    assert value == strict_json.replace_unstorable(plain)


@pytest.mark.parametrize("text", [b"1e999", b"-2.50E+4000"])
def test_numbers_beyond_a_double_are_kept_by_both_decoders(text: bytes) -> None:
    for decode in (strict_json.decode, strict_json.decode_slowly):
        assert decode(b"[%b]" % text) == [Decimal(text.decode())]
    assert strict_json.decode(b'["\\ud800", %b]' % text)[1] == Decimal(text.decode())


@given(
    depth=st.integers(90, 110),
    text=st.text('[]{}"\\a', max_size=6),
    kinds=st.lists(st.booleans(), min_size=1, max_size=4),
)
def test_json_up_to_the_maximum_depth_is_safe_to_pass_through(depth: int, text: str, kinds: list[bool]) -> None:
    value: Any = 1
    for level in range(depth):
        value = {text: value, "other": text} if kinds[level % len(kinds)] else [text, value, text]
    assert strict_json.is_safe_to_pass_through(json.dumps(value).encode()) == (depth <= strict_json.DEEPEST)


def test_a_refusal_never_quotes_the_text() -> None:
    for text in (b'{"email": "jo@example.com', b'["jo@example.com", nan]', b'"jo@example.com\xff"'):
        with pytest.raises(strict_json.InvalidJSON) as refusal:
            strict_json.decode(text)
        assert "jo@" not in str(refusal.value)
        assert refusal.value.__suppress_context__ or refusal.value.__context__ is None  # a traceback would quote it


@pytest.mark.parametrize("number", [2**53 + 1, 2**63, 2**64 + 1, -(2**64) - 1, 46287917256, 10**100 + 1])
def test_integers_of_any_size_stay_exact(number: int) -> None:
    assert strict_json.decode(b'{"n": %d}' % number) == {"n": number}
    assert strict_json.decode(b'{"n": %d, "s": "\\u0000"}' % number)["n"] == number


@pytest.mark.parametrize(
    ("text", "value"),
    [
        (rb'"a\u0000b"', "a\ufffdb"),
        (rb'"a\ud800b"', "a\ufffdb"),
        (rb'"a\udc00b"', "a\ufffdb"),
        (rb'"\ud83d\ude00"', "😀"),
        (rb'"\\u0000"', "\\u0000"),
        (rb'{"k\u0000": ["\ud800"]}', {"k\ufffd": ["\ufffd"]}),
    ],
)
def test_only_characters_that_databases_reject_are_replaced(text: bytes, value: object) -> None:
    assert strict_json.decode(text) == value


@given(value=VALUES, tail=st.text(max_size=5))
def test_the_end_of_a_value_is_found_before_any_tail(value: Any, tail: str) -> None:
    text = json.dumps(value)
    if isinstance(value, int | float):  # a number ends only at another character
        tail = "," + tail
    assert strict_json.end_of_value("[" + text + tail, 1) == 1 + len(text)


@given(value=VALUES.filter(lambda value: not isinstance(value, int | float)), data=st.data())
def test_a_truncated_value_has_no_end(value: Any, data: st.DataObject) -> None:
    text = json.dumps(value)
    assert strict_json.end_of_value(text[: data.draw(st.integers(0, len(text) - 1))], 0) == 0


@pytest.mark.parametrize("text", ["[" * 100_000, "1" * 5000])
def test_json_that_can_never_become_valid_is_refused_before_its_end(text: str) -> None:
    with pytest.raises(strict_json.InvalidJSON):
        strict_json.end_of_value(text, 0)


# Repeated keys


@pytest.mark.parametrize(
    ("text", "levels", "value"),
    [
        ('{"a":[1],"a":[2]}', 0, {"a": [2]}),
        ('{"a":[1],"a":[2],"a":null}', 1, {"a": [1, 2]}),
        ('{"a":{"x":[1]},"a":{"y":2,"x":[3]}}', 1, {"a": {"x": [3], "y": 2}}),
        ('{"a":{"x":[1]},"a":{"y":2,"x":[3]}}', 2, {"a": {"x": [1, 3], "y": 2}}),
        ('{"a":{"x":[1],"x":[2]}}', 1, {"a": {"x": [2]}}),
        ('{"a":[{"x":[1],"x":[2]}]}', 2, {"a": [{"x": [1, 2]}]}),
        ('{"a":1,"a":2}', 1, {"a": 2}),
        ('{"a":1,"a":[2]}', 1, {"a": [2]}),
        ('{"a\\u0000":[1],"a\\ud800":[2]}', 1, {"a\ufffd": [1, 2]}),
        ('[{"a":[1],"a":[2]}]', 1, [{"a": [1, 2]}]),
        ("1", 3, 1),
    ],
)
def test_values_of_a_repeated_key_are_merged_down_to_the_given_level(text: str, levels: int, value: object) -> None:
    assert strict_json.decode(text.encode(), joined=levels) == value


@given(value=VALUES, text=st.data(), levels=st.integers(0, 4))
def test_without_repeated_keys_merging_changes_nothing(value: Any, text: st.DataObject, levels: int) -> None:
    document = text.draw(json_text(st.just(value)))
    assert strict_json.decode(document, joined=levels) == strict_json.decode_slowly(document, joined=levels) == value


@pytest.mark.parametrize("value", ["{}", '{"x":"\\u0000"}', '{"x":"\\ud800"}'])
def test_members_of_a_repeated_key_are_all_decoded(value: str) -> None:
    members = strict_json.decode_members(b'{"a":[1],"b":%b,"a":[2]}' % value.encode(), joined=1)
    assert [key for key, _ in members] == ["a", "b", "a"]
    assert [inner for key, inner in members if key == "a"] == [[1], [2]]


@pytest.mark.parametrize("depth", [500, 5_000, 200_000])
def test_deep_nesting_under_a_repeated_key_never_crashes(depth: int) -> None:
    text = b'{"a":[],"a":' + b"[" * depth + b"]" * depth + b"}"
    for decode in (strict_json.decode, strict_json.decode_members):
        try:
            decode(text, joined=3)
        except strict_json.InvalidJSON as error:
            assert "deep" in str(error)  # noqa: PT017 -- it may also decode


@pytest.mark.parametrize("depth", range(strict_json.DEEPEST - 1, strict_json.DEEPEST + 4))
@pytest.mark.parametrize("array", [b"[%b]", b'["[]{}\\"[", %b]', b'[%b, {"a": [], "b": {}}]'])
def test_nesting_is_counted_alike_in_a_value_and_in_its_text(depth: int, array: bytes) -> None:
    inner = depth - 1
    text = array % (b"[" * inner + b"]" * inner)
    is_too_deep = depth > strict_json.DEEPEST + 1
    for check in (lambda: strict_json.check_depth(json.loads(text)), lambda: strict_json.check_nesting(text)):
        with pytest.raises(strict_json.InvalidJSON) if is_too_deep else nullcontext():
            check()
