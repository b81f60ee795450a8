"""One export a window feeds both streams; a bookmark moves when its window is whole, and an open export is taken up."""

from __future__ import annotations

import copy
import json
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import pytest

from tap_cdp_export.vendors.apsis import streams
from tap_cdp_export.windows import Window, split
from tests.helpers.configurations import APSIS_URL, config
from tests.helpers.in_process import bookmark, sync
from tests.vendors.apsis.test_export_file import PROFILE

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from requests_mock import Mocker

    from tests.helpers.running import Run

BOTH = {"apsis_profiles", "apsis_events"}
EXPORTS_URL = f"{APSIS_URL}/audience/profiles/exports"
FILE = json.dumps({"profiles": {"p1": PROFILE, "p2": {"sections": {}}}}).encode()
TOO_LARGE = {"content": b'{"status":"error"}'}
WHOLE = "2024-03-08T00:00:00.000Z"

pytestmark = pytest.mark.usefixtures("clock")


class Vendor:
    """Accepts every export, and answers its polls by script.

    Attributes:
        exports: the bodies of all requests for an export.
        polls: the numbers of the exports looked at.
    """

    def __init__(self, mock: Mocker, *answers: dict[str, Any], host: str = APSIS_URL, first: int = 1) -> None:
        self.exports: list[dict[str, Any]] = []
        self.polls: list[int] = []
        self._answers = list(answers) or [{"content": FILE}]
        self._url = f"{host}/audience/profiles/exports"
        self._first = first
        mock.post(f"{host}/oauth/token", json={"access_token": "t", "expires_in": 86400})
        mock.post(self._url, json=self._accept)
        for number in range(100):
            mock.get(f"{self._url}/{number}", content=self._poll)

    def _accept(self, request: Any, _context: Any) -> dict[str, str]:
        self.exports.append(request.json())
        return {"file_download_url": f"{self._url}/{self._first + len(self.exports) - 1}"}

    def _poll(self, request: Any, context: Any) -> bytes:
        self.polls.append(int(request.path.rpartition("/")[2]))
        answer = self._answers.pop(0) if len(self._answers) > 1 else self._answers[0]
        context.status_code = answer.get("status_code", 200)
        content = answer.get("content", b"")
        assert isinstance(content, bytes)
        return content

    @property
    def windows(self) -> list[tuple[str, str]]:
        """The bounds of all exports."""
        return [(body["start_at"], body["end_at"]) for body in self.exports]


def run(settings: dict[str, Any] | None = None, *, only: Iterable[str] = BOTH, **options: Any) -> Run:
    return sync(settings or config("apsis", lookback_minutes=0), only=set(only), **options)


def open_job(state: dict[str, Any], stream: str = "apsis_events") -> Any:
    return state["bookmarks"].get(stream, {}).get("export")


def test_one_export_feeds_both_streams(requests_mock: Mocker) -> None:
    vendor = Vendor(requests_mock)
    done = run()
    assert done.exit_code == 0
    assert vendor.windows == [("2024-03-01T00:00:00Z", "2024-03-08T00:00:00Z")]
    assert [r["profile_key"] for r in done.records("apsis_profiles")] == ["p1", "p2"]
    assert [r["type_id"] for r in done.records("apsis_events")] == ["550002"]
    assert bookmark(done, "apsis_profiles") == bookmark(done, "apsis_events") == WHOLE


def test_a_request_holds_what_is_configured_untouched_and_nothing_else(requests_mock: Mocker) -> None:
    vendor = Vendor(requests_mock)
    settings = {
        "attributes": [{"section_discriminator": "s", "version_id": "1"}],
        "tags": [{"identifier": "312460234"}],
        "events": [{"any": {"shape": [1]}}],
        "segment_filter": {"segment_discriminator": "x", "timezone": "Europe/Stockholm"},
        "extra_body": {"topics": [{"id": 1}]},
    }
    run(config("apsis", lookback_minutes=0, **settings))
    topics = settings.pop("extra_body")
    assert isinstance(topics, dict)
    assert vendor.exports == [
        {**settings, **topics, "start_at": "2024-03-01T00:00:00Z", "end_at": "2024-03-08T00:00:00Z"}
    ]


