"""Export request, busy segments and the download URL: as documented, the key where it belongs, the URL nowhere."""

from __future__ import annotations

import gzip
import json
import logging
import time
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
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
from tap_cdp_export.jobs.job import ExportJob, ExportRequest, ExportStatus
from tap_cdp_export.jobs.runner import PollPolicy
from tap_cdp_export.redaction import REDACTOR
from tap_cdp_export.vendors.braze.api import BrazeApi
from tap_cdp_export.vendors.braze.client import BrazeExporter
from tests.helpers.archives import gzipped, zipped
from tests.helpers.configurations import BRAZE_URL
from tests.helpers.in_process import completed
from tests.helpers.loopback import LoopbackServer, cut, with_length

if TYPE_CHECKING:
    from pathlib import Path

    from requests_mock import Mocker

    from tests.helpers.virtual_clock import VirtualClock

EXPORT_URL = f"{BRAZE_URL}/users/export/segment"
CANCEL_URL = f"{BRAZE_URL}/export/segment/cancel"
LIST_URL = f"{BRAZE_URL}/segments/list"
STORAGE_URL = "https://storage.test/Iw_2CAuI2mvAemo2jRTbG6IBUkzpJNBbYSMwPHO082o.zip"
PREFIX = "e739ed46-9cd7-4142-b70f-843b89c5ac80-1592424870"
SUCCESS = {"object_prefix": PREFIX, "url": STORAGE_URL, "message": "success"}
REQUEST = ExportRequest(
    "Braze segment s", {"segment_id": "s", "fields_to_export": ["braze_id"], "output_format": "zip"}
)
ARCHIVE = zipped({"a.txt": b'{"braze_id":"a"}'})
PENDING, READY, GONE = ExportStatus.PENDING, ExportStatus.READY, ExportStatus.GONE
ACCESS_DENIED = b"<?xml version='1.0'?><Error><Code>AccessDenied</Code></Error>"
EXPIRED = b"<?xml version='1.0'?><Error><Code>ExpiredToken</Code></Error>"

pytestmark = pytest.mark.usefixtures("clock")


def exporter(*, timeout: float = 3600, **changes: Any) -> BrazeExporter:
    settings = completed("braze", **changes)
    return BrazeExporter(
        BrazeApi(settings, deadline_seconds=900), settings, PollPolicy(5, 60, timeout), deadline_seconds=900
    )


def check_access() -> None:
    BrazeApi(completed("braze"), deadline_seconds=900).check_access()


def job(url: str | None = STORAGE_URL) -> ExportJob:
    now = datetime.now(UTC)
    return ExportJob({"segment_id": "s"}, "digest", now, now + timedelta(hours=4), secret=url)


def poll(client: BrazeExporter, of: ExportJob | None = None) -> tuple[ExportStatus, bytes | None]:
    seen = client.poll(of or job(), deadline_seconds=600)
    if seen.spool is None:
        return seen.status, None
    with seen.spool as spool:
        return seen.status, b"".join(spool.chunks())


def busy(**headers: str) -> dict[str, Any]:
    return {"status_code": 429, "json": {"message": "already in progress"}, "headers": headers}


# Request


def test_a_recorded_success_becomes_a_job_whose_url_is_its_secret(requests_mock: Mocker) -> None:
    requests_mock.post(EXPORT_URL, status_code=201, json=SUCCESS)
    made = exporter().request_export(REQUEST)
    assert requests_mock.last_request is not None
    assert requests_mock.last_request.json() == REQUEST.parameters
    assert requests_mock.last_request.headers["Authorization"] == "Bearer braze-api-key"
    assert requests_mock.last_request.headers["Content-Type"] == "application/json"
    assert made.secret == STORAGE_URL
    assert made.digest == REQUEST.digest
    assert "storage.test" not in json.dumps(made.to_state())
    assert made.reference == {"segment_id": "s"}


def test_a_slash_at_the_end_of_base_url_does_no_harm(requests_mock: Mocker) -> None:
    requests_mock.post(EXPORT_URL, json=SUCCESS)
    exporter(base_url=f"{BRAZE_URL}/").request_export(REQUEST)
    assert requests_mock.request_history[0].url == EXPORT_URL


