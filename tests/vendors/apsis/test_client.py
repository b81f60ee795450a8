"""Token, export request and poll URL: as documented, and nothing undocumented passes for an answer."""

from __future__ import annotations

import base64
import dataclasses
import gzip
import json
import time
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest
import requests
from requests_mock import ANY

from tap_cdp_export.errors import (
    CdpExportError,
    CredentialsRefused,
    IncompleteAnswer,
    QuotaReached,
    RequestRefused,
    UnusableAnswer,
    VendorUnavailable,
)
from tap_cdp_export.files.json_container import NoMembers
from tap_cdp_export.jobs.job import ExportJob, ExportRequest, ExportStatus
from tap_cdp_export.redaction import REDACTOR
from tap_cdp_export.vendors.apsis.api import ApsisApi
from tap_cdp_export.vendors.apsis.client import ApsisExporter, TooLarge
from tap_cdp_export.windows import Window
from tests.helpers.configurations import APSIS_URL, vendor_settings
from tests.helpers.in_process import completed
from tests.helpers.loopback import LoopbackServer, cut, with_length

if TYPE_CHECKING:
    from requests_mock import Mocker
    from requests_mock.request import _RequestObjectProxy

    from tests.helpers.virtual_clock import VirtualClock

TOKEN_URL = f"{APSIS_URL}/oauth/token"
EXPORTS_URL = f"{APSIS_URL}/audience/profiles/exports"
POLL_URL = f"{APSIS_URL}/audience/profiles/exports/4711?part=1"
WINDOW = Window(datetime(2024, 3, 1, tzinfo=UTC), datetime(2024, 3, 8, tzinfo=UTC))
REQUEST = ExportRequest("APSIS One", {"attributes": [{"version_id": "1"}], "extra": {"deep": [1]}}, WINDOW)
PENDING, READY, FAILED, GONE = ExportStatus.PENDING, ExportStatus.READY, ExportStatus.FAILED, ExportStatus.GONE
FILE = b'{"profiles":{"a":{"sections":{}}}}'

pytestmark = pytest.mark.usefixtures("clock")


def exporter(*, deadline: float = 900, **changes: Any) -> ApsisExporter:
    settings = completed("apsis", **changes)
    return ApsisExporter(ApsisApi(settings, deadline_seconds=deadline), settings)


def check_access() -> None:
    ApsisApi(completed("apsis"), deadline_seconds=900).check_access()


def jwt(**claims: Any) -> str:
    parts = ({"alg": "RS256", "typ": "JWT"}, claims)
    encoded = [base64.urlsafe_b64encode(json.dumps(part).encode()).decode().rstrip("=") for part in parts]
    return ".".join([*encoded, "c2lnbmF0dXJl"])


def give_tokens(mock: Mocker, *tokens: str, expires_in: object = 86400) -> None:
    answers = [{"json": {"access_token": token, "expires_in": expires_in, "token_type": "Bearer"}} for token in tokens]
    mock.post(TOKEN_URL, answers)


def accept(mock: Mocker, **fields: Any) -> None:
    give_tokens(mock, "token-1", "token-2")
    mock.post(EXPORTS_URL, status_code=202, json=fields or {"file_download_url": POLL_URL})


def job(*, field: str = "file_download_url", path: str = "/audience/profiles/exports/4711?part=1") -> ExportJob:
    now = datetime.now(UTC)
    return ExportJob({"poll_path": path, "field": field}, "digest", now, now + timedelta(hours=24), WINDOW)


def sent_to(mock: Mocker, url: str) -> list[_RequestObjectProxy]:
    return [request for request in mock.request_history if request.url == url]


def poll(client: ApsisExporter, of: ExportJob | None = None) -> tuple[ExportStatus, bytes | None]:
    seen = client.poll(of or job(), deadline_seconds=600)
    if seen.spool is None:
        return seen.status, None
    with seen.spool as spool:
        return seen.status, b"".join(spool.chunks())


# Token


def test_a_token_is_asked_for_as_json_and_carried_as_bearer(requests_mock: Mocker) -> None:
    accept(requests_mock)
    exporter().request_export(REQUEST)
    token, export = requests_mock.request_history
    assert token.json() == {
        "grant_type": "client_credentials",
        "client_id": "apsis-client-id",
        "client_secret": "apsis-client-secret",
    }
    assert token.headers["Content-Type"] == "application/json"
    assert "Authorization" not in token.headers
    assert export.headers["Authorization"] == "Bearer token-1"