@pytest.mark.parametrize(("name", "most"), [("attributes", 75), ("tags", 25)])
def test_more_items_than_the_vendor_exports_at_once_are_refused_before_the_first_request(
    requests_mock: Mocker, name: str, most: int
) -> None:
    vendor = Vendor(requests_mock)
    assert run(config("apsis", **{name: [{"id": number} for number in range(most)]})).exit_code == 0
    requests_mock.reset_mock()
    done = run(config("apsis", **{name: [{"id": number} for number in range(most + 1)]}))
    assert done.exit_code == 10
    assert f"apsis.{name} asks for {most + 1} {name}, and the vendor exports at most {most}" in done.log
    assert not requests_mock.request_history
    assert len(vendor.exports) == 1


# Windows


@pytest.mark.parametrize("days", [1, 2, 2.5, 1 / 3, 0.23456789, 7, 30])
def test_windows_follow_each_other_without_gap_to_the_second(requests_mock: Mocker, days: float) -> None:
    vendor = Vendor(requests_mock)
    done = run(config("apsis", window_days=days, lookback_minutes=0, requests_per_minute=1e6), only={"apsis_events"})
    assert done.exit_code == 0
    assert vendor.windows[0][0] == "2024-03-01T00:00:00Z"
    assert vendor.windows[-1][1] == "2024-03-08T00:00:00Z"
    assert all(one[1] == other[0] for one, other in pairwise(vendor.windows))
    assert all(start < end for start, end in vendor.windows)


def test_windows_are_cut_one_by_one(requests_mock: Mocker, monkeypatch: pytest.MonkeyPatch) -> None:
    Vendor(requests_mock)
    requests_mock.post(EXPORTS_URL, status_code=400)
    cut = []

    def noted(span: Window, length: timedelta) -> Iterator[Window]:
        for window in split(span, length):
            cut.append(window)
            yield window

    monkeypatch.setattr(streams, "split", noted)
    done = run({**config("apsis", window_days=1 / 1440), "start_date": "2023-03-01"}, only={"apsis_events"})
    assert done.exit_code == 10
    assert len(cut) == 1


def test_each_window_is_closed_before_the_next_is_asked_for(requests_mock: Mocker) -> None:
    Vendor(requests_mock)
    done = run(config("apsis", window_days=3, lookback_minutes=0), only={"apsis_events"})
    values = [state["bookmarks"]["apsis_events"].get("replication_key_value") for state in done.states]
    ends = ["2024-03-04T00:00:00.000Z", "2024-03-07T00:00:00.000Z", WHOLE]
    assert [value for value in dict.fromkeys(values) if value] == ends
    kinds = [m["type"] if m["type"] != "RECORD" else m["record"]["window_end"] for m in done.messages]
    for end in ends:
        last_record = len(kinds) - 1 - kinds[::-1].index(end)
        before = [m["value"] for m in done.messages[: last_record + 1] if m["type"] == "STATE"]
        assert all((bookmark_in(state) or "") < end for state in before)


def bookmark_in(state: dict[str, Any]) -> str | None:
    value: str | None = state["bookmarks"].get("apsis_events", {}).get("replication_key_value")
    return value


def test_records_show_their_window_without_the_lookback(requests_mock: Mocker) -> None:
    vendor = Vendor(requests_mock)
    done = run(config("apsis", lookback_minutes=60), state=since(4))
    assert vendor.windows == [("2024-03-03T23:00:00Z", "2024-03-08T00:00:00Z")]
    for stream in BOTH:
        for record in done.records(stream):
            assert (record["window_start"], record["window_end"]) == ("2024-03-04T00:00:00.000Z", WHOLE)


