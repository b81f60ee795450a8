"""Lists and details: three ways of paging, and who is refused what."""

from __future__ import annotations

import random
import re
from typing import TYPE_CHECKING, Any

import pytest

from tap_cdp_export.tap import VENDORS
from tap_cdp_export.vendors.braze.tables.stream import TableStream
from tests.helpers.configurations import BRAZE_URL, config
from tests.helpers.in_process import bookmark, sync
from tests.helpers.virtual_clock import VirtualClock

if TYPE_CHECKING:
    from requests_mock import Mocker

    from tests.helpers.running import Run

STREAMS: dict[str, type[TableStream]] = {
    name: stream for vendor in VENDORS for name, stream in vendor.streams.items() if issubclass(stream, TableStream)
}


def run(stream: str, *, state: dict[str, Any] | None = None, end: str = "2024-03-20T10:00:00Z", **changes: Any) -> Run:
    settings = {**config("braze", segment_ids=None, **changes), "end_date": end}
    return sync(settings, only={stream}, state=state)


def test_every_table_names_its_permission_in_its_description() -> None:
    assert len(STREAMS) == 26
    for stream in STREAMS.values():
        assert stream.__doc__
        assert stream.endpoint.permission in stream.__doc__ or "the permissions of" in stream.__doc__


@pytest.mark.parametrize("stream", STREAMS)
def test_a_missing_permission_is_named(requests_mock: Mocker, stream: str) -> None:
    requests_mock.get(re.compile("."), status_code=403, json={"message": "Access Denied"})
    refused = run(stream)
    assert refused.exit_code == 11
    asked = requests_mock.request_history[-1].path
    permissions = {one.endpoint.permission for one in STREAMS.values() if one.endpoint.path == asked}
    known = {"/segments/list": "segments.list", "/events/list": "events.list", "/events": "events.list"}
    assert any(permission in refused.log for permission in permissions | {known.get(asked, "none")})
    assert '"Access Denied"' in refused.log


def test_a_key_that_is_refused_altogether_is_another_error(requests_mock: Mocker) -> None:
    requests_mock.get(re.compile("."), status_code=401)
    refused = run("braze_campaigns")
    assert refused.exit_code == 11
    assert "Check braze.api_key" in refused.log
    assert "permission" not in refused.log