def test_errors_beside_a_token_are_warned_of_with_the_reason(
    requests_mock: Mocker, caplog: pytest.LogCaptureFixture
) -> None:
    answer = {"access_token": "token-1", "errors": [{"detail": "the key expires soon, says anna@shop.example"}]}
    requests_mock.post(TOKEN_URL, json=answer)
    requests_mock.post(EXPORTS_URL, json={"file_download_url": POLL_URL})
    exporter().request_export(REQUEST)
    (warning,) = [record.getMessage() for record in caplog.records if record.levelname == "WARNING"]
    assert warning == (
        'APSIS One gave a token but reports errors. The vendor says: "the key expires soon, says (redacted)".'
    )


@pytest.mark.parametrize("url", ["", "  "])
def test_an_empty_poll_url_is_none(requests_mock: Mocker, url: str) -> None:
    accept(requests_mock, file_download_url=url, url=url)
    with pytest.raises(UnusableAnswer, match="no poll URL; the keys of its answer: file_download_url, url"):
        exporter().request_export(REQUEST)
    accept(requests_mock, file_download_url=url, poll_url=POLL_URL)
    assert exporter().request_export(REQUEST).reference["field"] == "poll_url"


def test_one_token_serves_all_calls_of_a_run(requests_mock: Mocker) -> None:
    accept(requests_mock)
    requests_mock.get(POLL_URL, status_code=404)
    client = exporter()
    client.request_export(REQUEST)
    for _ in range(5):
        poll(client)
    assert len(sent_to(requests_mock, TOKEN_URL)) == 1


def test_the_expiry_inside_the_token_counts_and_not_the_deprecated_field(
    requests_mock: Mocker, clock: VirtualClock
) -> None:
    give_tokens(requests_mock, jwt(exp=time.time() + 3600), "token-2", expires_in=86400)
    requests_mock.get(POLL_URL, status_code=404)
    client = exporter()
    poll(client)
    clock.advance(3000)
    poll(client)
    assert len(sent_to(requests_mock, TOKEN_URL)) == 1
    clock.advance(599)
    poll(client)
    assert len(sent_to(requests_mock, TOKEN_URL)) == 2
    assert sent_to(requests_mock, POLL_URL)[-1].headers["Authorization"] == "Bearer token-2"


@pytest.mark.parametrize(
    "token", ["opaque", "not.a.jwt", "a.b.c", "..", jwt(), jwt(exp="soon"), jwt(exp=None), jwt(exp=[])]
)
def test_without_an_expiry_inside_the_token_the_field_counts(
    requests_mock: Mocker, clock: VirtualClock, token: str
) -> None:
    give_tokens(requests_mock, token, expires_in=3600)
    requests_mock.get(POLL_URL, status_code=404)
    client = exporter()
    poll(client)
    clock.advance(3000)
    poll(client)
    assert len(sent_to(requests_mock, TOKEN_URL)) == 1
    clock.advance(599)
    poll(client)
    assert len(sent_to(requests_mock, TOKEN_URL)) == 2


@pytest.mark.parametrize("expires_in", [None, "soon", [], {}])
def test_a_token_without_any_expiry_serves_more_than_one_call_and_not_for_ever(
    requests_mock: Mocker, clock: VirtualClock, expires_in: object
) -> None:
    give_tokens(requests_mock, "opaque", expires_in=expires_in)
    requests_mock.get(POLL_URL, status_code=404)
    client = exporter()
    poll(client)
    poll(client)
    assert len(sent_to(requests_mock, TOKEN_URL)) == 1
    clock.advance(3600)
    poll(client)
    assert len(sent_to(requests_mock, TOKEN_URL)) == 2


@pytest.mark.parametrize("expires_in", [0, 1, 60, 299])
def test_a_token_of_a_short_life_is_still_not_asked_for_with_every_call(requests_mock: Mocker, expires_in: int) -> None:
    give_tokens(requests_mock, "short", expires_in=expires_in)
    requests_mock.get(POLL_URL, status_code=404)
    client = exporter()
    for _ in range(20):
        poll(client)
    assert len(sent_to(requests_mock, TOKEN_URL)) <= 10


