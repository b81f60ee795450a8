"""`--discover`, `--about`, `--test`, selection, stream maps, flattening."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pytest

from tap_cdp_export.sandbox.options import Fault, Options, PopulationOptions
from tap_cdp_export.sandbox.server import Sandbox
from tap_cdp_export.tap import VENDORS
from tests.helpers.running import run_tap, vendor
from tests.whole_tap.conftest import NOW

SNAPSHOTS = Path(__file__).parent / "snapshots"


def offering_everything(settings: dict[str, Any]) -> dict[str, Any]:
    return {**settings, **{each.name: {**settings[each.name], "tables": ["*"]} for each in VENDORS}}


def discovered(sandbox: Sandbox, *, fresh: bool = False) -> dict[str, Any]:
    run = run_tap(offering_everything(sandbox.settings()), "--discover", fresh=fresh)
    assert run.exit_code == 0, run.log
    catalog: dict[str, Any] = json.loads(run.log[run.log.index("{\n") :])
    return catalog


def selecting(catalog: dict[str, Any], stream: str, *, without: set[str]) -> dict[str, Any]:
    for entry in catalog["streams"]:
        for item in entry["metadata"]:
            if item["breadcrumb"] == []:
                item["metadata"]["selected"] = entry["tap_stream_id"] == stream
            elif item["breadcrumb"][-1] in without:
                item["metadata"]["selected"] = False
    return catalog


def test_the_catalog_is_as_it_was_reviewed(sandbox: Sandbox) -> None:
    found = {entry["tap_stream_id"]: entry for entry in discovered(sandbox, fresh=True)["streams"]}
    assert found == {path.stem: json.loads(path.read_text()) for path in SNAPSHOTS.glob("*.json")}


def test_every_property_is_described_has_one_type_and_only_keys_refuse_null(sandbox: Sandbox) -> None:
    for entry in discovered(sandbox)["streams"]:
        for name, schema in entry["schema"]["properties"].items():
            is_key = name in entry["key_properties"]
            assert schema["description"].endswith("."), name
            assert len([kind for kind in schema["type"] if kind != "null"]) == 1, name
            assert ("null" in schema["type"]) != is_key, name


@pytest.mark.parametrize("options", [("--about",), ("--about", "--format=json"), ("--about", "--format=markdown")])
def test_about_needs_no_settings(options: tuple[str, ...]) -> None:
    run = run_tap({}, *options, fresh=True)
    assert run.exit_code == 0
    assert "apsis" in run.log


def test_test_mode_checks_credentials_and_starts_no_export(sandbox: Sandbox) -> None:
    run = run_tap(sandbox.settings(), "--test", fresh=True)
    assert run.exit_code == 0, run.log
    assert {entry.vendor for entry in sandbox.request_log.entries()} == {"personalization", "apsis", "braze"}
    assert sandbox.request_log.count(method="POST", path="/audience/profiles/exports") == 0
    assert sandbox.request_log.count(method="POST", path="/users/export") == 0


@pytest.mark.parametrize(
    ("name", "secret"), [("personalization", "api_key_secret"), ("apsis", "client_secret"), ("braze", "api_key")]
)
def test_test_mode_finds_wrong_credentials(sandbox: Sandbox, name: str, secret: str) -> None:
    run = run_tap(vendor(sandbox.settings(), name, **{secret: "not-the-right-one"}), "--test")
    assert run.exit_code == 11
    assert "not-the-right-one" not in run.log


def test_a_deselected_stream_is_not_asked_for_and_a_deselected_column_not_sent(sandbox: Sandbox) -> None:
    catalog = selecting(discovered(sandbox), "users", without={"email_address", "extra"})
    sandbox.request_log.clear()
    run = run_tap({**sandbox.settings(), "end_date": NOW}, catalog=catalog)
    assert run.exit_code == 0, run.log
    assert run.records("users")
    assert all("email_address" not in row and "extra" not in row for row in run.records("users"))
    assert {entry.path.rpartition("/")[2] for entry in sandbox.request_log.entries()} == {"users.json"}


@pytest.mark.parametrize(
    "note", [None, "'mapped'", "'mapped' if record else None"], ids=["whole runs", "by columns", "record by record"]
)
def test_of_columns_that_only_the_tap_or_only_the_catalog_has_none_is_sent(sandbox: Sandbox, note: str | None) -> None:
    catalog = discovered(sandbox)
    streams = ("users", "apsis_profiles", "apsis_events", "braze_users")
    for entry in catalog["streams"]:
        del entry["schema"]["properties"]["extra"]
        entry["schema"]["properties"]["later"] = {"type": ["string", "null"]}
        for item in entry["metadata"]:
            if item["breadcrumb"] == []:
                item["metadata"]["selected"] = entry["tap_stream_id"] in streams
            elif item["breadcrumb"][-1] == "extra":
                item["breadcrumb"][-1] = "later"
    maps = {stream: {"note": note} for stream in streams} if note else {}
    run = run_tap({**sandbox.settings(), "end_date": NOW, "stream_maps": maps}, catalog=catalog)
    assert run.exit_code == 0, run.log
    for stream in streams:
        rows = run.records(stream)
        assert rows
        assert all("extra" not in row and "later" not in row and ("note" in row) == bool(maps) for row in rows)


@pytest.mark.parametrize("expression", ["'x'", "name or gone", "str(attributes)"])
def test_a_catalog_that_knows_other_columns_and_types_changes_no_mapped_record(
    sandbox: Sandbox, expression: str
) -> None:
    catalog = selecting(discovered(sandbox), "users", without=set())
    for entry in catalog["streams"]:
        known = entry["schema"]["properties"]
        if entry["tap_stream_id"] == "users":
            known["attributes"] = {"type": ["string", "null"]}
            entry["schema"]["properties"] = {"gone": {"type": ["string", "null"]}, **known}
            entry["metadata"].append({"breadcrumb": ["properties", "gone"], "metadata": {"selected": True}})
    settings = {**sandbox.settings(), "end_date": NOW}
    by_column = run_tap({**settings, "stream_maps": {"users": {"new": expression}}}, catalog=catalog)
    seeing_records = {"new": expression, "__filter__": "bool(record)"}
    by_record = run_tap({**settings, "stream_maps": {"users": seeing_records}}, catalog=catalog)
    assert by_record.exit_code == 0, by_record.log
    assert by_column.records("users") == by_record.records("users")
    assert by_column.records("users")


def test_a_catalog_that_deselects_a_key_is_refused_before_the_first_request(sandbox: Sandbox) -> None:
    catalog = selecting(discovered(sandbox), "braze_users", without={"braze_id", "segment_id"})
    for entry in catalog["streams"]:
        for item in entry["metadata"]:
            if item["breadcrumb"] and item["breadcrumb"][-1] in {"braze_id", "segment_id"}:
                item["metadata"]["inclusion"] = "available"
    sandbox.request_log.clear()
    run = run_tap({**sandbox.settings(), "end_date": NOW}, catalog=catalog)
    assert run.exit_code == 10
    assert "deselects a key column of braze_users: segment_id, braze_id" in run.log
    assert not sandbox.request_log.entries()


def test_profiles_alone_need_no_events_and_one_export(sandbox: Sandbox) -> None:
    catalog = selecting(discovered(sandbox), "apsis_profiles", without=set())
    sandbox.request_log.clear()
    run = run_tap({**sandbox.settings(), "end_date": NOW}, catalog=catalog)
    (export,) = sandbox.request_log.entries(method="POST", path="/audience/profiles/exports")
    assert "events" not in export.body
    assert len(run.records("apsis_profiles")) == sandbox.population.counts(start=NOW, end=NOW, at=NOW)["apsis_profiles"]


def test_stream_maps_and_flattening_see_every_record(sandbox: Sandbox) -> None:
    maps = {"braze_users": {"email": "md5(email) if email else None", "country": "country", "__else__": None}}
    settings = {**vendor(sandbox.settings(), "braze"), "stream_maps": maps}
    run = run_tap(settings)
    assert run.exit_code == 0, run.log
    rows = run.records("braze_users")
    assert rows
    assert all("@" not in json.dumps(row) for row in rows)
    flat = {
        **vendor(sandbox.settings(), "apsis"),
        "end_date": NOW,
        "flattening_enabled": True,
        "flattening_max_depth": 1,
    }
    run = run_tap(flat)
    assert run.exit_code == 0, run.log
    assert all(not isinstance(value, dict) for row in run.records("apsis_events") for value in row.values())


WAYS = pytest.mark.parametrize("note", ["'x'", "'x' if record else None"], ids=["by columns", "record by record"])


@WAYS
@pytest.mark.parametrize("nothing", [None, "__NULL__"])
def test_null_in_a_stream_map_removes_a_column(sandbox: Sandbox, note: str, nothing: str | None) -> None:
    streams = {"users": "email_address", "apsis_profiles": "tags", "apsis_events": "data", "braze_users": "email"}
    maps = {stream: {column: nothing, "note": note} for stream, column in streams.items()}
    run = run_tap({**sandbox.settings(), "end_date": NOW, "stream_maps": {**maps, "accounts": nothing}})
    assert run.exit_code == 0, run.log
    schemas = {message["stream"]: message["schema"] for message in run.messages if message["type"] == "SCHEMA"}
    assert schemas.keys() == streams.keys()
    for stream, column in streams.items():
        assert run.records(stream)
        assert all(column not in row and row["note"] == "x" for row in run.records(stream))
        assert column not in schemas[stream]["properties"]


@WAYS
@pytest.mark.parametrize("nothing", [None, "__NULL__"])
def test_null_for_all_else_leaves_the_keys_and_what_is_named(sandbox: Sandbox, note: str, nothing: str | None) -> None:
    named = {"note": note, "__else__": nothing}
    maps = {"users": named, "apsis_profiles": {**named, "__key_properties__": ["note"]}, "__else__": nothing}
    run = run_tap({**sandbox.settings(), "end_date": NOW, "stream_maps": maps})
    assert run.exit_code == 0, run.log
    columns = {message["stream"]: {*message["record"]} for message in run.messages if message["type"] == "RECORD"}
    assert columns == {"users": {"dataset_id", "name", "note"}, "apsis_profiles": {"note"}}


@WAYS
def test_a_map_for_all_streams_changes_those_that_are_selected(sandbox: Sandbox, note: str) -> None:
    maps = {"*": {"note": note, "extra": None, "__alias__": "'my_' + __stream_name__"}}
    run = run_tap({**sandbox.settings(), "end_date": NOW, "stream_maps": maps})
    assert run.exit_code == 0, run.log
    for stream in ("users", "accounts", "apsis_profiles", "apsis_events", "braze_users"):
        assert not run.records(stream)
        assert run.records(f"my_{stream}")
        assert all(row["note"] == "x" and "extra" not in row for row in run.records(f"my_{stream}"))


@pytest.mark.parametrize("also", ["", " if record else None"], ids=["by columns", "record by record"])
@pytest.mark.parametrize("name", ["personalization", "apsis", "braze"])
def test_an_expression_that_fails_is_a_wrong_setting(sandbox: Sandbox, name: str, also: str) -> None:
    stream = {"personalization": "users", "apsis": "apsis_profiles", "braze": "braze_users"}[name]
    run = run_tap(
        {**vendor(sandbox.settings(), name), "end_date": NOW, "stream_maps": {stream: {"x": f"int('a'){also}"}}}
    )
    assert run.exit_code == 10
    assert "Traceback" not in run.log
    assert f"{stream}: The stream map of {stream} fails on a record, at the column x (ValueError)" in run.last_line


@pytest.mark.parametrize("rule", ["False", "bool(record) and False"], ids=["by columns", "record by record"])
def test_a_filter_that_leaves_nothing_is_no_export_without_rows(sandbox: Sandbox, rule: str) -> None:
    maps = {"braze_users": {"__filter__": rule}}
    settings = {**vendor(sandbox.settings(), "braze"), "emit_activate_version_messages": True}
    run = run_tap({**settings, "stream_maps": maps})
    assert run.exit_code == 0, run.log
    assert not run.records("braze_users")
    assert "ACTIVATE_VERSION" in [message["type"] for message in run.messages]


def test_activate_version_comes_after_the_last_record(sandbox: Sandbox) -> None:
    run = run_tap({**vendor(sandbox.settings(), "braze"), "emit_activate_version_messages": True})
    kinds = [message["type"] for message in run.messages if message.get("stream") == "braze_users"]
    assert kinds[-1] == "ACTIVATE_VERSION"
    assert "ACTIVATE_VERSION" not in kinds[:-1]
    versions = {m.get("version") for m in run.messages if m["type"] in {"RECORD", "ACTIVATE_VERSION"}}
    assert len(versions) == 1
    assert None not in versions


def as_full_table(catalog: dict[str, Any], stream: str) -> dict[str, Any]:
    for entry in catalog["streams"]:
        if entry["tap_stream_id"] == stream:
            entry["replication_method"] = "FULL_TABLE"
            del entry["replication_key"]
    return catalog


@pytest.mark.parametrize(("stream", "is_activated"), [("users", True), ("accounts", True), ("apsis_events", False)])
def test_a_stream_switched_to_full_table_activates_its_version_only_if_a_run_holds_everything(
    sandbox: Sandbox, stream: str, *, is_activated: bool
) -> None:
    catalog = as_full_table(selecting(discovered(sandbox), stream, without=set()), stream)
    settings = {**sandbox.settings(), "end_date": NOW, "emit_activate_version_messages": True}
    run = run_tap(settings, catalog=catalog)
    assert run.exit_code == 0, run.log
    assert run.records(stream)
    assert (run.messages[-1]["type"] == "ACTIVATE_VERSION" or run.messages[-2]["type"] == "ACTIVATE_VERSION") == (
        is_activated
    )


def test_a_run_that_is_not_whole_or_empty_activates_no_version(sandbox: Sandbox) -> None:
    catalog = as_full_table(selecting(discovered(sandbox), "accounts", without=set()), "accounts")
    settings = {**sandbox.settings(), "end_date": NOW, "emit_activate_version_messages": True}
    sandbox.options.personalization.accounts_status = 404
    retired = run_tap(settings, catalog=catalog)
    assert retired.exit_code == 0
    sandbox.options.personalization.accounts_status = 200
    sandbox.options.faults = [Fault(path="/accounts.json", skip=2, status=400)]
    failed = run_tap(settings, catalog=catalog)
    assert failed.exit_code == 10
    sandbox.options.faults = [Fault(path="/accounts.json", skip=2, times=2, status=404)]
    ended = run_tap(settings, catalog=catalog)
    assert ended.exit_code == 0
    assert ended.records("accounts")
    for run in (retired, failed, ended):
        assert all(message["type"] != "ACTIVATE_VERSION" for message in run.messages)


def test_a_second_core_changes_nothing() -> None:
    population = PopulationOptions(users=1_000, companies=5, now=NOW)  # enough for each vendor to use the second core
    with Sandbox(Options(population=population)) as sandbox:
        settings = {**sandbox.settings(), "end_date": NOW}
        here = os.sched_getaffinity(0)
        runs = []
        for cores in (here, {min(here)}):
            os.sched_setaffinity(0, cores)  # a child process inherits it
            try:
                runs.append(run_tap(settings))
            finally:
                os.sched_setaffinity(0, here)
    for run in runs:
        assert run.exit_code == 0, run.log
    for stream in ("users", "accounts", "apsis_profiles", "apsis_events", "braze_users"):
        assert runs[0].records(stream) == runs[1].records(stream)
        assert runs[0].records(stream)


@pytest.mark.parametrize("mapped", [False, True])
@pytest.mark.parametrize("stream", ["users", "accounts", "apsis_profiles", "apsis_events", "braze_users"])
def test_whole_runs_at_once_and_record_by_record_give_the_same(sandbox: Sandbox, stream: str, *, mapped: bool) -> None:
    catalog = selecting(discovered(sandbox), stream, without={"window_start", "tags", "email"})
    settings = {**sandbox.settings(), "end_date": NOW}
    key = {"users": "name", "accounts": "name", "braze_users": "braze_id"}.get(stream, "profile_key")
    some = {"__alias__": "some", "__filter__": f"md5({key}) > '8'", "hash": f"sha256({key})", "extra": "__NULL__"}
    definition = some if mapped else {}
    at_once = run_tap({**settings, "stream_maps": {stream: definition}}, catalog=catalog)
    seeing_records = {**definition, "__filter__": f"bool(record) and {definition.get('__filter__', True)}"}
    by_record = run_tap({**settings, "stream_maps": {stream: seeing_records}}, catalog=catalog)
    assert by_record.exit_code == 0, by_record.log
    name = definition.get("__alias__", stream)
    assert at_once.records(name) == by_record.records(name)
    assert at_once.records(name)
