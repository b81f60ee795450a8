"""Users of all segments: asked for one by one, complete or an error, and no URL in any output."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from tests.helpers.archives import zipped
from tests.helpers.configurations import BRAZE_URL, config
from tests.helpers.in_process import sync

if TYPE_CHECKING:
    from requests_mock import Mocker

    from tests.helpers.running import Run

PUBLISHED_FIELDS = [
    "apps",
    "attributed_campaign",
    "attributed_source",
    "attributed_adgroup",
    "attributed_ad",
    "braze_id",
    "campaigns_received",
    "canvases_received",
    "cards_clicked",
    "country",
    "created_at",
    "created_from",
    "custom_attributes",
    "custom_events",
    "devices",
    "dob",
    "email",
    "email_subscribe",
    "external_id",
    "first_name",
    "gender",
    "home_city",
    "language",
    "last_coordinates",
    "last_name",
    "phone",
    "purchases",
    "push_subscribe",
    "push_tokens",
    "random_bucket",
    "time_zone",
    "total_revenue",
    "uninstalled_at",
    "user_aliases",
]

SAMPLE: dict[str, Any] = {
    "created_at": "2020-07-10 15:00:00.000 UTC",
    "external_id": "A8i3mkd99",
    "user_aliases": [{"alias_name": "user_123", "alias_label": "amplitude_id"}],
    "braze_id": "5fbd99bac125ca40511f2cb1",
    "random_bucket": 2365,
    "first_name": "Alex",
    "dob": "1980-12-21",
    "time_zone": "Eastern Time (US & Canada)",
    "last_coordinates": [41.84157636433568, -87.83520818508256],
    "gender": "F",
    "total_revenue": 65,
    "push_subscribe": "opted_in",
    "push_opted_in_at": "2020-01-26T22:45:53.953Z",
    "custom_attributes": {"loyaltyId": "37c98b9d", "loyaltyPoints": "321", "loyaltyPointsNumber": 107},
    "custom_events": [
        {"name": "x", "first": "2021-06-28T17:02:43.032Z", "last": "2021-06-28T17:02:43.032Z", "count": 1}
    ],
    "devices": [{"model": "Pixel XL", "carrier": None, "ad_tracking_enabled": True}],
    "apps": [{"name": "MovieCannon", "sessions": 1129}, {"name": "Other", "sessions": "1129"}],
    "home_city": None,
    "push_tokens": [],
}

pytestmark = pytest.mark.usefixtures("clock")


class Vendor:
    """Accepts every export, and serves each segment's archive.

    Attributes:
        requests: the bodies of all requests for an export.
    """

    def __init__(self, mock: Mocker, archives: dict[str, Any]) -> None:
        self.requests: list[dict[str, Any]] = []
        mock.post(f"{BRAZE_URL}/users/export/segment", json=self._accept, status_code=201)
        for segment, answer in archives.items():
            answers = answer if isinstance(answer, list) else [{"content": answer}]
            mock.get(f"https://storage.test/{segment}-canary.zip", answers)

    def _accept(self, request: Any, _context: Any) -> dict[str, str]:
        self.requests.append(request.json())
        segment = self.requests[-1]["segment_id"]
        return {"message": "success", "url": f"https://storage.test/{segment}-canary.zip", "object_prefix": "p-1"}


def archive(*users: dict[str, Any]) -> bytes:
    return zipped({"a.txt": b"\n".join(json.dumps(user).encode() for user in users)})


def run(
    requests_mock: Mocker, archives: dict[str, Any], *, state: dict[str, Any] | None = None, **changes: Any
) -> tuple[Run, Vendor]:
    vendor = Vendor(requests_mock, archives)
    return sync(config("braze", segment_ids=list(archives), **changes), state=state), vendor


def test_the_vendors_sample_becomes_this_record(requests_mock: Mocker) -> None:
    done, _ = run(requests_mock, {"s": archive(SAMPLE)})
    assert done.exit_code == 0
    (record,) = done.records("braze_users")
    expected = {**dict.fromkeys(record), **SAMPLE, "segment_id": "s", "created_at": "2020-07-10T15:00:00.000Z"}
    assert record == expected
    assert record["extra"] is None


def test_every_published_field_and_those_that_come_unasked_have_a_column(requests_mock: Mocker) -> None:
    done, _ = run(requests_mock, {"s": archive(SAMPLE)})
    (schema,) = [message for message in done.messages if message["type"] == "SCHEMA"]
    columns = set(schema["schema"]["properties"])
    unasked = {"push_opted_in_at", "push_unsubscribed_at", "email_opted_in_at", "email_unsubscribed_at"}
    assert columns == {*PUBLISHED_FIELDS, *unasked, "segment_id", "extra"}
    assert schema["key_properties"] == ["segment_id", "braze_id"]


def test_what_the_vendor_may_add_one_day_is_kept_in_extra(requests_mock: Mocker) -> None:
    user = {"braze_id": "a", "appboy_id": "a", "segment_id": "theirs", "created_at": "who knows", "random_bucket": "5"}
    (record,) = run(requests_mock, {"s": archive(user)})[0].records("braze_users")
    assert record["segment_id"] == "s"
    assert record["extra"] == {
        "appboy_id": "a",
        "segment_id": "theirs",
        "created_at": "who knows",
        "random_bucket": "5",
    }


def test_all_published_fields_are_asked_for_unless_some_are_named(requests_mock: Mocker) -> None:
    _, vendor = run(requests_mock, {"s": archive()})
    (body,) = vendor.requests
    assert set(body) == {"segment_id", "fields_to_export", "output_format"}
    assert sorted(body["fields_to_export"]) == sorted(PUBLISHED_FIELDS)
    assert body["output_format"] == "zip"


def test_braze_id_is_always_asked_for_and_only_once(requests_mock: Mocker) -> None:
    _, vendor = run(requests_mock, {"s": archive()}, fields_to_export=["email", "braze_id", "email", "brand_new"])
    assert sorted(vendor.requests[0]["fields_to_export"]) == ["brand_new", "braze_id", "email"]


def test_what_is_configured_is_passed_on(requests_mock: Mocker) -> None:
    _, vendor = run(
        requests_mock,
        {"s": archive()},
        custom_attributes_to_export=["a"],
        callback_endpoint="https://hooks.test/x",
        output_format="gzip",
    )
    (body,) = vendor.requests
    assert body["custom_attributes_to_export"] == ["a"]
    assert body["callback_endpoint"] == "https://hooks.test/x"
    assert body["output_format"] == "gzip"


def test_segments_are_exported_one_after_the_other_and_never_two_at_a_time(requests_mock: Mocker) -> None:
    done, vendor = run(requests_mock, {"one": archive({"braze_id": "a"}), "two": archive({"braze_id": "a"})})
    assert [(r["segment_id"], r["braze_id"]) for r in done.records("braze_users")] == [("one", "a"), ("two", "a")]
    assert [body["segment_id"] for body in vendor.requests] == ["one", "two"]
    order = [request.url.rpartition("/")[2] for request in requests_mock.request_history]
    assert order == ["segment", "one-canary.zip", "segment", "two-canary.zip"]


def test_a_segment_named_twice_is_exported_once(requests_mock: Mocker) -> None:
    vendor = Vendor(requests_mock, {"s": archive({"braze_id": "a"})})
    assert sync(config("braze", segment_ids=["s", "s"])).exit_code == 0
    assert len(vendor.requests) == 1


def test_an_empty_segment_is_a_success_without_records(requests_mock: Mocker) -> None:
    done, _ = run(requests_mock, {"s": archive()})
    assert done.exit_code == 0
    assert done.records("braze_users") == []
    assert "SCHEMA" in {message["type"] for message in done.messages}


def test_an_archive_that_is_ready_late_is_waited_for(requests_mock: Mocker) -> None:
    late = [{"status_code": 403}, {"status_code": 404}, {"content": archive({"braze_id": "a"})}]
    done, vendor = run(requests_mock, {"s": late})
    assert len(done.records("braze_users")) == 1
    assert len(vendor.requests) == 1


def test_an_archive_that_is_never_ready_ends_with_15(requests_mock: Mocker) -> None:
    done, _ = run(requests_mock, {"s": [{"status_code": 403}]}, export_timeout_seconds=100)
    assert done.exit_code == 15
    assert done.records("braze_users") == []


def test_a_url_that_expired_is_asked_for_anew(requests_mock: Mocker) -> None:
    expired = {"status_code": 403, "text": "<Error><Code>ExpiredToken</Code></Error>"}
    done, vendor = run(requests_mock, {"s": [expired, {"content": archive({"braze_id": "a"})}]})
    assert len(done.records("braze_users")) == 1
    assert len(vendor.requests) == 2


# State


def test_no_output_ever_holds_the_download_url(requests_mock: Mocker) -> None:
    done, _ = run(requests_mock, {"s": archive({"braze_id": "a"})})
    assert done.states
    assert "canary" not in json.dumps(done.messages)


def test_a_running_export_is_in_state_and_a_whole_run_leaves_none(requests_mock: Mocker) -> None:
    done, _ = run(requests_mock, {"s": archive({"braze_id": "a"})})
    entries = [state["bookmarks"]["braze_users"].get("export") for state in done.states]
    assert entries[0]["handle"]["segment_id"] == "s"
    assert entries[-1] is None


def test_an_export_that_a_crash_left_behind_is_asked_for_anew(requests_mock: Mocker) -> None:
    first, _ = run(requests_mock, {"s": archive({"braze_id": "a"})})
    again, vendor = run(requests_mock, {"s": archive({"braze_id": "a"})}, state=first.states[0])
    assert again.exit_code == 0
    assert len(again.records("braze_users")) == 1
    assert len(vendor.requests) == 1


def test_a_snapshot_has_no_replication_key(requests_mock: Mocker) -> None:
    done, _ = run(requests_mock, {"s": archive({"braze_id": "a"})})
    assert "replication_key_value" not in done.states[-1]["bookmarks"]["braze_users"]


# Failures


@pytest.mark.parametrize(
    "bad",
    [archive({"braze_id": "a"})[:-30], b"<html>", zipped({"a": b'{"braze_id":"a"}\n{'}), zipped({"a": b'{"x":1}'})],
    ids=["cut short", "markup", "half a line", "no identifier"],
)
def test_an_archive_that_is_not_as_documented_ends_with_12(requests_mock: Mocker, bad: bytes) -> None:
    done, _ = run(requests_mock, {"s": bad})
    assert done.exit_code == 12


def test_a_failing_segment_keeps_what_was_read_of_the_others(requests_mock: Mocker) -> None:
    done, _ = run(requests_mock, {"one": archive({"braze_id": "a"}), "two": b"<html>"})
    assert done.exit_code == 12
    assert [record["segment_id"] for record in done.records("braze_users")] == ["one"]


def test_rows_are_dropped_by_a_target_only_after_a_whole_run(requests_mock: Mocker) -> None:
    vendor_settings = {"emit_activate_version_messages": True}
    Vendor(requests_mock, {"one": archive({"braze_id": "a"}), "two": archive({"braze_id": "b"})})
    whole = sync({**config("braze", segment_ids=["one", "two"]), **vendor_settings})
    kinds = [message["type"] for message in whole.messages if message["type"] in {"RECORD", "ACTIVATE_VERSION"}]
    assert kinds == ["RECORD", "RECORD", "ACTIVATE_VERSION"]
    Vendor(requests_mock, {"one": archive({"braze_id": "a"}), "two": b"<html>"})
    broken = sync({**config("braze", segment_ids=["one", "two"]), **vendor_settings})
    kinds = [message["type"] for message in broken.messages if message["type"] in {"RECORD", "ACTIVATE_VERSION"}]
    assert kinds == ["RECORD"]
