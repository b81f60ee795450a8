from __future__ import annotations

import zlib
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import TYPE_CHECKING, Any

import pytest
import requests

from tests.sandbox.clients import SECONDS, Client, unzip

if TYPE_CHECKING:
    from tap_cdp_export.sandbox.server import Sandbox


def plan(sandbox: Sandbox, **fault: Any) -> None:
    sandbox.options.update({"faults": [fault]})


def test_a_fault_skips_some_requests_then_applies_to_a_number_of_requests(sandbox: Sandbox, client: Client) -> None:
    plan(sandbox, path="/api/dataset/", status=502, skip=1, times=2)
    assert [client.dataset(page=0, pageSize=1).status_code for _ in range(4)] == [200, 502, 502, 200]
    assert [entry.fault for entry in sandbox.request_log.entries()] == [None, "status", "status", None]


def test_errors_have_the_format_of_each_vendor(sandbox: Sandbox, client: Client) -> None:
    plan(sandbox, status=500, times=0)
    assert client.dataset().text == "Planned fault"
    assert client.request_token().json()["status"] == 500
    assert client.request_segment_export().json() == {"message": "Planned fault"}
    plan(sandbox, status=500, body="<b>gateway</b>", headers={"via": "proxy"})
    answer = client.request_token()
    assert (answer.text, answer.headers["via"]) == ("<b>gateway</b>", "proxy")


def test_retry_after_is_seconds_or_a_date(sandbox: Sandbox, client: Client) -> None:
    plan(sandbox, status=429, times=1, retry_after=3)
    assert client.dataset().headers["retry-after"] == "3"
    plan(sandbox, status=429, times=1, retry_after=3, retry_after_date=True)
    assert parsedate_to_datetime(client.dataset().headers["retry-after"]).tzinfo


def test_a_login_page_has_status_200(sandbox: Sandbox, client: Client) -> None:
    plan(sandbox, kind="html")
    answer = client.dataset()
    assert answer.status_code == 200
    assert answer.headers["content-type"].startswith("text/html")


def test_a_cut_body_with_a_declared_length_ends_early(sandbox: Sandbox, client: Client) -> None:
    plan(sandbox, kind="cut", after_bytes=100, times=0)
    answer = _raw(client, "?page=0&pageSize=10")
    assert int(answer.headers["content-length"]) > 100
    with pytest.raises(requests.exceptions.ChunkedEncodingError):
        _ = answer.content


def test_a_cut_chunked_body_lacks_its_last_chunk(sandbox: Sandbox, client: Client) -> None:
    plan(sandbox, kind="cut", after_bytes=70_000, times=0)
    with pytest.raises(requests.exceptions.ChunkedEncodingError):
        _ = _raw(client, "").content


def test_a_cut_can_look_like_a_clean_end(sandbox: Sandbox, client: Client) -> None:
    plan(sandbox, kind="cut", after_bytes=100, clean=True)
    answer = _raw(client, "?page=0&pageSize=10")
    assert "content-length" not in answer.headers
    assert len(answer.content) == 100


def test_a_cut_can_declare_any_length(sandbox: Sandbox, client: Client) -> None:
    plan(sandbox, kind="cut", after_bytes=100, declared_length=7_777)
    answer = _raw(client, "")
    assert answer.headers["content-length"] == "7777"
    with pytest.raises(requests.exceptions.ChunkedEncodingError):
        _ = answer.content


def test_a_stream_can_be_cut_inside_its_gzip(sandbox: Sandbox, client: Client) -> None:
    sandbox.options.apsis.polls_before_ready = 0
    url = client.export_url()
    plan(sandbox, kind="cut", after_bytes=5_000, clean=True)
    answer = client.poll(url, "gzip", stream=True)
    unpacker = zlib.decompressobj(16 + zlib.MAX_WBITS)
    text = unpacker.decompress(answer.raw.read(decode_content=False))
    assert text.startswith(b'{"profiles":{')
    assert not unpacker.eof


def test_slow_and_trickled_responses_are_complete(sandbox: Sandbox, client: Client) -> None:
    whole = client.dataset(page=0, pageSize=10).content
    plan(sandbox, kind="slow", seconds=0.02)
    slow = client.dataset(page=0, pageSize=10)
    assert slow.elapsed.total_seconds() > 0.02
    assert slow.content == whole
    plan(sandbox, kind="trickle", after_bytes=1_000, seconds=0.001)
    assert client.dataset(page=0, pageSize=10).content == whole
    sandbox.options.apsis.polls_before_ready = 0
    url = client.export_url()
    file = client.poll(url).content
    plan(sandbox, kind="trickle", after_bytes=len(file) - 1_000)
    assert client.poll(url).content == file