@pytest.mark.parametrize(
    "answer",
    [
        {"message": "failed", "url": STORAGE_URL},
        {"url": STORAGE_URL},
        {"message": "success"},
        {"message": "success", "url": None, "object_prefix": PREFIX},
        {"message": "success", "url": 5},
        {"message": "success", "url": ""},
        {"message": "success", "url": "http://storage.test/x"},
        {"message": "success", "url": "ftp://storage.test/x"},
        {"message": "success", "url": "file:///etc/passwd"},
        {"message": "success", "url": "storage.test/x"},
        {"message": "success", "url": "https://[::1"},
        {},
    ],
)
def test_an_answer_without_a_safe_url_is_an_error_that_does_not_show_it(
    requests_mock: Mocker, answer: dict[str, Any]
) -> None:
    requests_mock.post(EXPORT_URL, status_code=201, json=answer)
    with pytest.raises(UnusableAnswer) as failure:
        exporter().request_export(REQUEST)
    assert failure.value.exit_code == 12
    assert ("failed" in str(failure.value)) is (answer.get("message") == "failed")
    assert "storage.test" not in str(failure.value)


@pytest.mark.parametrize("url", [{}, {"url": None}, {"url": ""}], ids=["absent", "null", "empty"])
def test_without_a_url_the_files_are_looked_for_in_the_bucket(
    requests_mock: Mocker, tmp_path: Path, url: dict[str, Any]
) -> None:
    requests_mock.post(EXPORT_URL, json={"message": "success", "object_prefix": PREFIX, **url})
    made = exporter(bucket_url=f"file://{tmp_path}").request_export(REQUEST)
    assert made.secret is None
    assert made.reference == {"segment_id": "s", "object_prefix": PREFIX}


def test_a_missing_url_is_explained_by_the_connected_bucket(requests_mock: Mocker) -> None:
    requests_mock.post(EXPORT_URL, json={"message": "success", "object_prefix": PREFIX})
    with pytest.raises(UnusableAnswer, match="bucket"):
        exporter().request_export(REQUEST)


@pytest.mark.parametrize(
    ("status", "kind"),
    [
        (401, CredentialsRefused),
        (403, CredentialsRefused),
        (400, RequestRefused),
        (404, RequestRefused),
        (415, RequestRefused),
    ],
)
def test_a_refusal_is_explained_and_does_not_echo_the_key(
    requests_mock: Mocker, status: int, kind: type[CdpExportError]
) -> None:
    REDACTOR.add_secrets(["braze-api-key"])
    headers = {"X-RateLimit-Limit": "", "X-RateLimit-Remaining": "", "X-RateLimit-Reset": ""}
    requests_mock.post(
        EXPORT_URL, status_code=status, json={"message": "Invalid API key: braze-api-key"}, headers=headers
    )
    with pytest.raises(kind) as refusal:
        exporter().request_export(REQUEST)
    assert 'The vendor says: "Invalid API key: (redacted)"' in str(refusal.value)
    assert "braze-api-key" not in str(refusal.value)
    assert "Braze segment s" in str(refusal.value)
    assert requests_mock.call_count == 1
    if kind is CredentialsRefused:
        assert "users.export.segment" in str(refusal.value)


# A busy segment


def test_a_busy_segment_is_waited_for_with_growing_pauses(requests_mock: Mocker, clock: VirtualClock) -> None:
    requests_mock.post(EXPORT_URL, [busy(), busy(), busy(), {"json": SUCCESS}])
    assert exporter().request_export(REQUEST).secret == STORAGE_URL
    assert all(bound / 2 <= pause <= bound for pause, bound in zip(clock.pauses, (5, 10, 20), strict=True))


def test_a_segment_that_stays_busy_ends_at_the_deadline(requests_mock: Mocker, clock: VirtualClock) -> None:
    requests_mock.post(EXPORT_URL, **busy())
    with pytest.raises(QuotaReached, match=r'says: "already in progress".* on_conflict') as failure:
        exporter(timeout=600).request_export(REQUEST)
    assert failure.value.exit_code == 14
    assert 500 < clock.paused <= 600


