"""APSIS One end to end: names for IDs, optional columns, exports that are too large, and all irregularities at once."""

from __future__ import annotations

import itertools
import json
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest

from tests.helpers.running import Run, Warehouse, run_tap, vendor
from tests.whole_tap.conftest import NOW, small_sandbox

if TYPE_CHECKING:
    from tap_cdp_export.sandbox.request_log import Entry
    from tap_cdp_export.sandbox.server import Sandbox

UNRESOLVABLE = "9820599"
DEFINITIONS = {
    "apsis_sections",
    "apsis_attributes",
    "apsis_tags",
    "apsis_event_types",
    "apsis_segments",
    "apsis_topics",
}
BOTH = {"apsis_profiles", "apsis_events"}


def settings_of(sandbox: Sandbox, **changes: Any) -> dict[str, Any]:
    return {**vendor(sandbox.settings(), "apsis", **changes), "end_date": NOW}


def discovered(settings: dict[str, Any]) -> dict[str, Any]:
    run = run_tap(settings, "--discover")
    assert run.exit_code == 0, run.log
    catalog: dict[str, Any] = json.loads(run.log[run.log.index("{\n") :])
    return catalog


def with_everything(settings: dict[str, Any]) -> Run:
    run = run_tap({**settings, "apsis": {**settings["apsis"], "tables": ["*"]}})
    assert run.exit_code == 0, run.log
    return run


def loaded(run: Run) -> Warehouse:
    warehouse = Warehouse()
    warehouse.load(run)
    return warehouse


def exports(sandbox: Sandbox) -> list[Entry]:
    return sandbox.request_log.entries(method="POST", path="/audience/profiles/exports")


def expected(sandbox: Sandbox, settings: dict[str, Any]) -> dict[str, int]:
    counts = sandbox.population.counts(start=settings["start_date"], end=NOW, at=NOW)
    return {stream: counts[stream] for stream in BOTH}


# Names


def test_every_id_of_the_loaded_data_becomes_a_name_with_one_join_but_the_one_that_is_nowhere_defined(
    sandbox: Sandbox,
) -> None:
    start = "2025-03-01T00:00:00Z"  # events of the first year carry versions that have since been deprecated
    settings = {**settings_of(sandbox, window_days=60), "start_date": start, "end_date": "2025-05-01T00:00:00Z"}
    old = loaded(with_everything(settings)).tables
    tables = loaded(with_everything(settings_of(sandbox, window_days=60))).tables
    assert tables.keys() == BOTH | DEFINITIONS

    sections = {row["section_id"] for row in tables["apsis_sections"].values()}
    assert {row["section_id"] for row in tables["apsis_profiles"].values()} - {"-"} == sections
    assert {row["section_id"] for row in tables["apsis_events"].values()} <= sections

    def names(stream: str) -> dict[tuple[str, str], str]:
        return {(row["section_id"], row["version_id"]): row["name"] for row in tables[stream].values()}

    used: dict[str, set[tuple[str, str]]] = {"attributes": set(), "tags": set()}
    for row in tables["apsis_profiles"].values():
        for column, ids in used.items():
            ids |= {(row["section_id"], identifier) for identifier in row[column]}
    assert {version for _, version in used["attributes"] - names("apsis_attributes").keys()} == {UNRESOLVABLE}
    assert used["tags"]
    assert used["tags"] <= names("apsis_tags").keys()
    for events in (old["apsis_events"], tables["apsis_events"]):
        assert {(row["section_id"], row["type_id"]) for row in events.values()} <= names("apsis_event_types").keys()
    deprecated = {row["version_id"] for row in tables["apsis_event_types"].values() if row["deprecated_at"]}
    assert deprecated & {row["type_id"] for row in old["apsis_events"].values()}


@pytest.mark.parametrize("field", ["id", "section_id", "audience_key"])
def test_the_sections_join_whatever_their_ids_field_is_called(sandbox: Sandbox, field: str) -> None:
    sandbox.options.apsis.section_id_field = field
    run = with_everything(settings_of(sandbox))
    sections = {row["section_id"] for row in run.records("apsis_sections")}
    assert sections == {row["section_id"] for row in run.records("apsis_profiles")} - {"-"}
    assert {row["section_id"] for row in run.records("apsis_topics")} == sections


