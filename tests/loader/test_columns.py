"""Column types: from every kind of schema, and when a schema changes."""

from __future__ import annotations

import json
from datetime import UTC, date
from datetime import datetime as timestamp
from typing import Any

import duckdb
import pytest

from tap_cdp_export.loader.columns import type_of
from tap_cdp_export.loader.errors import UnusableInput
from tests.loader.loading import INTEGER, TEXT, Warehouse, record, schema, state

NUMBER = {"type": ["number", "null"]}
BOOLEAN = {"type": ["boolean", "null"]}
OBJECT = {"type": ["object", "null"]}


def time(*parts: int) -> timestamp:
    """A value of a TIMESTAMP, which has no zone."""
    return timestamp(*parts, tzinfo=UTC).replace(tzinfo=None)  # type: ignore[arg-type, misc]


TIME = {"type": ["string", "null"], "format": "date-time"}
DAY = {"type": ["string", "null"], "format": "date"}


@pytest.mark.parametrize(
    ("inner", "column_type"),
    [
        (TEXT, "VARCHAR"),
        (INTEGER, "BIGINT"),
        (NUMBER, "DOUBLE"),
        (BOOLEAN, "BOOLEAN"),
        (OBJECT, "JSON"),
        ({"type": ["null", "array"], "items": {"type": "string"}}, "JSON"),
        (TIME, "TIMESTAMP"),
        (DAY, "DATE"),
        ({"type": "string", "format": "time"}, "VARCHAR"),
        ({"type": "string", "format": "uuid"}, "VARCHAR"),
        ({"type": "integer", "maximum": 2**64 - 1}, "HUGEINT"),
        ({"type": "integer", "minimum": -(2**63), "maximum": 2**63 - 1}, "BIGINT"),
        ({"type": "integer", "minimum": -(2**63) - 1}, "HUGEINT"),
        ({}, "JSON"),
        (True, "JSON"),
        ({"type": "null"}, "JSON"),
        ({"$ref": "#/definitions/address"}, "JSON"),
        ({"type": ["integer", "number"]}, "DOUBLE"),
        ({"type": ["integer", "string"]}, "VARCHAR"),
        ({"type": ["integer", "boolean"]}, "VARCHAR"),
        ({"type": ["string", "object"]}, "JSON"),
        ({"anyOf": [{"type": "string", "format": "date-time"}, {"type": "null"}]}, "TIMESTAMP"),
        ({"anyOf": [{"type": "string", "format": "date-time"}, {"type": "string"}]}, "VARCHAR"),
        ({"anyOf": [{"type": "string", "format": "date"}, {"type": "string", "format": "date-time"}]}, "TIMESTAMP"),
        ({"oneOf": [{"type": "integer"}, {"type": "array"}, {"type": "string"}]}, "JSON"),
        ({"allOf": [{"type": "string"}, {"maxLength": 3}]}, "VARCHAR"),
        ({"enum": ["a", "b", None]}, "VARCHAR"),
        ({"enum": [1, 2.5]}, "DOUBLE"),
        ({"const": 1}, "BIGINT"),
    ],
)
def test_a_schema_has_the_type_that_holds_all_its_values(inner: Any, column_type: str) -> None:
    assert type_of(inner) == column_type


