"""Days of a series that do not come: which of them count as read, and which the next run asks for again."""

from __future__ import annotations

import logging
from datetime import date, timedelta
from typing import TYPE_CHECKING, Any

import pytest

from tests.helpers.configurations import BRAZE_URL
from tests.vendors.braze.tables.test_series import ALWAYS, STREAM, bookmark, days, run
from tests.vendors.braze.tables.vendor import CampaignVendor

if TYPE_CHECKING:
    from requests_mock import Mocker

    from tests.helpers.running import Run

YOUNG = {"first_sent": "2026-05-05T00:00:00Z", "last_sent": "2026-06-20T00:00:00Z"}
NEXT = "2026-07-01T18:00:00Z"


def two_runs(vendor: CampaignVendor, *, heals: bool = True) -> tuple[Run, Run]:
    """Run twice; the first ends as usual, and before the second the vendor may give all days."""
    first = run()
    assert first.exit_code == 0, first.log
    if heals:
        vendor.lacking, vendor.refused_before = [], ""
    second = run(NEXT, state=first.states[-1])
    assert second.exit_code == 0, second.log
    return first, second


@pytest.mark.parametrize("number", [1, 3, 25])
def test_windows_that_are_too_old_hide_no_later_days_and_are_not_asked_for_again(
    requests_mock: Mocker, caplog: pytest.LogCaptureFixture, number: int
) -> None:
    names = [f"c{count}" for count in range(number)]
    vendor = CampaignVendor({**dict.fromkeys(names, ALWAYS), "young": YOUNG}, refused_before="2026-04-15")
    vendor.install(requests_mock)
    first, second = two_runs(vendor, heals=False)
    assert {(days(first, name)[0], len(days(first, name))) for name in names} == {("2026-04-09", 83)}
    assert bookmark(first) == "2026-06-29"
    assert {days(second, name)[0] for name in names} == {"2026-06-15"}
    warnings = [one.getMessage() for one in caplog.records if one.levelno == logging.WARNING]
    refused = f"{STREAM}: the days from 2026-01-01 to 2026-04-08 of c0 are refused (400), later ones are not."
    assert warnings == [f'{refused} The vendor says: "ending_at is too old". Others are logged at DEBUG.']


@pytest.mark.parametrize("kept_from", ["2026-01-05", "2026-03-10", "2026-04-05"])
def test_where_a_window_begins_too_early_its_later_days_are_read(requests_mock: Mocker, kept_from: str) -> None:
    vendor = CampaignVendor({"a": ALWAYS, "b": ALWAYS}, kept_from=kept_from)
    vendor.install(requests_mock)
    first, second = two_runs(vendor, heals=False)
    for name in ("a", "b"):
        found = days(first, name)
        assert len(found) == len(set(found)) == (date(2026, 6, 30) - date.fromisoformat(found[0])).days + 1
        assert found[0] == str(date.fromisoformat(kept_from) + timedelta(days=1))  # a request begins a day earlier
        assert days(second, name)[0] == "2026-06-15"
    assert len(vendor.asked) <= 2 * 13


@pytest.mark.parametrize("times", [1, 2, 99])
def test_a_window_that_is_refused_to_one_campaign_alone_is_read_in_the_end(requests_mock: Mocker, times: int) -> None:
    vendor = CampaignVendor({"a": ALWAYS, "b": ALWAYS})
    vendor.install(requests_mock)
    left = times

    def series(request: Any, context: Any) -> dict[str, Any]:
        nonlocal left
        answer = vendor._series(request, context)  # noqa: SLF001 -- of a helper
        if vendor.asked[-1][0] == "a" and vendor.asked[-1][2] < "2026-04-20" and left:
            left -= 1
            context.status_code = 404
        return answer

    requests_mock.get(f"{BRAZE_URL}/campaigns/data_series", json=series)
    first = run()
    left = 0
    second = run(NEXT, state=first.states[-1])
    assert len({*days(first, "a"), *days(second, "a")}) == 182
    assert days(first, "a")[0] == ("2026-01-01" if times == 1 else "2026-04-09")
    assert min(days(second, "a")) == ("2026-06-15" if times == 1 else "2026-01-01")
    assert days(second, "b")[0] == "2026-06-15"


@pytest.mark.parametrize(
    "lacking",
    [
        ("2026-02-03", "2026-02-03"),
        ("2026-04-01", "2026-04-08"),
        ("2026-04-09", "2026-05-30"),
        ("2026-05-05", "2026-05-05"),
        ("2026-01-01", "2026-04-09"),
        ("2026-04-08", "2026-07-01"),
    ],
)
def test_days_that_lack_in_an_answer_are_read_by_the_next_run(
    requests_mock: Mocker, caplog: pytest.LogCaptureFixture, lacking: tuple[str, str]
) -> None:
    vendor = CampaignVendor({"a": ALWAYS, "b": ALWAYS}, lacking=[("a", *lacking)])
    vendor.install(requests_mock)
    first, second = two_runs(vendor)
    assert caplog.text.count("the answers for 1 of 2 lack days. The next run") == 1
    assert len({*days(first, "a"), *days(second, "a")}) == 182
    assert days(second, "b")[0] == "2026-06-15"
    third = run("2026-07-02T18:00:00Z", state=second.states[-1])
    assert days(third, "a")[0] == "2026-06-16"