def test_definitions_cost_no_export_and_one_token(sandbox: Sandbox) -> None:
    settings = settings_of(sandbox, tables=["*"], attributes=[], tags=[], events=[])
    catalog = discovered(settings)
    for entry in catalog["streams"]:
        entry["metadata"][-1]["metadata"]["selected"] = entry["tap_stream_id"] in DEFINITIONS
    sandbox.request_log.clear()
    run = run_tap({**settings, "emit_activate_version_messages": True}, catalog=catalog)
    assert run.exit_code == 0, run.log
    assert exports(sandbox) == []
    assert sandbox.request_log.count(path="/oauth/token") == 1
    activated = {message["stream"] for message in run.messages if message["type"] == "ACTIVATE_VERSION"}
    assert activated == DEFINITIONS


# Items

PATTERNS: dict[str, Any] = {"attributes": ["Shop/*"], "tags": ["Shop/*"], "events": ["Shop/*"]}
SECTION = "usercreated.sections.shop-r6tz73a27t"
SHAPES: dict[str, dict[str, Any]] = {
    "version_id": {},
    "discriminator": {
        "item_fields": {"section_discriminator": "section_discriminator", "discriminator": "discriminator"}
    },
    "field_name": {
        "item_fields": {"field_name": "name", "discriminator": "discriminator"},
        "extra_body": {"section_discriminator": SECTION},
    },
}


@pytest.mark.parametrize("shape", SHAPES)
def test_a_guess_that_the_vendor_refuses_is_corrected_by_settings_alone(sandbox: Sandbox, shape: str) -> None:
    start = {"start_date": "2025-11-20T00:00:00Z", "end_date": "2025-12-10T00:00:00Z"}  # both versions of events
    usual = run_tap({**settings_of(sandbox, window_days=60, **PATTERNS), **start})
    assert usual.exit_code == 0, usual.log
    sandbox.options.update({"apsis": {"item_shape": shape}})
    for other, changes in SHAPES.items():
        run = run_tap({**settings_of(sandbox, window_days=60, **PATTERNS, **changes), **start})
        if other != shape:
            assert run.exit_code == 10
            assert "attributes[0]: " in run.last_line
            assert "item_fields" in run.last_line
            continue
        assert run.exit_code == 0, run.log
        for stream in BOTH:
            assert run.records(stream) == usual.records(stream)
            assert run.records(stream)
        assert len({row["type_id"] for row in run.records("apsis_events")} & {"540002", "550002"}) == 2


def test_patterns_ask_for_what_is_defined_and_nothing_else(sandbox: Sandbox) -> None:
    run = run_tap(settings_of(sandbox, attributes=["*"], tags=["*"], events=["*"]))
    assert run.exit_code == 0, run.log
    body = exports(sandbox)[0].body
    assert {kind: len(body[kind]) for kind in ("attributes", "tags", "events")} == {
        "attributes": 15,
        "tags": 4,
        "events": 11,
    }
    counts = expected(sandbox, settings_of(sandbox))
    assert {stream: len(loaded(run).tables[stream]) for stream in BOTH} == counts


# Columns


def test_attributes_and_tags_get_columns_that_say_what_the_lossless_ones_say(sandbox: Sandbox) -> None:
    settings = settings_of(sandbox, attribute_columns=True)
    run = with_everything(settings)
    rows = run.records("apsis_profiles")
    ids = {
        "email": {"9820534", "9720534", "9831001", "9842001"},
        "mobile": {"9820540"},
        "newsletter": {"9820541"},
        "address": {"9820542"},
        "birthday": {"9820543"},
        "spent": {"9820545", "9720545"},
        "points": {"9831003"},
        "foretag": {"9842002"},
    }
    for name, known in ids.items():
        values = [row["attributes"][one] for row in rows for one in known & row["attributes"].keys()]
        assert sorted(map(str, values)) == sorted(
            str(row[f"attribute_{name}"]) for row in rows if known & row["attributes"].keys()
        )
        assert any(value is not None for value in values)
    assert any(row["attribute_last_order"] for row in rows)
    assert all((row["attribute_last_order"] or "2026Z")[-1] == "Z" for row in rows)
    for name, tag in (("customer", "312460234"), ("gold", "312460301"), ("pays_by_invoice", "312460401")):
        assert [row[f"tag_{name}"] for row in rows] == [tag in row["tags"] for row in rows]
        assert any(row[f"tag_{name}"] for row in rows)
    assert any(UNRESOLVABLE in row["attributes"] for row in rows)
    assert len(loaded(run).tables["apsis_profiles"]) == expected(sandbox, settings)["apsis_profiles"]


