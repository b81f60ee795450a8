"""From a vendor's object to a record: nothing of it is dropped without a word."""

from __future__ import annotations

import math
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from singer_sdk import typing as th

from tap_cdp_export.records.mapper import RecordMapper, any_time, camel_case, epoch_column, epoch_time
from tap_cdp_export.records.properties import EXTRA, FREE_OBJECT, OBJECTS, TEXTS, key
from tap_cdp_export.vendors.apsis.schemas import EVENT_TAP_COLUMNS, EVENTS
from tap_cdp_export.vendors.braze.schemas import TAP_COLUMNS as OWN_OF_BRAZE
from tap_cdp_export.vendors.braze.schemas import USERS as BRAZE_USERS
from tap_cdp_export.vendors.personalization.schemas import ACCOUNTS, TAP_COLUMNS, USERS
from tests.helpers.json_documents import OBJECTS as ANY_OBJECTS
from tests.helpers.json_documents import VALUES

SCHEMA: dict[str, Any] = th.PropertiesList(
    key("row_id", "Key."),
    th.Property("owned", th.StringType, description="Own."),
    th.Property("plain_text", th.StringType, description="Text."),
    th.Property("whole", th.IntegerType, description="Integer."),
    th.Property("number", th.NumberType, description="Number."),
    th.Property("flag", th.BooleanType, description="Boolean."),
    th.Property("when", th.DateTimeType, description="Time."),
    th.Property("free", FREE_OBJECT, description="Object."),
    th.Property("texts", TEXTS, description="Texts."),
    th.Property("objects", OBJECTS, description="Objects."),
    EXTRA,
).to_dict()
OWN_VALUES = {"owned": "ours"}
SHAPE = RecordMapper(SCHEMA, tap_columns=frozenset(OWN_VALUES))
FIELDS = st.sampled_from([*SCHEMA["properties"], "unknown", ""]) | st.text(max_size=5)
SCHEMAS = [
    (USERS, TAP_COLUMNS, camel_case),
    (ACCOUNTS, TAP_COLUMNS, camel_case),
    (EVENTS, EVENT_TAP_COLUMNS, camel_case),
    (BRAZE_USERS, OWN_OF_BRAZE, str),
]


@given(fields=st.dictionaries(FIELDS, VALUES, max_size=12))
@example(fields={"extra": {"of": "the vendor"}, "owned": "theirs", "whole": True, "when": 0, "unknown": None})
def test_every_field_is_in_its_column_or_in_extra(fields: dict[str, Any]) -> None:
    record = SHAPE.record(fields, OWN_VALUES)
    assert set(record) == set(SCHEMA["properties"])
    assert record["owned"] == "ours"
    extra = record["extra"] or {}
    assert set(extra) <= set(fields)
    for field, value in fields.items():
        if field in extra:
            assert extra[field] == value
            assert field in {"extra", "owned"} or record.get(field) is None
        elif field == "when" and value is not None:
            assert record[field] == epoch_time(value)
        else:
            assert record[field] == value
    for column in set(SCHEMA["properties"]) - set(fields) - {"owned", "extra"}:
        assert record[column] is None


@pytest.mark.parametrize(("schema", "tap_columns", "to_vendor_name"), SCHEMAS)
@given(fields=ANY_OBJECTS, data=st.data())
def test_every_record_is_as_its_schema_says(
    schema: dict[str, Any],
    tap_columns: frozenset[str],
    to_vendor_name: Any,
    fields: dict[str, Any],
    data: st.DataObject,
) -> None:
    spelled = [to_vendor_name(column) for column in schema["properties"]]
    fields |= data.draw(st.dictionaries(st.sampled_from(spelled), VALUES))
    mapper = RecordMapper(
        schema,
        tap_columns=tap_columns,
        to_vendor_name=to_vendor_name,
        time=any_time if to_vendor_name is str else epoch_time,
    )
    keys = {name for name, inner in schema["properties"].items() if "null" not in inner["type"]}
    own_values: dict[str, Any] = {**dict.fromkeys(tap_columns), **dict.fromkeys(tap_columns & keys, "k")}
    record = mapper.record({**fields, "name": "n", "braze_id": "b"}, own_values)
    errors = [error.message for error in th.DEFAULT_JSONSCHEMA_VALIDATOR(schema).iter_errors(record)]
    assert errors == []


def test_a_column_that_the_vendor_left_out_is_null_so_that_an_upsert_clears_it() -> None:
    assert SHAPE.record({}, OWN_VALUES) == {**dict.fromkeys(SCHEMA["properties"]), "owned": "ours"}


def test_a_field_of_the_vendor_never_reaches_a_column_of_ours() -> None:
    record = SHAPE.record({"owned": "theirs", "extra": "theirs"}, OWN_VALUES)
    assert record["owned"] == "ours"
    assert record["extra"] == {"owned": "theirs", "extra": "theirs"}


def test_an_unknown_field_is_kept_under_its_own_name_even_if_it_is_null() -> None:
    extra = SHAPE.record({"Some Field": 1, "other": None}, OWN_VALUES)["extra"]
    assert extra == {"Some Field": 1, "other": None}


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("plain_text", 7),
        ("whole", "7"),
        ("whole", 1.5),
        ("whole", True),
        ("whole", 2**63),
        ("whole", 1e300),
        ("number", "0.5"),
        ("number", False),
        ("flag", 0),
        ("flag", "false"),
        ("when", "soon"),
        ("when", True),
        ("when", 1_709_287_200_000.5),
        ("when", "20240301123"),
        ("when", 10**18),
        ("free", []),
        ("free", "{}"),
        ("texts", "one"),
        ("texts", ["one", 2]),
        ("texts", ["one", None]),
        ("objects", {}),
        ("objects", [[]]),
    ],
)
def test_a_value_of_another_type_than_its_columns_is_kept_in_extra(field: str, value: object) -> None:
    record = SHAPE.record({field: value}, OWN_VALUES)
    assert record[field] is None
    assert record["extra"] == {field: value}