def test_a_list_that_is_refused_with_429_for_ever_ends_with_14(
    requests_mock: Mocker, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock = VirtualClock()
    clock.install(monkeypatch)
    monkeypatch.setattr(random, "uniform", lambda _low, high: high)  # pauses are otherwise rounded up to 901 at times
    requests_mock.get(re.compile("."), status_code=429, json={"message": "hourly rate limit"})
    refused = run("braze_campaigns")
    assert refused.exit_code == 14
    assert '"hourly rate limit"' in refused.log
    assert 840 < clock.paused < 901


@pytest.mark.parametrize("first_page", [0, 1])
def test_products_are_read_once_wherever_their_pages_begin(requests_mock: Mocker, first_page: int) -> None:
    pages = [["TENT", "BAG"], ["MUG"], []]

    def answer(request: Any, _context: Any) -> dict[str, Any]:
        number = max(0, int(request.qs["page"][0]) - first_page)
        return {"message": "success", "products": pages[number]}

    requests_mock.get(f"{BRAZE_URL}/purchases/product_list", json=answer)
    read = run("braze_products")
    assert [row["product_id"] for row in read.records("braze_products")] == ["TENT", "BAG", "MUG"]


def test_a_list_that_repeats_its_page_does_not_loop_for_ever(requests_mock: Mocker) -> None:
    requests_mock.get(f"{BRAZE_URL}/campaigns/list", json={"campaigns": [{"id": "a"}]})
    assert run("braze_campaigns").exit_code == 12
    assert requests_mock.call_count == 3


def test_pages_that_alternate_do_not_loop_for_ever(requests_mock: Mocker) -> None:
    requests_mock.get(
        f"{BRAZE_URL}/campaigns/list", json=lambda one, _: {"campaigns": [{"id": f"{int(one.qs['page'][0]) % 2}"}]}
    )
    assert run("braze_campaigns").exit_code == 12
    assert requests_mock.call_count == 5


def test_cursors_that_are_always_new_do_not_loop_for_ever(requests_mock: Mocker) -> None:
    def answer(_request: Any, context: Any) -> dict[str, Any]:
        context.headers["Link"] = f'</custom_attributes?cursor={requests_mock.call_count}>; rel="next"'
        return {"attributes": [{"name": "a"}]}

    requests_mock.get(f"{BRAZE_URL}/custom_attributes", json=answer)
    assert run("braze_custom_attributes").exit_code == 12
    assert requests_mock.call_count == 4


@pytest.mark.parametrize("items", [{}, 5, "", [5], [{"name": "n"}], [{"id": ""}], [None]])
def test_a_list_of_another_form_ends_with_12(requests_mock: Mocker, items: Any) -> None:
    requests_mock.get(f"{BRAZE_URL}/campaigns/list", json={"campaigns": items})
    assert run("braze_campaigns").exit_code == 12


@pytest.mark.parametrize("answer", [{}, {"errors": ["no such page"]}, {"message": "no such page"}])
def test_an_answer_without_its_list_ends_with_12_and_success_is_no_reason(
    requests_mock: Mocker, answer: dict[str, Any]
) -> None:
    requests_mock.get(f"{BRAZE_URL}/campaigns/list", json={"message": "success", **answer})
    failed = run("braze_campaigns")
    assert failed.exit_code == 12
    assert ('The vendor says: "no such page"' in failed.log) == bool(answer)
    assert "success" not in failed.log


@pytest.mark.parametrize(
    ("stream", "path", "answer"),
    [
        ("braze_hard_bounces", "/email/hard_bounces", {"emails": None}),
        ("braze_custom_attributes", "/custom_attributes", {"attributes": None}),
        ("braze_products", "/purchases/product_list", {"products": None}),
        ("braze_sessions", "/sessions/data_series", {"data": None}),
        ("braze_canvas_stats", "/canvas/data_series", {"data": None}),
        ("braze_canvas_stats", "/canvas/data_series", {"data": {"name": "c", "stats": None}}),
    ],
)
def test_null_in_place_of_a_list_is_an_error_and_moves_no_bookmark(
    requests_mock: Mocker, stream: str, path: str, answer: dict[str, Any]
) -> None:
    lists: list[dict[str, Any]] = [{"json": {"canvases": [{"id": "c"}]}}, {"json": {"canvases": None}}]
    requests_mock.get(f"{BRAZE_URL}/canvas/list", lists)
    requests_mock.get(f"{BRAZE_URL}/canvas/details", json={})
    requests_mock.get(f"{BRAZE_URL}{path}", json={"message": "success", **answer})
    read = run(stream)
    assert read.exit_code == 12
    assert "success" not in read.log
    assert bookmark(read, stream) is None


@pytest.mark.parametrize(
    ("statuses", "exit_code"), [((404, 404), 0), ((404, 200), 0), ((400,), 10), ((404, 400), 10), ((404, 404, 400), 0)]
)
def test_404_to_a_later_page_is_asked_once_more_and_taken_for_the_end(
    requests_mock: Mocker, caplog: pytest.LogCaptureFixture, statuses: tuple[int, ...], exit_code: int
) -> None:
    pages: list[dict[str, Any]] = [{"json": {"campaigns": [{"id": "a"}]}}]
    pages += [{"json": {"campaigns": [], "message": "No page"}, "status_code": status} for status in statuses]
    requests_mock.get(f"{BRAZE_URL}/campaigns/list", pages)
    settings = {**config("braze", segment_ids=None), "emit_activate_version_messages": True}
    read = sync(settings, only={"braze_campaigns"})
    assert read.exit_code == exit_code, read.log
    is_the_end = statuses[:2] == (404, 404)
    assert ("answered 404 twice to page 1; taken for the end, as page 0 came" in caplog.text) == is_the_end
    kinds = {message["type"] for message in read.messages}
    assert ("ACTIVATE_VERSION" in kinds) == (statuses == (404, 200))
    if not exit_code:
        assert [row["campaign_id"] for row in read.records("braze_campaigns")] == ["a"]


def test_404_to_the_first_page_is_an_error(requests_mock: Mocker) -> None:
    requests_mock.get(f"{BRAZE_URL}/campaigns/list", status_code=404)
    assert run("braze_campaigns").exit_code == 10
    assert requests_mock.call_count == 1


def test_archived_campaigns_are_asked_for(requests_mock: Mocker) -> None:
    requests_mock.get(f"{BRAZE_URL}/campaigns/list", json={"campaigns": []})
    assert run("braze_campaigns").exit_code == 0
    assert requests_mock.request_history[-1].qs["include_archived"] == ["true"]


@pytest.mark.parametrize(
    "link",
    [
        '</custom_attributes?cursor=c2tpcDo1MA%3D%3D>; rel="next"',
        '<https://elsewhere.example/custom_attributes?cursor=c2tpcDo1MA%3D%3D>; rel="next"',
        '<?cursor=c2tpcDo1MA%3D%3D>; rel="next"',
    ],
)
def test_a_cursor_is_passed_on_as_it_is_to_the_configured_host(requests_mock: Mocker, link: str) -> None:
    attribute = {"name": "a", "data_type": "Number", "tag_names": ["x", None], "array_length": None, "new": 1}
    requests_mock.get(f"{BRAZE_URL}/custom_attributes", json={"attributes": [attribute]}, headers={"Link": link})
    requests_mock.get(
        f"{BRAZE_URL}/custom_attributes?cursor=c2tpcDo1MA%3D%3D", json={"attributes": [{**attribute, "name": "b"}]}
    )
    read = run("braze_custom_attributes")
    assert [row["name"] for row in read.records("braze_custom_attributes")] == ["a", "b"]
    assert read.records("braze_custom_attributes")[0]["tag_names"] == ["x"]
    assert read.records("braze_custom_attributes")[0]["extra"] == {"new": 1}
    assert [request.url for request in requests_mock.request_history] == [
        f"{BRAZE_URL}/custom_attributes",
        f"{BRAZE_URL}/custom_attributes?cursor=c2tpcDo1MA%3D%3D",
    ]


@pytest.mark.parametrize("link", ["</events?cursor=a>", "</custom_attributes?cursor=b>", "<http://[>"])
def test_a_link_to_another_list_or_in_a_circle_ends_with_12(requests_mock: Mocker, link: str) -> None:
    headers = {"Link": f'{link}; rel="next"'}
    requests_mock.get(f"{BRAZE_URL}/custom_attributes", json={"attributes": []}, headers=headers)
    assert run("braze_custom_attributes").exit_code == 12


def test_the_names_of_events_come_from_their_definitions_where_the_list_is_refused(requests_mock: Mocker) -> None:
    requests_mock.get(f"{BRAZE_URL}/events/list", status_code=403)
    requests_mock.get(f"{BRAZE_URL}/events", json={"events": [{"name": "Kayak & co"}]})
    requests_mock.get(f"{BRAZE_URL}/events/data_series", json={"data": [{"time": "2024-03-19", "count": 3}]})
    read = run("braze_event_counts", app_ids=["app-1", "app-2"])
    assert [(row["event"], row["app_id"], row["value"]) for row in read.records("braze_event_counts")] == [
        ("Kayak & co", "app-1", 3),
        ("Kayak & co", "app-2", 3),
    ]


def test_messages_variants_and_steps_hold_their_own_ids(requests_mock: Mocker) -> None:
    requests_mock.get(f"{BRAZE_URL}/canvas/list", [{"json": {"canvases": [{"id": "c"}]}}, {"json": {"canvases": []}}])
    answer = {
        "message": "success",
        "variants": [{"id": "v", "name": "Variant 1"}],
        "steps": [{"id": "s", "messages": {"m": {"channel": "email"}, "odd": None}}],
        "new": 1,
    }
    requests_mock.get(f"{BRAZE_URL}/canvas/details", json=answer)
    (row,) = run("braze_canvas_details").records("braze_canvas_details")
    assert row["canvas_id"] == "c"
    assert row["variants"] == [{"variant_id": "v", "name": "Variant 1"}]
    messages = [{"message_variation_id": "m", "channel": "email"}, {"message_variation_id": "odd"}]
    assert row["steps"] == [{"step_id": "s", "messages": messages}]
    assert row["extra"] == {"new": 1}


@pytest.mark.parametrize("size", [49, 100, 101, 250, 350])
@pytest.mark.parametrize("shifts", [0, 1, 3])
def test_campaigns_that_vanish_while_they_are_listed_hide_no_other(
    requests_mock: Mocker, size: int, shifts: int
) -> None:
    campaigns = [{"id": f"c{number}"} for number in range(size)]

    def answer(request: Any, _context: Any) -> dict[str, Any]:
        nonlocal shifts
        number = int(request.qs["page"][0])
        page = campaigns[100 * number : 100 * number + 100]
        if shifts:
            shifts -= 1
            del campaigns[0]
            campaigns.append({"id": f"new{shifts}"})
        return {"campaigns": page}

    listed = requests_mock.get(f"{BRAZE_URL}/campaigns/list", json=answer)
    read = run("braze_campaigns")
    assert read.exit_code == 0, read.log
    names = [row["campaign_id"] for row in read.records("braze_campaigns")]
    assert len(names) == len(set(names))
    if size != 49:  # a single page is read once, new ones are for the next run
        assert {one["id"] for one in campaigns} <= set(names)
    assert listed.call_count <= (2 if size == 49 else 5 * (size // 100 + 2))


def test_a_list_of_names_that_changes_in_every_pass_is_not_taken_for_whole(requests_mock: Mocker) -> None:
    def answer(request: Any, _context: Any) -> dict[str, Any]:
        first = requests_mock.call_count
        return {"events": [f"e{n}" for n in range(first, first + 60)] if request.qs["page"] == ["0"] else []}

    requests_mock.get(f"{BRAZE_URL}/events/list", json=answer)
    assert run("braze_event_counts").exit_code == 12
    assert requests_mock.call_count == 10


def test_a_list_without_an_order_is_read_as_often_as_any_and_then_taken_for_whole(requests_mock: Mocker) -> None:
    names = [f"p{number}" for number in range(250)]

    def answer(request: Any, _context: Any) -> dict[str, Any]:
        if request.qs["page"] == ["0"]:
            names.append(names.pop(0))
        number = int(request.qs["page"][0])
        return {"products": names[100 * number : 100 * number + 100]}

    requests_mock.get(f"{BRAZE_URL}/purchases/product_list", json=answer)
    read = run("braze_products")
    assert read.exit_code == 0, read.log
    assert sorted(row["product_id"] for row in read.records("braze_products")) == sorted(names)
    assert requests_mock.call_count == 5 * 4