def test_a_busy_segment_fails_at_once_where_the_settings_say_so(requests_mock: Mocker, clock: VirtualClock) -> None:
    requests_mock.post(EXPORT_URL, **busy())
    with pytest.raises(QuotaReached, match=r'says: "already in progress".* on_conflict') as failure:
        exporter(on_conflict="fail").request_export(REQUEST)
    assert failure.value.exit_code == 14
    assert clock.pauses == []
    assert requests_mock.call_count == 1


def test_a_busy_segment_is_cancelled_once_where_the_settings_say_so(requests_mock: Mocker, clock: VirtualClock) -> None:
    requests_mock.post(EXPORT_URL, [busy(), busy(), {"json": SUCCESS}])
    cancel = requests_mock.post(CANCEL_URL, json={})
    assert exporter(on_conflict="cancel").request_export(REQUEST).secret == STORAGE_URL
    assert all(bound / 2 <= pause <= bound for pause, bound in zip(clock.pauses, (5, 10), strict=True))
    assert cancel.call_count == 1
    assert cancel.last_request is not None
    assert cancel.last_request.json() == {"segment_id": "s"}


def test_what_stays_busy_after_a_cancellation_ends_at_the_deadline(requests_mock: Mocker, clock: VirtualClock) -> None:
    requests_mock.post(EXPORT_URL, **busy(**{"Retry-After": "70"}))
    cancel = requests_mock.post(CANCEL_URL, json={})
    with pytest.raises(QuotaReached, match=r'says: "already in progress".* raise export_timeout_seconds') as failure:
        exporter(on_conflict="cancel", timeout=600).request_export(REQUEST)
    assert "on_conflict" not in str(failure.value)
    assert cancel.call_count == 1
    assert set(clock.pauses) == {70}
    assert 500 < clock.paused <= 600


def test_a_key_that_may_not_cancel_is_told_which_permission_it_lacks(requests_mock: Mocker) -> None:
    requests_mock.post(EXPORT_URL, **busy())
    requests_mock.post(CANCEL_URL, status_code=403, json={"message": "Access Denied"})
    with pytest.raises(CredentialsRefused, match=r'segment s.*"Access Denied".*segments\.list.*on_conflict to wait'):
        exporter(on_conflict="cancel").request_export(REQUEST)


@pytest.mark.parametrize("conflict", ["wait", "fail"])
def test_nothing_is_cancelled_unless_the_settings_say_so(requests_mock: Mocker, conflict: str) -> None:
    requests_mock.post(EXPORT_URL, [busy(), {"json": SUCCESS}])
    cancel = requests_mock.post(CANCEL_URL, json={})
    try:
        exporter(on_conflict=conflict).request_export(REQUEST)
    except QuotaReached:
        assert conflict == "fail"
    assert not cancel.called


@pytest.mark.parametrize("conflict", ["wait", "cancel", "fail"])
def test_the_hourly_limit_is_waited_for_and_is_no_conflict_about_the_segment(
    requests_mock: Mocker, clock: VirtualClock, conflict: str
) -> None:
    limit = busy(**{"X-RateLimit-Remaining": "0", "X-RateLimit-Reset": str(int(time.time()) + 1200)})
    requests_mock.post(EXPORT_URL, [limit, {"json": SUCCESS}])
    cancel = requests_mock.post(CANCEL_URL, json={})
    assert exporter(on_conflict=conflict).request_export(REQUEST).secret == STORAGE_URL
    assert 1190 < clock.paused <= 1201
    assert not cancel.called


@pytest.mark.parametrize(
    "headers",
    [
        {"X-RateLimit-Remaining": "249000", "X-RateLimit-Reset": "1592427600"},
        {"X-RateLimit-Remaining": "", "X-RateLimit-Reset": ""},
        {"X-RateLimit-Remaining": "0", "X-RateLimit-Reset": ""},
        {"X-RateLimit-Remaining": "0", "X-RateLimit-Reset": "soon"},
        {},
    ],
)
def test_limit_headers_that_say_nothing_of_use_mean_a_busy_segment(
    requests_mock: Mocker, clock: VirtualClock, headers: dict[str, str]
) -> None:
    requests_mock.post(EXPORT_URL, [busy(**headers), {"json": SUCCESS}])
    exporter().request_export(REQUEST)
    assert 2.5 <= clock.paused <= 5


