"""A run loads exactly the vendors' data, and the next run only new data."""

from __future__ import annotations

import itertools
import json
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest

from tests.helpers.running import Warehouse, run_tap, vendor
from tests.whole_tap.conftest import NOW

if TYPE_CHECKING:
    from tap_cdp_export.sandbox.server import Sandbox

MINUTES_LATER = "2026-11-10T12:07:00Z"
LATER = "2026-11-14T09:30:00Z"
PEOPLE = ("users", "accounts")
STREAMS = {
    "personalization": {"users", "accounts"},
    "apsis": {"apsis_profiles", "apsis_events"},
    "braze": {"braze_users"},
}


def milliseconds(time: str) -> int:
    return int(datetime.fromisoformat(time).timestamp() * 1000)


def at(sandbox: Sandbox, now: str, **changes: Any) -> dict[str, Any]:
    """Set the sandbox's clock, and return settings for a run at that time."""
    sandbox.options.population.now = now
    return {**sandbox.settings(), "end_date": now, **changes}


def test_a_run_loads_exactly_the_rows_of_all_five_streams(sandbox: Sandbox) -> None:
    settings = at(sandbox, NOW)
    run = run_tap(settings, fresh=True)
    assert run.exit_code == 0, run.log
    warehouse = Warehouse()
    warehouse.load(run)
    assert warehouse.counts == sandbox.population.counts(start=settings["start_date"], end=NOW, at=NOW)


def test_a_second_run_finds_what_is_new_and_loses_and_doubles_nothing(sandbox: Sandbox) -> None:
    settings = at(sandbox, NOW)
    first = run_tap(settings)
    sandbox.request_log.clear()
    settings_later = {**at(sandbox, LATER), "start_date": settings["start_date"]}
    second = run_tap(settings_later, state=first.states[-1], fresh=True)
    assert second.exit_code == 0, second.log
    warehouse = Warehouse()
    warehouse.load(first)
    before = warehouse.counts
    warehouse.load(second)
    assert warehouse.counts == sandbox.population.counts(start=settings["start_date"], end=LATER, at=LATER)
    assert warehouse.counts["apsis_events"] > before["apsis_events"]
    assert warehouse.counts["users"] > before["users"]


def test_a_second_run_asks_for_the_new_window_only(sandbox: Sandbox) -> None:
    first = run_tap(at(sandbox, NOW))
    sandbox.request_log.clear()
    run_tap(at(sandbox, LATER), state=first.states[-1])
    (export,) = sandbox.request_log.entries(vendor="apsis", method="POST", path="/audience")
    assert export.body["start_at"] == "2026-11-09T12:00:00Z"  # the bookmark minus one day of lookback
    assert export.body["end_at"] == LATER
    pages = sandbox.request_log.entries(vendor="personalization")
    windows = {(page.query["start"], page.query["end"]) for page in pages}
    start = datetime.fromisoformat(LATER) - timedelta(days=30)  # otherwise the scores would cover one day only
    assert windows == {(str(milliseconds(start.isoformat())), str(milliseconds(LATER)))}


@pytest.mark.parametrize("method", ["INCREMENTAL", "FULL_TABLE"])
def test_the_scores_stand_after_a_second_run_some_minutes_later(sandbox: Sandbox, method: str) -> None:
    warehouse = Warehouse()
    scores = []
    state = None
    for now in (NOW, MINUTES_LATER):
        settings = vendor(at(sandbox, now), "personalization")
        discovered = run_tap(settings, "--discover").log
        catalog = json.loads(discovered[discovered.index("{\n") :])
        for entry in catalog["streams"]:
            entry["replication_method"] = method
        run = run_tap(settings, state=state, catalog=catalog)
        assert run.exit_code == 0, run.log
        state = run.states[-1]
        warehouse.load(run)
        scores.append(
            {stream: sum(row["engagement_score"] > 0 for row in warehouse.tables[stream].values()) for stream in PEOPLE}
        )
        assert state["bookmarks"]["users"]["replication_key_value"] == now.replace("Z", ".000Z")
    first, second = scores
    for stream in PEOPLE:
        assert first[stream] > 10
        assert second[stream] >= first[stream] - 1


def test_apsis_windows_never_exceed_window_days_and_always_send_both_bounds(sandbox: Sandbox) -> None:
    settings = at(sandbox, NOW)
    run_tap(vendor(settings, "apsis", window_days=5))
    exports = sandbox.request_log.entries(vendor="apsis", method="POST", path="/audience")
    spans = [
        (datetime.fromisoformat(export.body["start_at"]), datetime.fromisoformat(export.body["end_at"]))
        for export in exports
    ]
    assert len(spans) == 6  # 28.5 days in windows of 5
    assert spans[0][0] == datetime.fromisoformat(settings["start_date"])  # no lookback before start_date
    assert spans[-1][1] == datetime.fromisoformat(NOW)
    assert all(end - start <= timedelta(days=5) for start, end in spans)
    assert all(later[0] == earlier[1] for earlier, later in itertools.pairwise(spans))  # only a bookmark has a lookback


