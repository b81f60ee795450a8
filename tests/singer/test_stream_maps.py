"""Stream maps and flattening of the SDK, where they would lose columns or keys by themselves."""

from __future__ import annotations

import json
import logging
from typing import Any

import pytest

from tap_cdp_export.errors import SettingsError
from tap_cdp_export.singer.stream_maps import StreamMaps, transformed

TEXT: dict[str, Any] = {"type": ["string", "null"]}
COLUMNS: dict[str, Any] = {
    "name": {"type": ["string"]},
    "email": TEXT,
    "score": {"type": ["number", "null"]},
    "free": {"type": ["object", "null"], "additionalProperties": True},
    "of_old": {"type": ["object", "null"], "properties": {}, "additionalProperties": True},
    "list": {"type": ["array", "null"], "items": {"type": "object", "properties": {}}},
    "place": {
        "type": ["object", "null"],
        "properties": {"city": TEXT, "area": {"type": ["object", "null"], "properties": {"code": TEXT, "free": {}}}},
    },
}
RECORD: dict[str, Any] = {
    "name": "a",
    "email": "a@b",
    "score": 1.5,
    "free": {"plan": "x", "inner": {"ü": None}},
    "of_old": {"url": "y"},
    "list": [{"a": 1}],
    "place": {"city": "Oslo", "area": {"code": "0150", "free": {"b": 2}}, "unknown": 1},
}
NESTED = ("free", "of_old", "list", "place")


def maps(definition: Any = None, *, keys: tuple[str, ...] = ("name",), **settings: Any) -> Any:
    config = {**settings, "stream_maps": {"users": definition} if definition is not None else {}}
    made = StreamMaps(config, logging.getLogger())
    made.register_raw_stream_schema("users", {"type": "object", "properties": COLUMNS, "required": [*keys]}, keys)
    return made.stream_maps["users"]


def flattened(depth: int, definition: Any = None, **settings: Any) -> tuple[dict[str, Any], dict[str, Any]]:
    """Give the columns of SCHEMA, and a record."""
    (only,) = maps(definition, flattening_enabled=True, flattening_max_depth=depth, **settings)
    record = transformed(only, {**RECORD}, "users")
    assert record is not None
    return only.transformed_schema["properties"], record


@pytest.mark.parametrize("depth", [0, 1, 2, 5])
def test_an_object_without_declared_properties_is_one_column_of_text(depth: int) -> None:
    columns, record = flattened(depth)
    for name in ("free", "of_old", "list"):
        assert columns[name]["type"] == ["string", "null"]
        assert json.loads(record[name]) == RECORD[name]
    assert (record["email"], record["score"]) == ("a@b", 1.5)
    assert columns.keys() == record.keys()


def test_at_a_depth_of_nothing_every_nested_column_is_text() -> None:
    columns, record = flattened(0)
    assert columns.keys() == record.keys() == COLUMNS.keys()
    assert all(columns[name]["type"] == ["string", "null"] for name in NESTED)
    assert {name: json.loads(record[name]) for name in NESTED} == {name: RECORD[name] for name in NESTED}


def test_declared_properties_become_columns_down_to_the_depth() -> None:
    _, one = flattened(1, flattening_separator=".")
    assert one["place.city"] == "Oslo"
    assert json.loads(one["place.area"]) == RECORD["place"]["area"]
    columns, two = flattened(2)
    assert two["place__area__code"] == "0150"
    assert "place" not in columns


@pytest.mark.parametrize("place", [None, {}, {"unknown": {"deep": 1}}])
@pytest.mark.parametrize("depth", [0, 1, 2])
def test_no_record_has_a_column_that_its_schema_lacks(depth: int, place: Any) -> None:
    (only,) = maps(flattening_enabled=True, flattening_max_depth=depth)
    record = transformed(only, {**RECORD, "place": place}, "users")
    assert record is not None
    assert record.keys() <= only.transformed_schema["properties"].keys()


@pytest.mark.parametrize("depth", [0, 1])
def test_stream_maps_see_records_before_they_are_flattened(depth: int) -> None:
    definition = {"plan": "free['plan']", "whole": "free", "list": None, "hash": "md5(email)"}
    columns, record = flattened(depth, definition)
    assert record["plan"] == "x"
    assert json.loads(record["whole"]) == RECORD["free"]
    assert columns.keys() == record.keys()
    assert "list" not in columns


def test_names_that_are_shortened_are_shortened_in_the_keys_too() -> None:
    settings = {"flattening_enabled": True, "flattening_max_depth": 1, "flattening_max_key_length": 4}
    (only,) = maps({"__else__": None, "customer_id": "name", "email": "email"}, keys=("name",), **settings)
    record = transformed(only, {**RECORD}, "users")
    assert only.transformed_key_properties == ["nam"]
    assert only.transformed_schema["properties"].keys() == record.keys() == {"ci", "ema", "nam"}  # type: ignore[union-attr]


