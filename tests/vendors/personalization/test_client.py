"""A page is asked for exactly as the vendor documents it, and its refusals are explained."""

from __future__ import annotations

import base64
import gzip
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs, urlsplit

import pytest
from requests_mock import ANY

from tap_cdp_export.errors import (
    CredentialsRefused,
    IncompleteAnswer,
    RequestRefused,
    UnusableAnswer,
    VendorUnavailable,
)
from tap_cdp_export.vendors.personalization.client import PersonalizationClient
from tap_cdp_export.windows import Window
from tests.helpers.in_process import completed

if TYPE_CHECKING:
    from requests_mock import Mocker

WINDOW = Window(datetime(2024, 3, 1, tzinfo=UTC), datetime(2024, 3, 8, tzinfo=UTC))
USERS = "https://acme.us-1.evergage.com/api/dataset/engage/users.json"

pytestmark = pytest.mark.usefixtures("clock")


def client(**changes: Any) -> PersonalizationClient:
    return PersonalizationClient(completed("personalization", **changes), deadline_seconds=60)


def asked(requests_mock: Mocker, kind: str = "users", *, page_size: int = 1000, **changes: Any) -> dict[str, list[str]]:
    """Ask for a page and give the query as it was sent, case and all."""
    requests_mock.get(f"https://acme.us-1.evergage.com/api/dataset/engage/{kind}.json", text="[]")
    client(**changes).page(kind, "engage", WINDOW, page=3, page_size=page_size).close()
    return parse_qs(urlsplit(sent(requests_mock)).query)


def sent(requests_mock: Mocker) -> str:
    """Give the URL of the last request; the mock's own properties are in lower case."""
    return str(requests_mock.request_history[-1].url)


@pytest.mark.parametrize(
    ("changes", "host"),
    [
        ({}, "https://acme.us-1.evergage.com"),
        ({"instance": ""}, "https://acme.evergage.com"),
        ({"instance": None}, "https://acme.evergage.com"),
        ({"base_url": "https://proxy.test/sfp/"}, "https://proxy.test/sfp"),
        ({"base_url": "http://127.0.0.1:8080"}, "http://127.0.0.1:8080"),
    ],
)
def test_the_host_is_built_from_the_tenant_unless_it_is_given(
    requests_mock: Mocker, changes: dict[str, Any], host: str
) -> None:
    page = requests_mock.get(f"{host}/api/dataset/engage/accounts.json", text="[]")
    client(**changes).page("accounts", "engage", None, page=0, page_size=1).close()
    assert page.called


def test_a_page_is_asked_for_by_its_number_from_zero_with_the_window_in_epoch_milliseconds(
    requests_mock: Mocker,
) -> None:
    assert asked(requests_mock) == {
        "page": ["3"],
        "pageSize": ["1000"],
        "start": ["1709251200000"],
        "end": ["1709856000000"],
    }


def test_an_unpaged_body_is_asked_for_without_any_page(requests_mock: Mocker) -> None:
    assert set(asked(requests_mock, page_size=0)) == {"start", "end"}


def test_segments_are_passed_on_as_they_are(requests_mock: Mocker) -> None:
    query = asked(requests_mock, filter="Women & Men, 30+ é", segmentation_id="Seg1", segment_id="1PPOO")
    assert query["filter"] == ["Women & Men, 30+ é"]
    assert query["segmentationId"] == ["Seg1"]
    assert query["segmentId"] == ["1PPOO"]


def test_the_location_is_asked_for_in_lower_case_and_for_users_only(requests_mock: Mocker) -> None:
    assert asked(requests_mock, include_geo=True)["includeGeo"] == ["true"]
    assert "includeGeo" not in asked(requests_mock, "accounts", include_geo=True)


def test_extra_parameters_are_passed_on(requests_mock: Mocker) -> None:
    query = asked(requests_mock, extra_params={"newOption": "x", "flag": True, "number": 5})
    assert query["page"] == ["3"]
    assert query["newOption"] == ["x"]
    assert query["number"] == ["5"]
    assert query["flag"] == ["true"]


