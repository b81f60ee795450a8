from __future__ import annotations

import csv
import io
from typing import TYPE_CHECKING, Any

import pytest

from tap_cdp_export.sandbox.clock import DAY, milliseconds
from tests.sandbox.clients import END, NOW, START, Client

if TYPE_CHECKING:
    from tap_cdp_export.sandbox.server import Sandbox

AT = milliseconds(NOW)


def newest(users: list[dict[str, Any]]) -> dict[str, dict[str, Any]]:
    """Return the users by name; the last record of a repeated user is the current one."""
    return {user["name"]: user for user in users}


def read(client: Client, params: dict[str, str | int] | None = None) -> list[dict[str, str]]:
    answer = client.dataset("users.csv", dataset="engage", **dict[str, Any](params or {}))
    assert answer.status_code == 200
    return list(csv.DictReader(io.StringIO(answer.content.decode("utf-8-sig"), newline="")))


def test_the_whole_body_and_its_pages_contain_the_users_of_the_population(sandbox: Sandbox, client: Client) -> None:
    whole = client.dataset().json()
    assert [user for page in client.pages(size=7) for user in page] == whole
    assert list(newest(whole).values()) == list(sandbox.population.personalization_users("engage", AT))
    counts = sandbox.population.counts(start=START, end=END)
    business = newest(client.dataset(dataset="engage-b2b").json())
    assert counts["users"] == len(newest(whole)) + len(business)
    accounts = newest(client.dataset("accounts.json", dataset="engage-b2b").json())
    assert counts["accounts"] == len(accounts)
    assert {user["accountName"] for user in business.values()} <= accounts.keys()
    assert client.dataset("accounts.json").json() == []


def test_the_newer_version_of_a_repeated_user_is_last_even_on_a_later_page(client: Client) -> None:
    pages = client.pages(size=20)
    last_record: dict[str, tuple[int, dict[str, Any]]] = {}
    repeats = []
    for number, page in enumerate(pages):
        for user in page:
            if user["name"] in last_record:
                repeats.append((*last_record[user["name"]], number, user))
            last_record[user["name"]] = (number, user)
    assert repeats
    assert any(first_page < page for first_page, _, page, _ in repeats)
    assert all(older["totalActions"] < newer["totalActions"] for _, older, _, newer in repeats)


def test_every_user_appears_once_without_repeats(sandbox: Sandbox, client: Client) -> None:
    sandbox.options.personalization.repeat_every = 0
    names = [user["name"] for user in client.dataset().json()]
    assert len(names) == len(set(names))


def test_start_and_end_change_the_statistics_only(client: Client) -> None:
    wide = client.dataset(start=AT - 300 * DAY, end=AT).json()
    narrow = client.dataset(start=AT - DAY, end=AT).json()
    assert wide != narrow
    for users in (wide, narrow):
        for user in users:
            del user["engagementScore"], user["engagementPercentChange"]
    assert wide == narrow
    assert any(user["engagementScore"] > 1 for user in client.dataset(start=AT - 600 * DAY, end=AT).json())


def test_users_have_the_irregularities_of_the_vendor(client: Client) -> None:
    answer = client.dataset()
    users = answer.json()
    assert "E-4" in answer.text
    assert any(user["attributes"] == {} for user in users)
    assert any(isinstance(user["attributes"], list) for user in users)
    values = [value for user in users if isinstance(user["attributes"], dict) for value in user["attributes"].values()]
    assert {type(value) for value in values} == {int, str, bool, float, type(None), dict}
    assert any(user["segments"] is None for user in users)
    assert any("displayName" not in user for user in users)
    assert any(user.get("displayName", "") is None for user in users)
    assert any("anonymous" in user and len(user["name"]) == 16 for user in users)
    assert all("location" not in user for user in users)
    assert {type(user["engagementScore"]) for user in users} == {int, float}


def test_location_is_sent_only_if_requested(client: Client) -> None:
    location = client.dataset(includeGeo="true", page=0, pageSize=1).json()[0]["location"]
    longitude, latitude = location["longlat"]
    assert longitude < latitude  # longitude is first; it is the smaller value in the Nordic countries


@pytest.mark.parametrize("parameter", [{"filter": "Frequent buyers"}, {"filter": "1PPOO"}, {"segmentId": "1PPOO"}])
def test_a_segment_limits_the_users_and_adds_the_time_of_joining(client: Client, parameter: dict[str, str]) -> None:
    users = client.dataset(**parameter).json()
    assert 0 < len(users) < len(client.dataset().json())
    assert all('"' in next(iter(user["segmentInputValues"])) and user["segmentJoined"] for user in users)


def test_segment_ids_are_case_sensitive_and_an_unknown_one_is_404_or_empty(sandbox: Sandbox, client: Client) -> None:
    assert client.dataset(filter="1ppoo").status_code == 404
    assert client.dataset(filter="1ppoo").text == "Segment not found"
    sandbox.options.personalization.unknown_segment = "empty"
    assert client.dataset(filter="1ppoo").json() == []


@pytest.mark.parametrize(
    "params",
    [
        {"pageSize": "0"},
        {"pageSize": "-1"},
        {"pageSize": "ten"},
        {"page": "-1", "pageSize": "1"},
        {"page": "0"},
        {"includeGeo": "True"},
        {"start": "1767225600"},
        {"start": AT, "end": AT - 1},
        {"_at": "token"},
    ],
)
def test_wrong_parameters_are_refused_in_plain_text(client: Client, params: dict[str, Any]) -> None:
    answer = client.dataset(**params)
    assert answer.status_code == 400
    assert answer.headers["content-type"].startswith("text/plain")