def test_a_dropped_connection_gives_no_response(sandbox: Sandbox, client: Client) -> None:
    plan(sandbox, kind="drop")
    with pytest.raises(requests.exceptions.ConnectionError):
        client.dataset()
    assert client.dataset().status_code == 200


@pytest.mark.parametrize("fault", [{"status": 502}, {"kind": "drop"}])
def test_a_response_can_be_lost_after_the_request_was_processed(
    sandbox: Sandbox, client: Client, fault: dict[str, Any]
) -> None:
    plan(sandbox, path="/users/export/segment", answer_lost=True, **fault)
    if "kind" in fault:
        with pytest.raises(requests.exceptions.ConnectionError):
            client.request_segment_export()
    else:
        assert client.request_segment_export().status_code == 502
    assert client.request_segment_export().status_code == 429  # the export whose response was lost is running


def test_faults_apply_to_the_storage_host(sandbox: Sandbox, client: Client) -> None:
    sandbox.options.braze.polls_before_ready = 0
    url = client.request_segment_export().json()["url"]
    plan(sandbox, path=r"\.zip$", kind="cut", after_bytes=2_000)
    with pytest.raises(requests.exceptions.ChunkedEncodingError):
        client.get(url)
    assert client.get(url).status_code == 200


def test_raw_options_put_any_bytes_into_the_data(sandbox: Sandbox, client: Client) -> None:
    text = '{"name":"\ud800","big":' + "9" * 5_000 + "}"
    data = b'{"name":"\xed\xa0\x80","big":9'
    sandbox.options.personalization.raw_record = text
    sandbox.options.apsis.raw_profile = f'"key":{text}'
    sandbox.options.braze.raw_line = text
    assert client.dataset(page=0, pageSize=1).content.startswith(b"[" + data)
    assert data not in client.dataset(page=1, pageSize=1).content
    sandbox.options.apsis.polls_before_ready = 0
    assert client.poll(client.export_url()).content.startswith(b'{"profiles":{"key":' + data)
    assert any(file.startswith(data) for file in unzip(client.archive()).values())


def _raw(client: Client, query: str) -> requests.Response:
    settings = client.settings["personalization"]
    return client.session.get(
        f"{client.sandbox.api_url}/api/dataset/engage/users.json{query}",
        auth=(settings["api_key_id"], settings["api_key_secret"]),
        timeout=SECONDS,
        stream=True,
    )


def test_an_unframed_body_has_no_content_length_but_the_given_one(sandbox: Sandbox, client: Client) -> None:
    whole = client.dataset(page=0, pageSize=10)
    plan(sandbox, kind="unframed", after_bytes=100, headers={"content-length": "abc"})
    answer = client.dataset(page=0, pageSize=10)
    assert answer.headers["content-length"] == "abc"
    assert answer.headers["connection"] == "close"
    assert answer.content == whole.content[:100]
    assert sandbox.request_log.entries()[-1].status == 200


def test_a_large_unframed_body_is_sent_completely(sandbox: Sandbox, client: Client) -> None:
    sandbox.options.update({"personalization": {"raw_record": '{"name": "%s"}' % ("x" * 10_000_000)}})
    plan(sandbox, kind="unframed", after_bytes=10**9)
    assert client.dataset(page=0, pageSize=10).content.endswith(b"]")


def test_a_part_is_a_206_with_the_length_of_its_body(sandbox: Sandbox, client: Client) -> None:
    plan(sandbox, kind="part", after_bytes=100)
    answer = client.dataset(page=0, pageSize=10)
    assert (answer.status_code, answer.headers["content-length"]) == (206, "100")
    assert answer.headers["content-range"].startswith("bytes 0-99/")


@pytest.mark.parametrize("ahead", [-7200, 0, 7200])
def test_the_date_header_can_be_ahead_of_the_clock(sandbox: Sandbox, client: Client, ahead: int) -> None:
    plan(sandbox, status=429, retry_after=60, retry_after_date=True, clock_ahead=ahead)
    answer = client.dataset()
    date, retry_time = (parsedate_to_datetime(answer.headers[name]) for name in ("date", "retry-after"))
    assert abs((date - datetime.now(UTC)).total_seconds() - ahead) < 5
    assert abs((retry_time - date).total_seconds() - 60) <= 1
    assert abs((parsedate_to_datetime(client.dataset().headers["date"]) - datetime.now(UTC)).total_seconds()) < 5
