"""Users and accounts: every page, in order, or no bookmark."""

from __future__ import annotations

import gzip
import itertools
import json
import logging
import mmap
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest

from tap_cdp_export.files import strict_json
from tap_cdp_export.tap import TapCDPExport
from tap_cdp_export.vendors.personalization.streams import PersonalizationSource
from tap_cdp_export.windows import epoch_milliseconds, time_text
from tests.helpers.configurations import END, PERSONALIZATION_URL, START, config
from tests.helpers.in_process import bookmark, sync

if TYPE_CHECKING:
    from collections.abc import Callable

    from requests_mock import Mocker

    from tests.helpers.running import Run

USER = {
    "name": "jo.bloggs@example.com",
    "engagementScore": 0.012,
    "engagementPercentChange": 0.002,
    "firstActivity": 1358957180647,
    "lastActivity": 1359066698647,
    "totalActions": 0,
    "attributes": {},
    "accountName": "example corporation",
    "displayName": "Jo Bloggs",
}
ACCOUNT = {
    "name": "example corporation",
    "engagementScore": 0.546,
    "engagementPercentChange": -0.138,
    "firstActivity": 1358640000000,
    "lastActivity": 1360195200000,
    "totalActions": 51,
    "accountStatus": "active",
}
WINDOW = {"window_start": "2024-02-07T00:00:00.000Z", "window_end": "2024-03-08T00:00:00.000Z"}

WHOLE = WINDOW["window_end"]

pytestmark = pytest.mark.usefixtures("clock")


def url(kind: str = "users", dataset: str = "engage") -> str:
    return f"{PERSONALIZATION_URL}/api/dataset/{dataset}/{kind}.json"


def serve(mock: Mocker, *pages: Any, kind: str = "users", dataset: str = "engage") -> list[int]:
    """Serve pages by number, then empty ones; give the numbers asked for as they come."""
    asked: list[int] = []

    def page(request: Any, _context: Any) -> bytes:
        number = int(request.qs.get("page", ["0"])[0])
        asked.append(number)
        content = pages[number] if number < len(pages) else []
        return content if isinstance(content, bytes) else json.dumps(content).encode()

    mock.get(url(kind, dataset), content=page)
    return asked


def users(settings: dict[str, Any] | None = None, **options: Any) -> Run:
    return sync(settings or config("personalization"), only={"users"}, **options)


def names(run: Run) -> list[str]:
    return [record["name"] for record in run.records("users")]


def test_a_user_of_the_vendors_sample_becomes_this_record(requests_mock: Mocker) -> None:
    serve(requests_mock, [USER])
    run = users()
    assert run.exit_code == 0
    assert run.records("users") == [
        {
            "dataset_id": "engage",
            "name": "jo.bloggs@example.com",
            "display_name": "Jo Bloggs",
            "account_name": "example corporation",
            "email_address": None,
            "engagement_score": 0.012,
            "engagement_percent_change": 0.002,
            "first_activity": "2013-01-23T16:06:20.647Z",
            "last_activity": "2013-01-24T22:31:38.647Z",
            "total_actions": 0,
            "attributes": {},
            "segments": None,
            "segment_joined": None,
            "segment_input_values": None,
            "location": None,
            **WINDOW,
            "extra": None,
        }
    ]


def test_an_account_of_the_vendors_sample_becomes_this_record(requests_mock: Mocker) -> None:
    serve(requests_mock, [ACCOUNT], kind="accounts")
    run = sync(config("personalization"), only={"accounts"})
    assert run.records("accounts") == [
        {
            "dataset_id": "engage",
            "name": "example corporation",
            "engagement_score": 0.546,
            "engagement_percent_change": -0.138,
            "first_activity": "2013-01-20T00:00:00.000Z",
            "last_activity": "2013-02-07T00:00:00.000Z",
            "total_actions": 51,
            **WINDOW,
            "extra": {"accountStatus": "active"},
        }
    ]


