"""Data of another form than expected, yet plain: the same records as from the usual form."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from tap_cdp_export.sandbox.braze.export_users import BUYERS
from tests.helpers.running import Row, Run, run_tap, vendor
from tests.whole_tap.conftest import NOW

if TYPE_CHECKING:
    from pathlib import Path

    from tap_cdp_export.sandbox.server import Sandbox


def run_with(sandbox: Sandbox, name: str, options: dict[str, Any], **changes: Any) -> Run:
    sandbox.options.update({name: options})
    if name == "braze":
        changes = {"segment_ids": [BUYERS.identifier], **changes}
    run = run_tap({**vendor(sandbox.settings(), name, **changes), "end_date": NOW})
    assert run.exit_code == 0, run.log
    return run


def without(rows: list[Row], *columns: str) -> list[Row]:
    return [{name: value for name, value in row.items() if name not in columns} for row in rows]


def to_seconds(rows: list[Row]) -> list[Row]:
    """Cut the fractions off all times, and leave out the keys that are made of them."""
    cut = [
        {
            name: f"{value[:20]}000Z" if isinstance(value, str) and value.endswith("Z") and len(value) == 24 else value
            for name, value in row.items()
        }
        for row in rows
    ]
    return without(cut, "event_key")


# Personalization


@pytest.mark.parametrize(
    "options",
    [
        {"times": "text"},
        {"json_key": "userId"},
        {"json_key": "id", "past_end": "null"},
        {"past_end": "204", "gzip_layers": 1},
        {"past_end": "404", "gzip_layers": 2},
    ],
)
def test_users_of_another_form_are_the_same(sandbox: Sandbox, options: dict[str, Any]) -> None:
    accounts = {} if options.get("json_key") != "userId" else {"dataset_ids": ["engage"]}
    usual = run_with(sandbox, "personalization", {}, page_size=70, **accounts)
    other = run_with(sandbox, "personalization", options, page_size=70, **accounts)
    for stream in ("users", "accounts"):
        assert other.records(stream) == usual.records(stream)
    assert ("taken for the end" in other.log) == (options.get("past_end") == "404")


def test_users_with_times_in_seconds_or_not_set_and_bare_nans_are_read(sandbox: Sandbox) -> None:
    usual = run_with(sandbox, "personalization", {"exponents": False}).records("users")
    seconds = run_with(sandbox, "personalization", {"times": "seconds"}).records("users")
    assert to_seconds(seconds) == to_seconds(usual)
    unset = run_with(sandbox, "personalization", {"times": "unset", "bare_nan": True})
    assert {row[name] for row in unset.records("users") for name in ("first_activity", "last_activity")} == {None}
    changes = [row["engagement_percent_change"] for row in unset.records("users")]
    assert changes == [row["engagement_percent_change"] or None for row in usual]
    assert None in changes
    assert unset.log.count("NaN or infinite numbers") == 1


# APSIS One


@pytest.mark.parametrize(
    "options",
    [{"tags": "absent"}, {"tags": "true"}, {"times": "text"}, {"byte_order_mark": True}, {"gzip_layers": 2}],
)
def test_profiles_and_events_of_another_form_are_the_same(sandbox: Sandbox, options: dict[str, Any]) -> None:
    usual = run_with(sandbox, "apsis", {})
    other = run_with(sandbox, "apsis", options)
    for stream in ("apsis_profiles", "apsis_events"):
        assert other.records(stream)
        assert without(other.records(stream), "event_key") == without(usual.records(stream), "event_key")


def test_events_with_times_in_seconds_are_read(sandbox: Sandbox) -> None:
    usual = run_with(sandbox, "apsis", {}).records("apsis_events")
    assert to_seconds(run_with(sandbox, "apsis", {"times": "seconds"}).records("apsis_events")) == to_seconds(usual)


def test_null_for_an_empty_section_is_a_row_and_null_for_all_profiles_is_none(sandbox: Sandbox) -> None:
    usual = run_with(sandbox, "apsis", {})
    other = run_with(sandbox, "apsis", {"null_for_empty": True})
    assert other.records("apsis_events") == usual.records("apsis_events")
    rows = [row for row in usual.records("apsis_profiles") if row["section_id"] != "-"]
    others = [row for row in other.records("apsis_profiles") if row not in rows]
    assert len(others) == len(other.records("apsis_profiles")) - len(rows)
    assert others
    assert all((row["attributes"], row["tags"], row["extra"]) == ({}, [], None) for row in others)
    nothing: dict[str, Any] = {"extra_body": {"attributes": [], "tags": []}}
    assert run_with(sandbox, "apsis", {}, **nothing).records("apsis_profiles") == []


# Braze


@pytest.mark.parametrize(
    ("options", "output_format"),
    [
        ({"byte_order_marks": True, "lines_per_file": 50}, "zip"),
        ({"side_files": True, "zip_mark": "split", "zip_padding": 4_096, "lines_per_file": 50}, "zip"),
        ({"gzip_layers": 1}, "zip"),
        ({"gzip_layers": 1}, "gzip"),
        ({"times": "offset"}, "zip"),
    ],
)
def test_users_of_braze_of_another_form_are_the_same(
    sandbox: Sandbox, options: dict[str, Any], output_format: str
) -> None:
    usual = run_with(sandbox, "braze", {}).records("braze_users")
    assert usual
    assert run_with(sandbox, "braze", options, output_format=output_format).records("braze_users") == usual


def test_users_of_braze_with_times_in_seconds_are_read(sandbox: Sandbox) -> None:
    usual = to_seconds(run_with(sandbox, "braze", {}).records("braze_users"))
    assert to_seconds(run_with(sandbox, "braze", {"times": "seconds"}).records("braze_users")) == usual


@pytest.mark.parametrize("form", ["null", "404"])
def test_lists_that_end_otherwise_are_read_as_usual(sandbox: Sandbox, form: str) -> None:
    tables = ["braze_campaigns", "braze_segment*", "braze_products", "braze_event_counts"]
    chosen = vendor(sandbox.settings(), "braze", tables=tables, segment_ids=["* ever bought"])
    chosen |= {"end_date": NOW, "emit_activate_version_messages": True}
    sandbox.options.braze.more_campaigns = 120
    usual = run_tap(chosen)
    sandbox.options.update({"braze": {"past_end": form}})
    other = run_tap(chosen)
    assert (usual.exit_code, other.exit_code) == (0, 0), other.log
    for stream in (*tables[2:], "braze_campaigns", "braze_segments", "braze_segment_details", "braze_users"):
        assert usual.records(stream)
        assert other.records(stream) == usual.records(stream)
    assert (other.log.count("taken for the end") > 0) == (form == "404")
    usually, now = (
        {message["stream"] for message in run.messages if message["type"] == "ACTIVATE_VERSION"}
        for run in (usual, other)
    )
    assert usually == {"braze_campaigns", "braze_segments", "braze_segment_details", "braze_products", "braze_users"}
    assert now == (set() if form == "404" else usually)


def test_suppressions_in_shorter_pages_are_the_same(sandbox: Sandbox) -> None:
    tables = ["braze_hard_bounces", "braze_unsubscribes", "braze_invalid_phones"]
    chosen = vendor(sandbox.settings(), "braze", tables=tables, segment_ids=["Kayak*"])
    chosen |= {"start_date": "2026-07-01T00:00:00Z", "end_date": NOW}
    sandbox.options.population.users = 1500
    usual = run_tap(chosen)
    sandbox.options.braze.most_suppressions = 2
    other = run_tap(chosen)
    assert (usual.exit_code, other.exit_code) == (0, 0), other.log
    for stream in tables:
        assert usual.records(stream)
        assert other.records(stream) == usual.records(stream)


def test_a_bucket_with_another_prefix_and_side_files_is_read(sandbox: Sandbox, tmp_path: Path) -> None:
    usual = run_with(sandbox, "braze", {}).records("braze_users")
    options = {"url": "null", "bucket_folder": str(tmp_path), "prefix_form": "other", "side_files": True}
    run = run_with(
        sandbox, "braze", options, bucket_url=f"file://{tmp_path}", bucket_quiet_seconds=1, poll_initial_seconds=0.2
    )
    assert sorted(row["braze_id"] for row in run.records("braze_users")) == sorted(row["braze_id"] for row in usual)


def test_users_of_segments_named_by_id_are_replaced_whatever_ended_the_list_of_segments(sandbox: Sandbox) -> None:
    sandbox.options.update({"braze": {"past_end": "404"}})
    chosen = vendor(sandbox.settings(), "braze", tables=["braze_segments"])
    run = run_tap({**chosen, "end_date": NOW, "emit_activate_version_messages": True})
    assert run.exit_code == 0, run.log
    replaced = {message["stream"] for message in run.messages if message["type"] == "ACTIVATE_VERSION"}
    assert replaced == {"braze_users"}