def test_required_columns_are_shortened_too() -> None:
    (only,) = maps(
        {"place": None, "of_old": None}, flattening_enabled=True, flattening_max_depth=1, flattening_max_key_length=4
    )
    assert only.transformed_schema["required"] == ["nam"]


def test_columns_that_flattening_would_make_one_are_refused() -> None:
    with pytest.raises(SettingsError, match="two columns of users the same name"):
        maps({"customer_id": "name", "cid": "name", "ci": "name"}, flattening_enabled=True, flattening_max_depth=1,
             flattening_max_key_length=4)  # fmt: skip


def test_a_stream_that_is_not_selected_needs_no_map() -> None:
    made = StreamMaps({"stream_maps": {"*": {"__filter__": "True", "new": "name"}}}, logging.getLogger())
    made.register_raw_stream_schema("others", {"type": "object", "properties": {}}, ["name"])
    made.register_raw_stream_schema("users", {"type": "object", "properties": COLUMNS}, ["name"])
    assert [type(found).__name__ for (found,) in made.stream_maps.values()] == [
        "SameRecordTransform",
        "CustomStreamMap",
    ]


@pytest.mark.parametrize("nothing", [None, "__NULL__"])
def test_what_is_not_named_is_left_out_but_for_the_keys(nothing: str | None) -> None:
    (only,) = maps({"hash": "md5(email)", "__else__": nothing})
    record = transformed(only, {**RECORD}, "users")
    assert only.transformed_schema["properties"].keys() == record.keys() == {"name", "hash"}  # type: ignore[union-attr]
    (other,) = maps({"hash": "md5(email)", "__key_properties__": ["hash"], "__else__": nothing})
    assert other.transformed_schema["properties"].keys() == {"hash"}
    assert other.transformed_key_properties == ["hash"]


@pytest.mark.parametrize("none", [None, []])
def test_a_stream_may_go_out_without_keys(none: list[str] | None) -> None:
    (only,) = maps({"__key_properties__": none, "name": None})
    assert only.transformed_key_properties == []  # SCHEMA must have them, and null is left out


@pytest.mark.parametrize("option", ["__alias__", "__source__"])
def test_null_for_a_stream_s_name_is_no_name(option: str) -> None:
    (only,) = maps({option: None, "email": None})
    assert only.stream_alias == "users"
    assert "email" not in only.transformed_schema["properties"]


@pytest.mark.parametrize("rest", [None, "__NULL__", "str(free)"])
def test_a_column_that_takes_another_s_place_has_its_type(rest: str | None) -> None:
    (only,) = maps({"free": rest, "attributes": "free"})
    assert only.transformed_schema["properties"]["attributes"]["type"] == ["object", "null"]
    assert (transformed(only, {**RECORD}, "users") or {})["attributes"] == RECORD["free"]


@pytest.mark.parametrize(
    ("definition", "reason"),
    [
        ({"name": None}, "Removing key property 'name' is not permitted"),
        ({"__key_properties__": ["nobody"]}, "'nobody' was not detected in schema"),
        ({"new": "md5('canary'"}, "cannot be read"),
        ({"new": ""}, "cannot be read"),
        ({"__filter__": ""}, "cannot be read"),
    ],
)
def test_a_wrong_map_is_refused_with_the_stream_and_without_its_expressions(definition: Any, reason: str) -> None:
    with pytest.raises(SettingsError) as refusal:
        maps(definition)
    assert "map of users is wrong" in str(refusal.value)
    assert reason in str(refusal.value)
    assert "canary" not in str(refusal.value)


def test_an_expression_that_needs_an_extra_names_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda _name: None)
    (only,) = maps({"new": "fake.name()"})
    with pytest.raises(SettingsError, match="map of users needs the tap's extra faker, at the column new: install"):
        transformed(only, {**RECORD}, "users")


@pytest.mark.parametrize(
    ("expression", "cause"),
    [("md5(score)", "AttributeError"), ("free['canary']", "KeyError"), ("canary", "NameNotDefined")],
)
def test_an_expression_that_fails_is_told_with_its_cause_and_without_the_record(expression: str, cause: str) -> None:
    (only,) = maps({"new": expression})
    with pytest.raises(SettingsError) as failure:
        transformed(only, {**RECORD}, "users")
    assert f"map of users fails on a record, at the column new ({cause})" in str(failure.value)
    assert "canary" not in str(failure.value)
