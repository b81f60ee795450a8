"""API requests end in time, retry only transient failures, and return complete bodies only."""

from __future__ import annotations

import gzip
import logging
import signal
import threading
import time
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from typing import TYPE_CHECKING, Any

import pytest
import requests
from hypothesis import example, given
from hypothesis import strategies as st

from tap_cdp_export.errors import (
    CdpExportError,
    CredentialsRefused,
    IncompleteAnswer,
    Interrupted,
    QuotaReached,
    RequestRefused,
    UnusableAnswer,
    VendorUnavailable,
)
from tap_cdp_export.http.client import ApiRequest, Credentials, HttpClient, is_loopback, origin
from tap_cdp_export.http.responses import body, is_framed, read_object, retry_after
from tap_cdp_export.signals import STOP
from tests.helpers.loopback import LoopbackServer, cut, in_pieces, reset, with_length

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from requests_mock import Mocker

    from tests.helpers.virtual_clock import VirtualClock

URL = "https://api.example.test/things"
GET = ApiRequest("GET", URL, what="some things")
POST = ApiRequest("POST", URL, what="an export", json={"a": 1}, is_idempotent=False)
DEADLINE = 900.0


def read_body(_answer: requests.Response, chunks: Iterator[bytes]) -> bytes:
    return b"".join(chunks)


def client(**options: Any) -> HttpClient:
    return HttpClient("Vendor", **{"deadline_seconds": DEADLINE, **options})


class Token(Credentials):
    """Credentials that send the number of their renewals."""

    def __init__(self, renewals: int = 9) -> None:
        self.version = 1
        self._renewals = renewals

    def renew(self, _status: int) -> bool:
        self.version += 1
        return self.version <= 1 + self._renewals

    def __call__(self, request: requests.PreparedRequest) -> requests.PreparedRequest:
        request.headers["Authorization"] = f"token {self.version}"
        return request


pytestmark = pytest.mark.usefixtures("clock")


# Transient failures


@pytest.mark.parametrize("status", [200, 201, 202, 204])
def test_every_2xx_is_a_success(requests_mock: Mocker, status: int) -> None:
    requests_mock.get(URL, status_code=status, content=b"abc" * 100_000)
    assert client().send(GET, read_body) == b"abc" * 100_000


def test_an_expected_status_is_passed_to_the_handler(requests_mock: Mocker) -> None:
    requests_mock.get(URL, status_code=404, content=b"not yet")
    call = ApiRequest("GET", URL, what="x", expected=frozenset({404}))
    assert client().send(call, lambda answer, chunks: (answer.status_code, b"".join(chunks))) == (404, b"not yet")


@pytest.mark.parametrize("status", [408, 425, 429, 500, 502, 503, 504])
def test_a_transient_status_is_retried_until_it_succeeds(
    requests_mock: Mocker, clock: VirtualClock, status: int
) -> None:
    requests_mock.get(URL, [{"status_code": status}, {"status_code": status}, {"content": b"there"}])
    assert client().send(GET, read_body) == b"there"
    assert requests_mock.call_count == 3
    assert len(clock.pauses) == 2


@pytest.mark.parametrize(
    "failure", [requests.ConnectionError("reset"), requests.ReadTimeout("slow"), requests.ConnectTimeout("slow")]
)
def test_a_broken_connection_is_retried(requests_mock: Mocker, failure: Exception) -> None:
    requests_mock.get(URL, [{"exc": failure}, {"content": b"there"}])
    assert client().send(GET, read_body) == b"there"