@pytest.mark.parametrize("conflict", ["cancel", "fail"])
def test_empty_rate_headers_say_nothing_of_the_segment(
    requests_mock: Mocker, clock: VirtualClock, conflict: str
) -> None:
    empty = {"X-RateLimit-Limit": "", "X-RateLimit-Remaining": "", "X-RateLimit-Reset": ""}
    requests_mock.post(EXPORT_URL, [busy(**empty, **{"Retry-After": "90"}), {"json": SUCCESS}])
    cancel = requests_mock.post(CANCEL_URL, json={})
    assert exporter(on_conflict=conflict).request_export(REQUEST).secret == STORAGE_URL
    assert not cancel.called
    assert clock.pauses == [90]


def test_requests_that_remain_make_a_refusal_one_of_the_segment(requests_mock: Mocker) -> None:
    limit = {"status_code": 429, "headers": {"X-RateLimit-Remaining": "249000"}}
    requests_mock.post(EXPORT_URL, [limit, {"json": SUCCESS}])
    cancel = requests_mock.post(CANCEL_URL, json={})
    exporter(on_conflict="cancel").request_export(REQUEST)
    assert cancel.call_count == 1


@pytest.mark.parametrize("wait", ["0", "Wed, 21 Oct 2015 07:28:00 GMT"])
@pytest.mark.parametrize("remaining", ["0", "5"])
def test_a_busy_segment_is_never_asked_for_without_a_pause(
    requests_mock: Mocker, clock: VirtualClock, wait: str, remaining: str
) -> None:
    limit = {"X-RateLimit-Remaining": remaining, "X-RateLimit-Reset": "0"}
    requests_mock.post(EXPORT_URL, **busy(**{"Retry-After": wait, **limit}))
    with pytest.raises(QuotaReached):
        exporter(timeout=600).request_export(REQUEST)
    assert requests_mock.call_count < 25
    assert clock.paused > 500


def test_a_busy_segment_is_left_alone_as_long_as_the_vendor_says(requests_mock: Mocker, clock: VirtualClock) -> None:
    requests_mock.post(EXPORT_URL, [busy(**{"Retry-After": "300"}), {"json": SUCCESS}])
    exporter().request_export(REQUEST)
    assert clock.pauses == [300]


@pytest.mark.parametrize("hours", [-2, 2])
def test_the_hourly_limit_is_measured_from_the_vendors_clock(
    requests_mock: Mocker, clock: VirtualClock, hours: int
) -> None:
    now = datetime.now(UTC) + timedelta(hours=hours)
    limit = {"X-RateLimit-Remaining": "0", "X-RateLimit-Reset": str(int(now.timestamp()) + 1200)}
    requests_mock.post(EXPORT_URL, [busy(**{"Date": format_datetime(now, usegmt=True), **limit}), {"json": SUCCESS}])
    exporter().request_export(REQUEST)
    assert 1198 <= clock.paused <= 1201


@pytest.mark.parametrize("reset", ["0", "1", "9" * 12, "9" * 400])
def test_an_absurd_reset_time_neither_hurries_nor_waits_for_ever(
    requests_mock: Mocker, clock: VirtualClock, reset: str
) -> None:
    requests_mock.post(
        EXPORT_URL, [busy(**{"X-RateLimit-Remaining": "0", "X-RateLimit-Reset": reset}), {"json": SUCCESS}]
    )
    exporter(timeout=21600).request_export(REQUEST)
    assert 0 < clock.paused <= 3600


def test_a_lost_answer_leads_to_one_running_export_and_not_to_two(requests_mock: Mocker, clock: VirtualClock) -> None:
    lost = {"exc": requests.ReadTimeout("lost")}
    requests_mock.post(EXPORT_URL, [lost, busy(), busy(), {"json": SUCCESS}])
    assert exporter().request_export(REQUEST).secret == STORAGE_URL
    assert len(clock.pauses) == 3


def test_a_vendor_that_keeps_failing_is_given_up(requests_mock: Mocker) -> None:
    requests_mock.post(EXPORT_URL, status_code=502)
    with pytest.raises(VendorUnavailable):
        exporter().request_export(REQUEST)