@pytest.mark.parametrize("status", [401, 403])
def test_a_token_refused_in_mid_run_is_renewed_once_and_the_poll_goes_on(requests_mock: Mocker, status: int) -> None:
    give_tokens(requests_mock, "token-1", "token-2")
    requests_mock.get(POLL_URL, [{"status_code": status}, {"content": FILE}])
    assert poll(exporter()) == (READY, FILE)
    assert [request.headers["Authorization"] for request in sent_to(requests_mock, POLL_URL)] == [
        "Bearer token-1",
        "Bearer token-2",
    ]


def test_a_token_refused_twice_is_a_refusal(requests_mock: Mocker) -> None:
    give_tokens(requests_mock, "token-1", "token-2", "token-3")
    requests_mock.get(POLL_URL, status_code=401)
    with pytest.raises(CredentialsRefused):
        poll(exporter())
    assert len(sent_to(requests_mock, POLL_URL)) == 2


@pytest.mark.parametrize("status", [400, 401, 403])
def test_wrong_credentials_are_explained_and_not_tried_again(requests_mock: Mocker, status: int) -> None:
    REDACTOR.add_secrets(["apsis-client-secret"])
    answer = {"title": "Not so", "detail": "apsis-client-secret", "other": "canary"}
    requests_mock.post(TOKEN_URL, status_code=status, json=answer)
    with pytest.raises(CdpExportError, match=r"client_id|credentials|settings") as refusal:
        check_access()
    assert refusal.value.exit_code in {10, 11}
    assert requests_mock.call_count == 1
    assert 'The vendor says: "Not so; (redacted)"' in str(refusal.value)
    assert "canary" not in str(refusal.value)


def test_a_busy_token_endpoint_is_waited_for(requests_mock: Mocker, clock: VirtualClock) -> None:
    requests_mock.post(TOKEN_URL, [{"status_code": 429}, {"status_code": 503}, {"json": {"access_token": "t"}}])
    check_access()
    assert len(clock.pauses) == 2


@pytest.mark.parametrize(
    "answer", [{}, {"access_token": None}, {"access_token": ""}, {"access_token": 5}, {"token": "t"}]
)
def test_an_answer_without_a_token_is_an_error(requests_mock: Mocker, answer: dict[str, Any]) -> None:
    requests_mock.post(TOKEN_URL, json=answer)
    with pytest.raises(UnusableAnswer, match="access_token"):
        check_access()


def test_an_answer_without_a_token_may_say_why(requests_mock: Mocker) -> None:
    requests_mock.post(TOKEN_URL, json={"error": "invalid_client"})
    with pytest.raises(UnusableAnswer, match=r'access_token\. The vendor says: "invalid_client"'):
        check_access()


def test_checking_access_starts_no_export(requests_mock: Mocker) -> None:
    accept(requests_mock)
    check_access()
    assert [request.url for request in requests_mock.request_history] == [TOKEN_URL]


# Request


def asked_body(mock: Mocker, client: ApsisExporter, request: ExportRequest = REQUEST) -> dict[str, Any]:
    accept(mock)
    client.request_export(request)
    body: dict[str, Any] = mock.request_history[-1].json()
    return body


def test_parameters_go_untouched_and_both_bounds_are_always_sent(requests_mock: Mocker) -> None:
    assert asked_body(requests_mock, exporter()) == {
        "attributes": [{"version_id": "1"}],
        "extra": {"deep": [1]},
        "start_at": "2024-03-01T00:00:00Z",
        "end_at": "2024-03-08T00:00:00Z",
    }


def test_the_lookback_is_subtracted_from_the_start_only(requests_mock: Mocker) -> None:
    body = asked_body(requests_mock, exporter(), dataclasses.replace(REQUEST, lookback=timedelta(minutes=90)))
    assert (body["start_at"], body["end_at"]) == ("2024-02-29T22:30:00Z", "2024-03-08T00:00:00Z")


def test_a_job_holds_what_finds_it_again_and_expires_within_its_day(requests_mock: Mocker) -> None:
    accept(requests_mock)
    made = exporter().request_export(REQUEST)
    assert (made.digest, made.window) == (REQUEST.digest, WINDOW)
    assert timedelta(hours=20) < made.expires_at - made.asked_at < timedelta(hours=24)
    again = ExportJob.from_state(made.to_state())
    requests_mock.get(POLL_URL, content=FILE)
    assert poll(exporter(), again) == (READY, FILE)
    assert sent_to(requests_mock, POLL_URL)[0].headers["Authorization"] == "Bearer token-2"


