"""Suppression lists: windows of days, and pages by offset that may shift or be shorter than asked for."""

from __future__ import annotations

import random
from typing import TYPE_CHECKING, Any

import pytest

from tests.helpers.configurations import BRAZE_URL
from tests.helpers.in_process import bookmark
from tests.vendors.braze.tables.test_lists import run

if TYPE_CHECKING:
    from requests_mock import Mocker


def test_an_offset_without_effect_does_not_loop_for_ever(requests_mock: Mocker) -> None:
    emails = [{"email": f"{n}@example.com", "hard_bounced_at": "2024-03-02"} for n in range(500)]
    requests_mock.get(f"{BRAZE_URL}/email/hard_bounces", json={"emails": emails})
    assert run("braze_hard_bounces", parallel_requests=1).exit_code == 12
    assert requests_mock.call_count == 2


def test_suppressions_are_read_by_days_and_again_from_the_day_before_the_bookmark(requests_mock: Mocker) -> None:
    ranges: list[tuple[str, str]] = []

    def answer(request: Any, _context: Any) -> dict[str, Any]:
        ranges.append((request.qs["start_date"][0], request.qs["end_date"][0]))
        offset = int(request.qs["offset"][0])
        numbers = range(502 if ranges[-1][0] == "2024-03-01" else 2)[offset : offset + 500]
        emails = [{"email": f"{n}@example.com", "hard_bounced_at": "2024-03-02 19:27:44 +0000"} for n in numbers]
        return {"emails": emails, "message": "success"}

    requests_mock.get(f"{BRAZE_URL}/email/hard_bounces", json=answer)
    first = run("braze_hard_bounces", parallel_requests=1)
    assert first.exit_code == 0, first.log
    assert len(first.records("braze_hard_bounces")) == 508
    assert first.records("braze_hard_bounces")[0]["hard_bounced_at"] == "2024-03-02T19:27:44.000Z"
    starts = [start for start, _ in ranges]
    assert starts == ["2024-03-01"] * 3 + ["2024-03-08"] * 2 + ["2024-03-15"] * 2 + ["2024-03-20"] * 2
    assert ranges[-1] == ("2024-03-20", "2024-03-21")
    assert bookmark(first, "braze_hard_bounces") == "2024-03-20T10:00:00.000Z"
    ranges.clear()
    run("braze_hard_bounces", state=first.states[-1], end="2024-03-21T10:00:00Z", parallel_requests=1)
    assert ranges == [("2024-03-19", "2024-03-21")] * 2 + [("2024-03-21", "2024-03-22")] * 2


@pytest.mark.parametrize("number", [2, 4, 10, 60, 499])
def test_a_window_of_one_page_is_whole_in_whatever_order_each_answer_is(requests_mock: Mocker, number: int) -> None:
    """Only unsubscribes have a documented order."""
    emails = [{"email": f"{n}@example.com", "hard_bounced_at": "2024-03-20"} for n in range(number)]

    def answer(request: Any, _context: Any) -> dict[str, Any]:
        in_window = emails if request.qs["start_date"] == ["2024-03-20"] else []
        offset = int(request.qs["offset"][0])
        return {"emails": random.sample(in_window, len(in_window))[offset : offset + 500]}

    requests_mock.get(f"{BRAZE_URL}/email/hard_bounces", json=answer)
    read = run("braze_hard_bounces", parallel_requests=1)
    assert read.exit_code == 0, read.log
    assert {row["email"] for row in read.records("braze_hard_bounces")} == {one["email"] for one in emails}
    assert requests_mock.call_count == 5  # four windows, and one more page


@pytest.mark.parametrize(("most", "number"), [(100, 700), (100, 100), (100, 101), (3, 20), (2, 5), (500, 1), (500, 0)])
def test_pages_shorter_than_the_limit_are_not_taken_for_the_last(requests_mock: Mocker, most: int, number: int) -> None:
    def answer(request: Any, _context: Any) -> dict[str, Any]:
        offset = int(request.qs["offset"][0])
        numbers = range(number if request.qs["start_date"] == ["2024-03-20"] else 0)[offset : offset + most]
        return {"emails": [{"email": f"{n}@example.com", "hard_bounced_at": "2024-03-20"} for n in numbers]}

    requests_mock.get(f"{BRAZE_URL}/email/hard_bounces", json=answer)
    read = run("braze_hard_bounces")
    assert read.exit_code == 0, read.log
    emails = [row["email"] for row in read.records("braze_hard_bounces")]
    assert emails == [f"{n}@example.com" for n in range(number)]


