"""The tables made from users' lists: a row an entry, keys that are stable and unique, nothing lost, nothing unasked."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import HealthCheck, given, settings

from tests.helpers.archives import zipped
from tests.helpers.configurations import BRAZE_URL, config
from tests.helpers.in_process import sync
from tests.helpers.json_documents import VALUES
from tests.vendors.braze.test_streams import PUBLISHED_FIELDS, SAMPLE, Vendor

if TYPE_CHECKING:
    from collections.abc import Collection

    from requests_mock import Mocker

    from tests.helpers.running import Row, Run

CAMPAIGN = {
    "name": "Email Unsubscribe",
    "api_campaign_id": "d72fdc84",
    "last_received": "2022-06-02T03:07:38.105Z",
    "engaged": {"opened_email": True},
    "converted": True,
    "multiple_converted": {"Primary Conversion Event - A": True},
    "in_control": False,
    "variation_name": "Variant 1",
    "variation_api_id": "1bddc73a",
}
CANVAS = {
    "name": "Holdout",
    "api_canvas_id": "46972a9d",
    "last_received_message": None,
    "last_entered": "2021-07-07T20:45:24.000+00:00",
    "last_exited": "2021-07-07T20:46:24.136Z",
    "last_entered_control_at": None,
    "variation_name": "Variant 1",
    "in_control": False,
    "steps_received": [{"name": "Step", "api_canvas_step_id": "43d1a349"}],
}
DEVICE = {
    "model": "Pixel XL",
    "os": "Android (Q)",
    "carrier": None,
    "device_id": "312ef2c1",
    "ad_tracking_enabled": True,
}
TOKEN = {
    "app": "MovieCanon",
    "platform": "Android",
    "token": "12345abcd",
    "device_id": "312ef2c1",
    "notifications_enabled": True,
    "provisionally_opted_in": None,
}
APP = {
    "name": "MovieCanon",
    "platform": "Android",
    "version": "3.29.0",
    "sessions": 1129,
    "first_used": "2020-02-02T19:56:19.142Z",
    "last_used": "2021-11-11T00:25:19.201Z",
}
STEP = {"name": "Step", "api_canvas_step_id": "43d1a349", "last_received": "2021-07-07T20:46:24.136Z"}
TALLY = {"name": "x", "first": "2021-06-28T17:02:43.032Z", "last": "2021-06-28T17:02:43.032Z", "count": 1}
TABLES: dict[str, tuple[str, str, dict[str, Any]]] = {
    "braze_user_custom_events": ("custom_events", "name", TALLY),
    "braze_user_purchases": ("purchases", "name", TALLY),
    "braze_user_campaigns": ("campaigns_received", "api_campaign_id", CAMPAIGN),
    "braze_user_canvases": ("canvases_received", "api_canvas_id", CANVAS),
    "braze_user_devices": ("devices", "device_id", DEVICE),
    "braze_user_push_tokens": ("push_tokens", "token", TOKEN),
    "braze_user_apps": ("apps", "name", APP),
    "braze_user_aliases": ("user_aliases", "alias_label", {"alias_name": "user_123", "alias_label": "amplitude_id"}),
    "braze_user_canvas_steps": ("canvases_received", "api_canvas_step_id", STEP),
}

pytestmark = pytest.mark.usefixtures("clock")


def run(
    mock: Mocker, *users: dict[str, Any], only: Collection[str] | None = None, **changes: Any
) -> tuple[Run, list[dict[str, Any]]]:
    vendor = Vendor(mock, {"segment-1": zipped({"a.txt": b"\n".join(json.dumps(user).encode() for user in users)})})
    done = sync(config("braze", **changes), only=only)
    assert done.exit_code == 0, done.log
    return done, vendor.requests


def user_with(table: str, value: object) -> dict[str, Any]:
    """Make a user whose list of the table is this value; steps are inside a Canvas."""
    if table == "braze_user_canvas_steps":
        value = [{"api_canvas_id": "46972a9d", "steps_received": value}]
    return {"braze_id": "a", TABLES[table][0]: value}


def rows(mock: Mocker, table: str, value: object) -> list[Row]:
    return run(mock, user_with(table, value), only={table})[0].records(table)


@pytest.mark.parametrize("table", TABLES)
def test_the_vendors_sample_becomes_this_row(requests_mock: Mocker, table: str) -> None:
    _, identity, entry = TABLES[table]
    (row,) = rows(requests_mock, table, [entry])
    tap_columns = {"segment_id": "segment-1", "braze_id": "a", "occurrence": 1}
    expected = {**dict.fromkeys(row), **entry, **tap_columns}
    if table == "braze_user_canvases":
        expected["last_entered"] = "2021-07-07T20:45:24.000Z"
    if table == "braze_user_canvas_steps":
        expected["api_canvas_id"] = "46972a9d"
    assert row == expected
    assert row[identity] == entry[identity]


@pytest.mark.parametrize("table", TABLES)
def test_one_selected_table_asks_for_its_field_alone(requests_mock: Mocker, table: str) -> None:
    done, requests = run(requests_mock, only={table}, custom_attributes_to_export=["a"])
    (body,) = requests
    assert body["fields_to_export"] == ["braze_id", TABLES[table][0]]
    assert "custom_attributes_to_export" not in body
    assert {message["stream"] for message in done.messages if message["type"] == "SCHEMA"} == {table}


def test_no_table_of_entries_is_offered_unless_the_settings_name_it(requests_mock: Mocker) -> None:
    done, requests = run(requests_mock, SAMPLE)
    assert {message["stream"] for message in done.messages if message["type"] == "SCHEMA"} == {"braze_users"}
    assert sorted(requests[0]["fields_to_export"]) == sorted(PUBLISHED_FIELDS)
    done, _ = run(requests_mock, SAMPLE, tables=["braze_user_*"])
    streams = {message["stream"] for message in done.messages if message["type"] == "SCHEMA"}
    assert streams == {"braze_users", *TABLES}


def test_one_export_fills_users_and_all_tables(requests_mock: Mocker) -> None:
    fields = {field: [entry] for field, _, entry in TABLES.values() if field != "canvases_received"}
    user = {"braze_id": "a", **fields, "canvases_received": [CANVAS]}
    done, requests = run(requests_mock, user, {**user, "braze_id": "b"}, only={"braze_users", *TABLES})
    assert len(requests) == 1
    assert len(requests[0]["fields_to_export"]) == len(set(requests[0]["fields_to_export"]))
    for stream in ("braze_users", *TABLES):
        assert [row["braze_id"] for row in done.records(stream)] == ["a", "b"]
    assert done.records("braze_users")[0]["devices"] == [DEVICE]
    assert {name: entry["export"] for name, entry in done.states[-1]["bookmarks"].items()} == dict.fromkeys(
        ("braze_users", *TABLES)
    )


@pytest.mark.parametrize("table", TABLES)
def test_what_the_vendor_names_twice_or_not_at_all_keeps_a_row_of_its_own(requests_mock: Mocker, table: str) -> None:
    identity = TABLES[table][1]
    entries = [{identity: "x"}, {identity: None}, {identity: "x"}, {}, {identity: "y"}, {identity: ""}]
    keys = [(row[identity], row["occurrence"]) for row in rows(requests_mock, table, entries)]
    assert keys == [("x", 1), ("-", 1), ("x", 2), ("-", 2), ("y", 1), ("-", 3)]


@pytest.mark.parametrize("table", TABLES)
def test_nothing_of_a_list_that_comes_twice_is_lost(requests_mock: Mocker, table: str) -> None:
    field, identity, _ = TABLES[table]
    field = "steps_received" if table == "braze_user_canvas_steps" else field
    line = f'"{field}":[{{"{identity}":"x"}}],"{field}":[{{"{identity}":"y"}}],"{field}":null'
    if table == "braze_user_canvas_steps":
        line = f'"canvases_received":[{{{line}}}]'
    line = f'{{"braze_id":"a",{line}}}'
    Vendor(requests_mock, {"segment-1": zipped({"a.txt": line.encode()})})
    done = sync(config("braze"), only={table, "braze_users"})
    assert [row[identity] for row in done.records(table)] == ["x", "y"]


def test_a_key_does_not_move_when_an_older_entry_drops_out(requests_mock: Mocker) -> None:
    before = rows(requests_mock, "braze_user_purchases", [{"name": "old"}, {"name": "new"}])
    after = rows(requests_mock, "braze_user_purchases", [{"name": "new"}])
    assert after == before[1:]


@pytest.mark.parametrize("table", TABLES)
def test_unknown_fields_and_values_of_another_type_are_kept_in_extra(requests_mock: Mocker, table: str) -> None:
    identity = TABLES[table][1]
    odd = {identity: 5, "brand_new": [1], "braze_id": "theirs", "segment_id": "theirs", "occurrence": 9}
    (row,) = rows(requests_mock, table, [odd])
    assert row["extra"] == odd
    assert (row["braze_id"], row["segment_id"], row["occurrence"], row[identity]) == ("a", "segment-1", 1, "-")


@given(value=VALUES)
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_whatever_stands_where_the_list_should_be_none_of_it_is_lost(requests_mock: Mocker, value: Any) -> None:
    found = rows(requests_mock, "braze_user_devices", value)
    entries = value if isinstance(value, list) else [] if value is None else [value]
    assert len(found) == len(entries)
    for row, entry in zip(found, entries, strict=True):
        if isinstance(entry, dict):
            kept = {**row, **(row["extra"] or {})}
            assert all(kept.get(name) == inner or inner is None for name, inner in entry.items())
        else:
            assert row["extra"] == {"devices": entry}


def test_a_name_of_a_list_further_inside_is_no_second_list(requests_mock: Mocker) -> None:
    user = {"braze_id": "a", "custom_attributes": {"devices": [1]}, "devices": [DEVICE, {"devices": [DEVICE]}]}
    done, _ = run(requests_mock, user, only={"braze_user_devices"})
    assert [row["extra"] for row in done.records("braze_user_devices")] == [None, {"devices": [DEVICE]}]


def test_a_number_of_sessions_may_be_text(requests_mock: Mocker) -> None:
    entries = [{"sessions": "1129"}, {"sessions": 7}, {"sessions": "many"}, {"sessions": True}]
    found = rows(requests_mock, "braze_user_apps", entries)
    assert [(row["sessions"], row["extra"]) for row in found] == [
        (1129, None),
        (7, None),
        (None, {"sessions": "many"}),
        (None, {"sessions": True}),
    ]


def test_steps_are_counted_by_user_canvas_and_step(requests_mock: Mocker) -> None:
    canvases = [
        {"api_canvas_id": "c", "steps_received": [{"api_canvas_step_id": "s"}, {"api_canvas_step_id": "t"}]},
        {"api_canvas_id": None, "steps_received": [{"api_canvas_step_id": "s"}, {"api_canvas_step_id": "s"}]},
        {"api_canvas_id": 5, "steps_received": {"api_canvas_step_id": "s"}},
        {"api_canvas_id": "d"},
        {"api_canvas_id": "c", "steps_received": [{"api_canvas_step_id": "s"}, "bare"]},
        "bare",
    ]
    users = [{"braze_id": name, "canvases_received": canvases} for name in "ab"]
    done, _ = run(requests_mock, *users, only={"braze_user_canvas_steps"})
    found = done.records("braze_user_canvas_steps")
    expected = [("c", "s", 1), ("c", "t", 1), ("-", "s", 1), ("-", "s", 2), ("-", "s", 3), ("c", "s", 2), ("c", "-", 1)]
    keys = [
        tuple(row[name] for name in ("braze_id", "api_canvas_id", "api_canvas_step_id", "occurrence")) for row in found
    ]
    assert keys == [(name, *key) for name in "ab" for key in expected]
    assert found[6]["extra"] == {"steps_received": "bare"}


def test_each_table_may_drop_its_older_rows(requests_mock: Mocker) -> None:
    user = {"braze_id": "a", "devices": [DEVICE]}
    Vendor(requests_mock, {"segment-1": zipped({"a.txt": json.dumps(user).encode()})})
    done = sync({**config("braze"), "emit_activate_version_messages": True}, only={"braze_users", "braze_user_devices"})
    activated = {message["stream"] for message in done.messages if message["type"] == "ACTIVATE_VERSION"}
    assert activated == {"braze_users", "braze_user_devices"}


# What is asked for


def asked(mock: Mocker, deselected: Collection[str], **changes: Any) -> dict[str, Any]:
    """Sync users without some columns, and give the request's body."""
    from tap_cdp_export.tap import TapCDPExport  # noqa: PLC0415

    vendor = Vendor(mock, {"segment-1": zipped({})})
    tap = TapCDPExport(config=config("braze", **changes))
    catalog = tap.catalog_dict
    (entry,) = [entry for entry in catalog["streams"] if entry["tap_stream_id"] == "braze_users"]
    for item in entry["metadata"]:
        if item["breadcrumb"] == [] or item["breadcrumb"][-1] in deselected:
            item["metadata"]["selected"] = item["breadcrumb"] == []
    TapCDPExport(config=config("braze", **changes), catalog={"streams": [entry]}).run()
    return vendor.requests[-1]


