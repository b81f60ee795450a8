"""Braze against the sandbox: URL and bucket, zip and gzip, users and the tables built from their lists."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from tap_cdp_export.sandbox.braze.export_users import BUYERS, KNOWN, SEGMENTS
from tap_cdp_export.sandbox.options import Fault
from tests.helpers.running import Row, Run, run_tap, vendor
from tests.whole_tap.conftest import NOW
from tests.whole_tap.test_modes import SNAPSHOTS, discovered
from tests.whole_tap.test_rows import milliseconds

if TYPE_CHECKING:
    from pathlib import Path

    from tap_cdp_export.sandbox.server import Sandbox

TABLES = {
    "braze_user_custom_events": "custom_events",
    "braze_user_purchases": "purchases",
    "braze_user_campaigns": "campaigns_received",
    "braze_user_canvases": "canvases_received",
    "braze_user_devices": "devices",
    "braze_user_push_tokens": "push_tokens",
    "braze_user_apps": "apps",
    "braze_user_aliases": "user_aliases",
    "braze_user_canvas_steps": "canvases_received",
}
BUCKET = {"bucket_quiet_seconds": 0.3, "poll_initial_seconds": 0.02, "poll_max_seconds": 0.05}
"""Longer than the sandbox may pause between two files on a busy machine."""


def selecting(sandbox: Sandbox, *streams: str) -> dict[str, Any]:
    catalog = discovered(sandbox)
    for entry in catalog["streams"]:
        for item in entry["metadata"]:
            if item["breadcrumb"] == []:
                item["metadata"]["selected"] = entry["tap_stream_id"] in streams
    return catalog


def connect_bucket(sandbox: Sandbox, folder: Path, **options: Any) -> dict[str, Any]:
    """Connect a bucket to the sandbox, and return settings that read from it."""
    changes = {"bucket_folder": str(folder), "bucket_part_seconds": 0.001, "lines_per_file": 25, **options}
    sandbox.options.update({"braze": changes})
    return vendor(sandbox.settings(), "braze", bucket_url=f"file://{folder}", **BUCKET)


def rows_of(run: Run, stream: str = "braze_users") -> list[Row]:
    """Return rows in an order that does not depend on how the vendor splits its files."""
    assert run.exit_code == 0, run.log
    return sorted(run.records(stream), key=lambda row: json.dumps(row, sort_keys=True))


@pytest.mark.parametrize("output_format", ["zip", "gzip"])
def test_url_and_bucket_and_both_formats_give_the_same_records(
    sandbox: Sandbox, tmp_path: Path, output_format: str
) -> None:
    expected = rows_of(run_tap(vendor(sandbox.settings(), "braze")))
    by_url = run_tap(vendor(sandbox.settings(), "braze", output_format=output_format))
    assert rows_of(by_url) == expected
    settings = connect_bucket(sandbox, tmp_path, bucket_day_shift=2)
    settings["braze"]["output_format"] = output_format
    by_bucket = run_tap(settings)
    assert rows_of(by_bucket) == expected
    endings = {path.suffix for path in tmp_path.glob("segment-export/*/*/*/*")}
    assert endings == {".zip" if output_format == "zip" else ".gz"}
    assert len(list(tmp_path.glob("segment-export/*/*/*/*"))) > 4


def test_an_export_whose_wait_ended_is_taken_up_by_the_next_run(sandbox: Sandbox, tmp_path: Path) -> None:
    expected = rows_of(run_tap(vendor(sandbox.settings(), "braze", segment_ids=[BUYERS.identifier])))
    settings = connect_bucket(sandbox, tmp_path)
    settings["braze"]["segment_ids"] = [BUYERS.identifier]
    impatient = {**settings["braze"], "export_timeout_seconds": 0.5, "bucket_quiet_seconds": 60}
    first = run_tap({**settings, "braze": impatient})
    assert first.exit_code == 15, first.log
    sandbox.request_log.clear()
    second = run_tap(settings, state=first.states[-1])
    assert rows_of(second) == expected
    assert sandbox.request_log.count(method="POST", path="/users/export") == 0


def test_nothing_of_a_presigned_url_is_in_log_or_state_at_debug(sandbox: Sandbox) -> None:
    sandbox.options.update({"braze": {"url_query": "?X-Amz-Expires=3600&X-Amz-Signature=c0ffee+c0ffee%2fc0ffee=="}})
    settings = vendor(sandbox.settings(), "braze", segment_ids=[BUYERS.identifier])
    run = run_tap(settings, environment={"TAP_CDP_EXPORT_LOGLEVEL": "DEBUG"})
    assert run.exit_code == 0, run.log
    assert run.records("braze_users")
    for text in (run.log, json.dumps(run.states)):
        assert "c0ffee" not in text
        assert "X-Amz" not in text


@pytest.mark.parametrize(("members", "exit_code"), [(1, 0), (5, 12)])
def test_members_of_nothing_but_newlines_are_passed_over_or_refused_at_once(
    sandbox: Sandbox, members: int, exit_code: int
) -> None:
    settings = vendor(sandbox.settings(), "braze", segment_ids=[BUYERS.identifier])
    expected = rows_of(run_tap(settings))
    sandbox.options.update({"braze": {"blank_members": members}})
    run = run_tap(settings)
    assert run.exit_code == exit_code, run.log
    assert len(run.records("braze_users")) == (0 if exit_code else len(expected))
    assert ("times its size" in run.last_line) == bool(exit_code)


def test_a_late_file_is_missing_from_one_run_told_of_by_the_next_and_read_by_it(
    sandbox: Sandbox, tmp_path: Path
) -> None:
    settings = connect_bucket(sandbox, tmp_path, bucket_late_seconds=3)
    settings["braze"]["segment_ids"] = [BUYERS.identifier]
    settings["emit_activate_version_messages"] = True
    first = run_tap(settings)
    assert "ACTIVATE_VERSION" not in {message["type"] for message in first.messages}
    sandbox.options.update({"braze": {"bucket_late_seconds": 0}})
    first_state = first.states[-1]["bookmarks"]["braze_users"]["finished_exports"][BUYERS.identifier]
    parts = f"segment-export/*/*/{first_state['object_prefix']}/*"
    while len(list(tmp_path.glob(parts))) == first_state["files"]:
        sandbox.request_log.count(method="GET", path="/")
    second = run_tap(settings, state=first.states[-1])
    assert len(rows_of(second)) > len(rows_of(first))
    assert f"{BUYERS.identifier}: 1 files of the last export came to the bucket after" in second.log
    third = run_tap(settings, state=second.states[-1])
    assert "came to the bucket after" not in third.log


def test_a_lost_answer_leaves_one_export_to_wait_for_and_then_its_own(sandbox: Sandbox, tmp_path: Path) -> None:
    settings = connect_bucket(sandbox, tmp_path)
    sandbox.options.faults = [Fault(path="/users/export/segment", status=502, answer_lost=True)]
    run = run_tap(settings)
    assert run.exit_code == 0, run.log
    keys = {(row["segment_id"], row["braze_id"]) for row in run.records("braze_users")}
    assert len(keys) == sandbox.population.counts(start=NOW, end=NOW, at=NOW)["braze_users"]


def test_users_and_all_tables_come_from_one_export_and_hold_the_same(sandbox: Sandbox) -> None:
    catalog = selecting(sandbox, "braze_users", *TABLES)
    sandbox.request_log.clear()
    run = run_tap(vendor(sandbox.settings(), "braze", segment_ids=[KNOWN.identifier], tables=["*"]), catalog=catalog)
    assert run.exit_code == 0, run.log
    assert sandbox.request_log.count(method="POST", path="/users/export") == 1
    users = list(sandbox.population.braze_users(KNOWN.identifier, milliseconds(NOW)))
    for stream, field in TABLES.items():
        (schema,) = [m for m in run.messages if m["type"] == "SCHEMA" and m["stream"] == stream]
        keys = {tuple(row[name] for name in schema["key_properties"]) for row in run.records(stream)}
        entries = {user["braze_id"]: user.get(field, []) for user in users}
        if stream == "braze_user_canvas_steps":
            entries = {
                user: [step for canvas in canvases for step in canvas["steps_received"]]
                for user, canvases in entries.items()
            }
        assert len(keys) == len(run.records(stream)) == sum(map(len, entries.values())) > 0
        assert {row["braze_id"] for row in run.records(stream)} == {user for user in entries if entries[user]}
        assert all(row["extra"] is None for row in run.records(stream))


def test_custom_attributes_have_columns_of_their_own(sandbox: Sandbox) -> None:
    sandbox.options.braze.more_definitions = 100  # three pages
    run = run_tap(vendor(sandbox.settings(), "braze", segment_ids=[KNOWN.identifier], attribute_columns=True))
    assert run.exit_code == 0, run.log
    rows, misfits = run.records("braze_users"), 0
    assert sum(name.startswith("attribute_survey_answer_") for name in rows[0]) == 100
    for row in rows:
        points = row["custom_attributes"]["loyalty points"]
        is_number = isinstance(points, int)
        assert row["attribute_loyalty_points"] == (points if is_number else None)
        assert row["attribute_member_since"] == row["custom_attributes"]["member since"]
        assert row["attribute_newsletter"] is row["custom_attributes"]["newsletter"]
        in_extra = (row["extra"] or {}).get("custom_attributes", {})
        assert ("loyalty points" in in_extra) is not is_number
        misfits += len(in_extra)
    assert f"{misfits} values of custom attributes are of another type than defined" in run.log


def test_a_key_without_the_permission_for_definitions_fails_the_users_alone(sandbox: Sandbox) -> None:
    sandbox.options.braze.permissions.remove("custom_attributes.get")
    settings = vendor(sandbox.settings(), "braze", attribute_columns=True, tables=["braze_segments"])
    run = run_tap(settings)
    assert run.exit_code == 11
    assert "custom_attributes.get" in run.last_line
    assert run.records("braze_segments")
    assert not run.records("braze_users")
    assert sandbox.request_log.count(method="POST", path="/users/export") == 0


def test_segments_are_listed_over_all_pages(sandbox: Sandbox) -> None:
    settings = vendor(sandbox.settings(), "braze", tables=["braze_segments"])
    del settings["braze"]["segment_ids"]
    run = run_tap(settings, catalog=selecting(sandbox, "braze_segments"))
    assert run.exit_code == 0, run.log
    assert {row["segment_id"]: row["name"] for row in run.records("braze_segments")} == {
        identifier: segment.name for identifier, segment in SEGMENTS.items()
    }


def test_wildcards_choose_segments_by_name(sandbox: Sandbox) -> None:
    run = run_tap(vendor(sandbox.settings(), "braze", segment_ids=["Every*", "Bucket 00?"]))
    assert run.exit_code == 0, run.log
    asked = [entry.body["segment_id"] for entry in sandbox.request_log.entries(method="POST", path="/users/export")]
    assert asked == [i for i, segment in SEGMENTS.items() if segment.name.startswith(("Every", "Bucket 00"))]
    nobody = run_tap(vendor(sandbox.settings(), "braze", segment_ids=["every*"]))
    assert nobody.exit_code == 10


@pytest.mark.parametrize("stream", [*TABLES, "braze_segments"])
def test_the_catalog_is_as_it_was_reviewed(sandbox: Sandbox, stream: str) -> None:
    (entry,) = [entry for entry in discovered(sandbox)["streams"] if entry["tap_stream_id"] == stream]
    assert entry == json.loads((SNAPSHOTS / f"{stream}.json").read_text())


# Occasional behaviour of the vendor (docs/vendors/braze.md, section 13)


@pytest.mark.parametrize(
    "options",
    [
        {"file_suffix": ".json"},
        {"blank_lines": True},
        {"archive": "gzip"},
        {"not_ready_status": 404},
        {"ready_after_seconds": 0.1},
        {"polls_before_ready": 0},
        {"lines_per_file": 7},
    ],
)
def test_oddities_of_the_archive_change_no_record(sandbox: Sandbox, options: dict[str, Any]) -> None:
    expected = rows_of(run_tap(vendor(sandbox.settings(), "braze")))
    sandbox.options.update({"braze": options})
    assert rows_of(run_tap(vendor(sandbox.settings(), "braze"))) == expected


@pytest.mark.parametrize("empty_segment", ["empty_zip", "empty_member"])
def test_an_empty_segment_is_a_success(sandbox: Sandbox, empty_segment: str) -> None:
    nobody = next(identifier for identifier, segment in SEGMENTS.items() if segment.kind == "nobody")
    sandbox.options.update({"braze": {"empty_segment": empty_segment}})
    run = run_tap(vendor(sandbox.settings(), "braze", segment_ids=[nobody]))
    assert run.exit_code == 0, run.log
    assert run.records("braze_users") == []


def test_an_empty_segment_whose_url_never_comes_ends_with_15(sandbox: Sandbox) -> None:
    nobody = next(identifier for identifier, segment in SEGMENTS.items() if segment.kind == "nobody")
    sandbox.options.update({"braze": {"empty_segment": "never_ready"}})
    run = run_tap(vendor(sandbox.settings(), "braze", segment_ids=[nobody], export_timeout_seconds=1))
    assert run.exit_code == 15


def test_a_field_that_nobody_asked_for_is_kept_in_extra(sandbox: Sandbox) -> None:
    sandbox.options.update({"braze": {"extra_field": True}})
    run = run_tap(vendor(sandbox.settings(), "braze"))
    assert all("subscription_score" in row["extra"] for row in run.records("braze_users"))


def test_a_running_export_of_somebody_else_is_cancelled_where_the_settings_say_so(sandbox: Sandbox) -> None:
    sandbox.options.update({"braze": {"ready_after_seconds": 3600}})
    settings = vendor(sandbox.settings(), "braze", segment_ids=[BUYERS.identifier], export_timeout_seconds=1)
    assert run_tap(settings).exit_code == 15  # the export continues at the vendor
    sandbox.options.update({"braze": {"ready_after_seconds": 0.01}})
    settings["braze"] |= {"on_conflict": "fail"}
    assert run_tap(settings).exit_code == 14
    settings["braze"] |= {"on_conflict": "cancel", "export_timeout_seconds": 60}
    assert run_tap(settings).exit_code == 0
    assert sandbox.request_log.count(method="POST", path="/export/segment/cancel") == 1