def test_what_only_some_tenants_send_has_a_column_or_is_kept_in_extra(requests_mock: Mocker) -> None:
    user = {
        "name": "00042",
        "attributes": [{"name": "a", "value": 1}],
        "segments": ["1PPOO", "2Hh5C"],
        "segmentJoined": 1359066698647,
        "segmentInputValues": {'Rule "with" quotes': "x"},
        "location": {"longlat": [18.1, 59.3]},
        "visits": 7,
    }
    serve(requests_mock, [user])
    (record,) = users().records("users")
    assert record["name"] == "00042"
    assert record["segments"] == ["1PPOO", "2Hh5C"]
    assert record["segment_joined"] == "2013-01-24T22:31:38.647Z"
    assert record["segment_input_values"] == {'Rule "with" quotes': "x"}
    assert record["location"] == {"longlat": [18.1, 59.3]}
    assert record["attributes"] is None
    assert record["extra"] == {"attributes": [{"name": "a", "value": 1}], "visits": 7}


# Pages


def test_pages_are_read_from_zero_until_an_empty_one_short_ones_included(requests_mock: Mocker) -> None:
    asked = serve(requests_mock, [{"name": "a"}, {"name": "b"}], [{"name": "c"}], [{"name": "d"}, {"name": "e"}])
    run = users(config("personalization", page_size=2))
    assert names(run) == ["a", "b", "c", "d", "e"]
    assert asked == [0, 1, 2, 3]


def test_an_unpaged_body_is_asked_for_once(requests_mock: Mocker) -> None:
    asked = serve(requests_mock, [{"name": "a"}, {"name": "b"}])
    assert names(users(config("personalization", page_size=0))) == ["a", "b"]
    assert asked == [0]


def test_a_repeated_user_comes_in_the_vendors_order_so_that_the_last_is_current(requests_mock: Mocker) -> None:
    serve(requests_mock, [{"name": "a", "totalActions": 1}, {"name": "b"}], [{"name": "a", "totalActions": 2}])
    records = users().records("users")
    assert [(record["name"], record["total_actions"]) for record in records] == [("a", 1), ("b", None), ("a", 2)]


def test_a_compressed_page_is_read(requests_mock: Mocker) -> None:
    serve(requests_mock, gzip.compress(json.dumps([USER, {"name": "b"}]).encode()), gzip.compress(b"[]"))
    assert names(users()) == ["jo.bloggs@example.com", "b"]


BYTE_ORDER_MARK = b"\xef\xbb\xbf"


@pytest.mark.parametrize(
    "maps", [{}, {"users": {"__filter__": "bool(record)"}}], ids=["whole runs", "record by record"]
)
@pytest.mark.parametrize(
    ("form", "pages"),
    [
        ("json", [b'[{"name":"a"}]', b'[{"name":"b"}]', b"[]"]),
        ("json", [b' [\n{"name":"a"}\n] ', b' [ {"name":"b"}]', b"\n[ ]\n"]),
        ("csv", [b"name\na", b"name\r\nb\r\n", b"name"]),
        (
            "csv",
            [
                b'name,"Rule\nlabel"\na,1\n',
                b'name,"Rule\nlabel"\nb,1\n',
                b'name,"Rule\nlabel"\n',
                b'name,"Rule\nlabel"',
            ],
        ),
    ],
)
@pytest.mark.parametrize("mark", [b"", BYTE_ORDER_MARK], ids=["plain", "marked"])
def test_only_a_page_without_records_is_the_last(
    requests_mock: Mocker, form: str, pages: list[bytes], mark: bytes, maps: dict[str, Any]
) -> None:
    asked = []

    def page(request: Any, _context: Any) -> bytes:
        asked.append(int(request.qs["page"][0]))
        return mark + pages[min(asked[-1], len(pages) - 1)]

    requests_mock.get(url().replace("json", form), content=page, headers={"Content-Length": "1"})
    run = users({**config("personalization", format=form), "stream_maps": maps})
    assert (run.exit_code, names(run)) == (0, ["a", "b"])
    assert asked == [0, 1, 2]


def plainly(page: bytes, _number: int) -> bytes:
    return page


def compressed_at_another_time(page: bytes, number: int) -> bytes:
    return gzip.compress(page, mtime=number)


@pytest.mark.parametrize("packed", [plainly, compressed_at_another_time])
def test_a_server_that_ignores_the_page_number_does_not_loop_for_ever(
    requests_mock: Mocker, packed: Callable[[bytes, int], bytes]
) -> None:
    numbers = itertools.count()

    def same(_request: object, _context: object) -> bytes:
        number = next(numbers)
        if number > 50:
            pytest.fail("it loops")
        return packed(b'[{"name":"a"},{"name":"b"}]', number)

    requests_mock.get(url(), content=same)
    run = users()
    assert run.exit_code == 12
    assert bookmark(run, "users") is None