@pytest.mark.parametrize("late", [timedelta(minutes=105), timedelta(hours=20)], ids=str)
def test_an_event_that_can_be_exported_hours_late_is_read_by_a_later_run(sandbox: Sandbox, late: timedelta) -> None:
    seconds = int(late.total_seconds())
    everything = run_tap(vendor(at(sandbox, NOW), "apsis")).records("apsis_events")
    event = max(everything, key=lambda row: str(row["created_at"]))
    sandbox.options.update({"apsis": {"late_seconds": seconds, "least_late_seconds": seconds}})
    exportable = datetime.fromisoformat(event["created_at"]) + late
    before, after = (f"{exportable + timedelta(minutes=m):%Y-%m-%dT%H:%M:%SZ}" for m in (-5, 5))
    first = run_tap(vendor(at(sandbox, before), "apsis"))
    second = run_tap(vendor(at(sandbox, after), "apsis"), state=first.states[-1])
    assert second.exit_code == 0, second.log
    keys = [{row["event_key"] for row in run.records("apsis_events")} for run in (first, second)]
    assert [event["event_key"] in found for found in keys] == [False, True]
    warehouse = Warehouse()
    warehouse.load(first)
    warehouse.load(second)
    rows = sandbox.population.counts(start=sandbox.settings()["start_date"], end=after, at=after)
    assert warehouse.counts["apsis_events"] == rows["apsis_events"]


def test_an_event_that_comes_late_while_an_export_stays_open_is_read(sandbox: Sandbox) -> None:
    late = timedelta(minutes=105)
    everything = run_tap(vendor(at(sandbox, NOW), "apsis")).records("apsis_events")
    event = max(everything, key=lambda row: str(row["created_at"]))
    sandbox.options.update({"apsis": {"late_seconds": late.seconds, "least_late_seconds": late.seconds}})
    created = datetime.fromisoformat(event["created_at"])
    found, state = [], None
    for hours, is_ready in ((-24, True), (1, False), (13, True)):
        sandbox.options.apsis.polls_before_ready = 0 if is_ready else 10_000
        settings = at(sandbox, f"{created + timedelta(hours=hours):%Y-%m-%dT%H:%M:%SZ}")
        timeout = {} if is_ready else {"export_timeout_seconds": 5}
        run = run_tap(vendor(settings, "apsis", lookback_minutes=120, **timeout), state=state)
        assert run.exit_code == (0 if is_ready else 15), run.log
        found.append(event["event_key"] in {row["event_key"] for row in run.records("apsis_events")})
        state = run.states[-1]
    assert found == [False, False, True]


@pytest.mark.parametrize("refused_by", ["fails", "error", "413", "400"])
def test_a_lookback_that_makes_an_export_too_large_is_cut_off_and_nothing_is_lost(
    sandbox: Sandbox, refused_by: str
) -> None:
    sandbox.options.update({"apsis": {"late_seconds": 72_000, "least_late_seconds": 72_000}})
    settings = vendor(at(sandbox, NOW), "apsis")
    first = run_tap(settings)
    later = "2026-11-11T13:00:00Z"
    sandbox.options.update({"apsis": {"refuse_days_over": 1.1, "refuse_by": refused_by}})
    sandbox.request_log.clear()
    second = run_tap({**settings, "end_date": at(sandbox, later)["end_date"]}, state=first.states[-1])
    assert second.exit_code == 0, second.log
    bodies = [e.body for e in sandbox.request_log.entries(vendor="apsis", method="POST", path="/audience")]
    spans = list(dict.fromkeys((body["start_at"], body["end_at"]) for body in bodies))
    before = "2026-11-09T12:00:00Z"
    assert spans == [(before, later), (before, NOW), (NOW, later)]
    warehouse = Warehouse()
    warehouse.load(first)
    warehouse.load(second)
    rows = sandbox.population.counts(start=settings["start_date"], end=later, at=later)
    assert warehouse.counts == {name: rows[name] for name in STREAMS["apsis"]}
    windows = {(row["window_start"], row["window_end"]) for row in second.records("apsis_events")}
    assert windows == {(start.replace("Z", ".000Z"), end.replace("Z", ".000Z")) for start, end in spans[1:]}
    marks = [state["bookmarks"]["apsis_events"]["replication_key_value"] for state in second.states]
    assert list(dict.fromkeys(marks)) == [NOW.replace("Z", ".000Z"), later.replace("Z", ".000Z")]