ALL = {*PUBLISHED_FIELDS, "segment_id", "extra"}
UNASKED = {"push_opted_in_at", "push_unsubscribed_at", "email_opted_in_at", "email_unsubscribed_at"}


@pytest.mark.parametrize(
    ("deselected", "missing"),
    [
        ({"devices", "email"}, {"devices", "email"}),
        ({"push_subscribe"}, set()),
        ({"push_subscribe", "push_opted_in_at", "push_unsubscribed_at"}, {"push_subscribe"}),
        ({"segment_id", "braze_id", "extra"}, set()),
        (ALL | UNASKED, set(PUBLISHED_FIELDS) - {"braze_id"}),
    ],
)
def test_a_field_whose_column_is_deselected_is_not_asked_for(
    requests_mock: Mocker, deselected: set[str], missing: set[str]
) -> None:
    body = asked(requests_mock, deselected)
    assert set(PUBLISHED_FIELDS) - set(body["fields_to_export"]) == missing


def test_a_field_without_a_column_is_asked_for_while_extra_is_selected(requests_mock: Mocker) -> None:
    assert "brand_new" in asked(requests_mock, set(), fields_to_export=["brand_new"])["fields_to_export"]
    assert asked(requests_mock, {"extra"}, fields_to_export=["brand_new"])["fields_to_export"] == ["braze_id"]