# The download URL


def test_the_download_carries_nothing_that_names_the_customer(requests_mock: Mocker) -> None:
    requests_mock.get(STORAGE_URL, content=ARCHIVE)
    assert poll(exporter()) == (READY, ARCHIVE)
    assert requests_mock.last_request is not None
    headers = {name.lower() for name in requests_mock.last_request.headers}
    assert not headers & {"authorization", "cookie", "x-api-key"}
    assert "braze-api-key" not in str(requests_mock.last_request.headers)


def test_a_zip_that_is_sent_with_content_encoding_gzip_is_unpacked(requests_mock: Mocker) -> None:
    requests_mock.get(STORAGE_URL, content=gzip.compress(ARCHIVE), headers={"Content-Encoding": "gzip"})
    assert poll(exporter()) == (READY, ARCHIVE)


@pytest.mark.parametrize(("status", "body"), [(403, ACCESS_DENIED), (403, b""), (404, b"<Error/>")])
def test_a_url_that_is_not_ready_is_waited_for(requests_mock: Mocker, status: int, body: bytes) -> None:
    requests_mock.get(STORAGE_URL, status_code=status, content=body)
    assert poll(exporter()) == (PENDING, None)
    assert requests_mock.call_count == 1


@pytest.mark.parametrize(("body", "status"), [(ACCESS_DENIED, PENDING), (EXPIRED, GONE)])
def test_a_refusal_that_is_cut_still_counts(body: bytes, status: ExportStatus) -> None:
    head = f"HTTP/1.1 403 Forbidden\r\nContent-Length: {len(body) + 9}\r\nConnection: close\r\n\r\n"
    with LoopbackServer(cut(head.encode() + body)) as storage:
        assert poll(exporter(base_url=storage.url), job(f"{storage.url}/a.zip")) == (status, None)
        assert len(storage.requests) == 1


@pytest.mark.parametrize(
    "said", [EXPIRED, ACCESS_DENIED.replace(b"</Code>", b"</Code><Message>Request has expired</Message>")]
)
def test_a_url_that_expired_is_gone(requests_mock: Mocker, said: bytes) -> None:
    requests_mock.get(STORAGE_URL, status_code=403, content=said)
    assert poll(exporter()) == (GONE, None)


def test_a_job_of_an_earlier_run_has_no_url_any_more_and_is_gone(requests_mock: Mocker) -> None:
    assert poll(exporter(), ExportJob.from_state(job().to_state())) == (GONE, None)
    assert requests_mock.call_count == 0


@pytest.mark.parametrize("status", [204, 206, 300, 304, 400, 401, 410, 416])
def test_an_answer_that_is_not_documented_is_an_error(requests_mock: Mocker, status: int) -> None:
    requests_mock.get(ANY, content=ARCHIVE)
    requests_mock.get(STORAGE_URL, status_code=status, headers={"Location": "https://elsewhere.test/x"})
    with pytest.raises(UnusableAnswer) as failure:
        poll(exporter())
    assert "storage.test" not in str(failure.value)
    assert {request.hostname for request in requests_mock.request_history} == {"storage.test"}


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_a_redirect_of_the_storage_is_followed_without_credentials(requests_mock: Mocker, status: int) -> None:
    target = "https://region.storage.test/x.zip?signature=canary"
    requests_mock.get(STORAGE_URL, status_code=status, headers={"Location": target})
    requests_mock.get(target, content=ARCHIVE)
    assert poll(exporter()) == (READY, ARCHIVE)
    assert "Authorization" not in requests_mock.request_history[-1].headers
    assert "canary" not in REDACTOR.redact("signature=canary of a log line")


@pytest.mark.parametrize("location", ["http://storage.test/x", "ftp://storage.test/x", None])
def test_a_redirect_to_a_less_safe_url_is_not_followed(requests_mock: Mocker, location: str | None) -> None:
    requests_mock.get(ANY, content=ARCHIVE)
    requests_mock.get(STORAGE_URL, status_code=302, headers={"Location": location} if location else {})
    with pytest.raises(UnusableAnswer, match="as safe as base_url") as failure:
        poll(exporter())
    assert "storage.test" not in str(failure.value)
    assert requests_mock.call_count == 1


