from __future__ import annotations

import base64
import gzip
import re
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import msgspec
import pytest

from tap_cdp_export.sandbox.apsis import export_profiles
from tap_cdp_export.sandbox.clock import milliseconds
from tests.sandbox.clients import END, NOW, START, Client

if TYPE_CHECKING:
    from collections.abc import Iterator

    import requests

    from tap_cdp_export.sandbox.server import Sandbox

SHOP = "usercreated.sections.shop-r6tz73a27t"


def problem(answer: requests.Response) -> int:
    """Return the status of an error response, and check its body."""
    body = answer.json()
    assert body.keys() == {"title", "status", "detail"}
    assert body["status"] == answer.status_code
    return answer.status_code


def events_of(profiles: dict[str, Any]) -> Iterator[dict[str, Any]]:
    for profile in profiles.values():
        for section in profile["sections"].values():
            yield from section.get("events") or ()


def item(version: str) -> dict[str, str]:
    return {"section_discriminator": SHOP, "version_id": version}


def test_a_token_is_a_jwt_with_an_expiry_claim(sandbox: Sandbox, client: Client) -> None:
    sandbox.options.apsis.token_seconds = 100
    sandbox.options.apsis.expires_in = 86_400
    answer = client.request_token().json()
    header, claims, _ = answer["access_token"].split(".")
    assert msgspec.json.decode(base64.urlsafe_b64decode(header + "==")) == {"alg": "HS256", "typ": "JWT"}
    expiry = msgspec.json.decode(base64.urlsafe_b64decode(claims + "=="))["exp"]
    assert 0 < expiry - datetime.now(UTC).timestamp() <= 100
    assert answer["expires_in"] == 86_400  # deprecated, and wrong here


def test_wrong_credentials_get_no_token(client: Client) -> None:
    assert problem(client.request_token(client_secret="wrong")) == 401
    assert problem(client.request_token(grant_type="password")) == 400
    assert problem(client.post("/oauth/token", data={"grant_type": "client_credentials"})) == 400


def test_ten_tokens_per_minute_are_allowed(sandbox: Sandbox, client: Client) -> None:
    statuses = [client.request_token().status_code for _ in range(11)]
    assert statuses == [200] * 10 + [429]
    sandbox.options.apsis.retry_after = 7
    assert client.request_token().headers["retry-after"] == "7"


@pytest.mark.parametrize("token", ["", "Bearer x", "Bearer a.b.c", "Basic abc"])
def test_everything_but_the_token_needs_a_token(client: Client, token: str) -> None:
    headers = {"authorization": token}
    assert problem(client.post("/audience/profiles/exports", json={}, headers=headers)) == 401
    assert problem(client.get("/audience/profiles/exports/1", headers=headers)) == 401
    assert problem(client.get("/audience/sections", headers=headers)) == 401


@pytest.mark.parametrize(
    ("changes", "status"),
    [
        ({"start_at": None, "end_at": None}, 400),
        ({"start_at": None, "end_at": None, "events": None}, 201),
        ({"start_at": "2026-05-20", "end_at": None}, 400),
        ({"start_at": "2026-05-20T00:00:00+02:00"}, 400),
        ({"start_at": "2026-13-20T00:00:00Z"}, 400),
        ({"end_at": START}, 400),
        ({"start_at": "2026-02-15T12:00:00Z", "end_at": "2026-05-15T12:00:00Z"}, 201),
        ({"start_at": "2026-02-15T12:00:00Z", "end_at": "2026-05-15T12:00:01Z"}, 400),
        ({"start_at": "2025-11-30T00:00:00Z", "end_at": "2026-02-28T00:00:00Z"}, 201),
        ({"start_at": "2025-11-30T00:00:00Z", "end_at": "2026-03-01T00:00:00Z"}, 400),
        ({"attributes": [item("9820534")] * 75}, 201),
        ({"attributes": [item("9820534")] * 76}, 400),
        ({"tags": [item("312460234")] * 26}, 400),
        ({"attributes": [item("0")]}, 400),
        ({"attributes": [{"section_discriminator": "elsewhere", "version_id": "9820534"}]}, 400),
        ({"attributes": ["9820534"]}, 400),
        ({"events": {"version_id": "550002"}}, 400),
        ({"segment_filter": {"segment_discriminator": "nobody"}}, 400),
        ({"more": "x" * 100_000}, 413),
    ],
)
def test_export_requests_are_validated(client: Client, changes: dict[str, Any], status: int) -> None:
    answer = client.request_export(**changes)
    assert answer.status_code == status
    assert status == 201 or problem(answer) == status