@pytest.mark.parametrize(
    ("inner", "value", "stored"),
    [
        (TIME, "2026-01-01T02:30:00+02:00", time(2026, 1, 1, 0, 30)),
        (TIME, "2026-01-01T00:00:00.123456Z", time(2026, 1, 1, 0, 0, 0, 123456)),
        (TIME, "2026-01-01 10:00:00", time(2026, 1, 1, 10)),
        (TIME, "0001-01-01T00:00:00Z", time(1, 1, 1)),
        (DAY, "2026-01-01", date(2026, 1, 1)),
        (INTEGER, 2**63 - 1, 2**63 - 1),
        (INTEGER, 1.0, 1),
        (INTEGER, "17", 17),
        ({"type": "integer", "maximum": 2**64 - 1}, 2**64 - 1, 2**64 - 1),
        (NUMBER, 2, 2.0),
        (NUMBER, 1e-300, 1e-300),
        (NUMBER, 1e300, 1e300),
        (NUMBER, 2**53, 2.0**53),
        (NUMBER, -(2**60), -(2.0**60)),
        (NUMBER, 10**30, 1e30),
        (NUMBER, 12345678.12345678901, 12345678.12345678901),
        (NUMBER, "9007199254740992", 2.0**53),
        (NUMBER, float("-inf"), float("-inf")),
        (BOOLEAN, False, False),
        (BOOLEAN, 1, True),
        (BOOLEAN, 0.0, False),
        (BOOLEAN, "True", True),
        (DAY, "2026-01-01T00:00:00+02:00", date(2026, 1, 1)),
        (DAY, "2026-01-01 00:00:00.000Z", date(2026, 1, 1)),
        (DAY, "10000-1-1", "10000-01-01"),
        (TEXT, 'a,"b"\r\nc\\N\n\'" \0 ', 'a,"b"\r\nc\\N\n\'" \0 '),
        (TEXT, "😀 Åsa  ", "😀 Åsa  "),
        (TEXT, 12, "12"),
        (TEXT, {"a": [1]}, '{"a":[1]}'),
        ({}, "text", '"text"'),
        (OBJECT, {"b": {"c": [1, None]}, "a": 2**64 - 1}, '{"b":{"c":[1,null]},"a":18446744073709551615}'),
        (OBJECT, {}, "{}"),
        (OBJECT, json.loads("[" * 500 + "]" * 500), "[" * 500 + "]" * 500),
    ],
)
def test_values_are_stored_as_they_are(warehouse: Warehouse, inner: Any, value: Any, stored: Any) -> None:
    warehouse.load(schema([], v=inner), record(v=value), record(v=None), record())
    assert warehouse.query("SELECT v FROM s.t ORDER BY rowid") == [(stored,), (None,), (None,)]


@pytest.mark.parametrize(
    ("inner", "value"),
    [
        (INTEGER, 1.5),
        (INTEGER, 2**63),
        (INTEGER, "seven"),
        (INTEGER, {"a": 1}),
        (NUMBER, "much"),
        (NUMBER, {"a": 1}),
        (BOOLEAN, "perhaps"),
        (BOOLEAN, "yes"),
        (BOOLEAN, "t"),
        (BOOLEAN, ""),
        (BOOLEAN, 2),
        (BOOLEAN, 0.5),
        (TIME, "yesterday"),
        (TIME, 1_700_000_000),
        (TIME, "infinity"),
        (TIME, "-infinity"),
        (DAY, "2026-13-01"),
        (DAY, "2026-01-01T10:00:00Z"),
        (DAY, "2026-01-01T00:00:01"),
        (DAY, "infinity"),
        (DAY, "epoch"),
        (DAY, ""),
    ],
)
def test_a_value_that_does_not_fit_is_refused_by_the_name_of_its_column(
    warehouse: Warehouse, inner: Any, value: Any
) -> None:
    messages = [schema([], a=TEXT, odd=inner), record(a="x"), record(a="y", odd=value)]
    with pytest.raises(UnusableInput, match=r"^t: a value of odd does not fit the column's type [A-Z]+\.$"):
        warehouse.load(*messages)
    assert warehouse.rows() == []


@pytest.mark.parametrize(
    ("value", "stored"),
    [
        ("123456789012345678901234567890", "123456789012345678901234567890"),
        ("-9223372036854775809", "-9223372036854775809"),
        ("0.1", "0.1"),
        ("123456789.12345678901234", "123456789.12345679"),  # DuckDB's reader writes fractions anew; see docs/duckdb.md
        ("1.10", "1.1"),
        ("1e5", "100000.0"),
        ("1e400", "1e400"),
    ],
)
def test_numbers_in_objects_and_texts_keep_all_whole_digits(warehouse: Warehouse, value: str, stored: str) -> None:
    line = json.dumps(record(o={"a": ["value"]}, s="value")).replace('"value"', value) + "\n"
    warehouse.load(schema([], o=OBJECT, s=TEXT), line.encode())
    assert warehouse.rows() == [(f'{{"a":[{stored}]}}', stored)]


def test_integers_of_another_size_are_not_rounded_either(warehouse: Warehouse) -> None:
    warehouse.load(schema(["k"], k=TEXT, n=INTEGER))
    with duckdb.connect(str(warehouse.path)) as database:
        database.execute("ALTER TABLE s.t ALTER n TYPE INTEGER")
    warehouse.load(schema(["k"], k=TEXT, n=INTEGER), record(k="1", n=2.0))
    with pytest.raises(UnusableInput, match="a value of n does not fit the column's type INTEGER"):
        warehouse.load(schema(["k"], k=TEXT, n=NUMBER), record(k="1", n=1.5))
    assert warehouse.rows() == [("1", 2)]


