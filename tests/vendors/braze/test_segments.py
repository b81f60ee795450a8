"""The list of segments: read to its end, and wildcards resolved by it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from tap_cdp_export.errors import SettingsError
from tap_cdp_export.vendors.braze.segments import resolve
from tests.helpers.configurations import BRAZE_URL, config
from tests.helpers.in_process import sync

if TYPE_CHECKING:
    from collections.abc import Callable

    from requests_mock import Mocker

LIST_URL = f"{BRAZE_URL}/segments/list"
NAMES = ["Buyers NO", "Buyers SE", "buyers", "Kayak [test]", "Kayak t", "100% *"]
LISTED = [{"id": f"id-{number}", "name": name} for number, name in enumerate(NAMES)]


def listed() -> list[dict[str, Any]]:
    return [{"id": "nameless"}, {"id": "odd", "name": 5}, *LISTED]


@pytest.mark.parametrize(
    ("wanted", "found"),
    [
        (["Buyers *"], ["id-0", "id-1"]),
        (["*uyers"], ["id-2"]),
        (["Buyers ?E"], ["id-1"]),
        (["Kayak [test]*"], ["id-3"]),
        (["Kayak ?"], ["id-4"]),
        (["a", "Buyers *", "id-0", "a"], ["a", "id-0", "id-1"]),
        (["id-1", "*"], ["id-1", "nameless", "odd", "id-0", "id-2", "id-3", "id-4", "id-5"]),
    ],
)
def test_wildcards_match_names_and_give_each_segment_once(wanted: list[str], found: list[str]) -> None:
    assert resolve(wanted, listed) == found


def test_ids_alone_need_no_list() -> None:
    def fail() -> list[dict[str, Any]]:
        pytest.fail("the list was read")

    assert resolve(["b", "a", "b", "global_control_group"], fail) == ["b", "a", "global_control_group"]


@pytest.mark.parametrize("pattern", ["kayak*", "Nobody *", "?"])
def test_a_wildcard_that_matches_nothing_is_named_by_its_place(pattern: str) -> None:
    with pytest.raises(SettingsError, match=r"segment_ids\.1 ") as refusal:
        resolve(["a", pattern], listed)
    assert pattern not in str(refusal.value)


def pages(*sizes: int) -> Callable[[Any, Any], dict[str, Any]]:
    """Answer each page with so many segments, and an empty one behind them."""

    def answer(request: Any, _context: Any) -> dict[str, Any]:
        page = int(request.qs["page"][0])
        size = sizes[page] if page < len(sizes) else 0
        segments = [
            {"id": f"{page}-{number}", "name": "n", "analytics_tracking_enabled": True, "tags": ["t"], "new": 1}
            for number in range(size)
        ]
        return {"message": "success", "segments": segments}

    return answer


@pytest.mark.parametrize("sizes", [(), (3,), (100,), (100, 20), (100, 3, 100)])
def test_pages_are_read_until_an_empty_one(requests_mock: Mocker, sizes: tuple[int, ...]) -> None:
    requests_mock.get(LIST_URL, json=pages(*sizes))
    run = sync(config("braze", segment_ids=None), only={"braze_segments"})
    assert run.exit_code == 0, run.log
    rows = run.records("braze_segments")
    assert len(rows) == sum(sizes)
    assert requests_mock.call_count == (len(sizes) + 1) * (1 if sum(sizes) < 50 else 2)
    if rows:
        expected = {
            "segment_id": "0-0",
            "name": "n",
            "analytics_tracking_enabled": True,
            "tags": ["t"],
            "extra": {"new": 1},
        }
        assert rows[0] == expected


def test_an_export_without_a_segment_is_refused_before_the_first_request(requests_mock: Mocker) -> None:
    run = sync(config("braze", segment_ids=None), only={"braze_user_devices", "braze_segments"})
    assert run.exit_code == 10
    assert "Setting braze.segment_ids is missing: braze_user_devices need" in run.log
    assert not requests_mock.request_history


@pytest.mark.parametrize(
    "answer",
    [{}, {"segments": {}}, {"segments": [5]}, {"segments": [{"name": "n"}]}, {"segments": [{"id": ""}]}],
)
def test_a_list_that_is_none_is_an_error(requests_mock: Mocker, answer: dict[str, Any]) -> None:
    requests_mock.get(LIST_URL, json=answer)
    assert sync(config("braze"), only={"braze_segments"}).exit_code == 12


def test_a_server_that_repeats_its_page_does_not_loop_for_ever(requests_mock: Mocker) -> None:
    requests_mock.get(LIST_URL, json={"segments": LISTED})
    run = sync(config("braze"), only={"braze_segments"})
    assert run.exit_code == 12
    assert requests_mock.call_count == 3


@pytest.mark.parametrize("status", [401, 403])
def test_a_key_that_may_not_list_is_told_so(requests_mock: Mocker, status: int) -> None:
    requests_mock.get(LIST_URL, status_code=status)
    for run in (sync(config("braze"), only={"braze_segments"}), sync(config("braze", segment_ids=["*"]))):
        assert run.exit_code == 11
        assert "refuses the list of segments" in run.log
        assert ("lacks the permission segments.list" in run.log) == (status == 403)