SHAPES: dict[str, dict[str, Any]] = {
    "version_id": {"section_discriminator": SHOP, "version_id": "9820534"},
    "discriminator": {"section_discriminator": SHOP, "discriminator": "com.apsis1.attributes.email"},
    "field_name": {"field_name": "Email", "attribute_discriminator": "com.apsis1.attributes.email"},
}


@pytest.mark.parametrize("asked", ["any", *SHAPES])
@pytest.mark.parametrize("shape", SHAPES)
def test_items_have_any_shape_that_the_evidence_allows_or_the_one_that_is_insisted_on(
    sandbox: Sandbox, client: Client, shape: str, asked: str
) -> None:
    sandbox.options.update({"apsis": {"item_shape": asked}})
    section = {"section_discriminator": SHOP} if shape == "field_name" else {}
    body = {"attributes": [SHAPES[shape]], "tags": None, "events": None, **section}
    answer = client.request_export(**body)
    if asked not in ("any", shape):
        assert problem(answer) == 400
        assert "attributes[0]: " in answer.json()["detail"]
        return
    assert answer.status_code == 201
    found = {
        one
        for profile in client.export_file(**body).values()
        for s in profile["sections"].values()
        for one in s["attributes"]
    }
    assert found == {"9820534"}


def test_an_export_becomes_ready_after_some_polls_and_can_be_downloaded_repeatedly(client: Client) -> None:
    url = client.export_url()
    answers = [client.poll(url) for _ in range(4)]
    assert [answer.status_code for answer in answers] == [404, 404, 200, 200]
    assert answers[2].content == answers[3].content


def test_the_file_contains_the_rows_that_the_population_counts(sandbox: Sandbox, client: Client) -> None:
    profiles = client.export_file()
    assert profiles == dict(
        sandbox.population.apsis_profiles(
            milliseconds(NOW), export_profiles.everything(milliseconds(START), milliseconds(END))
        )
    )
    counts = sandbox.population.counts(start=START, end=END)
    assert counts["apsis_profiles"] == sum(len(profile["sections"]) or 1 for profile in profiles.values())
    distinct = {
        (key, number, msgspec.json.encode(event))
        for key, profile in profiles.items()
        for number, section in profile["sections"].items()
        for event in section.get("events") or ()
    }
    assert counts["apsis_events"] == len(distinct)
    assert all(milliseconds(START) <= event["createdAt"] < milliseconds(END) for event in events_of(profiles))


def test_the_data_has_the_irregularities_of_the_vendor(sandbox: Sandbox, client: Client) -> None:
    sandbox.options.update({"population": {"users": 2_000}})
    profiles = client.export_file(start_at="2026-03-20T00:00:00Z")
    sections = [section for profile in profiles.values() for section in profile["sections"].values()]
    events = list(events_of(profiles))
    assert {len(profile["sections"]) for profile in profiles.values()} == {0, 1, 2, 3}
    assert all("events" not in profile["sections"].get("2044", {}) for profile in profiles.values())
    assert any(section.get("events", 0) is None for section in sections)
    assert any(section.get("events", 0) == [] for section in sections)
    assert any("312460234" in section["attributes"] for section in sections)
    assert any(section["attributes"].get("9820543", {}).get("value", "") is None for section in sections)
    assert any(section["attributes"].get("9820540", {}).get("value", 0) > 2**32 for section in sections)
    assert any(isinstance(section["attributes"].get("9820542", {}).get("value"), dict) for section in sections)
    assert any("correlationId" not in event for event in events)
    assert any(event["sourceEventTime"] == 0 for event in events)
    assert any(event["data"].get("lines") for event in events)
    assert any(not str(event["data"]).isascii() for event in events)
    assert {event["typeId"] for event in events} >= {"550002", "550010", "550012", "560001"}
    encoded_events = [msgspec.json.encode(event) for event in events]
    assert len(encoded_events) > len(set(encoded_events)), "no exact copies"
    retries: dict[str, set[int]] = {}
    for event in events:
        if "correlationId" in event and event["typeId"] in ("550002", "550003", "550004"):
            retries.setdefault(event["correlationId"], set()).add(event["createdAt"])
    assert any(len(times) > 1 for times in retries.values()), "no retries"


def test_old_events_carry_the_deprecated_version(client: Client) -> None:
    profiles = client.export_file(start_at="2025-03-01T00:00:00Z", end_at="2025-05-01T00:00:00Z")
    kinds = {event["typeId"] for event in events_of(profiles)}
    assert "540002" in kinds
    assert "550002" not in kinds


