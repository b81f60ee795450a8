"""The tables around Braze's users against the sandbox: every ID has a name, rights fail alone, sums hold."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

import pytest
import requests

from tap_cdp_export.sandbox.braze.identifiers import ANDROID, APPS, CONTROL, IOS
from tap_cdp_export.sandbox.options import PERMISSIONS, Fault
from tests.helpers.in_process import sync
from tests.helpers.running import Run, Warehouse, run_tap, vendor
from tests.helpers.virtual_clock import VirtualClock
from tests.loader.loading import Warehouse as Database
from tests.whole_tap.conftest import NOW

if TYPE_CHECKING:
    from pathlib import Path

    from tap_cdp_export.sandbox.server import Sandbox

START = "2024-12-01T00:00:00Z"
CAMPAIGN = "d72fdc84-ddda-44f1-a0d5-000000001004"
STATS = "braze_campaign_stats"


def settings(sandbox: Sandbox, *tables: str, now: str = NOW, **changes: Any) -> dict[str, Any]:
    """Settings that read tables alone: a segment without users is exported beside them."""
    sandbox.options.population.now = now
    nobody = {"segment_ids": ["Kayak*"], "fields_to_export": ["braze_id"]}
    own = vendor(sandbox.settings(), "braze", tables=list(tables), **{**nobody, **changes})
    return {**own, "start_date": START, "end_date": now}


def whole(run: Run) -> Run:
    assert run.exit_code == 0, run.log
    return run


ORPHANS = {
    "campaign": "SELECT api_campaign_id FROM s.braze_user_campaigns EXCEPT SELECT campaign_id FROM s.braze_campaigns",
    "campaign without details": (
        "SELECT api_campaign_id FROM s.braze_user_campaigns EXCEPT SELECT campaign_id FROM s.braze_campaign_details"
    ),
    "message variation": (
        "SELECT api_campaign_id, variation_api_id FROM s.braze_user_campaigns EXCEPT "
        "SELECT campaign_id, unnest(messages->>'$[*].message_variation_id') FROM s.braze_campaign_details"
    ),
    "Canvas": "SELECT api_canvas_id FROM s.braze_user_canvases EXCEPT SELECT canvas_id FROM s.braze_canvases",
    "variant": (
        "SELECT api_canvas_id, variation_name FROM s.braze_user_canvases EXCEPT "
        "SELECT canvas_id, unnest(variants->>'$[*].name') FROM s.braze_canvas_details"
    ),
    "step": (
        "SELECT api_canvas_id, unnest(steps_received->>'$[*].api_canvas_step_id') FROM s.braze_user_canvases EXCEPT "
        "SELECT canvas_id, unnest(steps->>'$[*].step_id') FROM s.braze_canvas_details"
    ),
    "segment": "SELECT segment_id FROM s.braze_users EXCEPT SELECT segment_id FROM s.braze_segments",
    "event": "SELECT name FROM s.braze_user_custom_events EXCEPT SELECT name FROM s.braze_custom_events",
    "product": (
        "SELECT name FROM s.braze_user_purchases WHERE name <> '-' EXCEPT SELECT product_id FROM s.braze_products"
    ),
    "attribute": (
        "SELECT unnest(json_keys(custom_attributes)) FROM s.braze_users EXCEPT "
        "SELECT name FROM s.braze_custom_attributes"
    ),
    "campaign of statistics": (
        "SELECT campaign_id FROM s.braze_campaign_stats EXCEPT SELECT campaign_id FROM s.braze_campaigns"
    ),
    "variation of statistics": (
        "SELECT campaign_id, message_variation_id FROM s.braze_campaign_message_stats EXCEPT "
        "SELECT campaign_id, unnest(messages->>'$[*].message_variation_id') FROM s.braze_campaign_details"
    ),
    "variant of statistics": (
        "SELECT canvas_id, variant_id FROM s.braze_canvas_variant_stats EXCEPT "
        "SELECT canvas_id, unnest(variants->>'$[*].variant_id') FROM s.braze_canvas_details"
    ),
    "step of statistics": (
        "SELECT canvas_id, step_id FROM s.braze_canvas_step_stats EXCEPT "
        "SELECT canvas_id, unnest(steps->>'$[*].step_id') FROM s.braze_canvas_details"
    ),
}
"""Queries for IDs that no row names."""


def test_every_id_leads_to_a_row_that_names_it(sandbox: Sandbox, tmp_path: Path) -> None:
    chosen = settings(sandbox, "*", segment_ids=["Everyone*"]) | {"start_date": "2026-08-01T00:00:00Z"}
    del chosen["braze"]["fields_to_export"]
    run = whole(run_tap(chosen))
    database = Database(tmp_path / "a" / "b" / "t.duckdb")
    database.load(*run.messages)
    tables = {name for (name,) in database.query("SELECT table_name FROM information_schema.tables")}
    for what, sql in ORPHANS.items():
        referring = sql.partition(" FROM ")[2].split()[0].removeprefix("s.")
        assert referring in tables
        assert database.query(f"SELECT count(*) FROM s.{referring}")[0][0] > 0  # noqa: S608 -- our names
        assert database.query(sql) == [], what


def test_a_key_that_may_only_export_gives_users_and_names_each_missing_permission(sandbox: Sandbox) -> None:
    sandbox.options.braze.permissions = ["users.export.segment"]
    chosen = settings(sandbox, "braze_campaigns", "braze_sessions", "braze_hard_bounces", "braze_products")
    del chosen["braze"]["segment_ids"]
    chosen["braze"]["segment_ids"] = [sandbox.settings()["braze"]["segment_ids"][1]]
    run = run_tap(chosen)
    assert run.exit_code == 11
    assert run.records("braze_users")
    for permission in ("campaigns.list", "sessions.data_series", "email.hard_bounces", "purchases.product_list"):
        assert f"lacks the permission {permission}," in run.log
    assert run.last_line.endswith("(exit 11)")


@pytest.mark.parametrize(
    ("missing", "failing"),
    [
        ("campaigns.data_series", {"braze_campaign_stats, braze_campaign_message_stats"}),
        ("campaigns.details", {"braze_campaign_details"}),
        ("events.list", set()),
        ("email.unsubscribe", {"braze_unsubscribes"}),
    ],
)
def test_a_stream_without_its_permission_fails_alone(sandbox: Sandbox, missing: str, failing: set[str]) -> None:
    sandbox.options.braze.permissions = [one for one in PERMISSIONS if one != missing]
    tables = ("braze_campaign*", "braze_event_counts", "braze_unsubscribes")
    run = run_tap(settings(sandbox, *tables) | {"start_date": "2026-10-01T00:00:00Z"})
    failed = {
        line.partition(" failed; ")[0].rpartition("| ")[2] for line in run.log.splitlines() if " failed; " in line
    }
    assert failed == failing
    assert run.exit_code == (11 if failing else 0)
    assert f"lacks the permission {missing}" in run.log
    states = run.states[-1]["bookmarks"]
    for stream in ("braze_campaigns", "braze_event_counts", "braze_campaign_stats", "braze_unsubscribes"):
        assert bool(states.get(stream)) == all(stream not in names for names in failing)


def test_series_add_up_and_apps_are_read_apart(sandbox: Sandbox) -> None:
    series = ("braze_kpi*", "braze_sessions", "braze_revenue", "braze_purchase_quantities", "braze_event_counts")
    total = whole(run_tap(settings(sandbox, *series)))
    apart = whole(run_tap(settings(sandbox, *series, app_ids=list(APPS))))
    customers = list(sandbox.population.customers(sandbox.population.now()))
    assert sum(row["value"] for row in total.records("braze_kpi_new_users")) == len(customers)
    for stream in ("braze_sessions", "braze_kpi_uninstalls", "braze_event_counts", "braze_revenue"):
        values = {app: sum(row["value"] for row in apart.records(stream) if row["app_id"] == app) for app in APPS}
        assert min(values.values()) > 0
        assert {row["app_id"] for row in total.records(stream)} == {"all"}
        assert sum(values.values()) <= sum(row["value"] for row in total.records(stream))
    assert {row["app_id"] for row in apart.records("braze_sessions")} == {ANDROID, IOS}
    days = [row["date"] for row in total.records("braze_sessions")]
    assert (days[0], days[-1], len(days)) == ("2024-12-01", "2026-11-10", 710)


@pytest.mark.parametrize(("hours", "series_end"), [(-11, "exclusive"), (13, "inclusive")])
def test_no_day_is_missing_wherever_the_company_is(sandbox: Sandbox, hours: int, series_end: str) -> None:
    sandbox.options.update({"braze": {"company_offset_hours": hours, "series_end": series_end}})
    warehouse = Warehouse()
    tables = ("braze_sessions", "braze_canvas_stats")
    state = None
    for now in ("2026-10-20T02:00:00Z", "2026-11-10T21:00:00Z"):
        chosen = settings(sandbox, *tables, now=now) | {"start_date": "2026-07-01T00:00:00Z"}
        run = whole(run_tap(chosen, state=state))
        warehouse.load(run)
        state = run.states[-1]
    for table in tables:
        days = sorted(row["date"] for row in warehouse.tables[table].values())
        assert days[0] == "2026-07-01"
        assert len(days) == len(set(days)) >= 132
        assert days[-1] >= "2026-11-09"


def test_a_later_run_changes_the_figures_of_earlier_days(sandbox: Sandbox) -> None:
    sandbox.options.population.users = 1500
    since = {"start_date": "2026-08-01T00:00:00Z"}
    later = "2026-11-14T12:00:00Z"
    first = whole(run_tap(settings(sandbox, STATS) | since))
    second = whole(run_tap(settings(sandbox, STATS, now=later) | since, state=first.states[-1]))
    fresh = whole(run_tap(settings(sandbox, STATS, now=later) | since))
    warehouse, expected = Warehouse(), Warehouse()
    warehouse.load(first)
    before = dict(warehouse.tables[STATS])
    warehouse.load(second)
    expected.load(fresh)
    assert warehouse.tables[STATS] == expected.tables[STATS]
    changed = [key for key, row in before.items() if row != expected.tables[STATS][key]]
    assert changed
    assert len(second.records(STATS)) < len(fresh.records(STATS)) / 4


def test_campaigns_that_come_and_go_are_passed_over_and_lose_nothing(sandbox: Sandbox) -> None:
    sandbox.options.braze.refused = [CAMPAIGN]
    first = whole(run_tap(settings(sandbox, STATS, "braze_campaign_details")))
    assert f"{CAMPAIGN} is passed over (400)" in first.log
    assert len({row["campaign_id"] for row in first.records(STATS)}) == 4
    sandbox.options.braze.refused = []
    sandbox.options.braze.gone = ["d72fdc84-ddda-44f1-a0d5-000000001005"]
    second = whole(run_tap(settings(sandbox, STATS), state=first.states[-1]))
    own = [row for row in second.records(STATS) if row["campaign_id"] == CAMPAIGN]
    assert len({row["date"] for row in own}) > 600
    assert sum(row["unique_recipients"] for row in own) > 50
    assert len(second.records(STATS)) < len(own) + 200


@pytest.mark.parametrize("form", ["omit", "refuse"])
def test_figures_that_are_no_longer_kept_are_asked_for_once(sandbox: Sandbox, form: str) -> None:
    sandbox.options.update({"braze": {"series_kept_days": 150, "series_too_old": form}})
    sandbox.options.braze.permissions = [one for one in PERMISSIONS if one != "campaigns.details"]
    first = whole(run_tap(settings(sandbox, STATS)))
    kept = {row["campaign_id"]: row["date"] for row in reversed(first.records(STATS))}
    assert len(kept) == 6
    assert set(kept.values()) == {"2026-06-13"}
    assert ("ending_at is too far in the past" in first.log) == (form == "refuse")
    sandbox.request_log.clear()
    second = whole(run_tap(settings(sandbox, STATS), state=first.states[-1]))
    assert sandbox.request_log.count(path="/campaigns/data_series") == 6
    assert {row["date"] for row in second.records(STATS)} > {"2026-11-09"}


@pytest.mark.parametrize("skip", [0, 4, 7])
def test_an_answer_without_days_is_no_series_without_figures(sandbox: Sandbox, skip: int) -> None:
    since = {"start_date": "2026-02-01T00:00:00Z"}
    empty = '{"data": [], "message": "success"}'
    expected = whole(run_tap(settings(sandbox, STATS) | since))
    sandbox.options.faults = [Fault(path="/campaigns/data_series", skip=skip, status=200, body=empty)]
    first = whole(run_tap(settings(sandbox, STATS, parallel_requests=1) | since))
    assert "the answers for 1 of" in first.log
    second = whole(run_tap(settings(sandbox, STATS) | since, state=first.states[-1]))
    warehouse, wanted = Warehouse(), Warehouse()
    wanted.load(expected)
    for run in (first, second):
        warehouse.load(run)
    assert warehouse.tables[STATS] == wanted.tables[STATS]


def test_at_the_limit_all_requests_wait_for_the_reset(sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch) -> None:
    clock = VirtualClock()
    clock.install(monkeypatch)
    chosen = settings(sandbox, STATS, parallel_requests=1)  # the clock of several threads would add up their pauses
    sandbox.options.braze.more_campaigns = 20
    sandbox.options.braze.campaign_series_per_minute = 30
    clock.advance(61 - time.time() % 60)  # to the beginning of a minute
    series = f"{chosen['braze']['base_url']}/campaigns/data_series"
    for _ in range(31):  # another reader has used up the minute
        requests.get(series, headers={"Authorization": f"Bearer {chosen['braze']['api_key']}"}, timeout=10)
    sandbox.request_log.clear()
    run = sync(chosen, only={STATS})
    assert run.exit_code == 0, run.log
    refused = [entry for entry in sandbox.request_log.entries() if entry.status == 429]
    assert 1 <= len(refused) <= 2
    assert len({row["campaign_id"] for row in run.records(STATS)}) > 20
    assert clock.paused > 0


def test_control_groups_and_several_conversion_events_have_typed_columns(sandbox: Sandbox) -> None:
    sandbox.options.update({"braze": {"control_groups": True, "conversion_events": 2}})
    tables = ("braze_campaign_*stats", "braze_canvas_*stats", "braze_campaign_details")
    run = whole(run_tap(settings(sandbox, *tables) | {"start_date": "2026-07-01T00:00:00Z"}))
    counts = {}
    for stream, by in (("braze_campaign_stats", "send"), ("braze_canvas_step_stats", "entry")):
        for name in ("conversions", f"conversions_by_{by}_time", "conversions1", f"conversions1_by_{by}_time"):
            counts[stream, name] = sum(row[name] for row in run.records(stream))
            assert counts[stream, name] > 0
        assert all(row["conversions2"] is None for row in run.records(stream))
    messages = run.records("braze_campaign_message_stats")
    controls = [row for row in messages if row["variation_name"] == CONTROL]
    mails = [row for row in messages if row["channel"] == "email" and row not in controls]
    assert sum(row["enrolled"] for row in controls) > 0
    assert {(row["sent"], row["conversions1"], row["revenue"]) for row in controls} == {(None, 0, 0.0)}
    assert sum(row["conversions1"] for row in mails) == counts["braze_campaign_stats", "conversions1"]
    assert sum(row["unique_recipients"] for row in mails) == sum(row["sent"] for row in mails)
    kinds = {
        message["message_variation_id"]: message.get("type")
        for row in run.records("braze_campaign_details")
        for message in row["messages"]
    }
    assert {kinds[row["message_variation_id"]] for row in controls} == {"control"}
    variants = [row for row in run.records("braze_canvas_variant_stats") if row["name"] == CONTROL]
    assert sum(row["entries"] for row in variants) > 0
    assert {(row["conversions"], row["conversions1_by_entry_time"]) for row in variants} == {(0, 0)}
    totals = [*run.records("braze_campaign_stats"), *run.records("braze_canvas_stats")]
    assert not any(row["extra"] for row in (*messages, *variants, *totals))


def test_many_campaigns_over_two_years_keep_requests_in_flight(sandbox: Sandbox) -> None:
    sandbox.options.braze.more_campaigns = 120
    sandbox.options.faults = [Fault(path="data_series", kind="slow", seconds=0.02, times=0)]
    sandbox.request_log.clear()
    whole(run_tap(settings(sandbox, STATS, parallel_requests=8)))
    requests = sandbox.request_log.count(path="/campaigns/data_series")
    assert requests < 126 * 8 / 2  # bounded by the first and last send
    assert 2 <= sandbox.request_log.most_at_once <= 8
