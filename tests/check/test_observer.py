"""Answers are kept in bounds; an answer that cannot be used does not end the check, no answer does."""

from __future__ import annotations

import gzip
import json
from typing import TYPE_CHECKING, Any

import pytest
from requests import Response
from requests.structures import CaseInsensitiveDict

from tap_cdp_export.check.facts import Outcome, Unknown
from tap_cdp_export.check.observer import ANY_STATUS, LARGEST_BODY, Observation, Observer
from tap_cdp_export.errors import IncompleteAnswer, VendorUnavailable
from tap_cdp_export.http.client import ApiRequest

if TYPE_CHECKING:
    from tests.helpers.virtual_clock import VirtualClock

CALL = ApiRequest("GET", "https://198.51.100.7/x", what="a thing", expected=ANY_STATUS)
POLLING = {"poll_initial_seconds": 1, "poll_max_seconds": 4, "export_timeout_seconds": 60}


def observer() -> Observer:
    return Observer((Unknown("a.b", "It is so."),), frozenset(), may_export=False)


def sender(
    *chunks: bytes, status: int = 200, error: Exception | None = None, headers: dict[str, str] | None = None
) -> Any:
    """What sends a request and gets this answer, or this error."""

    def send(_call: ApiRequest, consume: Any) -> Any:
        if error:
            raise error
        response = Response()
        response.status_code, response.headers = status, CaseInsensitiveDict(headers or {})
        return consume(response, iter(chunks))

    return send


def test_a_claim_that_one_answer_refutes_stays_refuted() -> None:
    watched = observer()
    watched.record("a.b", holds=None)
    assert watched.outcome("a.b") is Outcome.OPEN
    for holds, expected in ((True, Outcome.CONFIRMED), (False, Outcome.REFUTED), (True, Outcome.REFUTED)):
        watched.record("a.b", holds=holds)
        assert watched.outcome("a.b") is expected


def test_an_unknown_identifier_is_a_defect() -> None:
    with pytest.raises(KeyError):
        observer().record("a.c", holds=True)


def test_what_the_report_shows_of_an_answer() -> None:
    watched = observer()
    answer = watched.observe(sender(b'{"id":', b'"7"}', status=202, headers={"Server": "Anna"}), CALL)
    assert (answer.object, answer.is_success, answer.is_whole, answer.is_gzip) == ({"id": "7"}, True, True, False)
    (entry,) = watched.requests
    assert {key: entry[key] for key in ("request", "status", "bytes", "headers")} == {
        "request": "a thing",
        "status": 202,
        "bytes": 10,
        "headers": ["server"],
    }
    assert entry["shape"] == {"": ["object"], "id": ["text (digits)"]}


def test_a_compressed_body_is_read() -> None:
    answer = observer().observe(sender(gzip.compress(b"[1]")), CALL)
    assert (answer.json, answer.is_gzip) == ([1], True)


@pytest.mark.parametrize(
    "body",
    [
        b"x" * (LARGEST_BODY + 1),
        gzip.compress(b"0" * (LARGEST_BODY + 1), mtime=0),
        gzip.compress(b"[1]", mtime=0)[:-4],
        b"\x1f\x8b\x08 no gzip at all",
    ],
    ids=["too large", "too large inside", "cut", "broken"],
)
def test_a_body_that_is_not_whole_is_no_json(body: bytes) -> None:
    answer = observer().observe(sender(body), CALL)
    assert (answer.is_whole, answer.json, answer.objects()) == (False, None, [])


@pytest.mark.parametrize("body", [b"", b"<html>", b"[" * 100_000, b"\xff", b'{"a": 1'])
def test_a_body_that_is_no_json_has_no_objects(body: bytes) -> None:
    answer = Observation(200, {}, body, is_whole=True)
    assert (answer.json, answer.object, answer.objects("a")) == (None, {}, [])


def test_an_answer_that_cannot_be_used_is_noted() -> None:
    watched = observer()
    assert watched.observe(sender(error=IncompleteAnswer("It ended too early.")), CALL) == Observation()
    assert watched.requests == [{"request": "a thing", "failure": "IncompleteAnswer"}]
    assert not watched.has_answer


def test_no_answer_ends_the_check_of_the_vendor() -> None:
    with pytest.raises(VendorUnavailable):
        observer().observe(sender(error=VendorUnavailable("No connection.")), CALL)


@pytest.mark.parametrize(
    ("status", "granted"), [(200, True), (400, True), (401, False), (403, False), (404, None), (429, None), (500, None)]
)
def test_a_status_tells_whether_a_right_is_granted(status: int, *, granted: bool | None) -> None:
    watched = observer()
    watched.right("reading", Observation(status))
    assert watched.rights == {"reading": granted}


def polled(clock: VirtualClock, statuses: list[int]) -> tuple[Observer, list[int], float]:
    watched, remaining = observer(), iter(statuses)
    answers = watched.poll(
        lambda: watched.observe(sender(b"{}", status=next(remaining)), CALL),
        lambda answer: answer.status == 404,
        POLLING,
    )
    return watched, [answer.status for answer in answers], clock.paused


def test_polls_are_paused_for_and_only_the_first_and_the_last_are_shown(clock: VirtualClock) -> None:
    watched, statuses, seconds = polled(clock, [404] * 5 + [200])
    assert statuses == [404] * 5 + [200]
    assert seconds == pytest.approx(1 + 1.5 + 2.25 + 3.375 + 4)
    assert [request["status"] for request in watched.requests] == [404, 200]
    assert watched.requests[-1]["polls"] == 6


def test_polls_end_with_the_deadline(clock: VirtualClock) -> None:
    watched, statuses, seconds = polled(clock, [404] * 100)
    assert set(statuses) == {404}
    assert 56 <= seconds <= 60
    assert len(json.dumps(watched.requests)) < 1000


@pytest.mark.parametrize(
    ("header", "seconds"), [("7", 7), ("0", 1), ("anna", 1), ("-3", 1), ("\u0663", 1), ("9999999", 0)]
)
def test_retry_after_lengthens_a_pause(clock: VirtualClock, header: str, seconds: float) -> None:
    answers = iter([404, 200])
    watched = observer()
    watched.poll(
        lambda: watched.observe(sender(b"", status=next(answers), headers={"Retry-After": header}), CALL),
        lambda answer: answer.status == 404,
        POLLING,
    )
    assert clock.paused == seconds  # one beyond the deadline is not waited for


def test_the_reason_of_a_refusal_is_in_the_log_and_not_in_the_report(caplog: pytest.LogCaptureFixture) -> None:
    watched = observer()
    with caplog.at_level("INFO"):
        watched.observe(sender(b'{"detail": "No item of anna@shop.example"}', status=400), CALL)
    assert 'Asked for a thing: status 400. The vendor says: "No item of (redacted)".' in caplog.text
    assert "No item" not in json.dumps(watched.requests)