@pytest.mark.parametrize("parallel", [1, 4])
def test_a_long_suppression_list_is_written_page_by_page_and_in_order(requests_mock: Mocker, parallel: int) -> None:
    is_whole = False

    def answer(request: Any, context: Any) -> dict[str, Any]:
        offset = int(request.qs["offset"][0])
        size = 0 if request.qs["start_date"] != ["2024-03-20"] else max(0, min(500, 1700 - offset))
        if offset == 1350 and not is_whole:
            context.status_code = 400
        items = [{"email": f"{offset + n}@example.com", "hard_bounced_at": "2024-03-20"} for n in range(size)]
        return {"emails": items}

    requests_mock.get(f"{BRAZE_URL}/email/hard_bounces", json=answer)
    failed = run("braze_hard_bounces", parallel_requests=parallel)
    assert failed.exit_code == 10
    assert len(failed.records("braze_hard_bounces")) == 1400
    assert bookmark(failed, "braze_hard_bounces") == "2024-03-20T00:00:00.000Z"
    is_whole = True
    again = run("braze_hard_bounces", state=failed.states[-1], parallel_requests=parallel)
    assert [row["email"] for row in again.records("braze_hard_bounces")] == [f"{n}@example.com" for n in range(1700)]


@pytest.mark.parametrize(
    ("vanishing", "shifts", "passes"), [(1, 9, 1), (49, 6, 1), (49, 9, 2), (51, 1, 2), (400, 2, 3)]
)
@pytest.mark.parametrize("parallel", [1, 4])
def test_rows_that_vanish_while_a_list_is_read_hide_no_other(
    requests_mock: Mocker, vanishing: int, shifts: int, passes: int, parallel: int
) -> None:
    rows = [{"email": f"{n}@example.com", "hard_bounced_at": "2024-03-20"} for n in range(3_000)]
    firsts = 0

    def answer(request: Any, _context: Any) -> dict[str, Any]:
        nonlocal shifts, firsts
        if request.qs["start_date"] != ["2024-03-20"]:
            return {"emails": []}
        offset = int(request.qs["offset"][0])
        firsts += not offset
        page = rows[offset : offset + 500]
        if shifts and len(rows) > 1_000:
            shifts -= 1
            del rows[:vanishing]
        return {"emails": page}

    requests_mock.get(f"{BRAZE_URL}/email/hard_bounces", json=answer)
    read = run("braze_hard_bounces", parallel_requests=parallel)
    assert read.exit_code == 0, read.log
    emails = {row["email"] for row in read.records("braze_hard_bounces")}
    assert {row["email"] for row in rows} <= emails
    assert firsts <= (passes if parallel == 1 else 3)


def test_a_list_that_changes_in_every_pass_is_not_taken_for_whole(requests_mock: Mocker) -> None:
    def answer(_request: Any, _context: Any) -> dict[str, Any]:
        first = 600 * requests_mock.call_count
        numbers = range(first, first + 500)
        return {"emails": [{"email": f"{n}@example.com", "hard_bounced_at": "2024-03-02"} for n in numbers]}

    requests_mock.get(f"{BRAZE_URL}/email/hard_bounces", json=answer)
    failed = run("braze_hard_bounces", parallel_requests=1)
    assert failed.exit_code == 12
    assert "change too fast" in failed.log


@pytest.mark.parametrize("item", [{"email": "a@example.com"}, {"hard_bounced_at": "2024-03-02"}, 5])
def test_a_suppression_without_its_key_ends_with_12(requests_mock: Mocker, item: Any) -> None:
    requests_mock.get(f"{BRAZE_URL}/email/hard_bounces", json={"emails": [item]})
    assert run("braze_hard_bounces").exit_code == 12