def test_datasets_are_read_one_after_the_other_and_name_their_records(requests_mock: Mocker) -> None:
    serve(requests_mock, [{"name": "a"}], dataset="one")
    serve(requests_mock, [{"name": "a"}], dataset="two")
    run = users(config("personalization", dataset_ids=["one", "two"]))
    assert [(record["dataset_id"], record["name"]) for record in run.records("users")] == [("one", "a"), ("two", "a")]


def test_the_same_page_in_two_datasets_is_no_repetition(requests_mock: Mocker) -> None:
    for dataset in ("one", "two"):
        serve(requests_mock, [{"name": "a"}], dataset=dataset)
    assert users(config("personalization", dataset_ids=["one", "two"])).exit_code == 0


# Windows and state


@pytest.mark.parametrize(
    ("days", "times", "start"),
    [
        (30, (START, None), "2024-02-07"),
        (30, (None, None), "2024-02-07"),
        (30, ("2024-01-01", None), "2024-01-01"),
        (30, (START, "2024-03-07T23:59:00Z"), "2024-02-07"),
        (30, ("2024-01-01", "2024-03-07T23:59:00Z"), "2024-02-07"),
        (30, (None, "2023-12-24"), "2023-12-24"),
        (2.5, (None, "2024-03-07"), "2024-03-05T12:00"),
        (1e-9, (None, None), "2024-03-07T23:59:59"),
        (0, (START, None), "2024-03-01"),
        (0, (None, "2024-03-07T23:59:00Z"), "2024-03-07T23:59"),
        (0, (START, "2024-02-01"), "2024-02-01"),
    ],
)
@pytest.mark.parametrize("stream", ["users", "accounts"])
def test_the_statistics_start_at_the_bookmark_or_start_date_but_reach_back_far_enough(
    requests_mock: Mocker, stream: str, days: float, times: tuple[str | None, str | None], start: str
) -> None:
    serve(requests_mock, [{"name": "a"}], kind=stream)
    start_date, bookmarked = times
    settings = {**config("personalization", statistics_days=days), "start_date": start_date}
    state = {"bookmarks": {stream: {"replication_key_value": bookmarked}}} if bookmarked else None
    run = sync(settings, only={stream}, state=state)
    assert run.exit_code == 0, run.log
    asked_for = datetime.fromisoformat(start).replace(tzinfo=UTC)
    for request in requests_mock.request_history:
        assert request.qs["start"] == [str(epoch_milliseconds(asked_for))]
        assert request.qs["end"] == ["1709856000000"]
    (record,) = run.records(stream)
    assert (record["window_start"], record["window_end"]) == (time_text(asked_for), WHOLE)
    assert bookmark(run, stream) == WHOLE


def test_without_statistics_days_the_first_run_needs_start_date(requests_mock: Mocker) -> None:
    serve(requests_mock, [USER])
    settings = {**config("personalization", statistics_days=0), "start_date": None}
    run = users(settings)
    assert run.exit_code == 10
    assert "start_date is missing: users needs it" in run.log


def test_a_window_in_extra_params_is_sent_and_shown_and_the_bookmark_stays_the_runs_end(requests_mock: Mocker) -> None:
    serve(requests_mock, [USER])
    run = users(config("personalization", extra_params={"start": "1704067200000", "end": 1706745600001, "filter": "x"}))
    assert {name: requests_mock.request_history[0].qs[name] for name in ("start", "end", "filter")} == {
        "start": ["1704067200000"],
        "end": ["1706745600001"],
        "filter": ["x"],
    }
    (record,) = run.records("users")
    assert record["window_start"] == "2024-01-01T00:00:00.000Z"
    assert record["window_end"] == "2024-02-01T00:00:00.001Z"
    assert bookmark(run, "users") == WHOLE


