"""The vendor's reason is quoted from documented fields only, without secrets, on one short line."""

from __future__ import annotations

import gzip
import json
import time
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tap_cdp_export.errors import CdpExportError
from tap_cdp_export.http.client import ApiRequest, HttpClient
from tap_cdp_export.http.reasons import reason_in, reason_of
from tap_cdp_export.redaction import REDACTOR, Redactor
from tests.helpers.json_documents import VALUES
from tests.helpers.loopback import LoopbackServer, cut, with_length


@pytest.fixture
def redactor() -> Redactor:
    """The redactor, without secrets of other tests."""
    return REDACTOR


def quoted(answer: Any) -> str:
    """Return the text between the quotation marks."""
    return reason_in(answer).removeprefix(' The vendor says: "').removesuffix('".')


@pytest.mark.parametrize(
    ("answer", "expected"),
    [
        ({"message": "Access Denied"}, "Access Denied"),
        ({"title": "Bad Request", "status": 400, "detail": "No such version."}, "Bad Request; No such version"),
        ({"error": "invalid_client", "error_description": "unknown"}, "invalid_client; unknown"),
        ({"message": "no", "errors": ["one", "two", "one"]}, "no; one; two"),
        ({"errors": [{"message": "one", "code": "x"}, {"title": "two"}]}, "one; two"),
        ({"error": {"message": "inner", "other": "x"}}, "inner"),
        ({"message": "twice", "detail": "twice"}, "twice"),
        ({"message": 'a "b"\n c'}, "a 'b' c"),
    ],
)
def test_the_documented_fields_are_quoted_in_order(answer: dict[str, Any], expected: str) -> None:
    assert quoted(answer) == expected
    assert reason_in(answer) == f' The vendor says: "{expected}".'


@pytest.mark.parametrize(
    "answer",
    [
        None,
        [],
        "message",
        ["message"],
        {},
        {"message": ""},
        {"message": " \n"},
        {"message": 5},
        {"message": None},
        {"data": "canary", "users": [{"message": "canary"}]},
        {"errors": {"canary": "canary"}},
        {"errors": [[[["canary"]]]]},
    ],
)
def test_nothing_else_is_quoted(answer: Any) -> None:
    assert reason_in(answer) == ""


@pytest.mark.parametrize(
    "text", [b"", b"canary", b"<html>canary</html>", b'{"message": "canary"', b'"canary"', b"\x1f\x8bcanary", b"\xff"]
)
def test_a_body_that_is_no_json_object_is_not_quoted(text: bytes) -> None:
    assert reason_of(text) == ""


def test_a_gzip_body_is_read_but_a_decompression_bomb_is_not() -> None:
    assert "too many" in reason_of(gzip.compress(b'{"message":"too many"}'))
    assert reason_of(gzip.compress(json.dumps({"message": "x" * 10**7}).encode())) == ""


@pytest.mark.parametrize(
    "secret",
    [
        "anna.svensson@shop.example",
        "<anna+tag@shop.example>",
        "anna%40shop.example",
        "Iw_2CAuI2mvAemo2jRTbG6IBUkzpJNBbYSMwPHO082o",
        "0d5a7c1e-9cd7-4142-b70f-843b89c5ac80",
        "A" * 24,
        "a" * 24,
        "1" * 24,
        "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiJjYW5hcnkifQ1234.abcdefghijklmnopqrstuvwx",
        "https://bucket.s3.example/file.zip?X-Amz-Signature=canary&Expires=5",
        "https://bucket.s3.example/file.zip?canary",
        "/poll?account=canary",
        "known-secret",
        "a2Vub3duLXNlY3JldA==",
    ],
)
def test_secrets_and_email_addresses_are_masked(redactor: Redactor, secret: str) -> None:
    redactor.add_secrets(["known-secret", "kenown-secret"])
    text = quoted({"message": f"Refused {secret} here"})
    assert text.startswith("Refused ")
    assert text.endswith(" here")
    assert "(redacted)" in text
    for part in ("anna", "canary", "secret", "a2Vub", "CAuI2", "AAAA", "aaaa", "1111", "9cd7", "eyJ"):
        assert part not in text


@pytest.mark.parametrize(
    "words",
    [
        "custom_attributes_to_export must not name more than 500",
        "section_discriminator com.apsis1.attributes.email is unknown",
        "No route /audience/profiles/exports",
        "segment_id must be a string of the Segment api identifier",
        "Is the window too large? Try 7 days",
        "see https://docs.example/errors",
    ],
)
def test_plain_words_are_not_masked(words: str) -> None:
    assert quoted({"message": words}) == words


def test_a_long_reason_is_cut_after_redaction(redactor: Redactor) -> None:
    redactor.add_secrets(["secret secret"])
    for size in range(270, 310):
        text = quoted({"message": "a " * (size // 2) + "secret secret " * 20})
        assert len(text) == 300
        assert "secret" not in text


@given(answer=VALUES | st.dictionaries(st.sampled_from(["message", "errors", "title"]), VALUES))
def test_a_reason_is_one_short_printable_line_for_any_answer(answer: Any) -> None:
    reason = reason_in(answer)
    assert reason.isprintable()
    assert len(reason) < 330
    assert reason.count('"') in {0, 2}


def test_a_reason_cannot_forge_a_line_of_the_log() -> None:
    text = quoted({"message": "no\r\n2026 CRITICAL all is well (exit 0)\u2028\u202e\x1b[2J"})
    assert text == "no 2026 CRITICAL all is well (exit 0) [2J"


# Responses


@pytest.mark.usefixtures("clock")
@pytest.mark.parametrize("status", [302, 400, 401, 403, 404, 408, 409, 413, 429, 500, 503])
def test_every_refusal_carries_the_reason(status: int) -> None:
    answer = with_length(b'{"message":"because"}').replace(b"200 OK", b"%d X" % status)
    with LoopbackServer(cut(answer)) as server:
        client = HttpClient("Vendor", deadline_seconds=60)
        with pytest.raises(CdpExportError, match='The vendor says: "because"') as failure:
            client.send(ApiRequest("GET", server.url, what="x"), lambda _answer, _chunks: None)
    assert failure.value.reason == ' The vendor says: "because".'
    assert failure.value.status == status


@pytest.mark.parametrize("announced", [10**9, 30])
def test_a_refusal_with_an_endless_or_truncated_body_is_still_a_refusal(announced: int) -> None:
    answer = with_length(b'{"message":"' + b"x" * 100_000, announced=announced).replace(b"200 OK", b"400 X")
    with LoopbackServer(cut(answer)) as server:
        start = time.monotonic()
        with pytest.raises(CdpExportError) as failure:
            HttpClient("Vendor", deadline_seconds=60).send(
                ApiRequest("GET", server.url, what="x"), lambda _answer, _chunks: None
            )
    assert failure.value.exit_code == 10
    assert failure.value.reason == ""
    assert time.monotonic() - start < 5
