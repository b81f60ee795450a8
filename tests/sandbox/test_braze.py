from __future__ import annotations

import gzip
import re
import socket
import threading
import time
from typing import TYPE_CHECKING, Any

import msgspec
import pytest

from tap_cdp_export.sandbox.braze import export_users
from tap_cdp_export.sandbox.clock import milliseconds
from tests.sandbox.clients import END, NOW, START, Client, lines, unzip

if TYPE_CHECKING:
    from pathlib import Path

    import requests

    from tap_cdp_export.sandbox.server import Sandbox

ALL = sorted(export_users.FIELDS)


def message(answer: requests.Response) -> str:
    text: str = answer.json()["message"]
    return text


def code(answer: requests.Response) -> str:
    """Return the code of an S3 error response."""
    assert answer.headers["content-type"] == "application/xml"
    match = re.search("<Code>(.*)</Code>", answer.text)
    assert match
    return match[1]


def test_the_response_to_an_accepted_export_is_as_recorded(sandbox: Sandbox, client: Client) -> None:
    answer = client.request_segment_export()
    assert answer.status_code == 201
    body = answer.json()
    assert body["message"] == "success"
    prefix, _, seconds = body["object_prefix"].rpartition("-")
    assert re.fullmatch(r"[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}", prefix)
    assert abs(int(seconds) - time.time()) < 5
    assert re.fullmatch(re.escape(sandbox.storage_url) + r"/[\w-]{43}\.zip", body["url"])
    assert sandbox.storage_url != sandbox.api_url
    assert {"X-Ratelimit-Limit", "X-Ratelimit-Remaining", "X-Ratelimit-Reset"} <= set(answer.headers)
    assert int(answer.headers["X-Ratelimit-Reset"]) % 3600 == 0


def test_the_url_gives_403_then_a_zip_then_expired_token(sandbox: Sandbox, client: Client) -> None:
    url = client.request_segment_export().json()["url"]
    answers = [client.get(url) for _ in range(4)]
    assert [answer.status_code for answer in answers] == [403, 403, 200, 200]
    assert code(answers[0]) == "AccessDenied"
    assert answers[2].headers["content-type"] == "application/zip"
    assert answers[2].content == answers[3].content
    assert client.session.head(url, timeout=5).status_code == 200
    sandbox.options.population.now = "2026-06-15T16:00:00Z"
    assert code(client.get(url)) == "ExpiredToken"


@pytest.mark.parametrize(
    ("form", "status", "text"),
    [
        ("s3_token", 400, "<Code>ExpiredToken</Code>"),
        ("s3_url", 403, "Request has expired"),
        ("gcs", 400, "Request signature expired at"),
        ("gcs_v2", 400, "Request has expired: 1"),
        ("azure", 403, "Signature not valid in the specified time frame"),
        ("denied", 403, "Access Denied"),
    ],
)
def test_an_expired_url_is_refused_as_each_cloud_does(
    sandbox: Sandbox, client: Client, form: str, status: int, text: str
) -> None:
    sandbox.options.update({"braze": {"expired_exports": 1, "expired_form": form, "polls_before_ready": 0}})
    answer = client.get(client.request_segment_export().json()["url"])
    assert (answer.status_code, text in answer.text) == (status, True)
    assert client.archive()


def test_redirects_lead_to_the_archive_in_the_end_or_elsewhere_or_never(sandbox: Sandbox, client: Client) -> None:
    sandbox.options.update({"braze": {"redirects": 2, "redirect_status": 302, "redirect_form": "relative"}})
    url = client.request_segment_export().json()["url"]
    first = client.session.get(url, allow_redirects=False, timeout=5)
    assert (first.status_code, first.headers["Location"][:8]) == (302, "/hops/1/")
    assert client.archive().startswith(b"PK")
    sandbox.options.update({"braze": {"redirect_form": "absolute", "redirect_target": "http://10.0.0.1/x"}})
    second = client.session.get(f"{sandbox.storage_url}/hops/1/{url[-47:]}", allow_redirects=False, timeout=5)
    assert second.headers["Location"] == "http://10.0.0.1/x"
    sandbox.options.update({"braze": {"redirect_form": "loop"}})
    assert client.session.get(url, allow_redirects=False, timeout=5).headers["Location"] == url