def test_a_window_bound_that_extra_params_set_to_null_is_not_sent_and_null_in_the_records(
    requests_mock: Mocker,
) -> None:
    serve(requests_mock, [USER])
    run = users(config("personalization", extra_params={"start": None}))
    assert "start" not in requests_mock.request_history[0].qs
    (record,) = run.records("users")
    assert record["window_start"] is None
    assert record["window_end"] == WHOLE
    assert bookmark(run, "users") == WHOLE


def test_extra_params_win_over_the_taps_own(requests_mock: Mocker) -> None:
    serve(requests_mock, [USER])
    extra = {"filter": "B", "includeGeo": False}
    users(config("personalization", filter="A", include_geo=True, extra_params=extra))
    assert requests_mock.request_history[0].qs["filter"] == ["b"]
    assert requests_mock.request_history[0].qs["includegeo"] == ["false"]


def test_a_run_without_new_time_asks_nothing_and_keeps_the_bookmark(requests_mock: Mocker) -> None:
    asked = serve(requests_mock, [USER])
    run = users(state={"bookmarks": {"users": {"replication_key_value": END}}})
    assert run.exit_code == 0
    assert asked == []
    assert run.records("users") == []
    assert bookmark(run, "users") in {None, END}


def test_a_window_never_reaches_into_the_future(requests_mock: Mocker) -> None:
    serve(requests_mock, [USER])
    before = datetime.now(UTC) - timedelta(seconds=1)
    run = users({**config("personalization"), "end_date": "2999-01-01T00:00:00Z"})
    after = datetime.now(UTC)
    assert epoch_milliseconds(before) <= int(requests_mock.last_request.qs["end"][0]) <= epoch_milliseconds(after)  # type: ignore[union-attr]
    assert time_text(before) <= str(bookmark(run, "users")) <= time_text(after)


def test_a_failure_in_the_second_dataset_moves_no_bookmark(requests_mock: Mocker) -> None:
    serve(requests_mock, [{"name": "a"}], dataset="one")
    requests_mock.get(url(dataset="two"), status_code=404)
    run = users(config("personalization", dataset_ids=["one", "two"]))
    assert run.exit_code == 10
    assert names(run) == ["a"]
    assert bookmark(run, "users") is None


def test_a_failure_on_a_later_page_moves_no_bookmark(requests_mock: Mocker) -> None:
    serve(requests_mock, [{"name": "a"}], b"<html>")
    run = users()
    assert run.exit_code == 12
    assert bookmark(run, "users") is None


# Answers that are none


@pytest.mark.parametrize(
    "page",
    [
        b"",
        b"{}",
        b'{"data":"canary"}',
        b"<html>canary</html>",
        b"[1]",
        b'["canary"]',
        b"[null]",
        b'[{"name":"a"}',
        b'[{"name":"a"}] x',
        b'[{"name":"\xff"}]',
    ],
)
def test_a_page_that_is_no_array_of_objects_is_an_error_and_gives_no_record(requests_mock: Mocker, page: bytes) -> None:
    requests_mock.get(url(), content=page)
    run = users()
    assert run.exit_code == 12
    assert run.records("users") == []
    assert bookmark(run, "users") is None
    assert "canary" not in run.log


@pytest.mark.parametrize("maps", [{}, {"stream_maps": {"users": {"whole": "str(record)"}}}], ids=["columns", "records"])
def test_without_a_name_the_other_ids_count_and_a_number_becomes_text(
    requests_mock: Mocker, maps: dict[str, Any]
) -> None:
    known: list[dict[str, Any]] = [
        {"name": "a", "userId": "x"},
        {"userId": "b", "id": 7},
        {"name": None, "id": "c"},
        {"name": 42},
    ]
    serve(requests_mock, known)
    run = users({**config("personalization"), **maps})
    assert names(run) == ["a", "b", "c", "42"]
    assert [record["extra"] for record in run.records("users")] == [{"userId": "x"}, {"id": 7}, None, None]


@pytest.mark.parametrize("user", [{"accountId": 5}, {"id": "5"}, {"ID": "5"}])
def test_accounts_have_other_ids_than_users(requests_mock: Mocker, user: dict[str, Any]) -> None:
    serve(requests_mock, [user], kind="accounts")
    assert [record["name"] for record in sync(config("personalization"), only={"accounts"}).records("accounts")] == [
        "5"
    ]