def test_a_new_property_is_a_new_column_within_a_run_and_between_runs(warehouse: Warehouse) -> None:
    warehouse.load(
        schema(["k"], k=TEXT), record(k="1"), schema(["k"], k=TEXT, new=INTEGER), record(k="2", new=2), record(k="3")
    )
    warehouse.load(schema(["k"], k=TEXT, newer=OBJECT), record(k="1", newer={"a": 1}))
    assert warehouse.rows() == [("1", None, '{"a":1}'), ("2", 2, None), ("3", None, None)]


def test_a_property_that_is_gone_keeps_its_values(warehouse: Warehouse) -> None:
    warehouse.load(schema(["k"], k=TEXT, old=TEXT), record(k="1", old="x"))
    warehouse.load(schema(["k"], k=TEXT), record(k="1"), record(k="2"))
    assert warehouse.rows() == [("1", "x"), ("2", None)]


@pytest.mark.parametrize(
    "change",
    [
        (INTEGER, NUMBER, (1, 2.5), "DOUBLE", {1.0, 2.5}),
        (NUMBER, INTEGER, (1.5, 2), "DOUBLE", {1.5, 2.0}),
        (INTEGER, {"type": "integer", "maximum": 2**70}, (1, 2**65), "HUGEINT", {1, 2**65}),
        (DAY, TIME, ("2026-01-01", "2026-01-02T03:00:00Z"), "TIMESTAMP", {time(2026, 1, 1), time(2026, 1, 2, 3)}),
        (TIME, DAY, ("2026-01-02T03:00:00Z", "2026-01-01"), "TIMESTAMP", {time(2026, 1, 1), time(2026, 1, 2, 3)}),
        (INTEGER, TEXT, (1, "x"), "VARCHAR", {"1", "x"}),
        (BOOLEAN, INTEGER, (True, 2), "VARCHAR", {"true", "2"}),
        (TEXT, INTEGER, ("x", 1), "VARCHAR", {"x", "1"}),
        (OBJECT, TEXT, ({"a": 1}, "x"), "JSON", {'{"a":1}', '"x"'}),
        (TEXT, OBJECT, ("x", {"a": 1}), "VARCHAR", {'{"a":1}', "x"}),
    ],
)
@pytest.mark.parametrize("key", ["k", "v"])
def test_a_column_is_widened_and_keeps_its_values(warehouse: Warehouse, change: tuple[Any, ...], key: str) -> None:
    before, after, values, column_type, stored = change
    warehouse.load(schema([key], k=TEXT, v=before, z=TEXT), record(k="1", v=values[0], z="z"))
    warehouse.load(schema([key], k=TEXT, v=after, z=TEXT), record(k="2", v=values[1], z="z"))
    assert warehouse.types() == {"k": "VARCHAR", "v": column_type, "z": "VARCHAR"}
    assert {value for value, z in warehouse.rows("v, z") if z == "z"} == stored
    warehouse.load(schema([key], k=TEXT, v=after, z=TEXT), record(k="2", v=values[1], z="new"))
    assert len(warehouse.rows()) == 2


@pytest.mark.parametrize(
    ("before", "after", "value"),
    [
        (TIME, TEXT, "2026-01-01T00:00:00.000Z"),
        (DAY, TEXT, "2026-01-01"),
        (NUMBER, TEXT, 1),
        (TIME, INTEGER, "2026-01-01T00:00:00.000Z"),
    ],
)
def test_a_key_whose_text_may_differ_is_not_widened(warehouse: Warehouse, before: Any, after: Any, value: Any) -> None:
    warehouse.load(schema(["k", "at"], k=TEXT, at=before), record(k="1", at=value))
    rows = warehouse.rows()
    with pytest.raises(
        UnusableInput, match=r"t\.at, which is part of the key, changes from [A-Z]+ to text\. Rows that are there \(1\)"
    ):
        warehouse.load(schema(["k", "at"], k=TEXT, at=after), record(k="1", at=value), state(1))
    assert (warehouse.rows(), warehouse.states) == (rows, [])


def test_a_key_without_rows_is_widened(warehouse: Warehouse) -> None:
    warehouse.load(schema(["at"], at=TIME))
    warehouse.load(schema(["at"], at=TEXT), *[record(at="2026-01-01T00:00:00.000Z")] * 2)
    assert warehouse.rows() == [("2026-01-01T00:00:00.000Z",)]


def test_integers_that_a_number_would_round_are_not_widened(warehouse: Warehouse) -> None:
    warehouse.load(schema(["k"], k=TEXT, v=INTEGER), record(k="1", v=2**53 + 1))
    with pytest.raises(UnusableInput, match=r"t\.v changes from integer to number, but 1 rows hold integers"):
        warehouse.load(schema(["k"], k=TEXT, v=NUMBER), record(k="1", v=1.5))
    assert warehouse.rows() == [("1", 2**53 + 1)]