def test_an_export_that_is_not_ready_can_be_404_and_become_ready_after_some_time(
    sandbox: Sandbox, client: Client
) -> None:
    sandbox.options.update({"braze": {"not_ready_status": 404, "ready_after_seconds": 0.03}})
    url = client.request_segment_export().json()["url"]
    first = client.get(url)
    assert first.status_code == 404
    assert code(first) == "NoSuchKey"
    while client.get(url).status_code != 200:
        pass


def test_the_storage_host_refuses_an_authorization_header(client: Client) -> None:
    url = client.request_segment_export().json()["url"]
    answer = client.get(url, headers={"authorization": "Bearer key"})
    assert answer.status_code == 400
    assert code(client.get(url.replace(".zip", "x.zip"))) == "AccessDenied"


def test_an_archive_contains_the_users_that_the_population_counts(sandbox: Sandbox, client: Client) -> None:
    total = 0
    for segment in client.settings["braze"]["segment_ids"]:
        users = client.users(segment_id=segment, fields_to_export=ALL)
        assert users == list(sandbox.population.braze_users(segment, milliseconds(NOW)))
        total += len({user["braze_id"] for user in users})
    assert total == sandbox.population.counts(start=START, end=END)["braze_users"]


def test_an_archive_has_many_members_with_random_names_one_of_them_empty(sandbox: Sandbox, client: Client) -> None:
    sandbox.options.braze.lines_per_file = 50
    files = unzip(client.archive())
    assert all(re.fullmatch(r"[a-z0-9]{24}\.txt", name) for name in files)
    sizes = [len(lines(text)) for text in files.values()]
    assert len(files) > 3
    assert max(sizes) == 50
    assert sizes.count(0) == 1
    sandbox.options.braze.file_suffix = ".json"
    assert all(name.endswith(".json") for name in unzip(client.archive()))


def test_gzip_archives_contain_plain_lines(sandbox: Sandbox, client: Client) -> None:
    packed = client.archive(output_format="gzip")
    assert lines(gzip.decompress(packed)) == [line for text in unzip(client.archive()).values() for line in lines(text)]
    sandbox.options.braze.archive = "zip"
    assert unzip(client.archive(output_format="gzip"))


def test_only_requested_fields_and_their_accompanying_fields_are_returned(client: Client) -> None:
    assert set().union(*client.users(fields_to_export=["email"])) == {"email"}
    assert set().union(*client.users(fields_to_export=["email_subscribe", "push_subscribe"])) == {
        "email_subscribe",
        "email_opted_in_at",
        "email_unsubscribed_at",
        "push_subscribe",
        "push_opted_in_at",
    }


def test_custom_attributes_can_be_limited_unless_all_are_requested(client: Client) -> None:
    limited_users = client.users(custom_attributes_to_export=["42"])
    assert all(user["custom_attributes"].keys() == {"42"} for user in limited_users)
    full_users = client.users(fields_to_export=["custom_attributes"], custom_attributes_to_export=["42"])
    assert all(len(user["custom_attributes"]) > 3 for user in full_users)