@pytest.mark.parametrize(
    "last", [{"text": "null"}, {"text": " null\n"}, {"status_code": 204}, {"status_code": 404, "text": "canary"}]
)
@pytest.mark.parametrize("number", [1, 3_000])
def test_null_nothing_or_404_beyond_the_last_page_is_the_end(
    requests_mock: Mocker, caplog: pytest.LogCaptureFixture, number: int, last: dict[str, Any]
) -> None:
    page = [{**USER, "name": f"user {place}"} for place in range(number)]
    requests_mock.get(url(), [{"json": page}, last])
    run = users()
    assert run.exit_code == 0
    assert len(run.records("users")) == number
    assert bookmark(run, "users") == WHOLE
    assert ("404 twice to page 1 of dataset engage; taken for the end" in caplog.text) == (
        last.get("status_code") == 404
    )
    assert "canary" not in caplog.text


def test_a_single_404_is_not_taken_for_the_end(requests_mock: Mocker, caplog: pytest.LogCaptureFixture) -> None:
    pages = [{"json": [{"name": name}]} for name in "abc"]
    requests_mock.get(url(), [pages[0], {"status_code": 404}, *pages[1:], {"json": []}])
    assert names(users()) == ["a", "b", "c"]
    assert "taken for the end" not in caplog.text
    requests_mock.get(url(), [pages[0], {"status_code": 404}, {"status_code": 400}])
    assert users().exit_code == 10


