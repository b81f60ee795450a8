"""Series: what a run asks for, what STATE keeps of it, and what the next run asks for."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest

from tests.helpers.configurations import BRAZE_URL, config
from tests.helpers.in_process import sync
from tests.vendors.braze.tables.vendor import CampaignVendor

if TYPE_CHECKING:
    from requests_mock import Mocker

    from tests.helpers.running import Run

START, END = "2026-01-01T00:00:00Z", "2026-06-30T18:00:00Z"
STREAM = "braze_campaign_stats"
ALWAYS: dict[str, Any] = {}
"""Details that tell no days."""


def settings(end: str = END, **changes: Any) -> dict[str, Any]:
    braze = {"segment_ids": None, "parallel_requests": 1, **changes}
    return {**config("braze", **braze), "start_date": START, "end_date": end}


def run(end: str = END, *, state: dict[str, Any] | None = None, only: set[str] | None = None, **changes: Any) -> Run:
    return sync(settings(end, **changes), state=state, only=only or {STREAM})


def days(one: Run, campaign: str) -> list[str]:
    return [row["date"] for row in one.records(STREAM) if row["campaign_id"] == campaign]


def bookmark(one: Run, stream: str = STREAM) -> str | None:
    value: str | None = one.states[-1]["bookmarks"][stream].get("replication_key_value")
    return value


def test_a_first_run_reads_from_start_date_and_the_next_from_the_lookback(requests_mock: Mocker) -> None:
    vendor = CampaignVendor({"a": ALWAYS, "b": ALWAYS})
    vendor.install(requests_mock)
    first = run()
    assert first.exit_code == 0, first.log
    for campaign in ("a", "b"):
        found = days(first, campaign)
        assert (found[0], found[-1], len(found), len(set(found))) == ("2026-01-01", "2026-06-30", 181, 181)
    assert bookmark(first) == "2026-06-29"
    assert len(vendor.asked) == 4
    second = run("2026-07-01T18:00:00Z", state=first.states[-1])
    assert days(second, "b")[0] == "2026-06-15"
    assert days(second, "b")[-1] == "2026-07-01"
    assert bookmark(second) == "2026-06-30"
    assert len(vendor.asked) == 6


def test_a_figure_that_changes_later_is_changed_by_a_later_run(requests_mock: Mocker) -> None:
    vendor = CampaignVendor({"a": ALWAYS}, {("a", "2026-06-20"): 3})
    vendor.install(requests_mock)
    first = run()
    vendor.figures["a", "2026-06-20"] = 5
    second = run("2026-07-04T00:00:00Z", state=first.states[-1])
    figures = {row["date"]: row["conversions"] for one in (first, second) for row in one.records(STREAM)}
    assert figures["2026-06-20"] == 5


@pytest.mark.parametrize("fails_at", [1, 2, 3, 4, 5, 6])
def test_a_run_that_ends_early_is_taken_up_without_a_missing_day(requests_mock: Mocker, fails_at: int) -> None:
    vendor = CampaignVendor({"a": ALWAYS, "b": ALWAYS, "c": ALWAYS}, fails_at=fails_at)
    vendor.install(requests_mock)
    first = run()
    assert first.exit_code == 10
    vendor.fails_at, vendor.asked = 0, []
    state = first.states[-1] if first.states else None
    second = run("2026-07-03T18:00:00Z", state=state)
    assert second.exit_code == 0, second.log
    for campaign in ("a", "b", "c"):
        found = {*days(first, campaign), *days(second, campaign)}
        assert len(found) == 184
    if fails_at > 3:  # the first window is behind the bookmark
        assert min(first_day for _, first_day, _ in vendor.asked) == "2026-03-24"


def test_a_new_campaign_gets_its_history(requests_mock: Mocker) -> None:
    vendor = CampaignVendor({"a": ALWAYS})
    vendor.install(requests_mock)
    first = run()
    vendor.campaigns["new"] = ALWAYS
    second = run("2026-07-01T18:00:00Z", state=first.states[-1])
    assert len(set(days(second, "new"))) == 182
    assert days(second, "a")[0] == "2026-06-15"
    third = run("2026-07-02T18:00:00Z", state=second.states[-1])
    assert days(third, "new")[0] == "2026-06-16"


@pytest.mark.parametrize("status", [400, 404])
def test_a_refused_campaign_is_passed_over_and_gets_its_history_later(
    requests_mock: Mocker, caplog: pytest.LogCaptureFixture, status: int
) -> None:
    vendor = CampaignVendor({"a": ALWAYS, "gone": ALWAYS}, refused={"gone": status})
    vendor.install(requests_mock)
    first = run()
    assert first.exit_code == 0, first.log
    assert len(days(first, "a")) == 181
    assert days(first, "gone") == []
    assert len([one for one in vendor.asked if one[0] == "gone"]) == 2  # its first window and its latest
    assert f"gone is passed over ({status})" in caplog.text
    vendor.refused.clear()
    second = run("2026-07-01T18:00:00Z", state=first.states[-1])
    assert len(set(days(second, "gone"))) == 182


@pytest.mark.parametrize("other", [ALWAYS, {"first_sent": "2026-01-05T00:00:00Z", "last_sent": "2026-01-06T00:00:00Z"}])
def test_a_campaign_that_stays_refused_is_passed_over_in_every_run(
    requests_mock: Mocker, other: dict[str, Any]
) -> None:
    vendor = CampaignVendor({"a": other, "gone": ALWAYS}, refused={"gone": 400})
    vendor.install(requests_mock)
    first = run()
    second = run("2026-07-03T18:00:00Z", state=first.states[-1])
    assert (first.exit_code, second.exit_code) == (0, 0), second.log
    assert bookmark(second) == "2026-07-02"


@pytest.mark.parametrize("fails_at", [3, 4, 5])
def test_the_history_of_a_new_campaign_is_whole_after_a_run_that_ended_early(
    requests_mock: Mocker, fails_at: int
) -> None:
    vendor = CampaignVendor({"a": ALWAYS})
    vendor.install(requests_mock)
    first = run()
    vendor.campaigns["new"], vendor.asked, vendor.fails_at = ALWAYS, [], fails_at - 1
    second = run("2026-07-01T18:00:00Z", state=first.states[-1])
    assert second.exit_code == 10
    vendor.fails_at = 0
    third = run("2026-07-05T18:00:00Z", state=(second.states or first.states)[-1])
    assert len(set(days(third, "new"))) == 186
    assert {*days(first, "a"), *days(second, "a"), *days(third, "a")} == {*days(third, "new")}


@pytest.mark.parametrize("refused", [{}, {"gone": 404}])
def test_without_start_date_the_history_is_left_to_a_run_that_has_one(
    requests_mock: Mocker, caplog: pytest.LogCaptureFixture, refused: dict[str, int]
) -> None:
    vendor = CampaignVendor({"a": ALWAYS, **dict.fromkeys(refused, ALWAYS)}, refused=refused)
    vendor.install(requests_mock)
    first = run()
    vendor.refused, vendor.campaigns["gone"] = {}, ALWAYS
    vendor.campaigns["newer"] = {"first_sent": "2026-06-20T10:00:00Z"}
    without = {name: value for name, value in settings("2026-07-01T18:00:00Z").items() if name != "start_date"}
    second = sync(without, only={STREAM}, state=first.states[-1])
    assert second.exit_code == 0, second.log
    assert (
        caplog.text.count("1 of 3 are new, or were passed over by an earlier run. They are read from 2026-06-15") == 1
    )
    assert (days(second, "gone")[0], days(second, "newer")[0]) == ("2026-06-15", "2026-06-19")
    third = run("2026-07-02T18:00:00Z", state=second.states[-1])
    assert len(set(days(third, "gone"))) == 183
    assert days(third, "newer")[0] == "2026-06-19"
    assert len(days(third, "newer")) == 14


def test_an_end_date_before_the_bookmark_leaves_no_gap_in_the_history_of_a_new_campaign(requests_mock: Mocker) -> None:
    vendor = CampaignVendor({"a": ALWAYS})
    vendor.install(requests_mock)
    first = run()
    vendor.campaigns["new"] = ALWAYS
    second = run("2026-03-01T00:00:00Z", state=first.states[-1])
    third = run("2026-07-05T18:00:00Z", state=(second.states or first.states)[-1])
    assert len(set(days(third, "new"))) == 186


@pytest.mark.parametrize("window_ends", [0, 1, 2])
def test_figures_that_come_late_hold_the_bookmark_back(requests_mock: Mocker, window_ends: int) -> None:
    """The last day that is returned lies two days back, also where a window ends behind it."""
    end = datetime(2026, 4, 8 + window_ends, 18, tzinfo=UTC)  # 98 days, a whole window, end on April 8

    def answer(request: Any, _context: Any) -> dict[str, Any]:
        last = datetime.fromisoformat(request.qs["ending_at"][0].upper())
        found = [(last - timedelta(days=number)).date() for number in range(int(request.qs["length"][0]))]
        return {"data": [{"time": str(day), "dau": 1} for day in found if day <= end.date() - timedelta(days=2)]}

    requests_mock.get(f"{BRAZE_URL}/kpi/dau/data_series", json=answer)
    one = run(f"{end:%Y-%m-%dT%H:%M:%SZ}", only={"braze_kpi_daily_active_users"}, series_lookback_days=0)
    assert bookmark(one, "braze_kpi_daily_active_users") == str(end.date() - timedelta(days=3))


def test_a_bookmark_before_all_times_begins_anew(requests_mock: Mocker) -> None:
    CampaignVendor({"a": ALWAYS}).install(requests_mock)
    one = run(state={"bookmarks": {STREAM: {"replication_key_value": "0001-01-01"}}})
    assert one.exit_code == 0, one.log
    assert days(one, "a")[0] == "2026-01-01"


def test_a_campaign_that_was_away_for_a_run_gets_its_history_again(requests_mock: Mocker) -> None:
    vendor = CampaignVendor({"a": ALWAYS, "b": ALWAYS})
    vendor.install(requests_mock)
    first = run()
    del vendor.campaigns["b"]
    second = run("2026-07-20T18:00:00Z", state=first.states[-1])
    vendor.campaigns["b"] = ALWAYS
    third = run("2026-08-20T18:00:00Z", state=second.states[-1])
    assert len({*days(first, "b"), *days(third, "b")}) == 232


def test_a_request_that_is_refused_for_every_campaign_is_an_error(requests_mock: Mocker) -> None:
    vendor = CampaignVendor({"a": ALWAYS, "b": ALWAYS}, refused={"a": 400, "b": 400})
    vendor.install(requests_mock)
    failed = run()
    assert failed.exit_code == 10
    assert "campaign_id must be" in failed.log
    assert not any("replication_key_value" in state["bookmarks"].get(STREAM, {}) for state in failed.states)


@pytest.mark.parametrize("in_use", ["2026-01-05T00:00:00Z", "2026-06-25T00:00:00Z"])
def test_however_many_campaigns_are_refused_the_others_come(requests_mock: Mocker, in_use: str) -> None:
    names = [f"c{number}" for number in range(30)]
    past = {"first_sent": "2026-01-05T00:00:00Z", "last_sent": "2026-01-05T00:00:00Z"}
    details = {**dict.fromkeys(names, past), "c29": {"first_sent": in_use}}
    vendor = CampaignVendor(details, refused=dict.fromkeys(names[:29], 400))
    vendor.install(requests_mock)
    first = run()
    assert first.exit_code == 0, first.log
    assert days(first, "c29")[-1] == "2026-06-30"
    assert bookmark(first) == "2026-06-29"
    asked = [name for name, *_ in vendor.asked if name != "c29"]
    assert sorted(asked) == sorted(names[:29])


def test_a_permission_that_is_lost_meanwhile_ends_the_stream_at_once(requests_mock: Mocker) -> None:
    names = [f"c{number}" for number in range(30)]
    vendor = CampaignVendor(dict.fromkeys(names, ALWAYS), refused=dict.fromkeys(names[3:], 403))
    vendor.install(requests_mock)
    failed = run()
    assert failed.exit_code == 11
    assert "lacks the permission campaigns.data_series" in failed.log
    assert len(vendor.asked) == 4


def test_details_bound_what_is_asked_for(requests_mock: Mocker) -> None:
    vendor = CampaignVendor(
        {
            "past": {"first_sent": "2025-05-01T10:00:00+00:00", "last_sent": "2025-06-01T10:00:00+00:00"},
            "short": {"first_sent": "2026-02-10T10:00:00+00:00", "last_sent": "2026-02-20T23:30:00+00:00"},
            "recent": {"first_sent": "2026-06-10T10:00:00+00:00", "last_sent": "2026-06-29T10:00:00+00:00"},
            "draft": {"draft": True},
            "odd": {"draft": False, "first_sent": None},
        }
    )
    vendor.install(requests_mock)
    first = run()
    assert first.exit_code == 0, first.log
    assert days(first, "past") == days(first, "draft") == []
    assert (days(first, "short")[0], days(first, "short")[-1]) == ("2026-02-09", "2026-03-07")
    assert (days(first, "recent")[0], days(first, "recent")[-1]) == ("2026-06-09", "2026-06-30")
    assert len(days(first, "odd")) == 181


def test_a_campaign_that_is_sent_again_after_its_series_had_ended_misses_no_day(requests_mock: Mocker) -> None:
    details = {"first_sent": "2026-02-10T10:00:00+00:00", "last_sent": "2026-03-20T10:00:00+00:00"}
    vendor = CampaignVendor({"a": details, "b": ALWAYS})
    vendor.install(requests_mock)
    first = run()
    assert days(first, "a")[-1] == "2026-04-04"
    vendor.asked.clear()
    second = run("2026-07-10T18:00:00Z", state=first.states[-1])
    assert {name for name, *_ in vendor.asked} == {"b"}
    vendor.campaigns["a"] = {**details, "last_sent": "2026-07-15T10:00:00+00:00"}
    third = run("2026-07-16T18:00:00Z", state=second.states[-1])
    assert len({*days(first, "a"), *days(third, "a")}) == 158
    vendor.asked.clear()
    run("2026-07-17T18:00:00Z", state=third.states[-1])
    assert len(vendor.asked) == 2


def test_without_the_permission_for_details_the_whole_range_is_read_with_one_warning(
    requests_mock: Mocker, caplog: pytest.LogCaptureFixture
) -> None:
    vendor = CampaignVendor({"a": {"first_sent": "2026-06-10T10:00:00+00:00"}, "b": ALWAYS})
    vendor.install(requests_mock)
    requests_mock.get("/campaigns/details", status_code=403, json={"message": "Access Denied"})
    first = run()
    assert first.exit_code == 0, first.log
    assert len(days(first, "a")) == 181
    assert caplog.text.count("lacks the permission campaigns.details") == 1


def test_both_tables_of_a_request_share_it(requests_mock: Mocker) -> None:
    vendor = CampaignVendor({"a": ALWAYS})
    vendor.install(requests_mock)
    messages = "braze_campaign_message_stats"
    both = run(only={STREAM, messages})
    assert len(vendor.asked) == 2
    assert len(both.records(messages)) == len(both.records(STREAM)) == 181
    row = both.records(messages)[0]
    assert (row["channel"], row["message_variation_id"], row["occurrence"], row["sent"]) == ("email", "v", 1, 1)
    later = run("2026-07-01T18:00:00Z", state=both.states[-1], only={STREAM})
    again = run("2026-07-30T18:00:00Z", state=later.states[-1], only={STREAM, messages})
    assert again.records(messages)[0]["date"] == "2026-06-15"
    assert (bookmark(again), bookmark(again, messages)) == ("2026-07-29", "2026-07-29")


def test_a_first_run_needs_start_date_before_the_first_request(requests_mock: Mocker) -> None:
    without = {name: value for name, value in settings().items() if name != "start_date"}
    failed = sync(without, only={STREAM})
    assert failed.exit_code == 10
    assert f"{STREAM} needs it on its first run" in failed.log
    assert not requests_mock.request_history


def test_state_of_a_series_is_small(requests_mock: Mocker) -> None:
    vendor = CampaignVendor({f"d72fdc84-ddda-44f1-a0d5-{number:012}": {"draft": True} for number in range(750)})
    vendor.install(requests_mock)
    first = run()
    entry = first.states[-1]["bookmarks"][STREAM]
    assert len(entry["subjects"] + entry["ended_subjects"]) == 750
    assert len(str(entry)) < 10_000


@pytest.mark.parametrize(
    "answer", [{}, {"data": {}}, {"data": [5]}, {"data": [{"time": "soon"}]}, {"data": [{"conversions": 1}]}]
)
def test_an_answer_of_another_form_ends_with_12(requests_mock: Mocker, answer: dict[str, Any]) -> None:
    CampaignVendor({"a": ALWAYS}).install(requests_mock)
    requests_mock.get("/campaigns/data_series", json=answer)
    assert run().exit_code == 12


def test_rows_come_in_the_order_of_the_campaigns_however_many_requests_are_in_flight(requests_mock: Mocker) -> None:
    vendor = CampaignVendor({f"c{number}": ALWAYS for number in range(9)})
    vendor.install(requests_mock)
    many = run(parallel_requests=16)
    order = list(dict.fromkeys((row["date"] > "2026-04-08", row["campaign_id"]) for row in many.records(STREAM)))
    assert order == [(late, f"c{number}") for late in (False, True) for number in range(9)]


@pytest.mark.parametrize("messages", [None, {"email": None}, {"email": [None]}, {"email": []}])
def test_null_in_place_of_messages_is_none(requests_mock: Mocker, messages: Any) -> None:
    CampaignVendor({"a": ALWAYS}).install(requests_mock)
    answer = {"data": [{"time": "2026-06-25", "conversions": 3, "messages": messages}]}
    requests_mock.get(f"{BRAZE_URL}/campaigns/data_series", json=answer)
    one = run(only={STREAM, "braze_campaign_message_stats"})
    assert one.exit_code == 0, one.log
    assert one.records(STREAM)[0]["conversions"] == 3
    assert one.records("braze_campaign_message_stats") == []


def test_null_in_place_of_the_figures_of_a_step_is_none(requests_mock: Mocker) -> None:
    requests_mock.get(f"{BRAZE_URL}/canvas/list", [{"json": {"canvases": [{"id": "c"}]}}, {"json": {"canvases": []}}])
    requests_mock.get(f"{BRAZE_URL}/canvas/details", json={})
    stats = [{"time": "2026-06-25", "total_stats": None, "variant_stats": None, "step_stats": {"s": None}}]
    requests_mock.get(f"{BRAZE_URL}/canvas/data_series", json={"data": {"stats": stats}})
    one = run(only={"braze_canvas_stats", "braze_canvas_variant_stats", "braze_canvas_step_stats"})
    assert one.exit_code == 0, one.log
    assert one.records("braze_canvas_variant_stats") == []
    assert {(row["step_id"], row["revenue"]) for row in one.records("braze_canvas_step_stats")} == {("s", None)}