@pytest.mark.parametrize("status", [400, 404, 405, 409, 410, 413, 415, 422])
def test_a_refused_request_is_not_retried(requests_mock: Mocker, clock: VirtualClock, status: int) -> None:
    requests_mock.get(URL, status_code=status)
    with pytest.raises(RequestRefused) as refusal:
        client().send(GET, read_body)
    assert (refusal.value.exit_code, refusal.value.status) == (10, status)
    assert requests_mock.call_count == 1
    assert clock.pauses == []


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_a_redirect_is_never_followed(requests_mock: Mocker, status: int) -> None:
    requests_mock.get(URL, status_code=status, headers={"Location": "https://elsewhere.test/"})
    elsewhere = requests_mock.get("https://elsewhere.test/", content=b"caught")
    with pytest.raises(UnusableAnswer) as refusal:
        client(credentials=Token()).send(GET, read_body)
    assert refusal.value.exit_code == 12
    assert not elsewhere.called


# Delays and deadlines


@pytest.mark.parametrize("status", [500, 503])
def test_retries_of_server_errors_are_limited(requests_mock: Mocker, clock: VirtualClock, status: int) -> None:
    requests_mock.get(URL, status_code=status)
    with pytest.raises(VendorUnavailable, match=f"Vendor answered {status}") as failure:
        client().send(GET, read_body)
    assert failure.value.exit_code == 13
    assert 2 <= requests_mock.call_count <= 10
    assert clock.paused <= DEADLINE


def test_retries_of_a_rate_limit_end_at_the_deadline(requests_mock: Mocker, clock: VirtualClock) -> None:
    requests_mock.get(URL, status_code=429)
    with pytest.raises(QuotaReached) as failure:
        client().send(GET, read_body)
    assert failure.value.exit_code == 14
    assert DEADLINE - 60 < clock.paused <= DEADLINE


def test_delays_are_random_and_at_most_a_minute(requests_mock: Mocker, clock: VirtualClock) -> None:
    requests_mock.get(URL, status_code=429)
    for _ in range(5):
        with pytest.raises(QuotaReached):
            client().send(GET, read_body)
    assert max(clock.pauses) <= 60
    assert len({round(pause, 6) for pause in clock.pauses}) > len(clock.pauses) / 2
    assert clock.pauses[0] <= 1


@pytest.mark.parametrize("status", [429, 503])
@pytest.mark.parametrize("seconds", [1, 7, 120])
def test_retry_after_in_seconds_is_honoured_to_the_second(
    requests_mock: Mocker, clock: VirtualClock, status: int, seconds: int
) -> None:
    requests_mock.get(URL, [{"status_code": status, "headers": {"Retry-After": str(seconds)}}, {"content": b"x"}])
    assert client().send(GET, read_body) == b"x"
    assert clock.pauses == [seconds]


def test_retry_after_as_a_date_is_honoured(requests_mock: Mocker, clock: VirtualClock) -> None:
    date = format_datetime(datetime.now(UTC) + timedelta(seconds=100), usegmt=True)
    requests_mock.get(URL, [{"status_code": 429, "headers": {"Retry-After": date}}, {"content": b"x"}])
    assert client().send(GET, read_body) == b"x"
    assert 95 < clock.paused <= 100


EARLIER, LATER = (format_datetime(datetime.now(UTC) + timedelta(hours=hours), usegmt=True) for hours in (-1, 1))


@pytest.mark.parametrize("status", [429, 503])
@pytest.mark.parametrize(
    "headers",
    [
        {"Retry-After": "0"},
        {"Retry-After": EARLIER},
        {"Retry-After": "Wed, 21 Oct 2015 07:28:00 GMT"},
        {"Retry-After": LATER, "Date": LATER},
        {"Retry-After": EARLIER, "Date": LATER},
    ],
)
def test_retry_after_lengthens_a_delay_and_never_shortens_it(
    requests_mock: Mocker, clock: VirtualClock, status: int, headers: dict[str, str]
) -> None:
    requests_mock.get(URL, status_code=status, headers=headers)
    with pytest.raises(CdpExportError):
        client().send(GET, read_body)
    assert requests_mock.call_count < 100
    assert clock.paused > 5
    assert max(clock.pauses) > 4