def test_times_that_are_not_set_or_in_seconds_and_bare_nans_are_read(
    requests_mock: Mocker, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(strict_json, "_nonfinite", mmap.mmap(-1, 2))
    serve(
        requests_mock,
        b'[{"name":"a","firstActivity":1358957180,"lastActivity":0,"engagementPercentChange":NaN},'
        b'{"name":"b","firstActivity":-1,"lastActivity":"2013-01-23T17:06:20.647+01:00","attributes":{"x":-Infinity}}]',
    )
    run = users()
    times = [(record["first_activity"], record["last_activity"]) for record in run.records("users")]
    assert times == [("2013-01-23T16:06:20.000Z", None), (None, "2013-01-23T16:06:20.647Z")]
    assert [record["extra"] for record in run.records("users")] == [None, None]
    assert run.records("users")[1]["attributes"] == {"x": None}
    assert caplog.text.count("NaN or infinite numbers") == 1


NAMELESS = [{}, {"name": None}, {"name": 4.5}, {"name": ["a"]}, {"ID": "a"}, {"name": "", "id": "a"}]


@pytest.mark.parametrize("maps", [{}, {"stream_maps": {"users": {"whole": "str(record)"}}}], ids=["columns", "records"])
@pytest.mark.parametrize("user", NAMELESS)
def test_a_user_without_a_name_is_an_error_that_says_where(
    requests_mock: Mocker, user: dict[str, Any], maps: dict[str, Any]
) -> None:
    serve(requests_mock, [{"name": "a"}, {**user, "emailAddress": "canary"}])
    run = users({**config("personalization"), **maps})
    assert run.exit_code == 12
    assert "no text as its name, near byte 16" in run.log
    assert "canary" not in run.log


def test_half_a_surrogate_pair_or_a_nul_does_not_stop_the_others(requests_mock: Mocker) -> None:
    serve(requests_mock, rb'[{"name":"a"},{"name":"b","displayName":"\ud83d \u0000"},{"name":"c"}]')
    run = users()
    assert names(run) == ["a", "b", "c"]
    assert run.records("users")[1]["display_name"] == "\ufffd \ufffd"


@pytest.mark.parametrize("depth", [100, 200, 300, 500, 800, 2000])
def test_deep_nesting_is_read_or_refused_but_never_crashes(requests_mock: Mocker, depth: int) -> None:
    nested = b"[" * depth + b"]" * depth
    serve(requests_mock, b'[{"name":"a","attributes":{"deep":' + nested + b"}}]")
    run = users()
    assert run.exit_code in {0, 12}
    assert len(run.records("users")) == (1 if run.exit_code == 0 else 0)


# Accounts that are no more


@pytest.mark.parametrize("status", [403, 404])
def test_retired_accounts_are_a_warning_and_no_records(
    requests_mock: Mocker, caplog: pytest.LogCaptureFixture, status: int
) -> None:
    requests_mock.get(url("accounts"), status_code=status)
    requests_mock.get(url("users"), json=[])
    with caplog.at_level(logging.WARNING):
        run = sync(config("personalization"), only={"accounts"})
    assert run.exit_code == 0
    assert run.records("accounts") == []
    assert "accounts_missing" in caplog.text


@pytest.mark.parametrize(("status", "exit_code"), [(403, 11), (404, 10)])
def test_accounts_of_a_dataset_that_has_no_users_either_are_not_taken_for_retired(
    requests_mock: Mocker, status: int, exit_code: int
) -> None:
    requests_mock.get(url("accounts"), status_code=status)
    requests_mock.get(url("users"), status_code=status)
    run = sync(config("personalization"), only={"accounts"})
    assert run.exit_code == exit_code
    assert "dataset engage" in run.log


@pytest.mark.parametrize(("status", "exit_code"), [(403, 11), (404, 10)])
def test_retired_accounts_are_an_error_where_the_settings_say_so(
    requests_mock: Mocker, status: int, exit_code: int
) -> None:
    requests_mock.get(url("accounts"), status_code=status)
    run = sync(config("personalization", accounts_missing="error"), only={"accounts"})
    assert run.exit_code == exit_code
    assert bookmark(run, "accounts") is None


@pytest.mark.parametrize(("status", "exit_code"), [(401, 11), (400, 10), (500, 13)])
def test_any_other_trouble_with_accounts_is_an_error(requests_mock: Mocker, status: int, exit_code: int) -> None:
    requests_mock.get(url("accounts"), status_code=status)
    assert sync(config("personalization"), only={"accounts"}).exit_code == exit_code


@pytest.mark.parametrize("number", [1, 3_000])
@pytest.mark.parametrize(
    "maps", [{}, {"accounts": {"__filter__": "bool(record)"}}], ids=["whole runs", "record by record"]
)
def test_accounts_that_end_with_403_in_the_middle_are_not_taken_for_retired(
    requests_mock: Mocker, number: int, maps: dict[str, Any]
) -> None:
    accounts = [{**ACCOUNT, "name": f"account {place}"} for place in range(number)]
    requests_mock.get(url("accounts"), [{"json": accounts}, {"status_code": 403}])
    run = sync({**config("personalization"), "stream_maps": maps}, only={"accounts"})
    assert run.exit_code != 0
    assert len(run.records("accounts")) == number
    assert bookmark(run, "accounts") is None


@pytest.mark.parametrize("expression", ["name.nonsense", "record['name'].nonsense"])
@pytest.mark.parametrize("number", [1, 3_000])
def test_an_expression_that_fails_is_a_wrong_setting(requests_mock: Mocker, number: int, expression: str) -> None:
    accounts = [{**ACCOUNT, "name": f"account {place}"} for place in range(number)]
    requests_mock.get(url("accounts"), [{"json": accounts}, {"json": []}])
    run = sync({**config("personalization"), "stream_maps": {"accounts": {"x": expression}}}, only={"accounts"})
    assert run.exit_code == 10
    assert "stream map of accounts fails on a record" in run.log
    assert bookmark(run, "accounts") is None


def test_users_are_never_taken_for_retired(requests_mock: Mocker) -> None:
    requests_mock.get(url(), status_code=404)
    assert users().exit_code == 10


def test_one_streams_failure_leaves_the_other_whole(requests_mock: Mocker) -> None:
    serve(requests_mock, [USER])
    requests_mock.get(url("accounts"), status_code=500)
    run = sync(config("personalization"))
    assert run.exit_code == 13
    assert len(run.records("users")) == 1
    assert bookmark(run, "users") == WINDOW["window_end"]
    assert bookmark(run, "accounts") is None


# Test mode


def test_checking_access_reads_one_record_and_sends_no_window(requests_mock: Mocker) -> None:
    serve(requests_mock, [USER])
    serve(requests_mock, [ACCOUNT], kind="accounts")
    tap = TapCDPExport(config=config("personalization"))
    for stream in ("users", "accounts"):
        source = tap.streams[stream].source  # type: ignore[attr-defined]
        assert isinstance(source, PersonalizationSource)
        source.check_access()
    assert [request.qs for request in requests_mock.request_history] == [{"page": ["0"], "pagesize": ["1"]}] * 2