def test_include_geo_is_refused_for_accounts(client: Client) -> None:
    assert client.dataset("accounts.json", includeGeo="true").status_code == 400


def test_credentials_are_checked(sandbox: Sandbox, client: Client) -> None:
    client.settings["personalization"]["api_key_secret"] = "wrong"
    answer = client.dataset()
    assert answer.status_code == 401
    assert answer.headers["www-authenticate"].startswith("Basic")
    answer = client.get("/api/dataset/engage/users.json", headers={"authorization": "Basic ?"})
    assert answer.status_code == 401
    assert not sandbox.request_log.count(path="/_sandbox")


@pytest.mark.parametrize("limit", [{"can_access_api": False}, {"ip_accepted": False}, {"token_datasets": ["other"]}])
def test_a_token_without_rights_is_forbidden(sandbox: Sandbox, client: Client, limit: dict[str, Any]) -> None:
    sandbox.options.update({"personalization": limit})
    assert client.dataset().status_code == 403


def test_unknown_datasets_and_files_are_404(client: Client) -> None:
    assert client.dataset(dataset="nowhere").status_code == 404
    assert client.dataset("users.xml").status_code == 404


@pytest.mark.parametrize("status", [403, 404])
def test_accounts_may_be_retired(sandbox: Sandbox, client: Client, status: int) -> None:
    sandbox.options.update({"personalization": {"accounts_status": status}})
    assert client.dataset("accounts.json").status_code == status
    assert client.dataset("users.json").status_code == 200


@pytest.mark.parametrize("option", [{"page_cap": 9}, {"short_pages": True}])
def test_a_client_that_reads_up_to_the_empty_page_gets_all_users_of_short_pages(
    sandbox: Sandbox, client: Client, option: dict[str, Any]
) -> None:
    whole = client.dataset().json()
    sandbox.options.update({"personalization": option})
    pages = client.pages(size=30)
    assert any(len(page) < 30 for page in pages[:-1])
    assert [user for page in pages for user in page] == whole


def test_the_server_can_ignore_the_page_number_or_shift_pages(sandbox: Sandbox, client: Client) -> None:
    first, second = (client.dataset(page=page, pageSize=10).json() for page in (0, 1))
    sandbox.options.personalization.shift_per_page = 2
    assert client.dataset(page=1, pageSize=10).json() == first[-2:] + second[:-2]
    sandbox.options.personalization.ignores_page = True
    assert client.dataset(page=1, pageSize=10).json() == first
    sandbox.options.personalization.moving_times = True
    answers = [client.dataset(page=1, pageSize=10).json() for _ in range(2)]
    assert answers[0] != answers[1]
    assert [[user["name"] for user in page] for page in answers] == [[user["name"] for user in first]] * 2


def test_pages_declare_their_length_and_the_whole_body_is_chunked(sandbox: Sandbox, client: Client) -> None:
    assert "content-length" in client.dataset(page=0, pageSize=5).headers
    assert client.dataset().headers["transfer-encoding"] == "chunked"
    sandbox.options.personalization.content_length = False
    assert "content-length" not in client.dataset(page=0, pageSize=5).headers


def test_csv_and_json_contain_the_same_users(client: Client) -> None:
    users = client.dataset().json()
    rows = read(client)
    assert [row["name"] for row in rows] == [user["name"] for user in users]
    assert [row["totalActions"] for row in rows] == [str(user["totalActions"]) for user in users]
    assert any("\n" in row["note"] and '"' in row["note"] for row in rows)
    assert any("|" in row["segments"] for row in rows)


@pytest.mark.parametrize(
    ("option", "sign"),
    [
        ({"csv_bom": True}, b"\xef\xbb\xbfname,"),
        ({"csv_crlf": True}, b"\r\n"),
        ({"csv_shuffled": True}, b"note,sizes,"),
        ({"csv_key": "userId"}, b"userId,"),
        ({"csv_duplicate_header": True}, b",note,lastActivity\n"),
        ({"csv_blank_last_line": True}, b"\n\n"),
        ({"csv_list_separator": ";"}, b";"),
    ],
)
def test_csv_dialects(sandbox: Sandbox, client: Client, option: dict[str, Any], sign: bytes) -> None:
    page = client.dataset("users.csv", page=0, pageSize=30).content
    sandbox.options.update({"personalization": {"csv_quoted_newlines": False, **option}})
    page_in_dialect = client.dataset("users.csv", page=0, pageSize=30).content
    assert sign in page_in_dialect
    assert sign not in page.replace(b"3 st", b"") or option.get("csv_list_separator")


def test_csv_columns_may_differ_between_pages(sandbox: Sandbox, client: Client) -> None:
    sandbox.options.personalization.csv_columns_vary = True
    headers = {tuple(read(client, {"page": page, "pageSize": 2})[0]) for page in range(10)}
    assert len(headers) > 1


def test_csv_past_the_end_is_a_header_or_nothing(sandbox: Sandbox, client: Client) -> None:
    assert client.dataset("users.csv", page=999, pageSize=9).text.count("\n") == 1
    sandbox.options.personalization.csv_end = "empty"
    assert client.dataset("users.csv", page=999, pageSize=9).content == b""


def test_csv_has_location_and_segment_columns_if_requested(client: Client) -> None:
    row = read(client, {"includeGeo": "true", "filter": "1PPOO"})[0]
    assert row["countryCode"]
    assert row["segmentJoined"]


def test_accounts_are_available_as_csv(client: Client) -> None:
    rows = list(csv.DictReader(io.StringIO(client.dataset("accounts.csv", dataset="engage-b2b").text)))
    assert {row["accountStatus"] for row in rows} == {"active", "prospect", "på vent"}
    assert all(int(row["firstActivity"]) % DAY == 0 for row in rows)