def test_the_columns_are_those_of_the_catalog_with_one_type_each_and_can_be_deselected(sandbox: Sandbox) -> None:
    settings = settings_of(sandbox, attribute_columns=True)
    catalog = discovered(settings)
    (entry,) = [one for one in catalog["streams"] if one["tap_stream_id"] == "apsis_profiles"]
    columns = {name: inner for name, inner in entry["schema"]["properties"].items() if name.startswith("attribute_")}
    types = {
        name: (next(t for t in inner["type"] if t != "null"), inner.get("format")) for name, inner in columns.items()
    }
    assert types["attribute_email"] == ("string", None)
    assert types["attribute_mobile"] == ("integer", None)
    assert types["attribute_newsletter"] == ("boolean", None)
    assert types["attribute_address"] == ("object", None)
    assert types["attribute_birthday"] == ("string", "date")
    assert types["attribute_last_order"] == ("string", "date-time")
    assert types["attribute_spent"] == ("number", None)
    for item in entry["metadata"]:
        if item["breadcrumb"] == ["properties", "attribute_email"]:
            item["metadata"]["selected"] = False
    run = run_tap(settings, catalog=catalog)
    assert run.exit_code == 0, run.log
    assert all("attribute_email" not in row and "attribute_mobile" in row for row in run.records("apsis_profiles"))


def test_an_earlier_discovery_without_the_columns_does_not_keep_a_run_from_its_rows(sandbox: Sandbox) -> None:
    catalog = discovered(settings_of(sandbox))
    settings = settings_of(sandbox, attribute_columns=True)
    run = run_tap(settings, catalog=catalog)
    assert run.exit_code == 0, run.log
    schemas = {m["stream"]: m["schema"]["properties"].keys() for m in run.messages if m["type"] == "SCHEMA"}
    for stream in BOTH:
        assert all(row.keys() == schemas[stream] for row in run.records(stream))
    assert loaded(run).counts == expected(sandbox, settings)


# Exports that are too large


@pytest.mark.parametrize("refused_by", ["fails", "error", "413", "400"])
def test_an_export_that_is_too_large_is_halved_and_nothing_is_lost_or_asked_for_twice(
    sandbox: Sandbox, refused_by: str
) -> None:
    sandbox.options.update({"apsis": {"refuse_days_over": 4, "refuse_by": refused_by}})
    settings = settings_of(sandbox, window_days=14)
    run = run_tap(settings)
    assert run.exit_code == 0, run.log
    assert loaded(run).counts == expected(sandbox, settings)
    spans = [
        (datetime.fromisoformat(export.body["start_at"]), datetime.fromisoformat(export.body["end_at"]))
        for export in exports(sandbox)
    ]
    refused = [span for span in spans if span[1] - span[0] > timedelta(days=4)]
    served = [span for span in spans if span not in refused]
    assert len(served) == len(set(served))
    assert served[0][0] == datetime.fromisoformat(settings["start_date"])
    assert served[-1][1] == datetime.fromisoformat(NOW)
    assert all(later[0] == earlier[1] for earlier, later in itertools.pairwise(served))
    assert len(refused) <= 2 * len(set(refused)) <= 4  # 14 and 7 days, each retried at most once
    ends = [state["bookmarks"]["apsis_events"].get("replication_key_value") for state in run.states]
    assert len(set(filter(None, ends))) == len(served)


def test_a_run_that_ends_between_two_halves_is_taken_up_where_it_was(sandbox: Sandbox) -> None:
    sandbox.options.update({"apsis": {"refuse_days_over": 4}})
    settings = settings_of(sandbox, window_days=7)
    whole = run_tap(settings)
    second_half = next(
        state
        for state in whole.states
        if (state["bookmarks"]["apsis_events"].get("export") or {}).get("window_start", "")
        == state["bookmarks"]["apsis_events"].get("replication_key_value", "none")
    )
    job = second_half["bookmarks"]["apsis_events"]["export"]
    sandbox.request_log.clear()
    again = run_tap(settings, state=second_half)
    assert again.exit_code == 0, again.log
    assert (
        sandbox.request_log.entries(vendor="apsis", method="GET")[0].path
        == job["handle"]["poll_path"].partition("?")[0]
    )
    assert job["window_start"] not in {export.body["start_at"].replace("Z", ".000Z") for export in exports(sandbox)}
    first = {m["record"]["window_end"] for m in whole.messages if m["type"] == "RECORD"}
    assert min(row["window_start"] for row in again.records("apsis_events")) == job["window_start"]
    assert job["window_end"] in first
    warehouse = loaded(whole)
    warehouse.load(again)
    assert warehouse.counts == expected(sandbox, settings)


