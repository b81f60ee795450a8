"""The decoder gives what `RecordMapper` gives, whatever is in a chunk."""

from __future__ import annotations

import json
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tap_cdp_export.errors import UnusableAnswer
from tap_cdp_export.files import strict_json
from tap_cdp_export.files.json_container import ARRAY_OF_OBJECTS
from tap_cdp_export.files.json_splitter import read_chunks
from tap_cdp_export.records import free_form
from tap_cdp_export.records.batch import encode_columns
from tap_cdp_export.records.json_decoder import JsonRecordDecoder
from tap_cdp_export.records.mapper import RecordMapper, any_time, camel_case
from tap_cdp_export.vendors.braze import schemas as braze
from tap_cdp_export.vendors.personalization.schemas import TAP_COLUMNS, USERS
from tests.helpers.outputs import Output, lines_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

OWN_VALUES = {"dataset_id": "d", "window_start": "2026-01-01T00:00:00.000Z", "window_end": "2026-01-02T00:00:00.000Z"}
SHAPE = RecordMapper(USERS, tap_columns=TAP_COLUMNS, to_vendor_name=camel_case)
SEGMENT = {"segment_id": "s"}
BRAZE_SHAPE = RecordMapper(braze.USERS, tap_columns=braze.TAP_COLUMNS, time=any_time)

scalars = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text()
anything = st.recursive(scalars, lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner), max_leaves=8)
epochs = st.none() | st.integers(-(10**11), 10**14)
fitting = {
    "displayName": st.none() | st.text(),
    "accountName": st.none() | st.text(),
    "engagementScore": st.none() | st.floats(0, 2) | st.integers(0, 2),
    "firstActivity": epochs,
    "lastActivity": epochs,
    "totalActions": st.none() | st.integers(-(2**63) + 1, 2**63 - 1),
    "attributes": st.none() | st.dictionaries(st.text(), anything, max_size=3),
    "segments": st.none() | st.lists(st.text(), max_size=3),
    "somethingNew": anything,
}
spellings = st.datetimes().map(lambda time: f"{time.isoformat(timespec='milliseconds')} UTC".replace("T", " "))
entries = st.lists(st.dictionaries(st.sampled_from(["name", "count"]), scalars, max_size=2), max_size=2)
braze_fitting = {
    "external_id": st.none() | st.text(),
    "created_at": spellings | st.just("2026-02-30 00:00:00.000 UTC") | st.just("2026-11-24T01:02:03Z") | st.none(),
    "custom_attributes": st.dictionaries(st.text(), anything, max_size=3),
    "custom_events": entries,
    "devices": entries,
    "random_bucket": st.integers(0, 9_999),
    "another": anything,
}
some_columns = st.sets(st.sampled_from(sorted(USERS["properties"])))


@pytest.fixture(scope="module", params=[None, 0], ids=["usual", "as if all were long"], autouse=True)
def _sizes(request: pytest.FixtureRequest) -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        if request.param is not None:
            patch.setattr(free_form, "LONG_BYTES", request.param)
        yield


def odd(fields: dict[str, st.SearchStrategy[Any]]) -> dict[str, st.SearchStrategy[Any]]:
    """Let every field also hold anything at all."""
    return {name: strategy | anything for name, strategy in fields.items()}


users = st.fixed_dictionaries(
    {"name": st.text(min_size=1)}, optional={**odd(fitting), "dataset_id": anything, "": anything}
)
braze_users = st.fixed_dictionaries(
    {"braze_id": st.text(min_size=1)}, optional={**odd(braze_fitting), "segment_id": anything}
)


def decoder(selected: Iterable[str] = USERS["properties"]) -> JsonRecordDecoder:
    return JsonRecordDecoder(SHAPE, OWN_VALUES, [*selected], required="name")


def braze_decoder() -> JsonRecordDecoder:
    return JsonRecordDecoder(BRAZE_SHAPE, SEGMENT, [*braze.USERS["properties"]], required="braze_id")


def mapped(objects: list[dict[str, Any]], selected: Iterable[str] = USERS["properties"]) -> list[dict[str, Any]]:
    chosen = set(selected)
    records = [SHAPE.record(strict_json.replace_unstorable(fields), OWN_VALUES) for fields in objects]
    return [{name: value for name, value in record.items() if name in chosen} for record in records]


def read(page_decoder: JsonRecordDecoder, document: bytes) -> list[dict[str, Any]]:
    """Read an array as a page is read."""
    batches = read_chunks([document], ARRAY_OF_OBJECTS, page_decoder.array, page_decoder.objects, is_verified=True)
    return Output(USERS["properties"]).rows(batches)


@given(objects=st.lists(users, max_size=5), indent=st.sampled_from([None, 2]), ascii_only=st.booleans())
def test_any_objects_give_the_records_of_the_mapper(
    *, objects: list[dict[str, Any]], indent: int | None, ascii_only: bool
) -> None:
    document = json.dumps(objects, indent=indent, ensure_ascii=ascii_only).encode()
    assert read(decoder(), document.replace(b"\n", b"\r\n")) == mapped(objects)


@given(objects=st.lists(users, min_size=1, max_size=3), selected=some_columns)
def test_the_selection_of_columns_applies_to_odd_objects_too(objects: list[dict[str, Any]], selected: set[str]) -> None:
    selected |= {"name"}
    assert read(decoder(selected), json.dumps(objects).encode()) == mapped(objects, selected)