def test_only_requested_items_are_exported(client: Client) -> None:
    profiles = client.export_file(attributes=[item("9820535")], tags=None, events=[item("550010")])
    sections = [section for profile in profiles.values() for section in profile["sections"].values()]
    assert {key for section in sections for key in section["attributes"]} == {"9820535"}
    assert {event["typeId"] for event in events_of(profiles)} == {"550010"}


def test_an_export_without_attributes_and_tags_has_no_profiles(client: Client) -> None:
    assert client.export_file(attributes=None, tags=[]) == {}


def test_the_window_is_a_week_by_default(client: Client) -> None:
    times = [event["createdAt"] for event in events_of(client.export_file(end_at=None))]
    week = milliseconds("2026-05-27T00:00:00Z")
    assert times
    assert max(times) < week


def test_a_segment_filter_limits_the_profiles(client: Client) -> None:
    women = client.export_file(segment_filter={"segment_discriminator": "usercreated.segments.women-rjz6b8td2n"})
    club = client.export_file(segment_filter={"segment_discriminator": "usercreated.segments.club-h2k4m6p8q0"})
    assert women.keys() != club.keys()
    assert all("1188" in profile["sections"] for profile in club.values())


def test_the_file_is_gzip_only_if_the_client_accepts_it(client: Client) -> None:
    client.sandbox.options.apsis.polls_before_ready = 0
    url = client.export_url()
    plain = client.poll(url)
    assert "content-encoding" not in plain.headers
    assert "content-encoding" not in client.poll(url, "gzip;q=0, identity").headers
    packed = client.poll(url, "deflate, gzip", stream=True)
    assert packed.headers["content-encoding"] == "gzip"
    assert gzip.decompress(packed.raw.read(decode_content=False)) == plain.content


@pytest.mark.parametrize(
    "option", [{"pretty": True}, {"reversed_keys": True}, {"metadata": "before"}, {"metadata": "after"}]
)
def test_the_same_profiles_can_be_written_differently(sandbox: Sandbox, client: Client, option: dict[str, Any]) -> None:
    sandbox.options.apsis.polls_before_ready = 0
    url = client.export_url()
    plain = client.poll(url)
    sandbox.options.update({"apsis": option})
    variant = client.poll(url)
    assert variant.json()["profiles"] == plain.json()["profiles"]
    assert variant.text != plain.text
    assert ("metadata" in variant.json()) == ("metadata" in option)


def test_topics_can_appear_without_being_requested(sandbox: Sandbox, client: Client) -> None:
    sandbox.options.apsis.topics = True
    assert any(
        "topics" in section for profile in client.export_file().values() for section in profile["sections"].values()
    )


@pytest.mark.parametrize(
    ("option", "field"), [({}, "file_download_url"), ({"url_field": "poll_url", "request_status": 202}, "poll_url")]
)
def test_status_and_field_of_the_export_response_are_options(
    sandbox: Sandbox, client: Client, option: dict[str, Any], field: str
) -> None:
    sandbox.options.update({"apsis": option})
    answer = client.request_export()
    assert answer.status_code == sandbox.options.apsis.request_status
    assert answer.json()[field].startswith(sandbox.api_url + "/")


def test_the_poll_url_may_be_relative_of_another_origin_or_in_a_header(sandbox: Sandbox, client: Client) -> None:
    sandbox.options.update({"apsis": {"relative_url": True}})
    assert client.request_export().json()["file_download_url"].startswith("/audience/")
    sandbox.options.update({"apsis": {"relative_url": False, "poll_url_origin": "http://api.apsis.one"}})
    assert client.request_export().json()["file_download_url"].startswith("http://api.apsis.one/audience/")
    sandbox.options.update({"apsis": {"relative_url": True, "url_field": ""}})
    answer = client.request_export()
    assert answer.headers["location"].startswith("/audience/")
    assert answer.content == b""


def test_a_second_generation_url_answers_202_while_in_progress(sandbox: Sandbox, client: Client) -> None:
    sandbox.options.apsis.poll_mode = "v2"
    url = client.export_url()
    assert [client.poll(url).status_code for _ in range(3)] == [202, 202, 200]
    assert problem(client.poll(url.replace("exports/", "exports/0"))) == 404