@pytest.mark.parametrize("status", [200, 201, 202])
def test_any_2xx_accepts_an_export(requests_mock: Mocker, status: int) -> None:
    give_tokens(requests_mock, "t")
    requests_mock.post(EXPORTS_URL, status_code=status, json={"url": POLL_URL})
    assert exporter().request_export(REQUEST).reference["poll_path"] == "/audience/profiles/exports/4711?part=1"


@pytest.mark.parametrize(
    ("fields", "headers"),
    [
        ({"file_download_url": POLL_URL}, {}),
        ({"poll_url": POLL_URL}, {}),
        ({"url": POLL_URL}, {}),
        ({"url": "/audience/profiles/exports/4711?part=1"}, {}),
        ({"file_download_url_v2": POLL_URL, "file_download_url": f"{APSIS_URL}/old"}, {}),
        ({"file_download_url_v2": None, "file_download_url": POLL_URL}, {}),
        ({"file_download_url": POLL_URL, "documentation": f"{APSIS_URL}/help"}, {}),
        ({"state": "accepted", "where_it_will_be": POLL_URL}, {}),
        ({"where_it_will_be": "/audience/profiles/exports/4711?part=1"}, {}),
        ({"status": "accepted"}, {"Location": POLL_URL}),
        (None, {"Location": "/audience/profiles/exports/4711?part=1"}),
    ],
)
def test_the_poll_url_is_found_wherever_the_vendor_puts_it(
    requests_mock: Mocker, fields: dict[str, Any] | None, headers: dict[str, str]
) -> None:
    give_tokens(requests_mock, "t")
    text = "" if fields is None else json.dumps(fields)
    requests_mock.post(EXPORTS_URL, status_code=202, text=text, headers=headers)
    answer = requests_mock.get(POLL_URL, content=FILE)
    client = exporter()
    poll(client, client.request_export(REQUEST))
    assert answer.called


@pytest.mark.parametrize(
    "url",
    [
        "https://evil.test/x",
        "http://api.apsis.one:8080/x",
        "https://api.apsis.one:8443/x",
        "https://api.apsis.one.evil.test/x",
        "https://api.apsis.one@evil.test/x",
        "//evil.test/x",
        "ftp://api.apsis.one/x",
        "file:///etc/passwd",
        "https://[::1/x",
    ],
)
def test_a_poll_url_elsewhere_is_refused_and_the_token_not_sent_there(requests_mock: Mocker, url: str) -> None:
    accept(requests_mock, file_download_url=url)
    with pytest.raises(UnusableAnswer) as refusal:
        exporter().request_export(REQUEST)
    assert refusal.value.exit_code == 12
    assert {request.hostname for request in requests_mock.request_history} == {"api.apsis.one"}
    assert "evil" not in str(refusal.value)


@pytest.mark.parametrize("path", ["@evil.test/x", ".evil.test/x", ":8443/x", "", "x", None])
def test_a_poll_path_from_a_forged_state_cannot_lead_the_token_elsewhere(
    requests_mock: Mocker, path: str | None
) -> None:
    give_tokens(requests_mock, "t")
    requests_mock.get(ANY, content=FILE)
    forged = job(path=path or "")
    if path is None:
        forged = dataclasses.replace(forged, reference={})
    assert poll(exporter(), forged) == (GONE, None)
    assert requests_mock.call_count == 0


def test_an_answer_without_a_poll_url_shows_its_keys_and_no_value(requests_mock: Mocker) -> None:
    accept(requests_mock, result="canary", id=5)
    with pytest.raises(UnusableAnswer, match="id, result") as refusal:
        exporter().request_export(REQUEST)
    assert "canary" not in str(refusal.value)


def test_an_accepted_export_without_a_poll_url_says_why(requests_mock: Mocker) -> None:
    accept(requests_mock, message="Segment is empty")
    with pytest.raises(UnusableAnswer, match=r'message\. The vendor says: "Segment is empty"'):
        exporter().request_export(REQUEST)


def test_of_several_unknown_urls_none_is_guessed(requests_mock: Mocker) -> None:
    accept(requests_mock, one=POLL_URL, other=POLL_URL)
    with pytest.raises(UnusableAnswer, match="one, other"):
        exporter().request_export(REQUEST)


def test_exports_are_asked_for_at_the_configured_pace(requests_mock: Mocker, clock: VirtualClock) -> None:
    accept(requests_mock)
    client = exporter(requests_per_minute=2)
    client.request_export(REQUEST)
    assert clock.paused == 0
    client.request_export(REQUEST)
    assert 29 < clock.paused <= 30
    clock.advance(100)
    client.request_export(REQUEST)
    assert clock.paused <= 30