@pytest.mark.parametrize(
    ("dataset", "path"),
    [("my shop", "my%20shop"), ("a/b", "a%2Fb"), ("a?b#c", "a%3Fb%23c"), ("å&=", "%C3%A5%26%3D"), ("100%", "100%25")],
)
def test_a_dataset_stays_one_part_of_the_path(requests_mock: Mocker, dataset: str, path: str) -> None:
    requests_mock.get(ANY, text="[]")
    client().page("users", dataset, None, page=0, page_size=1).close()
    assert f"/api/dataset/{path}/users.json?" in sent(requests_mock)


@pytest.mark.parametrize(("key", "secret"), [("id", "secret"), ("ïd", "påss:word"), ("a" * 100, "b" * 100)])
def test_the_token_goes_as_strict_basic_authorization(requests_mock: Mocker, key: str, secret: str) -> None:
    requests_mock.get(USERS, text="[]")
    client(api_key_id=key, api_key_secret=secret).page("users", "engage", None, page=0, page_size=1).close()
    expected = base64.b64encode(f"{key}:{secret}".encode()).decode()
    assert requests_mock.last_request is not None
    assert requests_mock.last_request.headers["Authorization"] == f"Basic {expected}"


@pytest.mark.parametrize("status", [401, 403])
def test_a_refused_token_is_explained_and_not_tried_again(requests_mock: Mocker, status: int) -> None:
    requests_mock.get(USERS, status_code=status, text="canary")
    with pytest.raises(CredentialsRefused, match="Can access API") as refusal:
        client().page("users", "engage", None, page=0, page_size=1)
    assert refusal.value.status == status
    assert requests_mock.call_count == 1
    assert "canary" not in str(refusal.value)


@pytest.mark.parametrize("status", [400, 404])
def test_an_unknown_dataset_or_segment_is_explained(requests_mock: Mocker, status: int) -> None:
    requests_mock.get(USERS, status_code=status, text="canary")
    with pytest.raises(RequestRefused, match="dataset_ids") as refusal:
        client().page("users", "engage", None, page=2, page_size=1)
    assert "page 2" in str(refusal.value)
    assert (refusal.value.status, refusal.value.exit_code) == (status, 10)


@pytest.mark.parametrize("status", [429, 500, 502, 503, 504])
def test_a_page_is_asked_for_again_after_a_passing_trouble(requests_mock: Mocker, status: int) -> None:
    requests_mock.get(USERS, [{"status_code": status}, {"text": "[1]"}])
    with client().page("users", "engage", None, page=0, page_size=1) as body:
        assert body.head(9) == b"[1]"


def test_a_vendor_that_stays_away_is_said_so(requests_mock: Mocker) -> None:
    requests_mock.get(USERS, status_code=503)
    with pytest.raises(VendorUnavailable, match="Personalization"):
        client().page("users", "engage", None, page=0, page_size=1)


@pytest.mark.parametrize("status", [201, 202, 203, 205, 206])
@pytest.mark.parametrize("form", ["json", "csv"])
def test_another_success_is_not_taken_for_a_page(requests_mock: Mocker, status: int, form: str) -> None:
    requests_mock.get(ANY, status_code=status, headers={"Content-Length": "0"})
    with pytest.raises(UnusableAnswer, match=str(status)):
        client(format=form).page("users", "engage", None, page=0, page_size=1)


def test_another_success_is_told_with_its_reason(requests_mock: Mocker) -> None:
    requests_mock.get(ANY, status_code=202, json={"message": "Still working"})
    with pytest.raises(UnusableAnswer, match=r"202.*Still working"):
        client().page("users", "engage", None, page=0, page_size=1)


REASON = b'\xef\xbb\xbf {"message": "Try later, says anna@shop.example", "name": "canary"}'


@pytest.mark.parametrize("body", [REASON, gzip.compress(REASON)], ids=["plain", "gzip"])
def test_an_object_in_place_of_a_page_is_quoted_and_tried_again(requests_mock: Mocker, body: bytes) -> None:
    requests_mock.get(USERS, [{"content": body}, {"content": b"[]"}])
    with client().page("users", "engage", WINDOW, page=0, page_size=1) as page:
        assert page.head(9) == b"[]"
    requests_mock.get(USERS, content=body)
    with pytest.raises(IncompleteAnswer) as failure:
        client().page("users", "engage", WINDOW, page=0, page_size=1)
    assert str(failure.value) == (
        "Personalization, users of dataset engage, page 0: The answer is an object and no list of records. "
        'The vendor says: "Try later, says (redacted)".'
    )