@pytest.mark.parametrize("hours", [-3, 0, 3])
def test_a_retry_after_date_is_relative_to_the_servers_clock(
    requests_mock: Mocker, clock: VirtualClock, hours: int
) -> None:
    now = datetime.now(UTC) + timedelta(hours=hours)
    headers = {"Date": format_datetime(now, usegmt=True)}
    headers["Retry-After"] = format_datetime(now + timedelta(seconds=70), usegmt=True)
    requests_mock.get(URL, [{"status_code": 429, "headers": headers}, {"content": b"x"}])
    assert client().send(GET, read_body) == b"x"
    assert clock.pauses == [70]


@pytest.mark.parametrize("seconds", ["901", "86400", "9" * 400])
def test_a_retry_after_beyond_the_deadline_stops_at_once(
    requests_mock: Mocker, clock: VirtualClock, seconds: str
) -> None:
    requests_mock.get(URL, status_code=429, headers={"Retry-After": seconds})
    with pytest.raises(QuotaReached):
        client().send(GET, read_body)
    assert clock.pauses == []
    assert requests_mock.call_count == 1


@given(
    text=st.text(max_size=40)
    | st.from_regex(r"[A-Z][a-z]{2}, \d{1,3} [A-Z][a-z]{2} \d{1,6} [0-9:]{1,9} ?[-+A-Z0-9]{0,24}")
)
@example(text="Wed, 21 Oct 2015 07:28:00 +999999999999999999")
@example(text="Wed, 21 Oct 99999 07:28:00 GMT")
@example(text="-5")
@example(text="nan")
@example(text="٣")
def test_any_retry_after_is_read_or_ignored(text: str) -> None:
    response = requests.Response()
    response.headers["Retry-After"] = text
    seconds = retry_after(response)
    assert seconds is None or seconds >= 0


def test_the_deadline_of_a_call_replaces_the_clients(requests_mock: Mocker, clock: VirtualClock) -> None:
    requests_mock.get(URL, status_code=429)
    with pytest.raises(QuotaReached):
        client().send(GET, read_body, deadline_seconds=10)
    assert clock.paused <= 10


def test_no_socket_operation_may_outlast_the_deadline(requests_mock: Mocker) -> None:
    requests_mock.get(URL, content=b"")
    client(deadline_seconds=20).send(GET, read_body)
    assert requests_mock.last_request is not None
    timeouts: Any = requests_mock.last_request.timeout
    assert all(0 < timeout <= 20 for timeout in timeouts)


def test_a_signal_ends_the_delay_between_two_attempts(requests_mock: Mocker, clock: VirtualClock) -> None:
    STOP.install()
    requests_mock.get(URL, status_code=503)
    clock.during_pause = lambda: signal.raise_signal(signal.SIGTERM)
    with pytest.raises(Interrupted):
        client().send(GET, read_body)
    assert requests_mock.call_count == 1


# A signal during the response to an export request


JOB = ApiRequest("POST", URL, what="an export", is_idempotent=False, starts_job=True)


def interrupt_response(mock: Mocker, *numbers: signal.Signals, response: dict[str, Any]) -> None:
    """Raise signals during the response."""
    STOP.install()

    def answer(_request: object, context: Any) -> bytes:
        for number in numbers:
            signal.raise_signal(number)
        context.status_code = response.get("status_code", 200)
        return b"job 1"

    mock.post(URL, content=answer)


def test_a_signal_waits_for_an_answer_that_names_a_job(requests_mock: Mocker) -> None:
    interrupt_response(requests_mock, signal.SIGTERM, response={})
    assert client().send(JOB, read_body) == b"job 1"
    with pytest.raises(Interrupted) as stop:
        STOP.raise_if_stopped()
    assert stop.value.exit_code == 143


def test_a_signal_waits_for_no_other_answer(requests_mock: Mocker) -> None:
    interrupt_response(requests_mock, signal.SIGTERM, response={})
    with pytest.raises(Interrupted):
        client().send(POST, read_body)