def day(number: int, hour: int = 0) -> str:
    return f"2024-03-{number:02}T{hour:02}:00:00Z"


def since(number: int, stream: str = "apsis_events", **more: Any) -> dict[str, Any]:
    """STATE with a bookmark."""
    return {"bookmarks": {stream: {"replication_key_value": day(number), **more}}}


def test_a_day_is_looked_back_by_default_and_by_the_first_window_behind_a_bookmark_alone(requests_mock: Mocker) -> None:
    vendor = Vendor(requests_mock)
    run(config("apsis", window_days=2), state=since(4))
    assert vendor.windows == [(day(3), day(6)), (day(6), day(8))]


def test_a_first_run_looks_back_nowhere(requests_mock: Mocker) -> None:
    vendor = Vendor(requests_mock)
    run(config("apsis", window_days=4))
    assert vendor.windows == [(day(1), day(5)), (day(5), day(8))]


@pytest.mark.parametrize(
    ("bookmark_day", "minutes", "start"),
    [(4, 4320, day(1)), (4, 10**5, day(1)), (2, 2880, day(1)), (1, 1440, day(1)), (4, 0, day(4)), (4, 90, None)],
)
def test_the_lookback_never_reaches_before_start_date(
    requests_mock: Mocker, bookmark_day: int, minutes: int, start: str | None
) -> None:
    vendor = Vendor(requests_mock)
    run(config("apsis", lookback_minutes=minutes), state=since(bookmark_day))
    assert vendor.windows == [(start or "2024-03-03T22:30:00Z", day(8))]


def test_a_start_date_behind_the_bookmark_is_where_reading_begins(requests_mock: Mocker) -> None:
    vendor = Vendor(requests_mock)
    run({**config("apsis"), "start_date": day(5)}, state=since(4))
    assert vendor.windows == [(day(5), day(8))]


def test_without_start_date_the_lookback_is_whole(requests_mock: Mocker) -> None:
    vendor = Vendor(requests_mock)
    settings = config("apsis")
    del settings["start_date"]
    run(settings, state=since(4))
    assert vendor.windows == [(day(3), day(8))]


def test_profiles_alone_look_back_nowhere(requests_mock: Mocker) -> None:
    vendor = Vendor(requests_mock)
    run(config("apsis"), only={"apsis_profiles"}, state=since(4, "apsis_profiles"))
    assert vendor.windows == [(day(1), day(8))]


def test_the_lookback_of_what_is_too_large_becomes_a_window_of_its_own(requests_mock: Mocker) -> None:
    vendor = Vendor(requests_mock, TOO_LARGE, TOO_LARGE, {"content": FILE})
    done = run(config("apsis"), state=since(4))
    assert vendor.windows == [(day(3), day(8)), (day(3), day(4)), (day(4), day(8))]
    bounds = [(record["window_start"], record["window_end"]) for record in done.records("apsis_events")]
    assert bounds == [tuple(time.replace("Z", ".000Z") for time in window) for window in vendor.windows[1:]]
    assert {record["window_end"] for record in done.records("apsis_profiles")} == {WHOLE}
    assert {bookmark_in(state) for state in done.states[:-1]} <= {day(4), day(4).replace("Z", ".000Z")}
    assert bookmark(done, "apsis_events") == WHOLE


def test_a_lookback_that_is_too_large_itself_is_halved_without_moving_the_bookmark(requests_mock: Mocker) -> None:
    vendor = Vendor(requests_mock, *[TOO_LARGE] * 4, {"content": FILE})
    done = run({**config("apsis"), "end_date": day(5)}, state=since(4))
    halves = [(day(3), day(3, 12)), (day(3, 12), day(4)), (day(4), day(4, 12)), (day(4, 12), day(5))]
    assert vendor.windows == [(day(3), day(5)), (day(3), day(4)), *halves]
    marks = [str(bookmark_in(state)).replace(".000Z", "Z") for state in done.states]
    assert list(dict.fromkeys(marks)) == [day(4), day(4, 12), day(5)]