def test_an_export_that_is_always_too_large_ends_with_advice(sandbox: Sandbox) -> None:
    sandbox.options.update({"apsis": {"refuse_days_over": 0.0001, "polls_before_ready": 0}})
    run = run_tap(settings_of(sandbox))
    assert run.exit_code == 13
    assert "smaller" in run.last_line
    assert len(exports(sandbox)) < 24
    assert run.states[-1]["bookmarks"]["apsis_events"]["export"] is None
    assert run.records("apsis_events") == []


# Irregularities


def values(run: Run) -> dict[str, dict[tuple[Any, ...], dict[str, Any]]]:
    """All rows, without their window (halving changes it) and with the order of tags ignored."""
    found = loaded(run).tables
    for row in itertools.chain(*(table.values() for table in found.values())):
        del row["window_start"], row["window_end"]
        if "tags" in row:
            row["tags"].sort()
    return found


@pytest.fixture(scope="module")
def truth() -> dict[str, Any]:
    """The rows of a run without irregularities."""
    with small_sandbox() as sandbox:
        return values(run_tap(settings_of(sandbox)))


@pytest.mark.parametrize(
    "oddity",
    [
        {"poll_mode": "v2", "url_field": "file_download_url_v2"},
        {"url_field": "poll_url", "request_status": 200},
        {"url_field": "url", "request_status": 202, "relative_url": True},
        {"url_field": "where_it_will_be"},
        {"url_field": ""},
        {"url_field": "", "relative_url": True},
        {"reversed_keys": True},
        {"pretty": True},
        {"metadata": "before"},
        {"metadata": "after", "pretty": True, "reversed_keys": True},
        {"expire_token_after_polls": 2},
        {"expire_token_after_polls": 2, "expired_status": 403},
        {"expires_in": 0},
        {"expires_in": 10**12},
        {"token_seconds": 100, "expires_in": 86_400},
        {"failing_exports": 1},
        {"error_bodies": 1},
    ],
    ids=str,
)
def test_what_the_vendor_may_do_differently_changes_no_row(
    sandbox: Sandbox, oddity: dict[str, Any], truth: dict[str, Any]
) -> None:
    sandbox.options.update({"apsis": oddity})
    run = run_tap(settings_of(sandbox))
    assert run.exit_code == 0, run.log
    assert values(run) == truth
    assert sandbox.request_log.count(path="/oauth/token") <= 3


def test_topics_whatever_their_shape_are_kept_in_extra(sandbox: Sandbox) -> None:
    sandbox.options.apsis.topics = True
    rows = [row for row in run_tap(settings_of(sandbox)).records("apsis_profiles") if row["section_id"] != "-"]
    assert rows
    assert all(
        row["extra"] == {"topics": {"usercreated.topics.offers-a1b2c3d4e5": {"email": "opt-in"}}} for row in rows
    )


@pytest.mark.parametrize("mode", ["v1", "v2"])
def test_an_export_that_its_newer_poll_url_does_not_know_is_asked_for_anew_and_not_waited_for(
    sandbox: Sandbox, mode: str
) -> None:
    field = "file_download_url_v2" if mode == "v2" else "file_download_url"
    sandbox.options.update({"apsis": {"poll_mode": mode, "url_field": field}})
    settings = settings_of(sandbox, window_days=60)
    state = run_tap(settings).states[0]
    handle = state["bookmarks"]["apsis_events"]["export"]["handle"]
    handle["poll_path"] = handle["poll_path"].replace("exports/", "exports/0")
    sandbox.request_log.clear()
    run = run_tap(settings, state=state)
    assert run.exit_code == 0, run.log
    unknown = handle["poll_path"].partition("?")[0]
    assert [entry.status for entry in sandbox.request_log.entries(path=unknown)] == [410 if mode == "v1" else 404]
    assert len(exports(sandbox)) == 1