def test_a_second_signal_ends_the_wait_for_a_job(requests_mock: Mocker) -> None:
    interrupt_response(requests_mock, signal.SIGTERM, signal.SIGINT, response={})
    with pytest.raises(Interrupted) as stop:
        client().send(JOB, read_body)
    assert stop.value.exit_code == 130


@pytest.mark.parametrize("status", [429, 500])
def test_after_a_signal_nothing_is_sent_again(requests_mock: Mocker, clock: VirtualClock, status: int) -> None:
    interrupt_response(requests_mock, signal.SIGTERM, response={"status_code": status})
    with pytest.raises(Interrupted):
        client().send(JOB, read_body)
    assert requests_mock.call_count == 1
    assert clock.pauses == []


def test_a_signal_ends_the_delay_before_an_export_request_is_repeated(
    requests_mock: Mocker, clock: VirtualClock
) -> None:
    STOP.install()
    requests_mock.post(URL, status_code=429)
    clock.during_pause = lambda: signal.raise_signal(signal.SIGTERM)
    with pytest.raises(Interrupted):
        client().send(JOB, read_body)
    assert requests_mock.call_count == 1


# Requests that must not be repeated


@pytest.mark.parametrize("status", [408, 500, 502, 504, 503])
def test_a_request_that_may_have_been_accepted_is_not_sent_again(requests_mock: Mocker, status: int) -> None:
    requests_mock.post(URL, status_code=status)
    with pytest.raises(VendorUnavailable, match=r"accepted all the same|not known"):
        client().send(POST, read_body)
    assert requests_mock.call_count == 1


@pytest.mark.parametrize("failure", [requests.ReadTimeout("slow"), requests.ConnectionError("reset")])
def test_a_request_whose_answer_is_lost_is_not_sent_again(requests_mock: Mocker, failure: Exception) -> None:
    requests_mock.post(URL, exc=failure)
    with pytest.raises(VendorUnavailable, match=r"accepted all the same|not known"):
        client().send(POST, read_body)
    assert requests_mock.call_count == 1


def test_a_request_whose_answer_is_truncated_is_not_sent_again() -> None:
    with LoopbackServer(cut(with_length(b'{"url": "https://x', announced=100))) as server:
        call = ApiRequest("POST", server.url, what="an export", json={"a": 1}, is_idempotent=False)
        with pytest.raises(UnusableAnswer):
            client().send(call, read_body)
        assert len(server.requests) == 1


def test_a_request_after_which_the_connection_is_reset_is_not_sent_again() -> None:
    with LoopbackServer(reset(b"")) as server:
        call = ApiRequest("POST", server.url, what="an export", json={"a": 1}, is_idempotent=False)
        with pytest.raises(VendorUnavailable, match=r"accepted all the same|not known"):
            client().send(call, read_body)
        assert len(server.requests) == 1


@pytest.mark.parametrize(
    "refusal",
    [
        {"status_code": 429},
        {"status_code": 503, "headers": {"Retry-After": "1"}},
        {"exc": requests.ConnectTimeout("never connected")},
    ],
)
def test_a_request_that_was_not_received_is_sent_again(requests_mock: Mocker, refusal: dict[str, Any]) -> None:
    requests_mock.post(URL, [refusal, {"content": b"accepted"}])
    assert client().send(POST, read_body) == b"accepted"
    assert requests_mock.call_count == 2


def test_a_refused_connection_is_retried_even_for_an_export(clock: VirtualClock) -> None:
    with LoopbackServer(cut(b"")) as server:
        unused_url = server.url
    call = ApiRequest("POST", unused_url, what="an export", is_idempotent=False)
    with pytest.raises(VendorUnavailable):
        client().send(call, read_body)
    assert len(clock.pauses) > 1


# Credentials