def test_an_expired_or_unknown_export_or_a_missing_query_string_is_410(sandbox: Sandbox, client: Client) -> None:
    url = client.export_url()
    assert problem(client.poll(url.replace("exports/", "exports/0"))) == 410
    assert problem(client.poll(url.partition("?")[0])) == 410
    sandbox.options.population.now = "2026-06-16T12:00:00Z"
    assert problem(client.poll(url)) == 410


def test_exports_can_fail_or_return_an_error_with_status_200(sandbox: Sandbox, client: Client) -> None:
    sandbox.options.update({"apsis": {"failing_exports": 1, "error_bodies": 1, "polls_before_ready": 0}})
    assert problem(client.poll(client.export_url())) == 503
    answer = client.poll(client.export_url())
    assert answer.status_code == 200
    assert answer.json()["status"] == "error"
    assert "profiles" in client.poll(client.export_url()).json()


def test_a_too_large_export_is_refused_and_a_shorter_window_is_not(sandbox: Sandbox, client: Client) -> None:
    sandbox.options.update({"apsis": {"refuse_days_over": 7, "polls_before_ready": 0}})
    assert problem(client.poll(client.export_url())) == 503
    assert client.poll(client.export_url(end_at=None)).status_code == 200
    sandbox.options.update({"apsis": {"refuse_by": "error"}})
    assert client.poll(client.export_url()).json()["status"] == "error"
    for status in ("413", "400"):
        sandbox.options.update({"apsis": {"refuse_by": status}})
        assert problem(client.request_export()) == int(status)


@pytest.mark.parametrize("status", [401, 403])
def test_a_token_can_expire_between_two_polls(sandbox: Sandbox, client: Client, status: int) -> None:
    sandbox.options.update({"apsis": {"expire_token_after_polls": 1, "expired_status": status}})
    url = client.export_url()
    client.poll(url)
    assert problem(client.poll(url)) == status
    client.sandbox.options.apsis.token_seconds = 86_400
    new_client = Client(sandbox)
    assert new_client.poll(url).status_code == 404
    new_client.session.close()


def test_a_token_expires_by_its_own_claim(sandbox: Sandbox, client: Client) -> None:
    sandbox.options.apsis.token_seconds = 0
    assert problem(client.request_export()) == 401


def test_requests_downloads_and_pending_exports_are_limited(sandbox: Sandbox, client: Client) -> None:
    sandbox.options.update({"apsis": {"pending_limit": 1}})
    url = client.export_url()
    assert problem(client.request_export()) == 429
    while client.poll(url).status_code != 200:
        pass
    assert client.request_export().status_code == 201
    sandbox.options.update({"apsis": {"pending_limit": 0, "exports_per_minute": 3, "downloads_per_minute": 1}})
    assert problem(client.request_export()) == 429
    assert problem(client.poll(url)) == 429


def test_an_export_can_become_ready_after_some_time(sandbox: Sandbox, client: Client) -> None:
    sandbox.options.update({"apsis": {"polls_before_ready": 0, "ready_after_seconds": 3600}})
    url = client.export_url()
    assert client.poll(url).status_code == 404
    sandbox.options.update({"apsis": {"ready_after_seconds": 0.001}})
    while client.poll(url).status_code != 200:
        pass


def test_definitions_include_deprecated_versions_and_lack_one_id_of_the_file(client: Client) -> None:
    def items(path: str) -> list[dict[str, Any]]:
        definitions: list[dict[str, Any]] = client.get(path, headers=client.bearer()).json()["items"]
        return definitions

    listed_ids: set[str] = set()
    for section in items("/audience/sections"):
        assert section["id"].isdecimal()
        for kind in ("attributes", "tags", "events"):
            for definition in items(f"/audience/sections/{section['discriminator']}/{kind}"):
                listed_ids |= {version["id"] for version in definition["versions"]}
    exported_ids = {
        key
        for profile in client.export_file().values()
        for section in profile["sections"].values()
        for key in section["attributes"]
    }
    assert exported_ids - listed_ids == {"9820599"}
    events = items(f"/audience/sections/{SHOP}/events")
    assert any(version["deprecated_at"] for event in events for version in event["versions"])
    for path in (f"/v2/audience/sections/{SHOP}/topics", "/audience/segments", "/audience/keyspaces"):
        assert all(re.match(r"(usercreated|com\.apsis1)\.", definition["discriminator"]) for definition in items(path))
    assert problem(client.get("/audience/sections/none/tags", headers=client.bearer())) == 404


def test_wrong_paths_and_methods_have_the_error_format_of_the_vendor(client: Client) -> None:
    assert problem(client.get("/audience/nothing")) == 404
    assert problem(client.get("/oauth/token")) == 405