@pytest.mark.parametrize(
    ("field", "value", "column"),
    [
        ("whole", 1.3e12, 1_300_000_000_000),
        ("whole", 2**63 - 1, 2**63 - 1),
        ("number", 0, 0),
        ("number", -0.138, -0.138),
        ("when", 1359066698647, "2013-01-24T22:31:38.647Z"),
        ("when", 1.359066698647e12, "2013-01-24T22:31:38.647Z"),
        ("texts", [], []),
        ("free", {}, {}),
    ],
)
def test_a_value_that_fits_is_in_its_column_and_not_in_extra(field: str, value: object, column: object) -> None:
    record = SHAPE.record({field: value}, OWN_VALUES)
    assert record[field] == column
    assert type(record[field]) is type(column)
    assert record["extra"] is None


@pytest.mark.parametrize("value", [0, -1, 0.0, -1.0, -62_135_596_800_000, "0", "-1"], ids=repr)
def test_a_time_that_java_or_go_write_for_an_unset_one_is_null(value: object) -> None:
    record = SHAPE.record({"when": value}, OWN_VALUES)
    assert (record["when"], record["extra"]) == (None, None)


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (10**11 - 1, "5138-11-16T09:46:39.000Z"),
        (10**11, "1973-03-03T09:46:40.000Z"),
        (1_709_287_200, "2024-03-01T10:00:00.000Z"),
        (1_709_287_200.5, "2024-03-01T10:00:00.500Z"),
        ("1709287200000", "2024-03-01T10:00:00.000Z"),
        ("2024-03-01T11:00:00.007+01:00", "2024-03-01T10:00:00.007Z"),
    ],
)
def test_an_epoch_column_takes_seconds_and_text_too(value: object, text: str) -> None:
    assert SHAPE.record({"when": value}, OWN_VALUES)["when"] == text


@given(values=st.lists(st.none() | st.integers(-(2**63), 2**63) | st.sampled_from([0, -1, 10**11, 1_709_287_200])))
@example(values=[1, 2**62])
def test_a_column_of_numbers_becomes_what_each_of_them_does(values: list[int | None]) -> None:
    assert epoch_column(values) == [None if value is None else epoch_time(value) for value in values]


@given(value=VALUES | st.floats())
def test_reading_epoch_milliseconds_never_fails_and_gives_one_width(value: Any) -> None:
    text = epoch_time(value)
    if isinstance(text, str):
        assert len(text) == 24
        assert isinstance(value, str) or math.isfinite(value)


@pytest.mark.parametrize(
    ("value", "text"),
    [
        ("2020-07-10 15:00:00.000 UTC", "2020-07-10T15:00:00.000Z"),
        ("2020-06-17T20:01:33.385Z", "2020-06-17T20:01:33.385Z"),
        ("2021-07-07T20:45:24.000+00:00", "2021-07-07T20:45:24.000Z"),
        ("2021-07-07T22:45:24+02:00", "2021-07-07T20:45:24.000Z"),
        ("2015-01-02T03:04:05Z", "2015-01-02T03:04:05.000Z"),
        ("2020-06-17 19:27:44 +0000", "2020-06-17T19:27:44.000Z"),
        ("2024-03-01 11:00:00.123 +01:00", "2024-03-01T10:00:00.123Z"),
        ("20240301", "2024-03-01T00:00:00.000Z"),
        ("1701010112345", "2023-11-26T14:48:32.345Z"),
    ],
)
def test_every_spelling_of_a_time_that_braze_is_known_for_is_read(value: str, text: str) -> None:
    assert any_time(value) == text


@given(value=VALUES | st.text(max_size=20) | st.datetimes().map(datetime.isoformat))
@example(value="0001-01-01T00:00:00+14:00")
def test_reading_a_spelled_time_never_fails_and_gives_one_width(value: Any) -> None:
    text = any_time(value)
    if isinstance(text, str):
        assert len(text) == 24
        assert datetime.fromisoformat(text).tzinfo == UTC


@pytest.mark.parametrize(
    ("column", "field"),
    [("name", "name"), ("first_activity", "firstActivity"), ("engagement_percent_change", "engagementPercentChange")],
)
def test_a_column_is_found_under_the_vendors_camel_case(column: str, field: str) -> None:
    assert camel_case(column) == field


@pytest.mark.parametrize(
    "value",
    [
        1709287200,
        1709287200.0,
        1709287200000,
        pytest.param("1709287200", id="seconds in text"),
        pytest.param("1709287200000", id="milliseconds in text"),
        "2024-03-01T11:00:00+01:00",
    ],
)
def test_a_time_of_undocumented_form_is_read_in_every_form(value: object) -> None:
    assert any_time(value) == "2024-03-01T10:00:00.000Z"


@given(st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20) | st.from_regex(r"\d{1,30}"))
def test_reading_a_time_of_undocumented_form_never_fails_and_gives_one_width(value: object) -> None:
    text = any_time(value)
    assert not isinstance(text, str) or (len(text) == 24 and text.endswith("Z"))