@pytest.mark.parametrize("status", [401, 403])
def test_credentials_are_renewed_once_before_a_refusal_is_raised(requests_mock: Mocker, status: int) -> None:
    token = Token()
    requests_mock.get(URL, status_code=status)
    with pytest.raises(CredentialsRefused) as refusal:
        client(credentials=token).send(GET, read_body)
    assert (refusal.value.exit_code, refusal.value.status) == (11, status)
    assert requests_mock.call_count == 2
    assert token.version == 2


def test_an_expired_token_is_renewed_without_a_delay(requests_mock: Mocker, clock: VirtualClock) -> None:
    requests_mock.get(URL, status_code=401)
    requests_mock.get(URL, request_headers={"Authorization": "token 2"}, content=b"there")
    assert client(credentials=Token()).send(GET, read_body) == b"there"
    assert clock.paused == 0


def test_a_token_that_expires_between_two_attempts_is_renewed(requests_mock: Mocker) -> None:
    requests_mock.get(URL, [{"status_code": 502}, {"status_code": 401}, {"content": b"there"}])
    token = Token()
    assert client(credentials=token).send(GET, read_body) == b"there"
    assert token.version == 2


def test_an_export_request_refused_for_its_token_is_sent_again(requests_mock: Mocker) -> None:
    requests_mock.post(URL, [{"status_code": 401}, {"content": b"accepted"}])
    assert client(credentials=Token()).send(POST, read_body) == b"accepted"


def test_credentials_that_cannot_be_renewed_are_refused_at_once(requests_mock: Mocker) -> None:
    requests_mock.get(URL, status_code=401)
    with pytest.raises(CredentialsRefused):
        client().send(GET, read_body)
    assert requests_mock.call_count == 1