def test_users_have_the_irregularities_of_the_vendor(sandbox: Sandbox, client: Client) -> None:
    sandbox.options.population.users = 2_000
    users = client.users(fields_to_export=ALL)
    spellings = {user["created_at"][-3:] == "UTC" for user in users}
    assert spellings == {True, False}
    assert {type(app["sessions"]) for user in users for app in user.get("apps", [])} == {int, str}
    points = {type(user["custom_attributes"]["loyalty points"]) for user in users}
    assert points == {int, str}
    assert {type(user["total_revenue"]) for user in users} == {int, float}
    notes = {user["custom_attributes"].get("note", "") for user in users}
    assert any("\u2028" in note and "\u0085" in note for note in notes)
    assert any(user.get("user_aliases", 0) == [] for user in users)
    assert any(user.get("home_city", 0) is None for user in users)
    assert any("home_city" not in user for user in users)
    assert any("external_id" not in user for user in users)
    assert any(purchase["name"] is None for user in users for purchase in user.get("purchases", []))
    assert any(canvas["steps_received"] == [] for user in users for canvas in user.get("canvases_received", []))
    assert all(device["carrier"] is None for user in users for device in user.get("devices", []))
    assert set().union(*users) >= export_users.FIELDS
    history = [event["last"] for user in users for event in user.get("custom_events", [])]
    assert min(history) > "2026-03-17"  # ninety days ago
    assert min(event["first"] for user in users for event in user.get("custom_events", [])) < "2026-03-17"


@pytest.mark.parametrize(
    ("option", "sign"),
    [
        ({"blank_lines": True}, b"\n\n"),
        ({"extra_field": True}, b'"subscription_score"'),
        ({"broken_lines": 1}, b'{"braze_id":"'),
    ],
)
def test_irregular_lines_can_be_enabled(sandbox: Sandbox, client: Client, option: dict[str, Any], sign: bytes) -> None:
    sandbox.options.update({"braze": option})
    assert any(sign in text for text in unzip(client.archive()).values())


def test_a_broken_line_is_not_json(sandbox: Sandbox, client: Client) -> None:
    sandbox.options.braze.broken_lines = 1
    with pytest.raises(msgspec.DecodeError):
        client.users()


def test_a_user_can_be_repeated(sandbox: Sandbox, client: Client) -> None:
    sandbox.options.braze.repeat_every = 10
    identifiers = [user["braze_id"] for user in client.users()]
    assert len(identifiers) > len(set(identifiers))


@pytest.mark.parametrize(("form", "members"), [("empty_zip", 0), ("empty_member", 1)])
def test_an_empty_segment_can_be_an_empty_zip_or_an_empty_member(
    sandbox: Sandbox, client: Client, form: str, members: int
) -> None:
    sandbox.options.update({"braze": {"empty_segment": form}})
    assert list(unzip(client.archive(segment_id=export_users.NOBODY.identifier)).values()) == [b""] * members


def test_an_empty_segment_may_never_become_ready(sandbox: Sandbox, client: Client) -> None:
    sandbox.options.update({"braze": {"empty_segment": "never_ready", "polls_before_ready": 0}})
    url = client.request_segment_export(segment_id=export_users.NOBODY.identifier).json()["url"]
    assert [client.get(url).status_code for _ in range(3)] == [403] * 3
    assert client.get(client.request_segment_export().json()["url"]).status_code == 200


def test_a_segment_has_one_export_at_a_time(sandbox: Sandbox, client: Client) -> None:
    url = client.request_segment_export().json()["url"]
    busy = client.request_segment_export()
    assert busy.status_code == 429
    assert "already in progress" in message(busy)
    assert int(busy.headers["X-Ratelimit-Remaining"]) > 0
    assert client.request_segment_export(segment_id=export_users.BUYERS.identifier).status_code == 201
    while client.get(url).status_code != 200:
        pass
    assert client.request_segment_export().status_code == 201
    assert sandbox.request_log.most_open == {client.segment: 1, export_users.BUYERS.identifier: 1}


def test_refused_requests_count_as_polls_of_the_running_export(client: Client) -> None:
    client.request_segment_export()
    assert [client.request_segment_export().status_code for _ in range(3)] == [429, 429, 201]


def test_an_export_may_never_end_until_it_is_cancelled(sandbox: Sandbox, client: Client) -> None:
    sandbox.options.braze.outcome = "never"
    url = client.request_segment_export().json()["url"]
    assert {client.get(url).status_code for _ in range(5)} == {403}
    assert client.request_segment_export().status_code == 429
    assert client.braze("/export/segment/cancel", {"segment_id": client.segment}).status_code == 200
    sandbox.options.braze.outcome = "ready"
    assert client.get(url).status_code == 403
    assert client.request_segment_export().status_code == 201