def test_days_that_stay_missing_are_asked_for_once_more_and_no_oftener(requests_mock: Mocker) -> None:
    """Perhaps the vendor leaves days without figures out, and then all campaigns have such gaps for ever."""
    vendor = CampaignVendor({"a": ALWAYS, "b": ALWAYS}, lacking=[("a", "2026-02-03", "2026-02-03")])
    vendor.install(requests_mock)
    _, second = two_runs(vendor, heals=False)
    assert min(days(second, "a")) == "2026-01-01"
    vendor.asked.clear()
    third = run("2026-07-02T18:00:00Z", state=second.states[-1])
    assert days(third, "a")[0] == days(third, "b")[0] == "2026-06-16"
    assert len(vendor.asked) == 2


@pytest.mark.parametrize("fails_at", range(1, 7))
def test_a_run_that_ends_early_does_not_count_as_the_second_look(requests_mock: Mocker, fails_at: int) -> None:
    vendor = CampaignVendor({"a": ALWAYS, "b": ALWAYS}, lacking=[("a", "2026-02-03", "2026-02-03")])
    vendor.install(requests_mock)
    first = run()
    vendor.asked, vendor.fails_at = [], fails_at
    second = run(NEXT, state=first.states[-1])
    whole = second.exit_code == 0
    vendor.lacking, vendor.fails_at = [], 0
    third = run("2026-07-02T18:00:00Z", state=(second.states or first.states)[-1])
    assert third.exit_code == 0, third.log
    assert whole or min(days(third, "a")) == "2026-01-01"


def test_recent_days_that_are_missing_are_left_to_the_lookback(
    requests_mock: Mocker, caplog: pytest.LogCaptureFixture
) -> None:
    vendor = CampaignVendor({"a": ALWAYS, "b": ALWAYS}, lacking=[("a", "2026-06-20", "2026-06-22")])
    vendor.install(requests_mock)
    first, second = two_runs(vendor)
    assert "lack days" not in caplog.text
    assert len({*days(first, "a"), *days(second, "a")}) == 182
    assert days(second, "a")[0] == "2026-06-15"


@pytest.mark.parametrize("last", ["2026-02-10", "2026-04-10", "2026-06-01"])
def test_days_that_the_vendor_does_not_keep_are_not_asked_for_again(
    requests_mock: Mocker, caplog: pytest.LogCaptureFixture, last: str
) -> None:
    past = {"first_sent": "2026-01-10T00:00:00Z", "last_sent": "2026-01-12T00:00:00Z"}
    lacking = [(name, "2020-01-01", last) for name in ("a", "b", "past")]
    vendor = CampaignVendor({"a": ALWAYS, "b": ALWAYS, "past": past}, lacking=lacking)
    vendor.install(requests_mock)
    _, second = two_runs(vendor, heals=False)
    assert "lack days" not in caplog.text
    assert {row["date"] for row in second.records(STREAM)} == {*days(second, "a")}
    assert days(second, "a")[0] == days(second, "b")[0] == "2026-06-15"
    assert days(second, "past") == []


def test_if_no_answer_holds_a_day_the_bookmark_stays(requests_mock: Mocker, caplog: pytest.LogCaptureFixture) -> None:
    vendor = CampaignVendor({"a": ALWAYS, "b": ALWAYS})
    vendor.install(requests_mock)
    first = run()
    vendor.lacking = [(name, "2026-01-01", "2027-01-01") for name in ("a", "b")]
    second = run(NEXT, state=first.states[-1])
    assert second.exit_code == 0
    assert "the answers for 2026-06-15 and later hold no day at all" in caplog.text
    vendor.lacking = []
    third = run("2026-07-20T18:00:00Z", state=(second.states or first.states)[-1])
    assert days(third, "a")[0] == days(third, "b")[0] == "2026-06-15"
    assert bookmark(third) == "2026-07-19"


def test_where_all_campaigns_have_ended_the_bookmark_moves(requests_mock: Mocker) -> None:
    vendor = CampaignVendor({"a": {"first_sent": "2026-04-10T10:00:00Z", "last_sent": "2026-05-20T10:00:00Z"}})
    vendor.install(requests_mock)
    first = run()
    assert (days(first, "a")[0], days(first, "a")[-1]) == ("2026-04-09", "2026-06-04")
    assert bookmark(first) == "2026-06-29"