def test_netrc_is_not_read(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    netrc = tmp_path / "netrc"
    netrc.write_text("default login someone password else\n")
    monkeypatch.setenv("NETRC", str(netrc))
    with LoopbackServer(cut(with_length(b"ok"))) as server:
        call = ApiRequest("GET", server.url, what="x")
        client().send(call, read_body)
        client(credentials=Token()).send(call, read_body)
        bare, with_token = server.requests
    assert b"authorization" not in bare.lower()
    assert b"Authorization: token 1" in with_token


def test_a_loopback_request_ignores_proxy_variables(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")
    monkeypatch.delenv("no_proxy", raising=False)
    monkeypatch.delenv("NO_PROXY", raising=False)
    with LoopbackServer(cut(with_length(b"ok"))) as server:
        assert client(trust_environment=False).send(ApiRequest("GET", server.url, what="x"), read_body) == b"ok"


# Messages


@pytest.mark.parametrize(
    "answer",
    [
        *({"status_code": status, "text": "canary"} for status in (302, 400, 401, 403, 404, 429, 500, 999)),
        {"exc": requests.ConnectionError("https://api.example.test/?key=canary")},
        {"exc": requests.exceptions.SSLError("canary")},
        {"exc": requests.ReadTimeout("canary")},
    ],
)
@pytest.mark.parametrize("call", [GET, POST])
def test_no_message_and_no_log_line_holds_a_body_a_url_or_a_librarys_text(
    requests_mock: Mocker, caplog: pytest.LogCaptureFixture, call: ApiRequest, answer: dict[str, Any]
) -> None:
    requests_mock.register_uri(call.method, URL, **answer)
    caplog.set_level(logging.DEBUG, logger="tap_cdp_export")
    call = ApiRequest(call.method, URL, what=call.what, params={"key": "canary"}, is_idempotent=call.is_idempotent)
    with pytest.raises(CdpExportError) as failure:
        client().send(call, read_body)
    text = f"{failure.value} {caplog.text}"
    assert "canary" not in text
    assert "://" not in text
    assert "Vendor" in str(failure.value)
    assert call.what in str(failure.value)


# Bodies


TRUNCATED_BODIES = {
    "nothing of what Content-Length announced": with_length(b"", announced=10),
    "less than Content-Length announced": with_length(b"x" * 100_000, announced=100_001),
    "no last chunk": b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n",
    "half a chunk": b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nff\r\nhello",
    "a chunk without its size": b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\nzz\r\n",
    "no chunk at all": b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n",
    "less than the length beside another coding": b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n"
    b"Transfer-Encoding: gzip, chunked\r\n\r\nhello",
}
UNFRAMED = {
    "no length at all": "",
    "a coding in place of chunks": "Transfer-Encoding: gzip\r\n",
    "the identity in place of chunks": "Transfer-Encoding: identity\r\n",
    "a length that is no number": "Content-Length: abc\r\n",
    "a length below zero": "Content-Length: -5\r\n",
    "chunks in name only": "Transfer-Encoding: gzip, chunked\r\n",
}
FRAMED = {
    "a length": b"Content-Length: 5\r\n\r\nhello",
    "chunks": b"Transfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n",
    "a length beside another coding": b"Content-Length: 5\r\nTransfer-Encoding: gzip, chunked\r\n\r\nhello",
    "nothing to come": b"Content-Length: 0\r\n\r\n",
}


def framed(answer: requests.Response, chunks: Iterator[bytes]) -> tuple[bool, bool]:
    """Return `is_framed` before and after reading the body."""
    before = is_framed(answer)
    for _ in chunks:
        pass
    return before, is_framed(answer)


@pytest.mark.parametrize("headers", UNFRAMED.values(), ids=UNFRAMED)
def test_a_body_that_ends_with_the_connection_is_not_framed(headers: str) -> None:
    with LoopbackServer(cut(f"HTTP/1.1 200 OK\r\n{headers}\r\nhello".encode())) as server:
        assert client().send(ApiRequest("GET", server.url, what="x"), framed) == (False, False)


@pytest.mark.parametrize("answer", FRAMED.values(), ids=FRAMED)
def test_a_body_with_a_length_or_chunks_is_framed(answer: bytes) -> None:
    with LoopbackServer(cut(b"HTTP/1.1 200 OK\r\n" + answer)) as server:
        assert client().send(ApiRequest("GET", server.url, what="x"), framed) == (True, True)


def test_a_partial_response_is_retried() -> None:
    part = with_length(b"hello", headers="Content-Range: bytes 0-4/9\r\n").replace(b"200 OK", b"206 Partial Content")
    with LoopbackServer(cut(part), cut(with_length(b"hello all"))) as server:
        assert client().send(ApiRequest("GET", server.url, what="x"), read_body) == b"hello all"


COMPLETE_BODIES = {
    "Content-Length": with_length(b"hello" * 1000),
    "chunks": b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
    + b"".join(b"5\r\nhello\r\n" for _ in range(1000))
    + b"0\r\n\r\n",
    "the connection's end": b"HTTP/1.1 200 OK\r\n\r\n" + b"hello" * 1000,
}


@pytest.mark.parametrize("answer", COMPLETE_BODIES.values(), ids=COMPLETE_BODIES)
def test_a_complete_body_is_read_with_any_framing(answer: bytes) -> None:
    with LoopbackServer(cut(answer)) as server:
        assert client().send(ApiRequest("GET", server.url, what="x"), read_body) == b"hello" * 1000


@pytest.mark.parametrize("answer", TRUNCATED_BODIES.values(), ids=TRUNCATED_BODIES)
def test_a_truncated_body_is_an_error_after_three_attempts(answer: bytes) -> None:
    with LoopbackServer(cut(answer)) as server:
        with pytest.raises(IncompleteAnswer) as failure:
            client().send(ApiRequest("GET", server.url, what="x"), read_body)
        assert failure.value.exit_code == 12
        assert len(server.requests) == 3


@pytest.mark.parametrize("answer", TRUNCATED_BODIES.values(), ids=TRUNCATED_BODIES)
def test_a_body_truncated_once_is_read_again_from_its_beginning(answer: bytes) -> None:
    with LoopbackServer(cut(answer), cut(with_length(b"all of it"))) as server:
        assert client().send(ApiRequest("GET", server.url, what="x"), read_body) == b"all of it"
        assert len(server.requests) == 2


def test_a_connection_reset_inside_a_body_is_retried(clock: VirtualClock) -> None:
    with LoopbackServer(reset(with_length(b"x" * 10, announced=1000)), cut(with_length(b"all"))) as server:
        assert client().send(ApiRequest("GET", server.url, what="x"), read_body) == b"all"
    assert len(clock.pauses) == 1


def test_a_compressed_body_is_not_decompressed() -> None:
    packed = gzip.compress(b"hello")
    with LoopbackServer(cut(with_length(packed, headers="Content-Encoding: gzip\r\n"))) as server:
        assert client().send(ApiRequest("GET", server.url, what="x"), read_body) == packed
        assert b"Accept-Encoding: identity" in server.requests[0]


def test_a_body_that_trickles_is_retried(clock: VirtualClock) -> None:
    gate = threading.Semaphore(2)
    head, parts = with_length(b"", announced=1000), [b"x"] * 1000

    def slowly(_answer: requests.Response, chunks: Iterator[bytes]) -> bytes:
        received = b""
        try:
            for chunk in chunks:
                received += chunk
                clock.advance(1)
                gate.release()
        finally:
            gate.release(len(parts))  # let the server notice the closed connection
        return received

    with LoopbackServer(in_pieces([head, *parts], gate), cut(with_length(b"all at once"))) as server:
        assert client().send(ApiRequest("GET", server.url, what="x"), slowly) == b"all at once"
    assert clock.pauses  # retried after about 120 of the 1,000 seconds


def test_a_fast_body_may_take_longer_than_two_minutes(clock: VirtualClock) -> None:
    gate = threading.Semaphore(2)
    parts = [b"x" * 50_000] * 10

    def steadily(_answer: requests.Response, chunks: Iterator[bytes]) -> int:
        size = 0
        for chunk in chunks:
            size += len(chunk)
            if size % 50_000 == 0:
                clock.advance(45)
                gate.release()
        return size

    with LoopbackServer(in_pieces([with_length(b"", announced=500_000), *parts], gate)) as server:
        assert client().send(ApiRequest("GET", server.url, what="x"), steadily) == 500_000
        assert len(server.requests) == 1


class SlowFirstByte:
    """A connection whose first byte arrives after 200 seconds."""

    def __init__(self, data: bytes, clock: VirtualClock) -> None:
        self._data = [b"", data]
        self._clock = clock

    def read1(self, _size: int, *, decode_content: bool) -> bytes:
        assert not decode_content
        if len(self._data) > 1:
            self._clock.advance(200)
        return self._data.pop()


def test_a_small_body_with_a_late_first_byte_is_read(clock: VirtualClock) -> None:
    response = requests.Response()
    response.raw = SlowFirstByte(b"[]", clock)
    assert b"".join(body(response, deadline=time.monotonic() + DEADLINE)) == b"[]"


def test_a_body_that_does_not_end_before_the_deadline_is_incomplete(clock: VirtualClock) -> None:
    def slowly(_answer: requests.Response, chunks: Iterator[bytes]) -> None:
        for _ in chunks:
            clock.advance(DEADLINE + 1)

    with LoopbackServer(cut(with_length(b"x" * 1_000_000))) as server:
        with pytest.raises(IncompleteAnswer, match="deadline"):
            client().send(ApiRequest("GET", server.url, what="x"), slowly)
        assert len(server.requests) == 1


def test_an_error_of_the_handler_is_raised_without_a_retry(requests_mock: Mocker) -> None:
    def fail(_answer: requests.Response, _chunks: Iterator[bytes]) -> None:
        raise UnusableAnswer("not as documented")

    requests_mock.get(URL, content=b"x")
    with pytest.raises(UnusableAnswer, match="not as documented"):
        client().send(GET, fail)
    assert requests_mock.call_count == 1


# Functions


@pytest.mark.parametrize(
    ("url", "other"),
    [
        ("https://api.example", "https://api.example:443/path?query"),
        ("http://api.example", "http://API.EXAMPLE:80"),
        ("HTTPS://api.example", "https://api.example/"),
    ],
)
def test_origins_are_normalized(url: str, other: str) -> None:
    assert origin(url) == origin(other)


@pytest.mark.parametrize(
    "other",
    [
        "http://api.example",
        "https://api.example:8443",
        "https://api.example.evil.test",
        "https://evil.test/api.example",
        "https://api.example@evil.test",
        "https://evil.test#https://api.example",
    ],
)
def test_another_scheme_host_or_port_is_another_origin(other: str) -> None:
    assert origin(other) != origin("https://api.example")


@pytest.mark.parametrize(
    "url",
    ["", "api.example", "/path", "//api.example", "ftp://x", "file:///x", "https://", "https://x:port", "https://[::1"],
)
def test_a_url_that_is_not_http_has_no_origin(url: str) -> None:
    with pytest.raises(ValueError, match=r"URL|[Pp]ort"):
        origin(url)


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("http://localhost:80", True),
        ("http://127.0.0.1", True),
        ("http://127.8.9.1", True),
        ("http://[::1]:8080/x", True),
        ("http://localhost.evil.test", False),
        ("http://10.0.0.1", False),
        ("https://api.apsis.one", False),
        ("", False),
    ],
)
def test_only_local_addresses_are_loopback(url: str, *, expected: bool) -> None:
    assert is_loopback(url) is expected