def test_a_lookback_under_an_hour_is_cut_off_too(requests_mock: Mocker) -> None:
    vendor = Vendor(requests_mock, TOO_LARGE, TOO_LARGE, {"content": FILE})
    run({**config("apsis", lookback_minutes=30), "end_date": day(4, 1)}, state=since(4))
    assert vendor.windows[1:] == [("2024-03-03T23:30:00Z", day(4)), (day(4), day(4, 1))]


@pytest.mark.parametrize("cut", [0, 1, 2])
def test_an_open_export_of_a_cut_lookback_is_taken_up_and_nothing_is_left_out(requests_mock: Mocker, cut: int) -> None:
    """Each of three exports in turn stays open: both halves of the lookback, and the window behind them."""
    answers: list[dict[str, Any]] = [*[TOO_LARGE] * 4, *[{"content": FILE}] * cut, {"status_code": 404}]
    vendor = Vendor(requests_mock, *answers)
    patient = {**config("apsis", export_timeout_seconds=600), "end_date": day(4, 12)}
    stopped = run(patient, state=since(4))
    assert stopped.exit_code == 15
    asked = vendor.windows[2:]
    vendor = Vendor(requests_mock, first=10)
    again = run({**patient, "end_date": day(6)}, state=stopped.states[-1])
    assert again.exit_code == 0
    asked_before = [(day(3), day(3, 12)), (day(3, 12), day(4)), (day(4), day(4, 12))][: cut + 1]
    # behind what is new, up to a day is asked for again, for what came late meanwhile
    asked_behind_it = [[(day(3, 12), day(4)), (day(4), day(6))], [(day(4), day(6))], [(day(3, 12), day(6))]]
    assert (asked, vendor.windows) == (asked_before, asked_behind_it[cut])
    assert vendor.polls[0] == cut + 3
    assert bookmark(again, "apsis_events") == day(6).replace("Z", ".000Z")


def test_an_open_export_that_is_too_large_is_not_taken_up_again_without_its_lookback(requests_mock: Mocker) -> None:
    Vendor(requests_mock, {"status_code": 404})
    stopped = run(config("apsis", export_timeout_seconds=10), state=since(4))
    vendor = Vendor(requests_mock, TOO_LARGE, TOO_LARGE, {"content": FILE}, first=2)
    assert run(state=stopped.states[-1], settings=config("apsis")).exit_code == 0
    assert vendor.windows == [(day(3), day(4)), (day(4), day(8))]


def test_of_several_windows_only_the_last_ones_profiles_are_emitted(requests_mock: Mocker) -> None:
    Vendor(requests_mock)
    done = run(config("apsis", window_days=3, lookback_minutes=0))
    assert {record["window_end"] for record in done.records("apsis_profiles")} == {WHOLE}
    assert len(done.records("apsis_profiles")) == 2
    assert len(done.records("apsis_events")) == 3


def test_profiles_alone_ask_for_one_export_without_events_and_need_no_start_date(requests_mock: Mocker) -> None:
    vendor = Vendor(requests_mock)
    settings = config("apsis", window_days=1)
    del settings["start_date"]
    done = run(settings, only={"apsis_profiles"})
    assert done.exit_code == 0
    (body,) = vendor.exports
    assert "events" not in body
    assert body["end_at"] == "2024-03-08T00:00:00Z"
    assert len(done.records("apsis_profiles")) == 2
    assert done.records("apsis_events") == []


def test_events_alone_emit_no_profiles(requests_mock: Mocker) -> None:
    Vendor(requests_mock)
    done = run(only={"apsis_events"})
    assert done.records("apsis_profiles") == []
    assert bookmark(done, "apsis_profiles") is None