def test_a_failed_export_is_never_ready_but_frees_its_segment(sandbox: Sandbox, client: Client) -> None:
    sandbox.options.braze.outcome = "fails"
    url = client.request_segment_export().json()["url"]
    assert {client.get(url).status_code for _ in range(5)} == {403}
    assert client.request_segment_export().status_code == 201


def test_exports_per_company_and_requests_per_hour_are_limited(sandbox: Sandbox, client: Client) -> None:
    sandbox.options.braze.other_exports = 99
    assert client.request_segment_export().status_code == 201
    assert client.request_segment_export(segment_id=export_users.BUYERS.identifier).status_code == 429
    sandbox.options.braze.requests_per_hour = 2
    limited = client.request_segment_export(segment_id=export_users.BUYERS.identifier)
    assert limited.status_code == 429
    assert limited.headers["X-Ratelimit-Remaining"] == "0"


def test_a_wrong_key_is_quoted_and_rate_limit_headers_are_empty(client: Client) -> None:
    client.settings["braze"]["api_key"] = "wrong-key"
    answer = client.request_segment_export()
    assert answer.status_code == 401
    assert message(answer) == "Invalid API key: wrong-key"
    assert answer.headers["X-Ratelimit-Remaining"] == ""
    assert client.post("/users/export/segment", json={}).status_code == 401


@pytest.mark.parametrize(
    ("option", "text"), [({"permissions": []}, "Access Denied"), ({"plan_includes_export": False}, "Forbidden")]
)
def test_missing_permission_and_missing_plan_are_403(
    sandbox: Sandbox, client: Client, option: dict[str, Any], text: str
) -> None:
    sandbox.options.update({"braze": option})
    answer = client.request_segment_export()
    assert (answer.status_code, message(answer)) == (403, text)


@pytest.mark.parametrize(
    "changes",
    [
        {"segment_id": None},
        {"segment_id": 7},
        {"segment_id": "00000000-0000-4000-8000-000000000000"},
        {"fields_to_export": None},
        {"fields_to_export": []},
        {"fields_to_export": "email"},
        {"fields_to_export": [1]},
        {"custom_attributes_to_export": [str(number) for number in range(501)]},
        {"output_format": "csv"},
        {"callback_endpoint": "nowhere"},
        {"api_key": "legacy"},
        {"app_group_id": "legacy"},
    ],
)
def test_malformed_requests_are_400(client: Client, changes: dict[str, Any]) -> None:
    answer = client.request_segment_export(**changes)
    assert answer.status_code == 400
    assert message(answer)


def test_a_misspelt_field_is_ignored_or_refused(sandbox: Sandbox, client: Client) -> None:
    fields = ["braze_id", "emial"]
    assert all(user.keys() == {"braze_id"} for user in client.users(fields_to_export=fields))
    sandbox.options.braze.unknown_field_names = "refuse"
    assert client.request_segment_export(fields_to_export=fields).status_code == 400


def test_content_type_and_path_are_checked(client: Client) -> None:
    headers = {"content-type": "text/plain"}
    assert client.braze("/users/export/segment", None, data=b"{}", headers=headers).status_code == 415
    assert message(client.braze("/users/export/segmnt", {})) == "Not Found"
    assert client.braze("/users/export/segment/", {}).status_code == 403
    body = {"data": b"[]", "headers": {"content-type": "application/json; charset=utf-8"}}
    assert client.braze("/users/export/segment", None, **body).status_code == 400


def test_segments_are_listed_in_pages_of_a_hundred(client: Client) -> None:
    headers = {"authorization": f"Bearer {client.settings['braze']['api_key']}"}

    def page(query: str) -> list[str]:
        return [segment["id"] for segment in client.get(f"/segments/list{query}", headers=headers).json()["segments"]]

    assert len(page("")) == 100
    assert 0 < len(page("?page=1")) < 100
    assert page("?page=2") == []
    assert page("?sort_direction=desc")[0] == page("?page=1")[-1]
    assert client.get("/segments/list?page=x", headers=headers).status_code == 400
    details = client.get(f"/segments/details?segment_id={client.segment}", headers=headers)
    assert details.json()["message"] == "success"