@pytest.mark.parametrize("status", [400, 413, 422])
def test_a_refused_request_is_an_error_of_the_settings(requests_mock: Mocker, status: int) -> None:
    accept(requests_mock)
    requests_mock.post(EXPORTS_URL, status_code=status, json={"detail": "No such version", "other": "canary"})
    with pytest.raises(RequestRefused, match=r'The vendor says: "No such version"\. (Ask|Check)') as refusal:
        exporter().request_export(REQUEST)
    assert "canary" not in str(refusal.value)


def test_pending_exports_are_waited_for_at_the_pace_until_the_timeout(
    requests_mock: Mocker, clock: VirtualClock
) -> None:
    accept(requests_mock)
    requests_mock.post(EXPORTS_URL, status_code=429, json={"detail": "Too many pending exports"})
    with pytest.raises(QuotaReached, match="Too many pending exports") as failure:
        exporter(export_timeout_seconds=7200).request_export(REQUEST)
    assert failure.value.exit_code == 14
    assert 7000 < clock.paused <= 7200
    assert min(clock.pauses) >= 59
    assert len(sent_to(requests_mock, EXPORTS_URL)) <= 122


def test_a_429_whose_body_is_cut_is_waited_for_too(clock: VirtualClock) -> None:
    busy = b"HTTP/1.1 429 Too Many Requests\r\nContent-Length: 99\r\nConnection: close\r\n\r\n{"
    token = with_length(b'{"access_token": "token-1"}')
    with LoopbackServer(cut(token), *[cut(busy)] * 6, cut(with_length(b'{"poll_url": "/x"}'))) as server:
        made = exporter(base_url=server.url).request_export(REQUEST)
    assert made.reference["poll_path"] == "/x"
    assert len(clock.pauses) >= 6


def test_pending_exports_are_left_alone_as_long_as_the_vendor_says(requests_mock: Mocker, clock: VirtualClock) -> None:
    accept(requests_mock)
    requests_mock.post(
        EXPORTS_URL, [{"status_code": 429, "headers": {"Retry-After": "300"}}, {"json": {"poll_url": POLL_URL}}]
    )
    exporter().request_export(REQUEST)
    assert clock.pauses == [300]


FAILURES = [{"status_code": 408}, {"status_code": 500}, {"status_code": 503}, {"exc": requests.ReadTimeout}]


@pytest.mark.parametrize("failure", FAILURES)
def test_a_request_whose_answer_is_lost_is_repeated_at_its_pace(
    requests_mock: Mocker, clock: VirtualClock, failure: dict[str, Any]
) -> None:
    accept(requests_mock)
    requests_mock.post(EXPORTS_URL, [failure, failure, failure, {"json": {"poll_url": POLL_URL}}])
    exporter(requests_per_minute=2).request_export(REQUEST)
    assert len(clock.pauses) == 3
    assert min(clock.pauses) >= 30


@pytest.mark.parametrize("failure", FAILURES)
def test_a_request_is_repeated_three_times_at_most(requests_mock: Mocker, failure: dict[str, Any]) -> None:
    accept(requests_mock)
    requests_mock.post(EXPORTS_URL, **failure)
    with pytest.raises(VendorUnavailable):
        exporter().request_export(REQUEST)
    assert len(sent_to(requests_mock, EXPORTS_URL)) == 4


# Poll


@pytest.mark.parametrize(
    ("field", "status", "expected"),
    [
        ("file_download_url", 202, PENDING),
        ("file_download_url", 404, PENDING),
        ("file_download_url", 410, GONE),
        ("file_download_url", 503, FAILED),
        ("Location", 404, PENDING),
        ("file_download_url_v2", 202, PENDING),
        ("file_download_url_v2", 404, GONE),
        ("file_download_url_v2", 410, GONE),
        ("file_download_url_v2", 503, FAILED),
        ("some_url_v2", 404, GONE),
    ],
)
def test_every_documented_answer_to_a_poll_has_its_meaning(
    requests_mock: Mocker, field: str, status: int, expected: ExportStatus
) -> None:
    give_tokens(requests_mock, "t")
    requests_mock.get(POLL_URL, status_code=status)
    assert poll(exporter(), job(field=field)) == (expected, None)
    assert len(sent_to(requests_mock, POLL_URL)) == 1


