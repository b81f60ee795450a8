"""Optional columns for custom attributes: named after them, typed as defined, and the same in every later run."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from tap_cdp_export.errors import CdpExportError
from tap_cdp_export.records.batch import whole_records
from tap_cdp_export.tap import TapCDPExport
from tap_cdp_export.vendors.braze.attribute_columns import AttributeColumns
from tap_cdp_export.vendors.braze.user_decoder import UserDecoder
from tests.helpers.archives import zipped
from tests.helpers.configurations import BRAZE_URL, config
from tests.helpers.in_process import sync
from tests.vendors.braze.test_streams import Vendor

if TYPE_CHECKING:
    from requests_mock import Mocker

    from tests.helpers.running import Run

URL = f"{BRAZE_URL}/custom_attributes"

pytestmark = pytest.mark.usefixtures("clock")


def defined(**types: Any) -> list[dict[str, Any]]:
    return [{"name": name, "data_type": kind} for name, kind in types.items()]


def users(columns: AttributeColumns, *objects: dict[str, Any]) -> list[dict[str, Any]]:
    block = b"\n".join(json.dumps({"braze_id": "a", **fields}).encode() for fields in objects)
    return whole_records(UserDecoder("s", ["braze_id", "custom_attributes", "extra"], columns).decode(block))


def values(kind: Any, value: Any, name: str = "x") -> tuple[Any, Any]:
    """Return what column and `extra` hold of a value."""
    (row,) = users(AttributeColumns([{"name": name, "data_type": kind}]), {"custom_attributes": {name: value, "y": 1}})
    assert row["custom_attributes"] == {name: value, "y": 1}
    (column,) = (inner for column, inner in row.items() if column.startswith("attribute_"))
    return column, row["extra"]


# Names


def test_a_column_is_named_after_its_attribute() -> None:
    columns = AttributeColumns(defined(**{"Loyalty points": "Number", "kr/år": "Number", "名前": "String"}))
    plain, spelled, lettered = columns.properties
    assert (plain, spelled) == ("attribute_loyalty_points", "attribute_kr_ar")
    assert lettered.removeprefix("attribute_").isalnum()
    assert columns.properties[plain]["description"] == "Custom attribute Loyalty points."


def test_attributes_whose_names_become_the_same_never_share_a_column() -> None:
    first, second = AttributeColumns(defined(Level="Number", level="Number")).properties
    assert first != second
    assert {first[:16], second[:16]} == {"attribute_level_"}
    assert [*AttributeColumns(defined(level="Number", Level="Number"), wanted=["Level"]).properties] == [first]


# Values


@pytest.mark.parametrize(
    ("kind", "value", "expected"),
    [
        ("Number", 107, 107),
        ("number", 1.5, 1.5),
        ("Number (Automatically Detected)", 5, 5),
        ("String", "321", "321"),
        ("BOOLEAN", False, False),
        ("Date (Automatically Detected)", "2024-03-01T10:00:00Z", "2024-03-01T10:00:00.000Z"),
        ("Date/Time", "2024-03-01 10:00:00.000 UTC", "2024-03-01T10:00:00.000Z"),
        ("Array", ["a", "b"], ["a", "b"]),
        ("Object Array", [{"a": 1}], [{"a": 1}]),
        ("Object", {"a": {"b": 1}}, {"a": {"b": 1}}),
        ("unheard of", "a", "a"),
        (None, "a", "a"),
        (5, "a", "a"),
        ("Number", None, None),
    ],
)
@pytest.mark.parametrize("name", ["x", 'with "quotes"'])
def test_a_value_of_the_defined_type_is_in_its_column(kind: Any, value: Any, expected: Any, name: str) -> None:
    assert values(kind, value, name) == (expected, None)


@pytest.mark.parametrize(
    ("kind", "value"),
    [
        ("Number", "321"),
        ("Boolean", "true"),
        ("String", 5),
        ("Date", "2026-02-30 soon"),
        ("Array", ["a", 5]),
        ("Object", [1]),
        ("unheard of", {"a": 1}),
    ],
)
@pytest.mark.parametrize("name", ["x", 'with "quotes"'])
def test_a_value_of_another_type_is_kept_in_extra(kind: Any, value: Any, name: str) -> None:
    assert values(kind, value, name) == (None, {"custom_attributes": {name: value}})


@pytest.mark.parametrize("attributes", [None, [1], 5, {}])
def test_users_without_attributes_have_columns_too(attributes: Any) -> None:
    objects = [{"custom_attributes": attributes}, {"custom_attributes": {"x": 5}}, {}]
    rows = users(AttributeColumns(defined(x="Number")), *objects)
    assert [row["attribute_x"] for row in rows] == [None, 5, None]
    assert rows[0]["extra"] == (None if attributes is None or attributes == {} else {"custom_attributes": attributes})


def test_an_attribute_among_the_fields_of_the_user_fills_its_column() -> None:
    columns = AttributeColumns(defined(x="Number", y="Number"))
    rows = users(columns, {"x": 5, "y": "a", "z": 1, "custom_attributes": {"y": "b"}}, {"x": 6})
    assert [(row["attribute_x"], row["attribute_y"]) for row in rows] == [(5, None), (6, None)]
    assert rows[0]["extra"] == {"x": 5, "y": "a", "z": 1, "custom_attributes": {"y": "b"}}


def test_a_run_keeps_to_the_columns_and_types_of_its_catalog() -> None:
    columns = AttributeColumns(defined(x="Number", new="String"))
    columns.follow(
        {
            "braze_id": {"type": ["string"]},
            "attribute_x": {"type": ["string", "null"]},
            "attribute_gone": {"type": ["boolean", "null"]},
        }
    )
    (row,) = users(columns, {"custom_attributes": {"x": "a", "new": "b", "gone": True}})
    assert {name: value for name, value in row.items() if name.startswith("attribute_")} == {
        "attribute_x": "a",
        "attribute_gone": None,
    }


# In a run


def run(mock: Mocker, *objects: dict[str, Any], **settings: Any) -> tuple[Run, list[dict[str, Any]]]:
    lines = b"\n".join(json.dumps({"braze_id": "a", **fields}).encode() for fields in objects)
    vendor = Vendor(mock, {"segment-1": zipped({"a.txt": lines})})
    pages = [{"attributes": defined(points="Number")}, {"attributes": defined(level="String")}]
    link = {"Link": '</custom_attributes?cursor=c2tpcDo1MA%3D%3D>; rel="next"'}
    mock.get(URL, json={"message": "success", **pages[0]}, headers=link)
    mock.get(f"{URL}?cursor=c2tpcDo1MA==", json={"message": "success", **pages[1]})
    done = sync(config("braze", **{"attribute_columns": True, **settings}), only={"braze_users"})
    return done, vendor.requests


def test_columns_of_all_pages_are_in_schema_and_records_and_misfits_are_counted(
    requests_mock: Mocker, caplog: pytest.LogCaptureFixture
) -> None:
    objects = [{"custom_attributes": {"points": points, "level": "gold"}} for points in (1, "2", "3")]
    done, _ = run(requests_mock, *objects)
    assert done.exit_code == 0, done.log
    (schema,) = [message["schema"] for message in done.messages if message["type"] == "SCHEMA"]
    rows = done.records("braze_users")
    assert schema["properties"].keys() == rows[0].keys()
    assert schema["properties"]["attribute_points"]["type"] == ["number", "null"]
    assert [(row["attribute_points"], row["attribute_level"]) for row in rows] == [
        (1, "gold"),
        (None, "gold"),
        (None, "gold"),
    ]
    assert caplog.text.count("2 values of custom attributes are of another type") == 1


@pytest.mark.parametrize(
    ("settings", "columns", "is_asked"),
    [
        ({}, {"attribute_points", "attribute_level"}, True),
        ({"custom_attributes_to_export": ["points"]}, {"attribute_points"}, True),
        ({"fields_to_export": ["email"]}, set(), False),
        ({"attribute_columns": False}, set(), False),
    ],
)
def test_attributes_that_are_not_exported_have_no_column(
    requests_mock: Mocker, settings: dict[str, Any], columns: set[str], *, is_asked: bool
) -> None:
    done, _ = run(requests_mock, {}, **settings)
    (row,) = done.records("braze_users")
    assert {name for name in row if name.startswith("attribute_")} == columns
    assert bool([1 for request in requests_mock.request_history if request.path == "/custom_attributes"]) == is_asked


@pytest.mark.parametrize("settings", [{}, {"custom_attributes_to_export": ["points"]}])
def test_attributes_are_asked_for_while_one_of_their_columns_is_selected(
    requests_mock: Mocker, settings: dict[str, Any]
) -> None:
    run(requests_mock, {}, **settings)
    everything = config("braze", **{"attribute_columns": True, **settings})
    (entry,) = TapCDPExport(config=everything).catalog_dict["streams"]
    for item in entry["metadata"]:
        name = item["breadcrumb"][-1] if item["breadcrumb"] else ""
        item["metadata"]["selected"] = name in {"", "segment_id", "braze_id", "attribute_points"}
    TapCDPExport(config=everything, catalog={"streams": [entry]}).run()
    body = [request.json() for request in requests_mock.request_history if request.method == "POST"][-1]
    if settings:
        assert body["custom_attributes_to_export"] == ["points"]
    else:
        assert body["fields_to_export"] == ["braze_id", "custom_attributes"]


@pytest.mark.parametrize(("status", "code"), [(403, 11), (404, 10), (500, 13)])
def test_definitions_that_cannot_be_read_end_the_users_and_a_discovery_and_nothing_else(
    requests_mock: Mocker, status: int, code: int
) -> None:
    vendor = Vendor(requests_mock, {"segment-1": zipped({"a.txt": b'{"braze_id":"a","devices":[{}]}'})})
    requests_mock.get(URL, status_code=status, json={"message": "Access Denied"})
    settings = config("braze", attribute_columns=True)
    done = sync(settings, only={"braze_users"})
    assert done.exit_code == code
    assert not done.records("braze_users")
    assert vendor.requests == []
    if status == 403:
        assert "custom_attributes.get" in done.last_line
    tables = sync(settings, only={"braze_user_devices"})
    assert tables.exit_code == 0, tables.log
    assert len(tables.records("braze_user_devices")) == 1
    with pytest.raises(CdpExportError):
        TapCDPExport(config=settings, setup_mapper=False).run_discovery()  # as the command does
    with pytest.raises(CdpExportError):
        TapCDPExport(config=settings).run_connection_test()