def test_a_small_object_is_read_from_any_chunks() -> None:
    assert read_object([b'{"a"', b': [1, "x"]', b"}"]) == {"a": [1, "x"]}


@pytest.mark.parametrize(
    "text",
    [b"", b"<html>canary</html>", b'{"canary": ', b'["canary"]', b'"canary"', b"null", b'{"canary": "\xff"}', b"NaN"],
)
def test_an_answer_that_is_no_object_is_an_error_that_does_not_quote_it(text: bytes) -> None:
    with pytest.raises(UnusableAnswer) as failure:
        read_object([text])
    assert failure.value.exit_code == 12
    assert "canary" not in str(failure.value)


def test_an_endless_answer_is_not_read_to_its_end() -> None:
    read_count = 0

    def endless() -> Iterator[bytes]:
        nonlocal read_count
        while True:
            read_count += 1
            yield b"[" * 65536

    with pytest.raises(UnusableAnswer):
        read_object(endless())
    assert read_count < 1000


@pytest.mark.parametrize(
    ("minutes", "warning"),
    [
        (-10, "This machine's clock is 10 minutes ahead of Vendor's."),
        (10, "This machine's clock is 10 minutes behind Vendor's."),
        (-4, None),
        (4, None),
    ],
)
def test_a_clock_that_differs_is_said_once_and_in_words(
    requests_mock: Mocker, caplog: pytest.LogCaptureFixture, minutes: int, warning: str | None
) -> None:
    http = client()
    for _ in range(2):
        date = format_datetime(datetime.now(UTC) + timedelta(minutes=minutes), usegmt=True)
        requests_mock.get(URL, headers={"Date": date}, content=b"x")
        http.send(GET, read_body)
    assert [record.getMessage() for record in caplog.records] == ([warning] if warning else [])
    assert round(http.clock_lead / timedelta(minutes=1)) == -minutes


def test_a_pause_below_a_second_is_shown(
    requests_mock: Mocker, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("random.uniform", lambda _low, high: 0.04 * high)
    requests_mock.get(URL, [{"status_code": 503}, {"content": b"x"}])
    client().send(GET, read_body)
    assert caplog.messages[0].endswith("Next try in under 0.1 s.")