@pytest.mark.parametrize(
    ("changes", "deselected", "all_of_them", "named"),
    [
        ({}, set(), True, False),
        ({"custom_attributes_to_export": ["a"]}, set(), False, True),
        ({"custom_attributes_to_export": ["a"], "fields_to_export": ["custom_attributes"]}, set(), True, True),
        ({"custom_attributes_to_export": ["a"], "fields_to_export": ["email"]}, set(), False, True),
        ({"custom_attributes_to_export": ["a"]}, {"custom_attributes", "extra"}, False, False),
    ],
)
def test_custom_attributes_are_asked_for_all_or_one_by_one(
    requests_mock: Mocker, changes: dict[str, Any], deselected: set[str], *, all_of_them: bool, named: bool
) -> None:
    body = asked(requests_mock, deselected, **changes)
    assert ("custom_attributes" in body["fields_to_export"]) == all_of_them
    assert ("custom_attributes_to_export" in body) == named


def test_named_custom_attributes_may_come_inside_or_at_the_top(requests_mock: Mocker) -> None:
    inside = {"braze_id": "a", "custom_attributes": {"points": 1}}
    done, _ = run(requests_mock, inside, {"braze_id": "b", "points": 2}, custom_attributes_to_export=["points"])
    first, second = done.records("braze_users")
    assert first["custom_attributes"] == {"points": 1}
    assert second["extra"] == {"points": 2}


# The global control group


def control_group(mock: Mocker, answer: dict[str, Any], **changes: Any) -> Run:
    mock.post(f"{BRAZE_URL}/users/export/global_control_group", json={"message": "success", **answer}, status_code=201)
    mock.get("https://storage.test/x.zip", content=zipped({"a.txt": b'{"braze_id":"a"}'}))
    return sync(config("braze", segment_ids=["global_control_group"], **changes))


def test_the_global_control_group_has_an_endpoint_of_its_own(requests_mock: Mocker) -> None:
    done = control_group(requests_mock, {"url": "https://storage.test/x.zip"}, custom_attributes_to_export=["a"])
    assert [(row["segment_id"], row["braze_id"]) for row in done.records("braze_users")] == [
        ("global_control_group", "a")
    ]
    assert set(requests_mock.request_history[0].json()) == {"fields_to_export", "output_format"}


@pytest.mark.parametrize("changes", [{}, {"bucket_url": "file:///tmp"}])
def test_the_global_control_group_is_read_by_url_only(requests_mock: Mocker, changes: dict[str, Any]) -> None:
    done = control_group(requests_mock, {"url": None}, **changes)
    assert done.exit_code == 12
    assert "URL only" in done.log