def test_one_export_feeds_both_apsis_streams(sandbox: Sandbox) -> None:
    settings = vendor(at(sandbox, NOW), "apsis", window_days=60)
    run = run_tap(settings)
    assert sandbox.request_log.count(vendor="apsis", method="POST", path="/audience") == 1
    assert run.records("apsis_profiles")
    assert run.records("apsis_events")


@pytest.mark.parametrize("name", STREAMS)
def test_every_vendor_works_alone(sandbox: Sandbox, name: str) -> None:
    settings = vendor(at(sandbox, NOW), name)
    run = run_tap(settings, fresh=True)
    assert run.exit_code == 0, run.log
    assert {message["stream"] for message in run.messages if message["type"] == "SCHEMA"} == STREAMS[name]
    expected = sandbox.population.counts(start=settings["start_date"], end=NOW, at=NOW)
    warehouse = Warehouse()
    warehouse.load(run)
    assert warehouse.counts == {stream: expected[stream] for stream in STREAMS[name]}
    assert {entry.vendor for entry in sandbox.request_log.entries()} == {name}


@pytest.mark.parametrize("name", STREAMS)
def test_every_value_of_the_vendor_is_in_a_column_or_in_extra(sandbox: Sandbox, name: str) -> None:
    run = run_tap(vendor(at(sandbox, NOW), name))
    warehouse = Warehouse()
    warehouse.load(run)
    if name == "personalization":
        rows = {key[1]: row for key, row in warehouse.tables["users"].items() if key[0] == "engage"}
        truth = {user["name"]: user for user in sandbox.population.personalization_users("engage", milliseconds(NOW))}
        assert rows.keys() == truth.keys()
        for key, user in truth.items():
            unknown = set(user) - {camel_case(column) for column in rows[key]}
            assert set(rows[key]["extra"] or {}) >= unknown
    elif name == "braze":
        for (segment, _), row in warehouse.tables["braze_users"].items():
            assert row["segment_id"] == segment
            assert row["created_at"] is None or row["created_at"].endswith("Z")
        segments = {segment for segment, _ in warehouse.tables["braze_users"]}
        for segment in segments:
            for user in sandbox.population.braze_users(segment, milliseconds(NOW)):
                row = warehouse.tables["braze_users"][segment, user["braze_id"]]
                for field, value in user.items():
                    if not field.endswith("_at"):
                        assert row[field] == value or (row["extra"] or {}).get(field) == value
    else:
        events = warehouse.tables["apsis_events"].values()
        assert any(row["source_event_time"] is None for row in events)
        assert all(row["created_at"].endswith("Z") for row in events)
        profiles = warehouse.tables["apsis_profiles"].values()
        assert any(row["tags"] for row in profiles)
        assert any(None in row["attributes"].values() for row in profiles)  # a cleared attribute is not a tag
        assert any(row["section_id"] == "-" for row in profiles)


def camel_case(column: str) -> str:
    first, *rest = column.split("_")
    return first + "".join(word.title() for word in rest)


def test_of_a_repeated_user_the_last_version_stays(sandbox: Sandbox) -> None:
    sandbox.options.personalization.repeat_every = 3
    run = run_tap(vendor(at(sandbox, NOW), "personalization", page_size=50))
    rows = [row for row in run.records("users") if row["dataset_id"] == "engage"]
    names = [row["name"] for row in rows]
    assert len(names) > len(set(names))
    last = {row["name"]: row for row in rows}
    truth = {user["name"]: user for user in sandbox.population.personalization_users("engage", milliseconds(NOW))}
    assert {name: row["total_actions"] for name, row in last.items()} == {
        name: user["totalActions"] for name, user in truth.items()
    }


def test_an_unpaged_body_gives_the_same_users_as_pages(sandbox: Sandbox) -> None:
    settings = at(sandbox, NOW)
    paged = run_tap(vendor(settings, "personalization"))
    unpaged = run_tap(vendor(settings, "personalization", page_size=0))
    assert unpaged.records("users") == paged.records("users")
    assert all("pageSize" not in e.query for e in sandbox.request_log.entries()[-4:])


def test_the_run_without_end_date_ends_its_window_now(sandbox: Sandbox) -> None:
    sandbox.options.population.now = None
    before = datetime.now(UTC).replace(microsecond=0)
    run = run_tap(vendor(sandbox.settings(), "personalization"))
    bookmark = datetime.fromisoformat(run.states[-1]["bookmarks"]["users"]["replication_key_value"])
    assert before <= bookmark <= datetime.now(UTC)
