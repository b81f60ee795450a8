"""A stream map over columns gives what the SDK's map gives record by record, or leaves the records to it."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from singer_sdk.mapper import CustomStreamMap, RemoveRecordTransform, SameRecordTransform

from tap_cdp_export.errors import SettingsError
from tap_cdp_export.singer.column_maps import ColumnMap, column_map
from tap_cdp_export.singer.stream_maps import corrected, transformed
from tests.helpers.stream_maps import stream_map

TEXT: dict[str, Any] = {"type": ["string", "null"]}
COLUMNS: dict[str, Any] = {
    "key": {"type": "string"},
    "email": TEXT,
    "seen_at": {**TEXT, "format": "date-time"},
    "score": {"type": ["number", "null"]},
    "attributes": {"type": ["object", "null"]},
    "tags": {"type": ["array", "null"], "items": {"type": "string"}},
}
EXPRESSIONS: dict[str, list[Any]] = {
    "key": ["md5(key)", "self + '!'", "'same'"],
    "email": [None, "__NULL__", "md5(email) if email else None", "'@' in email if email else False"],
    "seen_at": ["seen_at[:10] if seen_at else None", "datetime.date.fromisoformat('2026-01-02')"],
    "score": ["score * 2 if score else self", "key"],
    "attributes": [None, "'none'"],
    "tags": ["__NULL__", "email"],
    "new": ["config['salt'] + key", "[key, score]", "f'{key}-{score}'", "__stream_name__"],
    "a-b": ["score", "__NULL__"],
    "__filter__": ["score", "email is not None and key > 'a'", "False", "True"],
    "__key_properties__": [["key"], None],
    "__else__": [None],
    "__alias__": ["people"],
}
definitions = st.fixed_dictionaries({}, optional={name: st.sampled_from(found) for name, found in EXPRESSIONS.items()})
records = st.fixed_dictionaries(
    {
        "key": st.text(max_size=3),
        "email": st.none() | st.sampled_from(["a@b", "nobody"]),
        "seen_at": st.none() | st.just("2026-01-01T00:00:00.000Z"),
        "score": st.none() | st.integers(-2, 2) | st.floats(0, 1),
        "attributes": st.none() | st.just({"a": 1}),
        "tags": st.none() | st.just(["x"]),
    }
)


def sdk_map(definition: dict[str, Any], columns: dict[str, Any] = COLUMNS, depth: int = 0) -> CustomStreamMap:
    whole = corrected(definition, {"properties": columns}, ["key"])
    return stream_map(columns, whole, keys=("key",), depth=depth)


def by_column(definition: dict[str, Any]) -> ColumnMap | None:
    return column_map(sdk_map(definition), {"users": definition, "others": {}}, "users", COLUMNS)


def rows(columns: Any) -> list[dict[str, Any]]:
    return [dict(zip(columns, row, strict=True)) for row in zip(*columns.values(), strict=True)]


@given(definition=definitions, objects=st.lists(records, max_size=4))
def test_columns_are_mapped_as_records_are(definition: dict[str, Any], objects: list[dict[str, Any]]) -> None:
    mapped = by_column(definition)
    if mapped is None:  # since it might mean a value of any form
        assert "self" in str(definition)
        return
    columns, left_out = mapped.apply({name: [record[name] for record in objects] for name in COLUMNS})
    expected = [found for record in objects if (found := sdk_map(definition).transform(record)) is not None]
    assert rows(columns) == expected
    assert left_out == len(objects) - len(expected)
    assert mapped.alias == definition.get("__alias__", "users")


def test_without_a_map_columns_pass_as_they_are() -> None:
    same = SameRecordTransform("users", {"properties": COLUMNS}, ["key"], None)
    mapped = column_map(same, {}, "users", COLUMNS)
    assert mapped
    assert mapped.apply({"key": ["a"], "email": [None]}) == ({"key": ["a"], "email": [None]}, 0)


@pytest.mark.parametrize(
    "definition",
    [
        {"new": "record['key']"},
        {"new": "_['key']"},
        {"__filter__": "bool(record)"},
        {"new": "fake.name()"},
        {"new": "attributes['a']"},
        {"tags": "self"},
        {"__filter__": "len(tags) > 1"},
        {'a "new" one': "key"},
        {"__filter__": "key not in config['seen'] and (config['seen'].append(key) or True)"},
    ],
)
def test_a_map_that_may_read_more_than_plain_values_gets_whole_records(definition: dict[str, Any]) -> None:
    assert by_column(definition) is None


def test_a_column_of_any_form_may_be_removed() -> None:
    mapped = by_column({"attributes": None, "new": "key"})
    assert mapped
    columns, _ = mapped.apply({"key": ["a"], "attributes": [b"raw"], "tags": [b"raw"]})
    assert rows(columns) == [{"key": "a", "tags": b"raw", "new": "a"}]


@pytest.mark.parametrize("expression", ["config", "__stream_name__", "config['salt']"])
def test_a_column_does_not_hide_what_the_sdk_means_by_a_name(expression: str) -> None:
    columns = {"key": TEXT, "config": TEXT, "__stream_name__": TEXT}
    definition = {"new": expression}
    mapped = column_map(sdk_map(definition, columns), {"users": definition}, "users", columns)
    assert mapped
    record = {"key": "a", "config": "b", "__stream_name__": "c"}
    found, _ = mapped.apply({name: [value] for name, value in record.items()})
    assert rows(found) == [sdk_map(definition, columns).transform(record)]


def test_flattening_gets_whole_records() -> None:
    columns = {name: COLUMNS[name] for name in ("key", "email")}
    assert column_map(sdk_map({}, columns, depth=1), {"users": {}}, "users", columns) is None


def test_a_stream_that_is_removed_gets_whole_records() -> None:
    removed = RemoveRecordTransform("users", {"properties": COLUMNS}, ["key"], None)
    assert column_map(removed, {"users": None}, "users", COLUMNS) is None


def test_of_two_maps_that_match_a_stream_none_is_guessed() -> None:
    found: dict[str, dict[str, Any]] = {"users": {"new": "key"}, "use*": {"email": None}}
    assert column_map(sdk_map(found["use*"]), found, "users", COLUMNS) is None


def test_a_map_for_streams_of_a_pattern_is_found() -> None:
    assert column_map(sdk_map({"new": "key"}), {"use*": {"new": "key"}}, "users", COLUMNS)


@pytest.mark.parametrize(
    "definition",
    [{"new": "nothing"}, {"new": "email.nonsense"}, {"new": "int(key)"}, {"new": "key[5]"}, {"__filter__": "nothing"}],
)
def test_trouble_with_an_expression_is_that_of_a_record(definition: dict[str, Any]) -> None:
    mapped = by_column(definition)
    assert mapped
    with pytest.raises(SettingsError) as trouble:
        transformed(sdk_map(definition), dict.fromkeys(COLUMNS, "a"), "users")
    with pytest.raises(SettingsError) as same:
        mapped.apply({name: ["a"] for name in COLUMNS})
    assert str(same.value) == str(trouble.value)


@pytest.mark.parametrize("expression", ["'x'", "key or gone", "key if key else gone"])
def test_a_column_that_no_record_has_is_missed_only_where_it_is_read(expression: str) -> None:
    columns = {"gone": TEXT, **COLUMNS}
    mapped = column_map(sdk_map({"new": expression}, columns), {"users": {"new": expression}}, "users", columns)
    assert mapped
    found, _ = mapped.apply({name: ["a", "b"] for name in COLUMNS})
    assert [row["new"] for row in rows(found)] == (["x", "x"] if "x" in expression else ["a", "b"])


@pytest.mark.parametrize(
    "schema", [{}, {"anyOf": [TEXT]}, {"type": ["null"]}, {"type": "object", "format": "date-time"}]
)
def test_a_column_of_unknown_form_gets_whole_records_where_it_is_read(schema: dict[str, Any]) -> None:
    definition = {"new": "odd"}
    columns = {**COLUMNS, "odd": schema}
    assert column_map(sdk_map(definition, columns), {"users": definition}, "users", columns) is None


@pytest.mark.parametrize(
    "definition",
    [
        {"": "key", "__filter__": "key > 'a'"},
        {"new": "__debug__"},
        {"new": "'0' if key == 'b' else " + " ".join(f"'{n}' if key == '{n}' else" for n in range(1_500)) + " 'z'"},
    ],
    ids=["no name", "a name Python keeps", "too long for Python"],
)
def test_what_python_cannot_compile_is_evaluated(definition: dict[str, Any]) -> None:
    columns = {**COLUMNS, "__debug__": TEXT}
    mapped = column_map(sdk_map(definition, columns), {"users": definition}, "users", columns)
    assert mapped
    objects = [dict.fromkeys(columns, "b")]
    found, _ = mapped.apply({name: ["b"] for name in columns})
    assert rows(found) == [sdk_map(definition, columns).transform(record) for record in objects]


def test_columns_keep_their_places() -> None:
    mapped = by_column({"email": "key", "new": "key"})
    assert mapped
    columns, _ = mapped.apply({name: ["a"] for name in COLUMNS})
    assert [*columns] == [*COLUMNS, "new"]