@given(batches=st.lists(st.lists(users, max_size=3), max_size=4))
def test_what_was_met_in_earlier_runs_changes_nothing(batches: list[list[dict[str, Any]]]) -> None:
    page_decoder = decoder()
    for objects in batches:
        assert read(page_decoder, json.dumps(objects).encode()) == mapped(objects)


@given(st.lists(braze_users, min_size=1, max_size=4))
def test_json_lines_give_the_records_of_the_mapper(objects: list[dict[str, Any]]) -> None:
    lines = b"\r\n".join(json.dumps(fields).encode() for fields in objects)
    if strict_json.has_nul(lines):
        return
    batch = braze_decoder().json_lines(lines)
    assert batch.number == len(objects)
    assert Output(braze.USERS["properties"]).rows([batch]) == [
        BRAZE_SHAPE.record(fields, SEGMENT) for fields in map(strict_json.replace_unstorable, objects)
    ]


def test_nothing_gives_nothing() -> None:
    assert decoder().array(b"[]").number == 0


@pytest.mark.parametrize(
    ("field", "extra"),
    [
        ('"totalActions": "7"', {"totalActions": "7"}),
        ('"totalActions": 9223372036854775808', {"totalActions": 9223372036854775808}),
        ('"firstActivity": 1e12', None),
        ('"firstActivity": 999999999999999999', {"firstActivity": 999999999999999999}),
        ('"attributes": []', {"attributes": []}),
        ('"attributes": {"extra": {}}', None),
        ('"segments": ["x", 5]', {"segments": ["x", 5]}),
        ('"displayName": {"a": 1}', {"displayName": {"a": 1}}),
        ('"extra": {}', {"extra": {}}),
        ('"dataset_id": 5', {"dataset_id": 5}),
        ('"a\\"b\\\\c": 1', {'a"b\\c': 1}),
        ('"unknown": {"x": [1.50, {}]}', {"unknown": {"x": [1.5, {}]}}),
    ],
)
def test_what_does_not_fit_its_column_is_kept_in_extra(field: str, extra: dict[str, Any] | None) -> None:
    document = f'[{{"name": "a", {field}}}, {{"name": "b"}}]'.encode()
    record, other = read(decoder(), document)
    assert record["extra"] == extra
    assert other["extra"] is None
    assert [record, other] == mapped(json.loads(document))


def test_numbers_beyond_a_double_are_kept_as_they_are() -> None:
    document = b'[{"name": "a", "attributes": {"n": 1e999}, "new": -2e4000, "engagementScore": 3e999}]'
    (batch,) = read_chunks([document], ARRAY_OF_OBJECTS, decoder().array, decoder().objects)
    (line,) = lines_of(encode_columns(batch.columns))
    record = json.loads(line, parse_float=Decimal)
    assert record["attributes"] == {"n": Decimal("1e999")}
    assert record["extra"] == {"new": Decimal("-2e4000"), "engagementScore": Decimal("3e999")}


@pytest.mark.parametrize(
    "document",
    [
        b'[{"name": 5}]',
        b'[{"name": null}]',
        b'[{"displayName": "no name"}]',
        b'[{"name": "a", "attributes": ' + b'{"x":' * 150 + b"1" + b"}" * 150 + b"}]",
        b'[{"name": "a", "attributes": {"x": ' + b"[{" * 120 + b'"":1' + b"}]" * 120 + b"}}]",
        b'[{"name": "a", "attributes": {"x": ' + b'["]",' * 300 + b"1" + b',"["]' * 300 + b"}}]",
        b'[{"name": "a", "attributes": {"n": ' + b"9" * 5_000 + b"}}]",
        b'[{"name": "a", "attributes": {"n": nan}}]',
        b'[{"name": "a", "attributes": {"n": "\xff"}}]',
        b'[{"name": "a"}',
        b'[{"name": "a"}]]',
        b"[1]",
    ],
)
def test_what_is_no_record_or_no_json_is_refused(document: bytes) -> None:
    with pytest.raises(UnusableAnswer):
        read(decoder(), document)


@pytest.mark.parametrize(
    "lines",
    [
        b'{"braze_id": \n"a"}',
        b'{"braze_id": "a"}\n\n{"braze_id": "b"}',
        b'{"braze_id": "a"}{"braze_id": "b"}\n\n',
        b'{"braze_id": "a"}{"braze_id": "b"}\n{"braze_id": "c", "custom_attributes": {\n"x": 1}}',
        b'{"braze_id": "a"}{"braze_id": "b"}\r\n{"braze_id": "c", "custom_attributes": {\r\n"x": 1}}\r\n',
        b"[1]\n",
        b"1",
    ],
)
def test_json_lines_that_are_not_one_object_a_line_are_left_to_the_mapper(lines: bytes) -> None:
    with pytest.raises(msgspec.DecodeError):
        braze_decoder().json_lines(lines)


@pytest.mark.parametrize("user", [b'{"braze_id": ""}', b"{}"])
def test_a_user_without_an_identifier_is_refused(user: bytes) -> None:
    with pytest.raises(strict_json.InvalidJSON, match="braze_id"):
        braze_decoder().json_lines(user)


def test_more_new_fields_than_are_learnt_still_reach_extra() -> None:
    objects = [{"name": str(number), f"field {number}": number} for number in range(300)]
    assert read(decoder(), json.dumps(objects).encode()) == mapped(objects)