@pytest.mark.parametrize("status", [404, 410, 503])
def test_what_the_vendor_says_of_an_export_is_handed_on(requests_mock: Mocker, status: int) -> None:
    give_tokens(requests_mock, "t")
    requests_mock.get(POLL_URL, status_code=status, json={"detail": "The segment was deleted"})
    assert "The segment was deleted" in exporter().poll(job(), deadline_seconds=600).reason


@pytest.mark.parametrize("status", [200, 202, 404])
def test_a_wait_that_the_vendor_asks_for_is_handed_on(requests_mock: Mocker, status: int) -> None:
    give_tokens(requests_mock, "t")
    requests_mock.get(POLL_URL, status_code=status, headers={"Retry-After": "17"}, content=FILE)
    seen = exporter().poll(job(), deadline_seconds=600)
    if seen.spool:
        seen.spool.close()
    assert seen.retry_after == (None if status == 200 else 17)


@pytest.mark.parametrize(("wait", "seconds"), [("5", 5), ("soon", None), ("-1", None), ("", None)])
def test_a_503_that_says_when_to_come_back_is_a_gateways_and_no_failed_export(
    requests_mock: Mocker, wait: str, seconds: float | None
) -> None:
    give_tokens(requests_mock, "t")
    requests_mock.get(POLL_URL, status_code=503, headers={"Retry-After": wait})
    seen = exporter().poll(job(), deadline_seconds=600)
    assert (seen.status, seen.retry_after) == (ExportStatus.UNAVAILABLE, seconds)


@pytest.mark.parametrize("status", [204, 206])
def test_a_success_that_is_not_documented_is_an_error(requests_mock: Mocker, status: int) -> None:
    give_tokens(requests_mock, "t")
    requests_mock.get(POLL_URL, status_code=status, content=FILE)
    with pytest.raises(UnusableAnswer, match=str(status)):
        poll(exporter())


@pytest.mark.parametrize("status", [429, 500, 502, 504])
def test_a_passing_trouble_asks_the_same_url_again(requests_mock: Mocker, status: int) -> None:
    give_tokens(requests_mock, "t")
    requests_mock.get(POLL_URL, [{"status_code": status}, {"content": FILE}])
    assert poll(exporter()) == (READY, FILE)


def test_the_file_is_asked_for_compressed_and_kept_as_it_came(requests_mock: Mocker) -> None:
    give_tokens(requests_mock, "t")
    packed = gzip.compress(FILE)
    requests_mock.get(POLL_URL, content=packed, headers={"Content-Encoding": "gzip"})
    assert poll(exporter()) == (READY, packed)
    assert sent_to(requests_mock, POLL_URL)[0].headers["Accept-Encoding"] == "gzip"


@pytest.mark.parametrize("end", [1, 10, len(FILE) - 1])
@pytest.mark.parametrize("packed", [False, True])
def test_a_file_cut_short_is_loaded_again_and_never_ready(requests_mock: Mocker, end: int, *, packed: bool) -> None:
    give_tokens(requests_mock, "t")
    whole = gzip.compress(FILE) if packed else FILE
    requests_mock.get(POLL_URL, [{"content": whole[: max(end, 2)]}, {"content": whole}])
    assert poll(exporter()) == (READY, whole)
    requests_mock.get(POLL_URL, content=whole[: max(end, 2)])
    with pytest.raises(IncompleteAnswer):
        poll(exporter())


@pytest.mark.parametrize("body", [b"<html>canary</html>", b"[]", b"null", b'{"profiles":[]}', FILE + b"x"])
def test_what_is_no_export_file_is_an_error_and_no_empty_export(requests_mock: Mocker, body: bytes) -> None:
    give_tokens(requests_mock, "t")
    requests_mock.get(POLL_URL, content=body)
    with pytest.raises(UnusableAnswer) as failure:
        poll(exporter())
    assert "canary" not in str(failure.value)


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        (b'{"status":"error","detail":"The data set is too large","x":"canary"}', "The data set is too large"),
        (gzip.compress(b'{"status":"error","title":"Too large"}', mtime=0), "Too large"),
        (b'{"profiles":null,"status":"error","detail":"Try again"}', "Try again"),
        (b'{"profiles":{},"errors":["no segment"]}', "no segment"),
        (b'{"x":"canary"}', ""),
        (b"{}", ""),
    ],
)
def test_a_status_of_error_in_place_of_profiles_is_no_empty_export_and_its_reason_is_quoted(
    requests_mock: Mocker, body: bytes, reason: str
) -> None:
    give_tokens(requests_mock, "t")
    requests_mock.get(POLL_URL, content=body)
    seen = exporter().poll(job(), deadline_seconds=600)
    assert seen.status is FAILED
    assert isinstance(seen.error, NoMembers)
    assert seen.error.exit_code == 12
    assert (f'The vendor says: "{reason}".' in str(seen.error)) == bool(reason)
    assert "canary" not in str(seen.error)