def test_a_bucket_segment_contains_the_users_of_its_random_buckets(client: Client) -> None:
    bucket_segment = next(segment for segment in export_users.SEGMENTS.values() if segment.name == "Bucket 003")
    users = client.users(segment_id=bucket_segment.identifier, fields_to_export=["random_bucket"])
    assert all(user["random_bucket"] in bucket_segment.buckets for user in users)


def test_the_callback_is_called_once_when_the_export_is_ready(client: Client) -> None:
    requests_received: list[bytes] = []
    with socket.create_server(("127.0.0.1", 0)) as hook:

        def listen() -> None:
            connection, _ = hook.accept()
            with connection:
                requests_received.append(connection.recv(65_536))
                connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")

        listener = threading.Thread(target=listen)
        listener.start()
        address = f"http://127.0.0.1:{hook.getsockname()[1]}/done?run=1"
        url = client.request_segment_export(callback_endpoint=address).json()["url"]
        while client.get(url).status_code != 200:
            assert not requests_received
        listener.join(5)
    head, _, body = requests_received[0].partition(b"\r\n\r\n")
    assert head.startswith(b"POST /done?run=1 HTTP/1.1")
    assert msgspec.json.decode(body) == {"success": True, "url": url}


@pytest.mark.parametrize(("output_format", "suffix"), [("zip", ".zip"), ("gzip", ".gz")])
def test_with_a_bucket_archives_are_written_there_and_the_response_has_no_url(
    sandbox: Sandbox, client: Client, tmp_path: Path, output_format: str, suffix: str
) -> None:
    sandbox.options.update(
        {
            "braze": {
                "bucket_folder": str(tmp_path),
                "lines_per_file": 50,
                "bucket_part_seconds": 0,
                "bucket_day_shift": 2,
            }
        }
    )
    answer = client.request_segment_export(output_format=output_format).json()
    assert answer["url"] is None
    while client.request_segment_export().status_code == 429:
        pass
    paths = list(tmp_path.glob(f"segment-export/{client.segment}/????-??-??/{answer['object_prefix']}/*{suffix}"))
    assert len(paths) > 3
    contents = [
        gzip.decompress(path.read_bytes()) if suffix == ".gz" else b"".join(unzip(path.read_bytes()).values())
        for path in paths
    ]
    braze_ids = {msgspec.json.decode(line)["braze_id"] for text in contents for line in lines(text)}
    assert braze_ids == {user["braze_id"] for user in sandbox.population.braze_users(client.segment, milliseconds(NOW))}


def test_the_last_archive_can_be_written_late(sandbox: Sandbox, client: Client, tmp_path: Path) -> None:
    sandbox.options.update(
        {
            "braze": {
                "bucket_folder": str(tmp_path),
                "lines_per_file": 50,
                "bucket_part_seconds": 0,
                "bucket_late_seconds": 1,
            }
        }
    )
    prefix = client.request_segment_export().json()["object_prefix"]
    counts = set()
    while client.request_segment_export().status_code == 429:
        counts.add(len(list(tmp_path.glob(f"segment-export/*/*/{prefix}/*"))))
    total = len(list(tmp_path.glob(f"segment-export/*/*/{prefix}/*")))
    assert max(counts - {total}) == total - 1 > 1


@pytest.mark.parametrize(("form", "body"), [("null", {"url": None}), ("missing", {})])
def test_the_url_may_be_null_or_missing(sandbox: Sandbox, client: Client, form: str, body: dict[str, Any]) -> None:
    sandbox.options.update({"braze": {"url": form}})
    answer = client.request_segment_export().json()
    del answer["object_prefix"]
    assert answer == {**body, "message": "success"}