def test_events_need_a_start_on_their_first_run(requests_mock: Mocker) -> None:
    vendor = Vendor(requests_mock)
    settings = config("apsis")
    del settings["start_date"]
    done = run(settings)
    assert done.exit_code == 10
    assert "start_date" in done.log
    assert vendor.exports == []


def test_without_configured_events_none_are_asked_for(requests_mock: Mocker) -> None:
    vendor = Vendor(requests_mock)
    done = run(config("apsis", events=[]))
    assert done.exit_code == 0
    assert "events" not in vendor.exports[0]
    assert done.records("apsis_events") == []
    assert len(done.records("apsis_profiles")) == 2
    assert bookmark(done, "apsis_events") is None


def test_a_run_without_new_time_asks_for_no_events(requests_mock: Mocker) -> None:
    vendor = Vendor(requests_mock)
    state = {"bookmarks": {"apsis_events": {"replication_key_value": WHOLE}}}
    done = run(only={"apsis_events"}, state=state)
    assert done.exit_code == 0
    assert vendor.exports == []


@pytest.mark.parametrize(("profiles", "exports"), [(None, 1), (day(7), 1), (WHOLE, 0)])
def test_profiles_are_read_where_the_events_have_reached_end_date_already(
    requests_mock: Mocker, profiles: str | None, exports: int
) -> None:
    vendor = Vendor(requests_mock)
    state = since(8)
    if profiles:
        state["bookmarks"]["apsis_profiles"] = {"replication_key_value": profiles}
    done = run(state=state)
    assert done.exit_code == 0, done.log
    assert len(vendor.exports) == exports
    assert len(done.records("apsis_profiles")) == 2 * exports
    assert done.records("apsis_events") == []
    assert bookmark(done, "apsis_profiles") == WHOLE
    assert run(state=done.states[-1]).exit_code == 0
    assert len(vendor.exports) == exports


def test_configured_attributes_that_are_null_are_no_tags(requests_mock: Mocker) -> None:
    profile = {"sections": {"1": {"attributes": {"9820534": {"value": None}, "5": {"value": None}}}}}
    Vendor(requests_mock, {"content": json.dumps({"profiles": {"p": profile}}).encode()})
    (record,) = run(config("apsis", attributes=[{"version_id": 9820534}])).records("apsis_profiles")
    assert record["attributes"] == {"9820534": None}
    assert record["tags"] == ["5"]


# State


def test_the_export_is_in_state_as_soon_as_it_is_accepted_and_gone_when_its_window_is_whole(
    requests_mock: Mocker,
) -> None:
    vendor = Vendor(requests_mock, {"status_code": 404}, {"content": FILE})
    done = run()
    first, *_, last = done.states
    assert open_job(first)["handle"]["poll_path"] == "/audience/profiles/exports/1"
    assert open_job(first)["window_end"] == WHOLE
    assert bookmark_in(first) is None
    assert last["bookmarks"]["apsis_events"]["export"] is None
    assert vendor.polls == [1, 1]
    before_records = [m["type"] for m in done.messages[: [m["type"] for m in done.messages].index("RECORD")]]
    assert "STATE" in before_records


def test_an_open_export_is_taken_up_with_its_own_window_and_not_asked_for_again(requests_mock: Mocker) -> None:
    vendor = Vendor(requests_mock, {"status_code": 404})
    settings = {**config("apsis", lookback_minutes=0, export_timeout_seconds=10), "end_date": "2024-03-05T00:00:00Z"}
    stopped = run(settings)
    assert stopped.exit_code == 15
    assert stopped.records("apsis_events") == []
    vendor = Vendor(requests_mock, first=2)
    again = run(state=stopped.states[-1])
    assert again.exit_code == 0
    assert vendor.polls == [1, 2]
    assert vendor.windows == [("2024-03-05T00:00:00Z", "2024-03-08T00:00:00Z")]
    windows = [(r["window_start"], r["window_end"]) for r in again.records("apsis_events")]
    assert windows == [("2024-03-01T00:00:00.000Z", "2024-03-05T00:00:00.000Z"), ("2024-03-05T00:00:00.000Z", WHOLE)]
    assert bookmark(again, "apsis_events") == WHOLE