@pytest.mark.parametrize(
    "body", [b'{"profiles":null}', b'{"metadata":{},"profiles":{}}', b'\xef\xbb\xbf{"profiles":{}}']
)
def test_null_or_no_profiles_are_an_empty_export(requests_mock: Mocker, body: bytes) -> None:
    give_tokens(requests_mock, "t")
    requests_mock.get(POLL_URL, content=body)
    assert poll(exporter()) == (READY, body)


@pytest.mark.parametrize(
    ("base_url", "url", "is_accepted"),
    [
        ("https://api.apsis.one", "http://api.apsis.one/poll/1?x=2", True),
        ("https://api.apsis.one", "http://API.apsis.one:80/poll/1?x=2", True),
        ("https://api.apsis.one:443", "http://api.apsis.one/poll/1?x=2", True),
        ("https://api.apsis.one", "http://api.apsis.one:8080/poll/1?x=2", False),
        ("https://api.apsis.one", "http://api.apsis.one:443/poll/1?x=2", False),
        ("https://api.apsis.one:8443", "http://api.apsis.one/poll/1?x=2", False),
        ("https://api.apsis.one", "http://other.apsis.one/poll/1?x=2", False),
        ("http://api.apsis.one", "https://api.apsis.one/poll/1?x=2", False),
    ],
)
def test_a_poll_url_over_http_is_asked_for_over_https_on_the_same_host(
    base_url: str, url: str, *, is_accepted: bool
) -> None:
    api = ApsisApi(vendor_settings("apsis", base_url=base_url), deadline_seconds=1)
    if is_accepted:
        path = api.own_path(url, "a poll URL")
        assert path == "/poll/1?x=2"
        assert api.url(path).startswith("https://")
    else:
        with pytest.raises(UnusableAnswer, match="another host"):
            api.own_path(url, "a poll URL")


@pytest.mark.parametrize(
    ("status", "text", "kind"),
    [
        (400, "The data set is too large", TooLarge),
        (400, "The data set exceeds what can be exported", TooLarge),
        (400, "start_at is missing", RequestRefused),
        (400, "Unknown field: page_size", RequestRefused),
        (400, "size must be an integer", RequestRefused),
        (400, "No such data set", RequestRefused),
        (413, "", TooLarge),
    ],
)
def test_a_refusal_for_size_is_told_from_one_for_content(
    requests_mock: Mocker, status: int, text: str, kind: type[RequestRefused]
) -> None:
    accept(requests_mock)
    requests_mock.post(EXPORTS_URL, status_code=status, json={"title": text, "other": "canary"})
    with pytest.raises(RequestRefused) as refusal:
        exporter().request_export(REQUEST)
    assert type(refusal.value) is kind
    assert "canary" not in str(refusal.value)


def test_a_request_that_is_larger_than_the_vendor_takes_is_not_mistaken_for_too_much_data(
    requests_mock: Mocker,
) -> None:
    accept(requests_mock)
    requests_mock.post(EXPORTS_URL, status_code=413)
    with pytest.raises(RequestRefused) as refusal:
        exporter().request_export(dataclasses.replace(REQUEST, parameters={"attributes": ["x" * 100_000]}))
    assert type(refusal.value) is RequestRefused


def test_a_base_url_behind_a_proxy_path_is_polled_where_the_vendor_says() -> None:
    token = cut(with_length(b'{"access_token":"t"}'))
    with LoopbackServer(token, cut(with_length(b'{"url":"/apsis/poll/1"}')), cut(with_length(FILE))) as server:
        client = exporter(base_url=f"{server.url}/apsis/")
        assert poll(client, client.request_export(REQUEST)) == (READY, FILE)
        paths = [request.split(b" ")[1] for request in server.requests]
    assert paths == [b"/apsis/oauth/token", b"/apsis/audience/profiles/exports", b"/apsis/poll/1"]