def test_a_redirect_to_no_url_is_an_error(requests_mock: Mocker) -> None:
    requests_mock.get(STORAGE_URL, status_code=302, headers={"Location": "https://["})
    with pytest.raises(UnusableAnswer, match="no valid URL"):
        poll(exporter())


def test_a_redirect_to_a_private_address_receives_no_byte(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tap_cdp_export.http.public_addresses.is_public", lambda address: address == "127.0.0.1")
    with LoopbackServer(cut(with_length(ARCHIVE)), host="127.0.0.2") as inside:
        redirect = f"HTTP/1.1 307 Temporary Redirect\r\nLocation: {inside.url}/x.zip\r\nContent-Length: 0\r\n\r\n"
        with LoopbackServer(cut(redirect.encode())) as storage:
            with pytest.raises(UnusableAnswer, match="leads to a private network"):
                poll(exporter(base_url=storage.url), job(f"{storage.url}/a.zip"))
            assert len(storage.requests) == 1
        assert inside.requests == []
        assert inside.received == b""


@pytest.mark.parametrize("hops", [5, 6])
def test_five_redirects_are_followed(requests_mock: Mocker, hops: int) -> None:
    redirects: list[dict[str, Any]] = [{"status_code": 307, "headers": {"Location": STORAGE_URL}}] * hops
    requests_mock.get(STORAGE_URL, [*redirects, {"content": ARCHIVE}])
    if hops == 5:
        assert poll(exporter()) == (READY, ARCHIVE)
        return
    with pytest.raises(UnusableAnswer, match="more than 5"):
        poll(exporter())


@pytest.mark.parametrize(
    ("status", "text"),
    [
        (400, b"<Error><Code>ExpiredToken</Code></Error>"),
        (400, b"<Details>Request signature expired at: 2024-03-01T00:00:00</Details>"),
        (403, b"<Code>AuthenticationFailed</Code> Signature not valid in the specified time frame: Start"),
    ],
)
def test_a_url_that_expired_at_any_cloud_is_gone(requests_mock: Mocker, status: int, text: bytes) -> None:
    requests_mock.get(STORAGE_URL, status_code=status, content=text)
    assert poll(exporter()) == (GONE, None)


def test_an_error_page_in_place_of_the_archive_is_tried_again(requests_mock: Mocker) -> None:
    requests_mock.get(STORAGE_URL, [{"content": b"<Error><Code>InternalError</Code></Error>"}, {"content": ARCHIVE}])
    assert poll(exporter()) == (READY, ARCHIVE)


@pytest.mark.parametrize("status", [408, 429, 500, 503])
def test_a_passing_trouble_of_the_storage_is_tried_again(requests_mock: Mocker, status: int) -> None:
    requests_mock.get(STORAGE_URL, [{"status_code": status}, {"content": ARCHIVE}])
    assert poll(exporter()) == (READY, ARCHIVE)


@pytest.mark.parametrize("archive", [ARCHIVE, gzipped(b'{"braze_id":"a"}'), zipped({})])
def test_an_archive_is_told_by_its_first_bytes_and_not_by_what_was_asked_for(
    requests_mock: Mocker, archive: bytes
) -> None:
    for output_format in ("zip", "gzip"):
        requests_mock.get(STORAGE_URL, content=archive, headers={"Content-Length": str(len(archive))})
        assert poll(exporter(output_format=output_format)) == (READY, archive)


@pytest.mark.parametrize("headers", ["", "Transfer-Encoding: identity\r\n", "Content-Length: x\r\n"])
def test_gzip_that_only_the_connections_end_ends_may_be_cut_and_is_refused_while_a_zip_proves_itself(
    headers: str,
) -> None:
    for archive, is_whole in ((ARCHIVE, True), (gzipped(b'{"braze_id":"a"}'), False)):
        with LoopbackServer(cut(f"HTTP/1.1 200 OK\r\n{headers}\r\n".encode() + archive)) as storage:
            client = exporter(base_url=storage.url)
            made = job(f"{storage.url}/x.zip")
            if is_whole:
                assert poll(client, made) == (READY, archive)
                continue
            with pytest.raises(UnusableAnswer, match="output_format"):
                poll(client, made)


def test_a_wait_that_the_storage_asks_for_is_handed_on(requests_mock: Mocker) -> None:
    requests_mock.get(STORAGE_URL, status_code=403, headers={"Retry-After": "17"})
    assert exporter().poll(job(), deadline_seconds=600).retry_after == 17


def test_an_archive_cut_short_is_loaded_again_and_never_ready(requests_mock: Mocker) -> None:
    requests_mock.get(STORAGE_URL, [{"content": ARCHIVE[:-9]}, {"content": ARCHIVE}])
    assert poll(exporter()) == (READY, ARCHIVE)
    requests_mock.get(STORAGE_URL, content=ARCHIVE[:-9])
    with pytest.raises(IncompleteAnswer):
        poll(exporter())


def test_a_login_page_in_place_of_the_archive_is_an_error(requests_mock: Mocker) -> None:
    requests_mock.get(STORAGE_URL, content=b"<html>canary</html>")
    with pytest.raises(UnusableAnswer) as failure:
        poll(exporter())
    assert "canary" not in str(failure.value)


def test_a_url_that_leads_into_the_companys_own_network_gets_not_one_byte(requests_mock: Mocker) -> None:
    public = "http://8.8.8.8"
    requests_mock.get(ANY, real_http=True)
    with LoopbackServer(cut(with_length(ARCHIVE))) as inside:
        requests_mock.post(f"{public}/users/export/segment", json={**SUCCESS, "url": f"{inside.url}/x.zip"})
        client = exporter(base_url=public)
        with pytest.raises(UnusableAnswer) as failure:
            poll(client, client.request_export(REQUEST))
        assert inside.requests == []
    assert "127.0.0.1" not in str(failure.value)


def test_a_sandbox_on_loopback_may_serve_its_archive_from_loopback() -> None:
    with LoopbackServer(cut(with_length(ARCHIVE))) as storage:
        answer = json.dumps({**SUCCESS, "url": f"{storage.url}/x.zip"}).encode()
        with LoopbackServer(cut(with_length(answer))) as api:
            client = exporter(base_url=api.url)
            assert poll(client, client.request_export(REQUEST)) == (READY, ARCHIVE)
        assert b"braze-api-key" in api.requests[0]
        assert b"braze-api-key" not in storage.requests[0]


def test_the_url_is_in_no_log_line_and_no_message(requests_mock: Mocker, caplog: pytest.LogCaptureFixture) -> None:
    requests_mock.post(EXPORT_URL, json=SUCCESS)
    requests_mock.get(
        STORAGE_URL, [{"status_code": 500}, {"exc": requests.ConnectionError(STORAGE_URL)}, {"status_code": 418}]
    )
    client = exporter()
    with caplog.at_level(logging.DEBUG, logger="tap_cdp_export"):
        made = client.request_export(REQUEST)
        with pytest.raises(UnusableAnswer) as failure:
            poll(client, made)
    assert len(caplog.records) >= 2
    assert "storage.test" not in f"{caplog.text} {failure.value}"
    assert "Iw_2CAuI2mvAemo2jRTbG6IBUkzpJNBbYSMwPHO082o" not in f"{caplog.text} {failure.value} {made!r}"


# Test mode


def test_checking_access_starts_no_export(requests_mock: Mocker) -> None:
    requests_mock.get(LIST_URL, json={"message": "success", "segments": []})
    check_access()
    (request,) = requests_mock.request_history
    assert request.headers["Authorization"] == "Bearer braze-api-key"


def test_a_key_that_may_not_list_segments_may_still_export(requests_mock: Mocker) -> None:
    requests_mock.get(LIST_URL, status_code=403)
    check_access()


def test_a_wrong_key_is_found_by_checking_access(requests_mock: Mocker) -> None:
    REDACTOR.add_secrets(["braze-api-key"])  # as the tap does with its settings
    requests_mock.get(LIST_URL, status_code=401, json={"message": "Invalid API key: braze-api-key"})
    with pytest.raises(CredentialsRefused) as refusal:
        check_access()
    assert "braze-api-key" not in str(refusal.value)