def test_the_first_export_asked_for_after_one_that_was_taken_up_looks_back_behind_its_end(
    requests_mock: Mocker,
) -> None:
    """What came late since the open export was asked for is in no other file."""
    Vendor(requests_mock, {"status_code": 404})
    settings = {**config("apsis", window_days=2, export_timeout_seconds=10), "end_date": day(6)}
    stopped = run(settings, state=since(5))
    assert stopped.exit_code == 15
    vendor = Vendor(requests_mock, first=2)
    again = run({**settings, "end_date": day(8)}, state=stopped.states[-1])
    assert again.exit_code == 0
    assert vendor.windows == [(day(5), day(8))]
    assert bookmark(again, "apsis_events") == WHOLE


def test_profiles_alone_take_up_their_open_export_too(requests_mock: Mocker) -> None:
    Vendor(requests_mock, {"status_code": 404})
    stopped = run(config("apsis", export_timeout_seconds=10), only={"apsis_profiles"})
    assert stopped.exit_code == 15
    vendor = Vendor(requests_mock)
    again = run(config("apsis"), only={"apsis_profiles"}, state=stopped.states[-1])
    assert again.exit_code == 0
    assert vendor.exports == []
    assert len(again.records("apsis_profiles")) == 2


@pytest.mark.parametrize(
    "change", [{"tags": [{"id": "1"}]}, {"events": [{"id": "1"}]}, {"segment_filter": {}}, {"extra_body": {"x": 1}}]
)
def test_an_open_export_asked_for_with_other_settings_is_asked_for_anew(
    requests_mock: Mocker, change: dict[str, Any]
) -> None:
    Vendor(requests_mock, {"status_code": 404})
    stopped = run(config("apsis", lookback_minutes=0, export_timeout_seconds=10))
    vendor = Vendor(requests_mock)
    again = run(config("apsis", lookback_minutes=0, **change), state=stopped.states[-1])
    assert again.exit_code == 0
    assert len(vendor.exports) == 1


@pytest.mark.parametrize(
    ("change", "asked"),
    [
        ({"client_id": "another-client"}, 1),
        ({"lookback_minutes": 60}, 1),
        ({"base_url": "https://api.other.test"}, 1),
        ({"client_secret": "a-new-secret"}, 0),
        ({"base_url": f"{APSIS_URL}/"}, 0),
    ],
)
def test_an_open_export_is_taken_up_by_the_same_account_with_the_same_lookback_only(
    requests_mock: Mocker, change: dict[str, Any], asked: int
) -> None:
    Vendor(requests_mock, {"status_code": 404})
    stopped = run(config("apsis", lookback_minutes=0, export_timeout_seconds=10))
    assert "another-client" not in json.dumps(stopped.states[-1])
    vendor = Vendor(requests_mock)
    other = Vendor(requests_mock, host="https://api.other.test")
    again = run(config("apsis", **{"lookback_minutes": 0, **change}), state=stopped.states[-1])
    assert again.exit_code == 0
    assert len(vendor.exports + other.exports) == asked


@pytest.mark.parametrize("version", [2, "1", None])
def test_an_open_export_of_a_version_to_come_is_warned_of_and_asked_for_anew(
    requests_mock: Mocker, caplog: pytest.LogCaptureFixture, version: object
) -> None:
    Vendor(requests_mock, {"status_code": 404})
    state = copy.deepcopy(run(config("apsis", lookback_minutes=0, export_timeout_seconds=10)).states[-1])
    state["bookmarks"]["apsis_events"]["export"]["version"] = version
    vendor = Vendor(requests_mock)
    assert run(state=state).exit_code == 0
    assert len(vendor.exports) == 1
    assert "does not know" in caplog.text