def test_a_type_that_the_user_has_chosen_stays(warehouse: Warehouse) -> None:
    warehouse.load(schema(["k"], k=TEXT, v=NUMBER), record(k="1", v=1.5))
    with duckdb.connect(str(warehouse.path)) as database:
        database.execute("ALTER TABLE s.t ALTER v TYPE DECIMAL(10, 2)")
    warehouse.load(schema(["k"], k=TEXT, v=NUMBER), record(k="2", v=2.25))
    assert warehouse.types()["v"] == "DECIMAL(10,2)"
    assert warehouse.query("SELECT v::DOUBLE FROM s.t ORDER BY k") == [(1.5,), (2.25,)]


@pytest.mark.parametrize(
    ("stream", "name"),
    [
        ('public-Order "items".v2/ö', 'odd "name"'),
        ("select", "select"),
        ("main", "a'b"),
        ("batch", "version"),
        ("t", "Å ö;--"),
        ("t", "a.b"),
        ("t", "rowid"),
        ("t", "record"),
        ("t", "c0"),
        ("t", "_sdc_table_version"),
    ],
)
def test_odd_names_are_kept(warehouse: Warehouse, stream: str, name: str) -> None:
    messages = [schema([name], stream, **{name: TEXT, "v": INTEGER}), record(stream, **{name: "1", "v": 2})]
    for _ in range(2):
        warehouse.load(*messages)
    table = stream.replace('"', '""')
    assert warehouse.rows(table=table) == [("1", 2)]
    assert list(warehouse.types(table)) == [name, "v"]


@pytest.mark.parametrize(
    ("properties", "reason"),
    [
        ({"id": TEXT, "ID": TEXT}, "t has the properties id and ID, which DuckDB does not tell apart"),
        ({"": TEXT}, "a property whose name is empty"),
        ({"a\0": TEXT}, "holds a NUL character"),
        ({}, "The schema of t has no properties"),
        ({"a": {"type": [{"type": "string"}]}}, r"The schema of t\.a is not a JSON schema"),
        ({"a": {"type": "string", "format": ["date"]}}, r"The schema of t\.a is not a JSON schema"),
        ({"a": {"anyOf": 5}}, r"The schema of t\.a is not a JSON schema"),
    ],
)
def test_a_schema_that_makes_no_columns_is_refused(
    warehouse: Warehouse, properties: dict[str, Any], reason: str
) -> None:
    with pytest.raises(UnusableInput, match=reason):
        warehouse.load(schema([], **properties))


def test_streams_whose_names_differ_in_case_alone_are_refused(warehouse: Warehouse) -> None:
    with pytest.raises(UnusableInput, match="The streams a and A have names that DuckDB does not tell apart"):
        warehouse.load(schema([], "a", v=TEXT), schema([], "A", v=TEXT))


def test_a_column_that_differs_in_case_from_the_table_is_the_same(warehouse: Warehouse) -> None:
    warehouse.load(schema(["Id"], Id=TEXT, V=INTEGER), record(Id="1", V=1))
    warehouse.load(schema(["id"], id=TEXT, v=NUMBER), record(id="1", v=2.5))
    assert warehouse.rows() == [("1", 2.5)]


def test_many_columns(warehouse: Warehouse) -> None:
    names = [f"column {number}" for number in range(500)]
    properties: dict[str, Any] = dict.fromkeys(names, INTEGER)
    values: dict[str, Any] = dict.fromkeys(names, 1)
    warehouse.load(schema([names[0]], **properties), record(**values))
    assert warehouse.rows() == [(1,) * 500]


def test_a_file_of_target_duckdb_is_loaded_on(warehouse: Warehouse) -> None:
    warehouse.path.parent.mkdir(parents=True)
    with duckdb.connect(str(warehouse.path)) as database:
        database.execute(
            "CREATE SCHEMA s;"
            "CREATE TABLE s.t (k VARCHAR, n HUGEINT, o JSON, _sdc_batched_at TIMESTAMP, PRIMARY KEY (k));"
            "INSERT INTO s.t VALUES ('1', 5, '{}', now()::TIMESTAMP)"
        )
    warehouse.load(schema(["k"], k=TEXT, n=INTEGER, o=OBJECT), record(k="1", n=6), record(k="2", n=7, o={"a": 1}))
    assert warehouse.rows("k, n, o") == [("1", 6, None), ("2", 7, json.dumps({"a": 1}, separators=(",", ":")))]