def test_an_expired_export_is_asked_for_anew(requests_mock: Mocker) -> None:
    Vendor(requests_mock, {"status_code": 404})
    state = copy.deepcopy(run(config("apsis", lookback_minutes=0, export_timeout_seconds=10)).states[-1])
    state["bookmarks"]["apsis_events"]["export"]["expires_at"] = (datetime.now(UTC) - timedelta(minutes=1)).isoformat()
    vendor = Vendor(requests_mock)
    assert run(state=state).exit_code == 0
    assert len(vendor.exports) == 1


def test_profiles_alone_are_not_halved_and_a_broken_export_is_not_taken_up_again(requests_mock: Mocker) -> None:
    vendor = Vendor(requests_mock, {"content": b'{"status":"error"}'})
    failed = run(only={"apsis_profiles"})
    assert failed.exit_code == 12
    assert len(vendor.exports) == 1
    assert open_job(failed.states[0], "apsis_profiles")
    assert open_job(failed.states[-1], "apsis_profiles") is None


@pytest.mark.parametrize("answer", [{"status_code": 503}, TOO_LARGE, {"content": b"{}"}])
def test_a_failure_that_a_second_poll_does_not_confirm_costs_no_export(
    requests_mock: Mocker, answer: dict[str, Any]
) -> None:
    vendor = Vendor(requests_mock, answer, {"content": FILE})
    done = run()
    assert (done.exit_code, vendor.polls) == (0, [1, 1])
    assert bookmark(done, "apsis_events") == WHOLE


def test_an_error_in_place_of_the_file_halves_the_window_after_a_second_poll(requests_mock: Mocker) -> None:
    vendor = Vendor(requests_mock, TOO_LARGE, TOO_LARGE, {"content": FILE})
    done = run()
    assert done.exit_code == 0
    assert vendor.windows == [
        ("2024-03-01T00:00:00Z", "2024-03-08T00:00:00Z"),
        ("2024-03-01T00:00:00Z", "2024-03-04T12:00:00Z"),
        ("2024-03-04T12:00:00Z", "2024-03-08T00:00:00Z"),
    ]
    assert bookmark(done, "apsis_events") == bookmark(done, "apsis_profiles") == WHOLE


@pytest.mark.parametrize(("status", "polls"), [(410, [1, 2]), (503, [1, 1, 2])])
def test_a_lost_export_is_replaced(requests_mock: Mocker, status: int, polls: list[int]) -> None:
    vendor = Vendor(requests_mock, *[{"status_code": status}] * polls.count(1), {"content": FILE})
    assert run().exit_code == 0
    assert vendor.polls == polls


def test_exports_that_always_vanish_are_given_up_after_two_or_three(requests_mock: Mocker) -> None:
    vendor = Vendor(requests_mock, {"status_code": 410})
    failed = run()
    assert failed.exit_code == 13
    assert len(vendor.exports) in {2, 3}
    assert open_job(failed.states[-1]) is None
    assert bookmark(failed, "apsis_events") is None


def test_exports_that_always_fail_are_asked_for_in_ever_shorter_windows_and_given_up(requests_mock: Mocker) -> None:
    vendor = Vendor(requests_mock, {"status_code": 503})
    failed = run()
    assert failed.exit_code == 13
    assert len(vendor.exports) == 12
    assert len(vendor.polls) == 24
    assert "12 exports that failed in a row was asked for from 2024-03-01T00:00:00Z to" in failed.log
    assert {start for start, _ in vendor.windows} == {"2024-03-01T00:00:00Z"}
    ends = [end for _, end in vendor.windows]
    assert ends == sorted(ends, reverse=True)
    assert ends[-1] == "2024-03-01T05:15:00Z"
    assert bookmark(failed, "apsis_events") is None


def test_a_window_that_is_too_large_is_halved_and_nothing_of_it_left_out(requests_mock: Mocker) -> None:
    vendor = Vendor(requests_mock, *[{"status_code": 503}] * 4, {"content": FILE})
    done = run()
    assert done.exit_code == 0
    asked = vendor.windows[2:]
    assert len(asked) == 2
    assert (asked[0][0], asked[-1][1]) == ("2024-03-01T00:00:00Z", "2024-03-08T00:00:00Z")
    assert asked[0][1] == asked[1][0]
    assert len(done.records("apsis_events")) == 2
    assert len(done.records("apsis_profiles")) == 2
    assert bookmark(done, "apsis_events") == bookmark(done, "apsis_profiles") == WHOLE


def test_an_export_that_was_read_resets_the_count_of_failed_ones(requests_mock: Mocker) -> None:
    failure: dict[str, Any] = {"status_code": 503}  # each export is polled twice
    vendor = Vendor(requests_mock, *[failure] * 20, {"content": FILE}, *[failure] * 4, {"content": FILE})
    done = run()
    assert done.exit_code == 0
    assert bookmark(done, "apsis_events") == WHOLE
    assert len(set(vendor.polls)) == len(vendor.exports) > 12


def test_the_same_export_for_two_windows_is_an_error(requests_mock: Mocker) -> None:
    vendor = Vendor(requests_mock)
    requests_mock.post(EXPORTS_URL, json={"file_download_url": f"{EXPORTS_URL}/1"})
    failed = run(config("apsis", window_days=3, lookback_minutes=0))
    assert failed.exit_code == 12
    assert "two different requests" in failed.log
    assert vendor.polls == [1]
    assert bookmark(failed, "apsis_events") == "2024-03-04T00:00:00.000Z"
    assert open_job(failed.states[-1]) is None


def test_a_failing_window_keeps_the_bookmark_of_the_one_before(requests_mock: Mocker) -> None:
    Vendor(requests_mock, {"content": FILE}, {"content": FILE[:-20]})
    failed = run(config("apsis", window_days=3, lookback_minutes=0))
    assert failed.exit_code == 12
    assert bookmark(failed, "apsis_events") == "2024-03-04T00:00:00.000Z"
    assert {record["window_end"] for record in failed.records("apsis_events")} == {"2024-03-04T00:00:00.000Z"}


@pytest.mark.parametrize(
    "file",
    [
        b'{"profiles":{"a":{"sections":["b"]}}}',
        b'{"profiles":{"a":{"sections":{"1":{"events":[1]}}}}}',
        FILE + b"}",
    ],
)
def test_a_file_that_is_not_as_documented_moves_no_bookmark(requests_mock: Mocker, file: bytes) -> None:
    Vendor(requests_mock, {"content": file})
    failed = run()
    assert failed.exit_code == 12
    assert bookmark(failed, "apsis_events") is None
    assert bookmark(failed, "apsis_profiles") is None


@pytest.mark.parametrize(
    "export",
    [
        *("x", 5, [], {}, {"handle": {}}, {"v": 2, "id": "x"}),
        {"handle": {}, "digest": "d", "asked_at": "x", "expires_at": "y"},
    ],
)
def test_what_is_no_export_where_one_should_be_is_warned_of_and_asked_for_anew(
    requests_mock: Mocker, caplog: pytest.LogCaptureFixture, export: object
) -> None:
    vendor = Vendor(requests_mock)
    done = run(state={"bookmarks": {"apsis_events": {"export": export}}})
    assert done.exit_code == 0
    assert len(vendor.exports) == 1
    assert "apsis_events in a form" in caplog.text


def test_a_bookmark_never_moves_back(requests_mock: Mocker) -> None:
    Vendor(requests_mock)
    state = {"bookmarks": {"apsis_profiles": {"replication_key_value": "2024-06-01T00:00:00.000Z"}}}
    done = run(state=state, only={"apsis_profiles"})
    assert bookmark(done, "apsis_profiles") == "2024-06-01T00:00:00.000Z"
